"""The worker derives everything from the outbox, once, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from sqlalchemy import func, select, update

from memory.errors import Unavailable
from memory.indexing import Indexer
from memory.modelbook import current_model
from memory.models import Embedding, Room
from memory.outbox import INDEX
from memory.tables import embeddings, entities, index_outbox, mentions, relations
from tests.doubles import START, WordEmbedder
from tests.parts import Memory, draft


async def rows(memory: Memory, table: object) -> int:
    async with memory.database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]  # any table


class Poisoned(WordEmbedder):
    """Breaks on one text."""

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        if any("poison" in text for text in texts):
            raise ZeroDivisionError
        return await super().embed(texts)


class Held(WordEmbedder):
    """Computes only when it may, and tells when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Semaphore(0)
        self.may = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        self.asked.release()
        await self.may.wait()
        return await super().embed(texts)


class TestWhatComesMeanwhile:
    async def test_it_is_derived_before_the_first_batch_is_done(self, memory: Memory, room: Room) -> None:
        held = Held()
        model = await current_model(memory.database, held, memory.clock)
        indexer = Indexer(memory.database, held, model, memory.clock)
        await memory.journal.admit(room, [draft("e1", "Ana", "first")])
        work = asyncio.create_task(indexer.drain())
        await held.asked.acquire()
        await memory.journal.admit(room, [draft("e2", "Ana", "second")])
        indexer.nudge()
        await held.asked.acquire()
        held.may.set()
        assert await work == 2
        assert await rows(memory, index_outbox) == 0

    async def test_an_edit_of_what_is_being_derived_is_not_missed(self, memory: Memory, room: Room) -> None:
        held = Held()
        model = await current_model(memory.database, held, memory.clock)
        indexer = Indexer(memory.database, held, model, memory.clock)
        await memory.journal.admit(room, [draft("e1", "Ana", "old words")])
        work = asyncio.create_task(indexer.drain())
        await held.asked.acquire()
        await memory.journal.edit(room, "e1", "ana", "new words", START)
        indexer.nudge()
        held.may.set()
        await work
        assert held.embedded[-1] == "new words"
        assert await rows(memory, index_outbox) == 0


class TestDraining:
    async def test_everything_waiting_is_done_over_many_batches(self, memory: Memory, room: Room) -> None:
        count = 2 * INDEX.most + 7
        await memory.journal.admit(room, [draft(f"e{i}", "Ana", f"message {i}") for i in range(count)])
        seen: list[tuple[int, int]] = []
        assert await memory.indexer.drain(lambda done, left: seen.append((done, left))) == count
        assert seen[-1] == (count, 0)
        assert (await rows(memory, index_outbox), await rows(memory, embeddings)) == (0, count)

    async def test_a_batch_of_long_texts_holds_few(self, memory: Memory, room: Room) -> None:
        long = [draft(f"e{i}", "Ana", f"{i} " + "words" * 500) for i in range(300)]
        await memory.journal.admit(room, long)
        assert len((await memory.indexer._claim(0)).tasks) == 256
        assert await memory.indexer.drain() == len(long)

    async def test_the_same_text_is_embedded_once(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "good morning"), ("Ben", "good morning"))
        await memory.say(room, ("Cleo", "good morning"))
        assert memory.embedder.embedded == ["good morning"]

    async def test_a_second_run_changes_nothing(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "see HV-07 at https://example.org/x"))
        before = [await rows(memory, table) for table in (embeddings, entities, mentions, relations)]
        assert await memory.indexer.drain() == 0
        assert [await rows(memory, table) for table in (embeddings, entities, mentions, relations)] == before

    async def test_a_message_edited_while_it_is_derived_is_derived_again(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "old words")])
        tasks = (await memory.indexer._claim(0)).tasks
        derived = await memory.indexer._derive(tasks)
        await memory.journal.edit(room, "e1", "ana", "new words", START)
        await memory.indexer._store(derived)
        assert await rows(memory, embeddings) == 0
        await memory.indexer.drain()
        assert memory.embedder.embedded[-1] == "new words"
        assert await rows(memory, embeddings) == 1

    async def test_relations_and_mentions_come_from_names_and_replies(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "hello"), ("Ben", "hi @Ana, have you seen Cleo?"), ("Cleo", "here"))
        await memory.journal.admit(room, [draft("r1", "Cleo", "yes", reply_to="e2")])
        await memory.indexer.drain()
        async with memory.database.read() as conn:
            found = {(r.predicate, r.subject_id, r.object_id) for r in await conn.execute(select(relations))}
        ids = {p.external_id: p.id for p in await memory.directory.people(memory.tenant)}
        assert ("mentions", ids["ben"], ids["ana"]) in found
        assert ("replied_to", ids["cleo"], ids["ben"]) in found


class TestFailing:
    async def test_a_model_that_is_down_leaves_everything_waiting(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "hello")])
        memory.embedder.broken = True
        with pytest.raises(Unavailable):
            await memory.indexer.drain()
        assert await rows(memory, index_outbox) == 1
        memory.embedder.broken = False
        assert await memory.indexer.drain() == 1

    async def test_a_poisoned_message_stops_nobody_else(self, memory: Memory, room: Room) -> None:
        indexer = Indexer(memory.database, Poisoned(), memory.rooms._model, memory.clock)
        texts = ["fine one", "the poison one", "fine two"]
        await memory.journal.admit(room, [draft(f"e{i}", "Ana", text) for i, text in enumerate(texts)])
        for _ in range(6):
            await indexer.drain()
        assert await rows(memory, embeddings) == 2
        assert await rows(memory, index_outbox) == 1
        query = await memory.engine.prepare("poison", memory.scope(room), START, 5)
        found = await memory.engine.nominate("keyword", query, room.id, 5)
        assert (await memory.engine.read(found.serials.tolist()))[int(found.serials[0])].text == "the poison one"


class TestRunning:
    async def test_the_worker_wakes_when_it_is_nudged(self, memory: Memory, room: Room) -> None:
        worker = asyncio.create_task(memory.indexer.run())
        await memory.journal.admit(room, [draft("e1", "Ana", "hello")])
        async with asyncio.timeout(10):
            while await rows(memory, index_outbox):  # noqa: ASYNC110 - the worker tells nobody that it is done
                await asyncio.sleep(0)
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
        assert await rows(memory, embeddings) == 1

    async def test_what_failed_too_often_waits_again_after_a_retry(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "hello")])
        async with memory.database.write() as conn:
            await conn.execute(update(index_outbox).values(attempts=9))
        assert await memory.indexer.drain() == 0
        await memory.indexer.retry()
        assert await memory.indexer.drain() == 1
