"""Ids, lists, budget, buttons, feed: the parts that need no Discord."""

from __future__ import annotations

from typing import Any
from unittest.mock import sentinel

import pytest

from bot.adapters.discord.budget import Budget
from bot.adapters.discord.buttons import LONGEST, Press, parse
from bot.adapters.discord.feed import Changed, Feed, Opened
from bot.adapters.discord.ids import asked_alone, command_id, is_message, link, message_id, parts_of
from bot.adapters.discord.lists import Choice, Lists
from bot.adapters.discord.used import LIFETIME, Desk, Open
from memory.errors import BadInput, Unavailable
from tests.doubles import HandClock
from tests.notebooks import MemoryNotebook


class TestIds:
    def test_a_message_is_found_again_from_its_id(self) -> None:
        assert parts_of(message_id(12, 34)) == (12, 34)
        assert link("5", "12-34") == "https://discord.com/channels/5/12/34"

    @pytest.mark.parametrize("other", ["", "12", "used-34", "12-", "12-34:5:👍", None])
    def test_other_ids_are_no_messages(self, other: str | None) -> None:
        assert not is_message(other)

    def test_an_id_that_is_none_says_where_to_get_one(self) -> None:
        with pytest.raises(BadInput, match="Copy Message ID"):
            parts_of("nonsense")


class TestLists:
    def test_everywhere_but_in_age_restricted_channels(self) -> None:
        assert Choice().listens(1, nsfw=False)
        assert not Choice().listens(1, nsfw=True)
        assert Choice(nsfw=True).listens(1, nsfw=True)

    def test_chosen_channels_alone_and_never_the_others(self) -> None:
        chosen = Choice().allowing(1).denying(2)
        assert [chosen.listens(one, nsfw=False) for one in (1, 2, 3)] == [True, False, False]
        assert chosen.listens(1, nsfw=True)
        assert chosen.denying(1).listens(3, nsfw=False)
        assert chosen.without(2).without(1) == Choice()

    async def test_choices_outlive_the_process(self) -> None:
        notebook = MemoryNotebook()
        chosen = Choice(frozenset({1}), frozenset({2}), nsfw=True)
        await Lists(notebook).change(7, chosen)
        assert await Lists(notebook).of(7) == chosen
        assert await Lists(notebook).of(8) == Choice()

    async def test_what_cannot_be_kept_is_not_in_force(self) -> None:
        notebook = MemoryNotebook()
        lists = Lists(notebook)
        await lists.of(7)
        notebook.broken = True
        with pytest.raises(Unavailable):
            await lists.change(7, Choice(nsfw=True))
        assert await lists.of(7) == Choice()


class TestBudget:
    def test_refusals_are_forgotten_after_ten_minutes(self) -> None:
        now = [0.0]
        budget = Budget(most=3, clock=lambda: now[0])
        for status in (200, 401, 403, 404, 429, 500):
            budget.note(status)
        assert budget.refused == 3
        assert budget.wait == 600
        now[0] = 601
        assert (budget.refused, budget.wait) == (0, 0)

    def test_no_second_sees_more_requests_than_discord_takes(self) -> None:
        now = [0.0]
        budget = Budget(clock=lambda: now[0])
        waits = [budget.turn() for _ in range(100)]
        assert waits == [0.0] * 45 + [1.0] * 45 + [2.0] * 10
        now[0] = 10
        assert budget.turn() == 0

    def test_told_to_go_away_it_rests(self) -> None:
        now = [0.0]
        budget = Budget(clock=lambda: now[0])
        budget.rest(30)
        assert budget.wait == 30
        now[0] = 31
        assert budget.wait == 0


class TestButtons:
    def test_everything_stands_in_the_custom_id(self) -> None:
        press = Press("vote", "0123456789abcdef", 2**40, "👍", f"click-{2**63}")
        assert parse(press.custom_id()) == press
        assert len(press.custom_id()) <= LONGEST

    @pytest.mark.parametrize("other", [None, "", "weave:x", "weave:other:a:1::", "other:why:a:1::", "weave:why:a:b::"])
    def test_what_is_not_ours_is_nothing(self, other: str | None) -> None:
        assert parse(other) is None


class TestFeed:
    async def test_what_is_small_is_kept_up_to_its_bound_and_counted_beyond(self) -> None:
        feed = Feed(most=2, small=3)
        change: Any = Changed("raw_message_delete", sentinel.raw)
        assert [feed.put(change) for _ in range(4)] == [True, True, True, False]
        assert feed.lost == 1
        assert len(await feed.take(10)) == 3

    async def test_what_was_given_back_comes_first(self) -> None:
        feed = Feed()
        feed.put(Opened(1))
        feed.put(Opened(2))
        [first] = await feed.take(1)
        feed.give_back([first])
        assert await feed.take(10) == [Opened(1), Opened(2)]

    async def test_after_its_end_what_waits_is_still_given(self) -> None:
        feed = Feed()
        feed.put(Opened(1))
        feed.end(Unavailable("over"))
        assert await feed.take(10) == [Opened(1)]
        with pytest.raises(Unavailable, match="over"):
            await feed.take(10)


class TestDesk:
    @pytest.mark.parametrize("private", [True, False])
    async def test_one_that_was_used_alone_stays_when_it_is_answered_also_after_a_restart(
        self, *, private: bool
    ) -> None:
        notebook, clock = MemoryNotebook(), HandClock()
        desk = Desk(notebook, clock)
        name = command_id(7, alone=private)
        desk._open[name] = Open(name, 1, "token", 12, 34, private, clock.now())
        assert desk.waits_in(12)
        desk.close(name, "t1")
        await desk.keep()
        after = Desk(notebook, clock)
        await after.recall()
        assert not after.waits_in(12)
        found = after.find(name)
        assert (found.answered if found else None) == ("t1" if private else None)
        clock.advance(LIFETIME * 1.01)
        assert after.find(name) is None
        assert asked_alone(name) is private
