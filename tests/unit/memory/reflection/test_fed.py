"""Reflection fed by a queue: each message once, whatever comes twice, late or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from memory.models import TRIES, Priority, Provenance, Room, WorkItem, WorkKind
from memory.reflection import reading
from memory.reflection.processors import TABLE, Rules
from memory.reflection.queue import State
from memory.reflection.worker import Reflector
from memory.relay import EMPTY
from memory.supply import QueueSupply
from memory.tables import memories, reflection_queue
from tests.doubles import START
from tests.parts import Memory, draft, open_memory
from tests.unit.memory.reflection.test_failing import poisoned
from tests.unit.memory.reflection.test_worker import count, held, talk, texts
from tests.unit.memory.test_supply import Switched

REFLECT = WorkKind.REFLECT


@pytest.fixture
def queue() -> Switched:
    return Switched()


@pytest.fixture
async def memory(tmp_path: Path, database_url: str | None, queue: Switched) -> AsyncIterator[Memory]:
    async with open_memory(tmp_path, database_url, queue) as parts:
        parts.erasure.droppers.append(supply_of(parts))
        yield parts


def supply_of(memory: Memory) -> QueueSupply[reading.Task]:
    supply = memory.reflector._supply
    assert isinstance(supply, QueueSupply)
    return supply


def broken(memory: Memory) -> Reflector:
    """A worker at the same queue, one of whose processors cannot read one of the messages."""
    episodic, semantic, procedural = (one for one in TABLE if isinstance(one, Rules))
    table = (episodic, replace(semantic, function=poisoned), procedural)
    return Reflector(memory.database, memory.clock, memory.rooms._model, supply=supply_of(memory), processors=table)


class TestReflecting:
    async def test_what_was_indexed_goes_through_the_queue_and_leaves_it(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        serials = await talk(memory, room)
        await supply_of(memory)._relay.publish()
        assert (await queue.state(REFLECT)).depth == len(serials)
        assert await memory.reflector.drain() == len(serials)
        assert "I moved hive 6 to the hedge yesterday" in await texts(memory, room)
        assert ((await queue.state(REFLECT)).depth, await count(memory, reflection_queue)) == (0, 0)
        report = await supply_of(memory).report()
        assert report.published_per_second > 0
        assert report.done_per_second > 0

    async def test_it_ends_in_the_memories_that_there_are_without_a_queue(
        self, memory: Memory, room: Room, tmp_path: Path
    ) -> None:
        await talk(memory, room)
        await memory.reflector.drain()
        (tmp_path / "other").mkdir()
        async with open_memory(tmp_path / "other") as other:
            await talk(other, await other.room())
            await other.reflector.drain()
            assert await held(memory) == await held(other)

    async def test_what_is_said_now_is_read_before_history(self, memory: Memory, room: Room, queue: Switched) -> None:
        old = [replace(draft(f"h{i}", "Ana", f"old {i}"), provenance=Provenance.HISTORY) for i in range(3)]
        await memory.journal.admit(room, old)
        await memory.indexer.drain()
        [now] = await memory.say(room, ("Ana", "I prefer cold tea."))
        await supply_of(memory)._relay.publish()
        given = await queue.take(REFLECT, 10)
        assert [one.item.priority for one in given] == [Priority.LIVE, *[Priority.HISTORY] * 3]
        assert given[0].item.serial == now

    async def test_the_whole_history_again_is_history(self, memory: Memory, room: Room, queue: Switched) -> None:
        serials = await talk(memory, room)
        await memory.reflector.drain()
        await memory.reflector.afresh([room.id])
        await supply_of(memory)._relay.publish()
        given = await queue.take(REFLECT, 10)
        assert [(one.item.serial, one.item.priority) for one in given] == [(s, Priority.HISTORY) for s in serials]

    async def test_an_item_that_comes_twice_or_late_changes_nothing(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        [serial, *_] = await talk(memory, room)
        await memory.reflector.drain()
        before = await held(memory)
        await queue.publish([WorkItem(REFLECT, room.id, serial, 0), WorkItem(REFLECT, room.id, 4711, 0)])
        assert await memory.reflector.drain() == 0
        assert await held(memory) == before
        assert (await queue.state(REFLECT)).depth == 0

    async def test_an_item_of_an_earlier_turn_is_settled_and_that_of_the_next_is_read(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        [serial] = await memory.say(room, ("Ana", "I prefer cold tea."))
        await supply_of(memory)._relay.publish()
        await memory.reflector.afresh([room.id])  # it waits anew, in the next turn
        await supply_of(memory)._relay.publish()
        given = await queue.take(REFLECT, 10)
        assert [(one.item.serial, one.item.revision) for one in given] == [(serial, 0), (serial, 1)]
        await queue.give_back(given)
        assert await memory.reflector.drain() == 1
        assert (await count(memory, memories), (await queue.state(REFLECT)).depth) == (1, 0)

    async def test_a_leftover_of_a_later_turn_than_the_row_has_is_read(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        """The row begins at turn 0 when it was gone in between; what is kept of the message is read all the same."""
        [serial] = await memory.say(room, ("Ana", "I prefer cold tea."))
        async with memory.database.write() as conn:
            await conn.execute(update(reflection_queue).values(published_at=memory.clock.now()))
        await queue.publish([WorkItem(REFLECT, room.id, serial, 7)])
        assert await memory.reflector.drain() == 1

    async def test_a_forgotten_message_leaves_no_item_and_an_edited_one_is_read_anew(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        await memory.say(room, ("Ana", "I prefer cold tea."), ("Ben", "The gate code is 4471."))
        await supply_of(memory)._relay.publish()
        await memory.journal.delete(room, "e1", START)
        assert (await queue.state(REFLECT)).depth == 1
        await memory.reflector.drain()
        await memory.journal.edit(room, "e2", "ben", "The gate code is 9876.", START)
        await memory.indexer.drain()
        await memory.reflector.drain()
        assert await texts(memory, room) == {"The gate code is 9876"}
        assert (await queue.state(REFLECT)).depth == 0

    async def test_the_worker_reads_what_another_process_has_published(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        worker = asyncio.create_task(memory.reflector.run())
        try:
            await asyncio.sleep(0.05)
            memory.indexer._after = None  # nobody nudges
            [serial] = await memory.say(room, ("Ana", "I prefer cold tea."))
            await queue.publish([WorkItem(REFLECT, room.id, serial, 0)])
            async with asyncio.timeout(10):
                while await count(memory, reflection_queue):  # noqa: ASYNC110 - the worker tells nobody
                    await asyncio.sleep(0.01)
        finally:
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker
        assert await texts(memory, room) == {"I prefer cold tea"}


class TestLosing:
    async def test_a_wiped_queue_is_filled_again(self, memory: Memory, room: Room, queue: Switched) -> None:
        serials = await talk(memory, room)
        supply_of(memory)._relay._every = 0.0
        await supply_of(memory)._relay.publish()
        await queue.drop(REFLECT, serials)
        memory.clock.advance(EMPTY)
        assert await memory.reflector.drain() == len(serials)

    async def test_without_its_queue_the_worker_takes_the_rows(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        serials = await talk(memory, room)
        await supply_of(memory)._relay.publish()
        queue.away = True
        assert await memory.reflector.drain() == len(serials)
        queue.away = False
        assert await memory.reflector.drain() == 0
        assert (await queue.state(REFLECT)).depth == 0

    async def test_a_batch_that_is_broken_off_waits_again(self, memory: Memory, room: Room, queue: Switched) -> None:
        serials = await talk(memory, room)
        reflector = memory.reflector
        store = reflector._store

        async def stop(_read: object) -> int:
            raise asyncio.CancelledError

        reflector._store = stop  # type: ignore[method-assign,assignment]
        with pytest.raises(asyncio.CancelledError):
            await reflector.drain()
        reflector._store = store  # type: ignore[method-assign]
        assert await reflector.drain() == len(serials)
        assert (await queue.state(REFLECT)).depth == 0


class TestPoison:
    async def test_it_is_a_dead_letter_with_its_reason_and_stops_nobody(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        serials = await talk(memory, room)
        worker = broken(memory)
        with capture_logs():
            await worker.drain()
        [letter] = await supply_of(memory).dead(10)
        assert (letter.item.serial, letter.reason, letter.tries) == (serials[1], "ZeroDivisionError", TRIES)
        standing = await worker.standing(serials[1])
        assert standing["semantic"].state is State.FAILED
        assert "I moved hive 6 to the hedge yesterday" in await texts(memory, room)
        assert (await worker.depth()).failed == 1
        assert (await supply_of(memory).report()).failed_per_second > 0
        assert (await queue.state(REFLECT)).depth == 0

    async def test_retried_it_is_read_and_no_letter_is_left(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        with capture_logs():
            await broken(memory).drain()
        assert await memory.reflector.drain() == 0
        assert await memory.reflector.retry() == 1
        assert await memory.reflector.drain() == 1
        assert "I prefer cold tea" in await texts(memory, room)
        assert not await supply_of(memory).dead(10)

    async def test_forgotten_it_leaves_no_dead_letter(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        with capture_logs():
            await broken(memory).drain()
        await memory.journal.delete(room, "e2", START)
        assert not await supply_of(memory).dead(10)


class TestVersions:
    async def test_a_room_that_newer_rules_read_is_left_to_them_and_comes_again(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        newer = tuple(replace(one, version=one.version + 1) for one in TABLE if isinstance(one, Rules))
        await talk(memory, room)
        relay = supply_of(memory)._relay
        later = Reflector(memory.database, memory.clock, memory.rooms._model, processors=newer)
        await later._catch_up()
        assert await memory.reflector.drain() == 0
        assert (await queue.state(REFLECT)).depth == 0
        memory.clock.advance(EMPTY + timedelta(seconds=1))
        relay._every = 0.0
        assert await relay.publish() > 0

    async def test_the_priority_of_a_row_that_is_put_again_is_the_more_urgent_one(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, ("Ana", "I prefer cold tea."))
        await memory.reflector.afresh([room.id])
        async with memory.database.read() as conn:
            found = (await conn.execute(select(reflection_queue.c.priority, reflection_queue.c.turn))).one()
        assert tuple(found) == (Priority.LIVE, 1)


class TestTakingTurns:
    async def test_who_does_not_run_keeps_no_room(self, memory: Memory, room: Room, queue: Switched) -> None:
        rested: list[WorkKind] = []

        async def rest(kind: WorkKind) -> None:
            rested.append(kind)

        queue.rest = rest  # type: ignore[method-assign]
        await talk(memory, room)
        await memory.reflector.drain()
        assert rested == [WorkKind.INDEX, REFLECT]
        running = asyncio.create_task(memory.reflector.run())
        await asyncio.sleep(0.1)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert rested == [WorkKind.INDEX, REFLECT]
