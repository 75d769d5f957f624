"""From the outbox to everything derived: vectors, token states, entities, mentions, relations.

A worker takes messages off ``index_outbox`` (`memory.supply` says how), derives (embedding in its own thread,
extraction beside it), and stores the results and the room's new version in one transaction that also empties the outbox
rows and asks for reflection. What was deleted or edited in between is dropped: the revision no longer fits. Killed at
any point, the rows are simply taken again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog
from sqlalchemy import ColumnElement, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory import lexicon, ranking
from memory.contention import again
from memory.embedding import pack_states, pack_vectors
from memory.erasure import next_version
from memory.errors import Unavailable
from memory.extraction.entities import NO_SUBJECT, subject
from memory.extraction.entities import mentions as find_mentions
from memory.failures import named
from memory.models import TRIES, Embedding, EntityKind, Mention, Priority
from memory.outbox import INDEX, Task
from memory.ports import Clock, Database, Embedder
from memory.records import ModelKey
from memory.reflection import queue
from memory.rounds import LOOK, Rounds
from memory.statements import add_missing, hold_room
from memory.supply import Batch, OutboxSupply, Supply
from memory.tables import (
    embeddings,
    entities,
    index_outbox,
    mentions,
    messages,
    people,
    relations,
)

log = structlog.get_logger()

_SLICE = 400

_PAUSE = 1.0  # seconds between two looks at whether to wait for what others have
_MANY = 50  # messages: fewer at a time are no news
_AHEAD = 2  # batches under way: one that is embedded, one that waits for it

Progress = Callable[[int, int], None]
"""Called with (done, still waiting)."""


@dataclass(frozen=True, slots=True)
class _Derived:
    tasks: Sequence[Task]
    embeddings: dict[bytes, Embedding]
    terms: dict[bytes, bytes]
    mentions: dict[int, list[Mention]]


_UnderWay: TypeAlias = tuple[Batch[Task], asyncio.Task[_Derived]]


class Indexer:
    """The worker that keeps what is derived up to date with the messages."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        model: ModelKey,
        clock: Clock,
        *,
        supply: Supply[Task] | None = None,
        after: Callable[[], None] | None = None,
    ) -> None:
        """``supply``: where its batches come from; without one, from an outbox that no other process works on.

        ``after`` is called when messages were committed that wait to be reflected on.
        """
        self._database = database
        self._embedder = embedder
        self._model = model.id
        self._clock = clock
        self._supply: Supply[Task] = supply or OutboxSupply(database, INDEX)
        self._after = after
        self._rounds = Rounds("index")
        self._draining = asyncio.Lock()

    def nudge(self) -> None:
        """There is something to do."""
        self._rounds.wake.set()

    async def nudged(self, seconds: float) -> None:
        """Until there is something to do, or so long: for a process whose work others do."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rounds.wake.wait()
        self._rounds.wake.clear()

    async def retry(self) -> None:
        """What had failed too often waits again."""
        await self._supply.retry()
        self.nudge()

    async def run(self, look: float = LOOK) -> None:
        """Works until cancelled; waits when there is nothing to do, and looks now and then for what others left."""
        await self._rounds.make(self.drain, lambda: self._supply.wait(self._rounds.wake, look))

    async def drain(self, progress: Progress | None = None) -> int:
        """Takes everything that waits now or comes meanwhile; gives the number of messages done.

        The next batch is embedded while the one before is stored, also when it comes only then. Raises Unavailable
        when a store or the model fails; what was not stored stays in the outbox.
        """
        async with self._draining:
            began = time.perf_counter()
            try:
                done = await self._drain(progress)
            finally:
                if not self._rounds.are_made:
                    await self._supply.rest()
            if done >= _MANY:
                spent = time.perf_counter() - began
                log.info("indexing.done", messages=done, seconds=round(spent, 2), rate=round(done / spent))
            return done

    async def _drain(self, progress: Progress | None) -> int:
        done, after, woken = 0, 0, False
        under_way: deque[_UnderWay] = deque()
        try:
            while True:
                if len(under_way) < _AHEAD and (batch := await self._claim(after)).tasks:
                    under_way.append((batch, asyncio.create_task(self._derive(batch.tasks))))
                    after = batch.behind(after)
                elif not under_way and not woken:
                    if not await self._supply.expects():
                        return done
                    await self._supply.wait(self._rounds.wake, _PAUSE)
                    self._rounds.wake.clear()
                    after = 0
                elif not under_way:
                    after, woken = 0, False  # what woke us may have been an edit of a message that we had passed
                elif len(under_way) < _AHEAD and await self._woken_before(under_way[0][1]):
                    woken = True
                else:
                    done += await self._finish(*under_way[0])
                    under_way.popleft()
                    if progress is not None:
                        progress(done, await self._count())
        finally:
            for batch, derived in under_way:
                derived.cancel()
                await self._supply.give_back(batch)

    async def _claim(self, after: int) -> Batch[Task]:
        return await self._supply.claim(after)

    async def _woken_before(self, derived: asyncio.Task[_Derived]) -> bool:
        """Waits for a batch or for more to do; whether more to do came first."""
        more = asyncio.create_task(self._rounds.wake.wait())
        try:
            await asyncio.wait((derived, more), return_when=asyncio.FIRST_COMPLETED)
        finally:
            more.cancel()
        if derived.done():
            return False
        self._rounds.wake.clear()
        return True

    async def _finish(self, batch: Batch[Task], derived: asyncio.Task[_Derived]) -> int:
        """Stores a batch; when it cannot be derived, each message by itself, so that one cannot stop the others."""
        try:
            done = await self._store(await derived)
            await self._supply.done(batch)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - told without its words
            log.warning("indexing.batch_failed", messages=len(batch.tasks), error=named(error))
        else:
            return done
        for task in batch.tasks:
            try:
                await self._store(await self._derive([task]))
                await self._supply.done(batch.only(task))
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - told without its words
                log.warning("indexing.message_failed", serial=task.serial, error=named(error))
                await self._supply.failed(batch, task, type(error).__name__)
        return len(batch.tasks)

    async def _count(self) -> int:
        async with self._database.read() as conn:
            rows = await conn.execute(select(index_outbox.c.message_serial).where(index_outbox.c.attempts < TRIES))
            return len(rows.all())

    async def _derive(self, tasks: Sequence[Task]) -> _Derived:
        missing = await self._missing(tasks)
        embedded, terms, named = await asyncio.gather(
            self._embed(missing), asyncio.to_thread(_terms, missing), self._mentions(tasks)
        )
        return _Derived(tasks, embedded, terms, named)

    async def _missing(self, tasks: Sequence[Task]) -> dict[bytes, str]:
        """Texts that no vector of this model stands for yet, by content hash."""
        texts = {task.content_hash: task.text for task in tasks}
        query = select(embeddings.c.content_hash).where(
            embeddings.c.model_id == self._model, embeddings.c.content_hash.in_(texts)
        )
        async with self._database.read() as conn:
            there = set((await conn.execute(query)).scalars())
        return {key: text for key, text in texts.items() if key not in there}

    async def _embed(self, texts: dict[bytes, str]) -> dict[bytes, Embedding]:
        if not texts:
            return {}
        return dict(zip(texts, await self._embedder.embed(list(texts.values())), strict=True))

    async def _mentions(self, tasks: Sequence[Task]) -> dict[int, list[Mention]]:
        async with self._database.read() as conn:
            forms = {tenant: await _forms(conn, tenant) for tenant in {task.tenant for task in tasks}}
        return await asyncio.to_thread(
            lambda: {
                task.serial: find_mentions(task.text, people=forms[task.tenant], sent_at=task.sent_at) for task in tasks
            }
        )

    @again
    async def _store(self, derived: _Derived) -> int:
        async with self._database.write() as conn:
            for room in sorted({task.room for task in derived.tasks}):
                await hold_room(conn, room)
            current = await _current(conn, derived.tasks)
            tasks = [task for task in derived.tasks if current.get(task.serial) == task.revision]
            await self._store_embeddings(conn, tasks, derived)
            for room in sorted({task.room for task in tasks}):
                here = [task for task in tasks if task.room == room]
                await _store_mentions(conn, room, here, derived.mentions)
                await _store_relations(conn, room, here, derived.mentions)
                version = await next_version(conn, room)
                await conn.execute(update(messages).where(_of(messages, here)).values(version=version))
            await conn.execute(delete(index_outbox).where(_of(index_outbox, tasks)))
            for priority in Priority:
                serials = [task.serial for task in tasks if task.priority is priority]
                await queue.put(conn, serials, self._clock.now(), priority=priority)
        if self._after is not None:
            self._after()
        return len(derived.tasks)

    async def _store_embeddings(self, conn: AsyncConnection, tasks: Sequence[Task], derived: _Derived) -> None:
        wanted = {task.content_hash for task in tasks} & derived.embeddings.keys()
        query = select(embeddings.c.content_hash).where(
            embeddings.c.model_id == self._model, embeddings.c.content_hash.in_(wanted)
        )
        there = set((await conn.execute(query)).scalars())
        rows = [_embedding_row(key, self._model, derived) for key in sorted(wanted - there)]
        if rows:
            await conn.execute(add_missing(conn, embeddings), rows)


def _terms(texts: dict[bytes, str]) -> dict[bytes, bytes]:
    return {key: lexicon.pack(text) for key, text in texts.items()}


def _embedding_row(key: bytes, model: int, derived: _Derived) -> dict[str, Any]:
    embedding = derived.embeddings[key]
    return {
        "content_hash": key,
        "model_id": model,
        "vectors": pack_vectors(embedding.vectors),
        "token_ids": embedding.token_ids.astype("<u2").tobytes(),
        "codes": pack_states(embedding.states).tobytes(),
        "terms": derived.terms[key],
    }


async def _forms(conn: AsyncConnection, tenant: int) -> dict[str, str]:
    query = select(people.c.id, people.c.name).where(people.c.tenant_id == tenant, people.c.name != "")
    forms = ranking.names((row.id, row.name) for row in await conn.execute(query))
    return {form: str(key) for form, key in forms.items()}


def _of(table: Table, tasks: Sequence[Task]) -> ColumnElement[bool]:
    """The rows of a table that belong to the tasks' messages."""
    key = table.c.serial if table is messages else table.c.message_serial
    return key.in_([task.serial for task in tasks])


