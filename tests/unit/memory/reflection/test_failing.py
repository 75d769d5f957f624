"""What fails stops nothing else, says nothing of a message, and is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Table, delete
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from memory.errors import Unavailable
from memory.models import TRIES, Embedding, Room
from memory.ports import Database
from memory.reflection.book import MemoryBook
from memory.reflection.models import Derived, Material, Summary
from memory.reflection.processors import TABLE, Rules
from memory.reflection.queue import State
from memory.reflection.reading import Told
from memory.tables import memories, reflection_queue, session_queue
from tests.parts import Memory
from tests.unit.memory.reflection.test_worker import count, end_session, held, talk, texts, worker


def poisoned(material: Material) -> Sequence[Derived]:
    if "cold tea" in material.text:
        raise ZeroDivisionError("cold tea")
    return ()


class TestFailing:
    async def test_a_poisoned_message_fails_with_the_reason_and_stops_nobody(self, memory: Memory, room: Room) -> None:
        serials = await talk(memory, room)
        episodic, semantic, procedural = (one for one in TABLE if isinstance(one, Rules))
        broken = worker(memory, episodic, replace(semantic, function=poisoned), procedural)
        for _ in range(TRIES):
            await broken.drain()
        standing = await broken.standing(serials[1])
        assert standing["semantic"].state is State.FAILED
        assert standing["semantic"].reason is not None
        assert "semantic: ZeroDivisionError in test_failing.py" in standing["semantic"].reason
        assert "tea" not in standing["semantic"].reason
        assert standing["procedural"].state is State.NOTHING
        assert "I moved hive 6 to the hedge yesterday" in await texts(memory, room)
        depth = await broken.depth()
        assert (depth.waiting, depth.failed) == (0, 1)

    async def test_no_word_of_a_message_is_logged(self, memory: Memory, room: Room) -> None:
        async def quotes(texts: Sequence[str]) -> list[Embedding]:
            raise ValueError(texts[0])

        memory.indexer._embedder.embed = quotes  # type: ignore[method-assign]
        with capture_logs() as logged:
            await talk(memory, room)
        assert {line["event"] for line in logged} == {"indexing.batch_failed", "indexing.message_failed"}
        assert all("ValueError in test_failing.py line" in line["error"] for line in logged)
        assert "gate code" not in str(logged)

    async def test_a_session_that_cannot_be_stored_stops_no_other(self, memory: Memory, room: Room) -> None:
        other = await memory.room("other")
        await talk(memory, room)
        await talk(memory, other)
        await end_session(memory)
        reflector = worker(memory)
        kept = reflector._store_summaries

        async def breaks(summaries: Sequence[tuple[Told, Summary | None]]) -> int:
            if any(told.room == room.id for told, _ in summaries):
                raise ZeroDivisionError
            return await kept(summaries)

        reflector._store_summaries = breaks  # type: ignore[method-assign]
        for _ in range(TRIES):
            await reflector.drain()
        assert len(await MemoryBook(memory.database).summaries([other.id], 5)) == 1
        depth = await reflector.depth()
        assert (depth.waiting, depth.failed) == (0, 1)

    async def test_the_workers_outlive_an_error_that_nobody_expected(self, memory: Memory) -> None:
        for one in (memory.indexer, memory.reflector):
            tries: list[int] = []

            async def breaks(tries: list[int] = tries) -> int:
                tries.append(1)
                raise ZeroDivisionError

            one.drain = breaks  # type: ignore[method-assign,assignment]
            running = asyncio.create_task(one.run(0.01))
            async with asyncio.timeout(10):
                while len(tries) < 2:  # noqa: ASYNC110 - nobody tells that it was tried
                    await asyncio.sleep(0.05)
            assert not running.done()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def test_what_failed_is_read_again_after_a_retry(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        episodic, semantic, procedural = (one for one in TABLE if isinstance(one, Rules))
        broken = worker(memory, episodic, replace(semantic, function=poisoned), procedural)
        for _ in range(TRIES):
            await broken.drain()
        assert await memory.reflector.drain() == 0
        assert await memory.reflector.retry() == 1
        assert await memory.reflector.drain() == 1
        assert "I prefer cold tea" in await texts(memory, room)

    @pytest.mark.parametrize("late", [False, True])
    async def test_broken_off_at_each_step_nothing_is_lost_or_doubled(
        self, memory: Memory, room: Room, *, late: bool
    ) -> None:
        await talk(memory, room)
        await end_session(memory)
        for step in range(1, 40):
            reflector = worker(memory, database=Stops(memory.database, step, late=late))
            with suppress(Unavailable):
                await reflector.drain()
                break
        else:
            pytest.fail("it never came to its end")
        assert step > 4
        met = await held(memory)
        async with memory.database.write() as conn:
            await conn.execute(delete(memories))
        await memory.reflector.afresh([room.id])
        await memory.reflector.drain()
        assert await held(memory) == met
        assert (await count(memory, reflection_queue), await count(memory, session_queue)) == (0, 0)


class Stops:
    """A database that fails at its n-th transaction: before it begins, or late, when it was committed."""

    def __init__(self, database: Database, step: int, *, late: bool) -> None:
        self._database = database
        self._left = step
        self._late = late

    @asynccontextmanager
    async def _counted(self, opened: Any) -> AsyncIterator[AsyncConnection]:
        self._left -= 1
        if self._left == 0 and not self._late:
            raise Unavailable("stopped")
        async with opened as conn:
            yield conn
        if self._left == 0:
            raise Unavailable("stopped")

    def read(self) -> Any:
        return self._counted(self._database.read())

    def write(self, *, alone: bool = False) -> Any:
        return self._counted(self._database.write(alone=alone))

    async def pour(self, conn: AsyncConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        await self._database.pour(conn, table, rows)

    async def scrub(self) -> None:
        await self._database.scrub()

    def scrubbing_later(self) -> Any:
        return self._database.scrubbing_later()
