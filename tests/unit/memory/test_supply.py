"""The worker fed by a queue: everything once, in order, whatever comes twice, late or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update
from structlog.testing import capture_logs

from memory.adapters.local_queue import LocalQueue
from memory.errors import Unavailable
from memory.indexing import Indexer
from memory.models import Embedding, Provenance, Room, Taken, WorkItem, WorkKind
from memory.outbox import Task
from memory.supply import QueueSupply
from memory.tables import embeddings, index_outbox
from tests.doubles import START, WordEmbedder
from tests.parts import Memory, draft, open_memory

INDEX = WorkKind.INDEX


class Switched(LocalQueue):
    """Can be switched off."""

    away = False
    forgetful = False  # cannot take anything back

    async def publish(self, items: Sequence[WorkItem]) -> None:
        self._check()
        await super().publish(items)

    async def take(self, kind: WorkKind, most: int) -> Sequence[Taken]:
        self._check()
        return await super().take(kind, most)

    async def wait(self, kind: WorkKind, seconds: float) -> bool:
        self._check()
        return await super().wait(kind, seconds)

    async def done(self, taken: Sequence[Taken]) -> None:
        self._check()
        await super().done(taken)

    async def give_back(self, taken: Sequence[Taken]) -> None:
        if self.forgetful:
            self.forgetful = False
            raise Unavailable("the queue does not answer")
        await super().give_back(taken)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("the queue does not answer")


class Publishing:
    """A worker elsewhere that publishes at that moment."""

    def __init__(self, supply: QueueSupply[Task]) -> None:
        self._supply = supply

    async def drop(self, _room: int, _serials: Sequence[int], _hashes: Sequence[bytes]) -> None:
        await self._supply._relay.publish()

    async def drop_person(self, _person: int) -> None:
        pass


class Poisoned(WordEmbedder):
    """Breaks on one text."""

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        if any("poison" in text for text in texts):
            raise ZeroDivisionError
        return await super().embed(texts)


@pytest.fixture
def queue() -> Switched:
    return Switched()


@pytest.fixture
async def memory(tmp_path: Path, database_url: str | None, queue: Switched) -> AsyncIterator[Memory]:
    async with open_memory(tmp_path, database_url, queue) as parts:
        yield parts


def supply_of(memory: Memory) -> QueueSupply[Task]:
    supply = memory.indexer._supply
    assert isinstance(supply, QueueSupply)
    return supply


async def count(memory: Memory, table: object) -> int:
    async with memory.database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]  # any table


class TestIndexing:
    async def test_what_is_admitted_goes_through_the_queue_and_leaves_it(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        await memory.say(room, *(("Ana", f"message {i}") for i in range(300)))
        assert (await count(memory, index_outbox), await count(memory, embeddings)) == (0, 300)
        assert (await queue.state(INDEX)).depth == 0
        assert supply_of(memory).rate.per_second() > 0

    async def test_live_messages_are_embedded_before_history(self, memory: Memory, room: Room) -> None:
        old = [replace(draft(f"h{i}", "Ana", f"old {i}"), provenance=Provenance.HISTORY) for i in range(5)]
        await memory.journal.admit(room, old)
        await memory.journal.admit(room, [draft("e1", "Ana", "now")])
        await memory.indexer.drain()
        assert memory.embedder.embedded == ["now", *(f"old {i}" for i in range(5))]

    async def test_an_item_that_comes_twice_or_late_changes_nothing(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        [serial] = await memory.say(room, ("Ana", "hello"))
        version = (await memory.room()).version
        await queue.publish([WorkItem(INDEX, room.id, serial, 1), WorkItem(INDEX, room.id, 4711, 1)])
        assert await memory.indexer.drain() == 0
        assert (await memory.room()).version == version
        assert (await queue.state(INDEX)).depth == 0

    async def test_an_edit_is_derived_and_the_item_of_the_old_text_is_not(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "old words")])
        await supply_of(memory)._relay.publish()
        await memory.journal.edit(room, "e1", "ana", "new words", START)
        await memory.indexer.drain()
        assert memory.embedder.embedded == ["new words"]
        assert (await queue.state(INDEX)).depth == 0

    async def test_an_edit_that_is_published_before_the_old_item_is_dropped_is_derived(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        supply = supply_of(memory)
        await memory.journal.admit(room, [draft("e1", "Ana", "old words")])
        await supply._relay.publish()
        memory.erasure.droppers += [Publishing(supply), supply]
        await memory.journal.edit(room, "e1", "ana", "new words", START)
        assert (await queue.state(INDEX)).depth == 1
        assert await memory.indexer.drain() == 1

    async def test_a_failure_of_the_old_text_is_not_counted_against_the_new_one(
        self, memory: Memory, room: Room
    ) -> None:
        supply = supply_of(memory)
        await memory.journal.admit(room, [draft("e1", "Ana", "old words")])
        old = await supply.claim(0)
        await memory.journal.edit(room, "e1", "ana", "new words", START)
        await supply.failed(old, old.tasks[0], "ValueError")
        async with memory.database.read() as conn:
            assert (await conn.execute(select(index_outbox.c.attempts))).scalar_one() == 0

    async def test_a_batch_that_is_broken_off_waits_again(self, memory: Memory, room: Room, queue: Switched) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "hello")])
        memory.embedder.broken = True
        with pytest.raises(Unavailable):
            await memory.indexer.drain()
        memory.embedder.broken = False
        assert await memory.indexer.drain() == 1
        assert (await queue.state(INDEX)).depth == 0

    async def test_a_batch_that_is_dropped_on_its_way_waits_again(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "hello")])
        supply = supply_of(memory)
        queue.forgetful = True
        assert not (await supply.claim(0)).taken
        assert len((await supply.claim(0)).taken) == 1

    async def test_the_worker_takes_what_another_process_has_published(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        worker = asyncio.create_task(memory.indexer.run())
        try:
            await asyncio.sleep(0.05)
            async with memory.database.write() as conn:
                await conn.execute(delete(index_outbox))
            [serial] = (await memory.journal.admit(room, [draft("e1", "Ana", "hello")])).serials
            await queue.publish([WorkItem(INDEX, room.id, serial, 1)])
            async with asyncio.timeout(10):
                while await count(memory, index_outbox):  # noqa: ASYNC110 - the worker tells nobody
                    await asyncio.sleep(0.01)
        finally:
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker


class TestPoison:
    @pytest.fixture(autouse=True)
    def _quiet(self) -> Iterator[None]:
        """Tracebacks drawn for the screen take half a second each."""
        with capture_logs():
            yield

    @pytest.fixture
    def poisoned(self, memory: Memory) -> Indexer:
        return Indexer(memory.database, Poisoned(), memory.rooms._model, memory.clock, supply=memory.indexer._supply)

    async def test_it_ends_as_a_dead_letter_with_its_reason_and_stops_nobody(
        self, memory: Memory, room: Room, queue: Switched, poisoned: Indexer
    ) -> None:
        texts = ["fine one", "the poison one", "fine two"]
        _, bad, _ = (
            await memory.journal.admit(room, [draft(f"e{i}", "Ana", text) for i, text in enumerate(texts)])
        ).serials
        await poisoned.drain()
        assert await count(memory, embeddings) == 2
        [letter] = await supply_of(memory).dead(10)
        assert (letter.item.serial, letter.reason, letter.tries) == (bad, "ZeroDivisionError", 5)
        async with memory.database.read() as conn:
            assert (await conn.execute(select(index_outbox.c.attempts))).scalar_one() == 5
        assert (await queue.state(INDEX)).depth == 0

    async def test_retried_it_is_done(self, memory: Memory, room: Room, poisoned: Indexer) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "poison")])
        await poisoned.drain()
        assert await memory.indexer.drain() == 0
        await memory.indexer.retry()
        assert await memory.indexer.drain() == 1
        assert not await supply_of(memory).dead(10)

    async def test_a_dead_letter_that_the_queue_has_lost_is_retried_too(
        self, memory: Memory, room: Room, queue: Switched, poisoned: Indexer
    ) -> None:
        [serial] = (await memory.journal.admit(room, [draft("e1", "Ana", "poison")])).serials
        await poisoned.drain()
        await queue.drop(INDEX, [serial])
        await memory.indexer.retry()
        assert await memory.indexer.drain() == 1

    async def test_it_is_retried_beside_more_of_them_than_a_statement_can_name(
        self, memory: Memory, room: Room, queue: Switched, poisoned: Indexer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [serial] = (await memory.journal.admit(room, [draft("e1", "Ana", "poison")])).serials
        await poisoned.drain()
        others = [WorkItem(INDEX, room.id, serial + n, 1) for n in range(1, 300_000)]

        async def revive(_: WorkKind) -> Sequence[WorkItem]:
            return others

        monkeypatch.setattr(queue, "revive", revive)
        await queue.drop(INDEX, [serial])
        await memory.indexer.retry()
        assert await memory.indexer.drain() == 1

    async def test_forgotten_it_leaves_no_dead_letter(self, memory: Memory, room: Room, poisoned: Indexer) -> None:
        memory.erasure.droppers.append(supply_of(memory))
        await memory.journal.admit(room, [draft("e1", "Ana", "poison")])
        await poisoned.drain()
        await memory.journal.delete(room, "e1", START)
        assert not await supply_of(memory).dead(10)


class TestAway:
    async def test_without_its_queue_the_worker_takes_from_the_outbox(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        queue.away = True
        await memory.say(room, ("Ana", "hello"), ("Ben", "hi"))
        assert await count(memory, index_outbox) == 0
        assert not await supply_of(memory).expects()

    async def test_a_queue_that_goes_in_the_middle_and_comes_back_doubles_nothing(
        self, memory: Memory, room: Room, queue: Switched
    ) -> None:
        await memory.journal.admit(room, [draft(f"e{i}", "Ana", f"line {i}") for i in range(50)])
        await supply_of(memory)._relay.publish()
        queue.away = True
        assert await memory.indexer.drain() == 50
        queue.away = False
        assert (await queue.state(INDEX)).depth == 50
        assert await memory.indexer.drain() == 0
        assert (await queue.state(INDEX)).depth == 0
        assert len(memory.embedder.embedded) == 50

    async def test_the_outbox_tells_the_age_where_the_queue_does_not(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "hello")])
        async with memory.database.write() as conn:
            await conn.execute(update(index_outbox).values(published_at=memory.clock.now()))
        memory.clock.advance(timedelta(seconds=40))
        report = await supply_of(memory).report()
        assert (report.depth, report.oldest, report.unpublished) == (0, 40.0, 0)