async def _current(conn: AsyncConnection, tasks: Sequence[Task]) -> dict[int, int]:
    """The revisions that still wait, by serial: not those of messages that are gone, or that somebody else has done."""
    query = select(index_outbox.c.message_serial, index_outbox.c.revision).where(_of(index_outbox, tasks))
    return {row.message_serial: row.revision for row in await conn.execute(query)}


async def _store_mentions(
    conn: AsyncConnection, room: int, tasks: Sequence[Task], found: dict[int, list[Mention]]
) -> None:
    wanted = {(m.kind, m.key): m for task in tasks for m in found[task.serial]}
    keys = await _entity_keys(conn, room, list({key for _, key in wanted}))
    fresh = [m for pair, m in wanted.items() if pair not in keys]
    if fresh:
        rows = [{"room_id": room, "kind": m.kind, "key": m.key, "label": _label(m)} for m in fresh]
        await conn.execute(insert(entities), rows)
        keys = await _entity_keys(conn, room, list({key for _, key in wanted}))
    subjects = {task.serial: subject(task.text, found[task.serial]) for task in tasks}
    pairs = {
        (task.serial, keys[m.kind, m.key]): m.kind not in NO_SUBJECT and m.key == subjects[task.serial]
        for task in tasks
        for m in found[task.serial]
    }
    await conn.execute(delete(mentions).where(_of(mentions, tasks)))
    if pairs:
        rows = [
            {"message_serial": serial, "entity_id": entity, "is_subject": opens}
            for (serial, entity), opens in sorted(pairs.items())
        ]
        await conn.execute(insert(mentions), rows)


