"""Nobody asks more than so many questions a minute, whatever becomes of the cache that counts them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bot.limits import WINDOW, AskLimit
from memory.adapters.in_memory import ProcessCache
from memory.errors import Refused, Unavailable
from memory.models import Person, Slot
from memory.ports import Cache
from tests.doubles import HandClock
from tests.unit.bot.rooms import Chat, open_bot

ANA, BEN = (Person(key, 1, name, name) for key, name in ((1, "ana"), (2, "ben")))


class Fragile(ProcessCache):
    """A shared cache that is away at times."""

    away = False

    async def count(self, slot: Slot, window: timedelta) -> int:
        if self.away:
            raise Unavailable("away")
        return await super().count(slot, window)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def shared(clock: HandClock) -> Fragile:
    return Fragile(clock)


def limit(clock: HandClock, most: int = 2, shared: Cache | None = None) -> AskLimit:
    return AskLimit(most, ProcessCache(clock), shared)


async def admitted(limits: AskLimit, person: Person, times: int) -> int:
    """How many of so many questions are let through."""
    through = 0
    for _ in range(times):
        try:
            await limits.admit(person)
        except Refused:
            continue
        through += 1
    return through


class TestAskLimit:
    async def test_each_person_has_as_many_as_are_set(self, clock: HandClock) -> None:
        limits = limit(clock)
        assert await admitted(limits, ANA, 5) == 2
        assert await admitted(limits, BEN, 5) == 2

    async def test_after_a_minute_there_are_as_many_again(self, clock: HandClock) -> None:
        limits = limit(clock)
        await admitted(limits, ANA, 5)
        clock.advance(WINDOW - timedelta(seconds=1))
        assert await admitted(limits, ANA, 1) == 0
        clock.advance(timedelta(seconds=1))
        assert await admitted(limits, ANA, 5) == 2

    async def test_zero_is_no_limit(self, clock: HandClock) -> None:
        assert await admitted(limit(clock, 0), ANA, 500) == 500

    @pytest.mark.parametrize(("most", "words"), [(1, "1 question a minute"), (3, "3 questions a minute")])
    async def test_it_says_how_many_and_what_to_do(self, clock: HandClock, most: int, words: str) -> None:
        limits = limit(clock, most)
        await admitted(limits, ANA, most)
        with pytest.raises(Refused, match=f"{words} .* ask again in a minute"):
            await limits.admit(ANA)

    async def test_two_processes_count_together(self, clock: HandClock, shared: Fragile) -> None:
        one, two = limit(clock, 3, shared), limit(clock, 3, shared)
        assert [await admitted(one, ANA, 2), await admitted(two, ANA, 2)] == [2, 1]

    async def test_without_the_shared_cache_each_counts_on_with_what_it_knows(
        self, clock: HandClock, shared: Fragile
    ) -> None:
        one, two = limit(clock, 3, shared), limit(clock, 3, shared)
        await admitted(one, ANA, 2)
        shared.away = True
        assert [await admitted(one, ANA, 4), await admitted(two, ANA, 4)] == [1, 3]


@pytest.mark.embedded
async def test_a_room_says_so_and_goes_on(tmp_path: Path) -> None:
    async with open_bot(tmp_path, ask_limit=2) as app:
        chat = Chat(app)
        await chat.say("Ana", "the queen is red")
        for _ in range(2):
            assert "queen" in await chat.say("Ben", "!weave queen?")
        assert await chat.say("Ben", "!weave queen?") == (
            "2 questions a minute is as much as I answer one person: ask again in a minute."
        )
        assert "queen" in await chat.say("Ana", "!weave queen?")
        assert "3 answers" in await chat.say("Ben", "!weave stats")
