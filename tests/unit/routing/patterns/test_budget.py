"""A pattern spends no more than its budget, and a cancelled one leaves nothing running."""

from __future__ import annotations

import asyncio
import time

import pytest

from memory.engine import PATIENCE
from memory.models import Room
from routing.models import Budget
from routing.patterns import PATTERNS
from routing.patterns.trace import Ended
from routing.routes import BY_NAME, MENU
from tests.parts import Memory
from tests.unit.routing.patterns.desk import EVERYWHERE, Desk, Ticking

pytestmark = pytest.mark.embedded  # nothing here depends on the database

TALK = (
    ("Ana", "the extractor was mended by Zebedee Crane"),
    ("Ben", "the weather will be fine for the fair"),
    ("Cleo", "Zebedee Crane keeps goats near the harbour"),
    ("Ana", "the key hangs behind the door"),
    ("Ben", "goats eat everything"),
    ("Cleo", "the barrow is full"),
    ("Ana", "a crate fell"),
    ("Ben", "rakes are cheap"),
    ("Cleo", "ladders wobble"),
)
SCATTERED = "Did the goats, the key, the weather, the barrow, the crate, the rake and the ladder annoy him?"
"""No three messages cover it, so a pattern that judges goes on as long as it may."""


class TestCalls:
    @pytest.mark.parametrize("pattern", list(PATTERNS))
    async def test_no_pattern_asks_sources_more_often_than_it_may(
        self, memory: Memory, room: Room, pattern: str
    ) -> None:
        await memory.say(room, *TALK)
        for calls in (1, 2, 4, 9):
            _, run = await Desk(memory).run(pattern, SCATTERED, room, budget=Budget(calls, 60_000))
            assert 1 <= run.trace.calls == run.calls <= calls

    async def test_it_says_that_it_may_ask_no_more(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        _, run = await Desk(memory).run("recursive", SCATTERED, room, budget=Budget(3, 60_000))
        assert (run.calls, run.ended) == (3, Ended.OUT_OF_CALLS)
        _, run = await Desk(memory).run("parallel", SCATTERED, room, budget=Budget(2, 60_000))
        assert ([step.act for step in run.steps], run.ended) == (["vector", "keyword"], Ended.OUT_OF_CALLS)


class TestTime:
    @pytest.mark.parametrize("pattern", ["feed-forward", "recursive", "strange loop", "beam", "adaptive"])
    async def test_no_round_begins_when_the_time_is_up(self, memory: Memory, room: Room, pattern: str) -> None:
        await memory.say(room, *TALK)
        slow, quick = [
            (await Desk(memory).run(pattern, SCATTERED, room, budget=Budget(9, 500), timer=Ticking(step)))[1]
            for step in (1.0, 0.0)
        ]
        assert (slow.round, slow.ended) == (1, Ended.OUT_OF_TIME)
        assert quick.round > 1
        assert quick.ended is not Ended.OUT_OF_TIME

    async def test_a_source_that_is_late_is_left_and_the_answer_comes_from_the_others(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, {"graph": 60.0})
        began = time.monotonic()
        pool, run = await desk.run("parallel", "Who mended the extractor?", room, budget=Budget(9, 300))
        assert time.monotonic() - began < 20
        assert len(pool.serials)
        assert (pool.missing, run.ended) == ((), Ended.OUT_OF_TIME)
        assert (desk.slow["graph"].asked, desk.slow["graph"].cancelled) == (1, 1)

    async def test_while_nothing_is_there_the_first_answer_is_waited_for(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, {"keyword": 0.1, "vector": 60.0})
        pool, _ = await desk.run("parallel", "extractor", room, ("keyword", "vector"), budget=Budget(9, 10))
        assert len(pool.serials)
        assert desk.slow["keyword"].cancelled == 0

    async def test_what_was_cut_short_is_not_kept_for_the_next_question(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, {"graph": 60.0})
        for asked in (1, 2):
            await desk.shuttle.weave("Who mended the extractor?", memory.scope(room), route="hierarchical", seed=1)
            assert desk.slow["graph"].asked == asked

    def test_the_routes_of_the_menu_wait_until_a_silent_source_counts_as_down(self) -> None:
        assert all(route.budget.ms > PATIENCE * 1000 for route in MENU)


class TestCancelling:
    @pytest.mark.parametrize("route", [name for name, route in BY_NAME.items() if "recent" not in route.sources])
    async def test_a_cancelled_ask_leaves_nothing_running(self, memory: Memory, room: Room, route: str) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, dict.fromkeys(EVERYWHERE, 60.0))
        before = asyncio.all_tasks()
        ask = asyncio.create_task(desk.shuttle.weave("Who mended it?", memory.scope(room), route=route, seed=1))
        begun = [asyncio.create_task(one.begun.wait()) for one in desk.slow.values()]
        await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        ask.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ask
        asked = [one for one in desk.slow.values() if one.asked]
        assert asked
        assert all(one.cancelled == one.asked for one in asked)
        for waiting in begun:
            waiting.cancel()
        await asyncio.wait(begun)
        assert asyncio.all_tasks() == before
        assert await memory.book.newest_serial(memory.tenant) == 0
