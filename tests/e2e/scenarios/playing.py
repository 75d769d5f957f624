"""Plays a scenario on a driver: a chat platform with people, and a bot that can go away and die."""

from __future__ import annotations

from typing import Protocol

from tests.e2e.scenarios.script import (
    Deletes,
    Edits,
    Fate,
    Reacts,
    Remembered,
    Says,
    Scenario,
    Shows,
    Silence,
    Step,
    Votes,
)


class Driver(Protocol):
    """People and the bot in one room of a platform. Messages are known by the names that the scenario gives them."""

    async def says(self, step: Says) -> None:
        """Somebody writes."""

    async def edits(self, step: Edits) -> object:
        """Somebody changes a message; one that is not theirs as far as the platform lets them try."""

    async def deletes(self, step: Deletes) -> None:
        """A message is taken away."""

    async def reacts(self, step: Reacts) -> None:
        """An emoji is put on a message or on the bot's last words, or taken back."""

    async def said(self) -> str | None:
        """The bot's next words since a person last did something; None when it is settled that it says nothing."""

    async def edited(self, words: str) -> str:
        """What a message of the bot's shows after it was edited, when that holds the words, else its last form."""

    async def settled(self) -> None:
        """Returns when the bot has taken in everything that happened."""

    async def votes(self) -> int:
        """Ratings that stand."""

    async def texts(self) -> list[str]:
        """The messages that are remembered."""

    async def away(self) -> None:
        """The bot is stopped."""

    async def back(self) -> None:
        """The bot is started."""

    async def dies(self) -> None:
        """The bot is killed, and started again."""


async def play(scenario: Scenario, driver: Driver) -> None:
    """Plays the steps in order; an assertion fails with the step."""
    last: str | None = None
    asked = False
    for step in scenario.steps:
        if isinstance(step, Shows | Silence):
            if asked and not (isinstance(step, Shows) and step.edited):
                last, asked = await driver.said(), False
            await _check(step, driver, last)
        else:
            asked = True
            await _do(step, driver)


async def _check(step: Shows | Silence, driver: Driver, said: str | None) -> None:
    if isinstance(step, Silence):
        assert said is None, f"it was not silent: {said}"
        return
    shown = await driver.edited(step.words) if step.edited else said or ""
    assert (step.words.casefold() in shown.casefold()) is step.wanted, f"{step} against {shown!r}"


async def _do(step: Step, driver: Driver) -> None:
    match step:
        case Says():
            await driver.says(step)
        case Edits():
            await driver.edits(step)
        case Deletes():
            await driver.deletes(step)
        case Reacts():
            await driver.reacts(step)
        case Votes():
            await driver.settled()
            assert await driver.votes() == step.count
        case Remembered():
            await driver.settled()
            assert sorted(await driver.texts()) == sorted(step.texts)
        case Fate(what=what):
            await {"away": driver.away, "back": driver.back, "dies": driver.dies}[what]()