def _label(mention: Mention) -> str:
    """Names of people stay in ``people``."""
    return "" if mention.kind is EntityKind.PERSON else mention.label


async def _entity_keys(conn: AsyncConnection, room: int, keys: list[str]) -> dict[tuple[EntityKind, str], int]:
    found: dict[tuple[EntityKind, str], int] = {}
    for start in range(0, len(keys), _SLICE):
        query = select(entities.c.id, entities.c.kind, entities.c.key).where(
            entities.c.room_id == room, entities.c.key.in_(keys[start : start + _SLICE])
        )
        found |= {(EntityKind(row.kind), row.key): row.id for row in await conn.execute(query)}
    return found


async def _store_relations(
    conn: AsyncConnection, room: int, tasks: Sequence[Task], found: dict[int, list[Mention]]
) -> None:
    await conn.execute(delete(relations).where(_of(relations, tasks)))
    rows = []
    for task in tasks:
        named = {int(m.key) for m in found[task.serial] if m.kind is EntityKind.PERSON} - {task.author}
        pairs = [("mentions", person) for person in sorted(named)]
        if task.replied_to is not None and task.replied_to != task.author:
            pairs.append(("replied_to", task.replied_to))
        rows += [
            {
                "room_id": room,
                "subject_id": task.author,
                "predicate": predicate,
                "object_id": person,
                "message_serial": task.serial,
                "observed_at": task.sent_at,
            }
            for predicate, person in pairs
        ]
    if rows:
        await conn.execute(insert(relations), rows)
