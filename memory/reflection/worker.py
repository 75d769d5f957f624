"""The worker that derives memories from messages, and tells each ended session.

It takes rows of the queue in order, reads what they are about, derives in a thread, and stores the memories and the
end of the rows in one transaction. What was edited, erased or asked for again in between is dropped: the turn or the
revision no longer fits. Killed at any point, the rows are simply taken again, and give the same memories.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import structlog
from sqlalchemy import Select, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.claims import Claims
from memory.contention import again
from memory.errors import Unavailable
from memory.failures import named
from memory.indexing import Indexer
from memory.leases import Lease
from memory.ports import Clock, Database
from memory.records import ModelKey
from memory.reflection import queue, reading, storing
from memory.reflection.episodic import summarise
from memory.reflection.impersonal import tells_of_nobody
from memory.reflection.models import Derived, Material, Processor, Summary
from memory.reflection.processors import SUMMARY, TABLE
from memory.reflection.reading import Task, Told
from memory.rounds import LOOK, Rounds
from memory.statements import hold_room
from memory.supply import Batch, OutboxSupply, Supply
from memory.tables import messages, reflection_queue, session_queue, sessions

log = structlog.get_logger(__name__)

_REASON: Final = 255  # characters
_PAUSE: Final = 1.0  # seconds between two looks at whether to wait for what others have
_MANY: Final = 50  # messages and sessions: fewer at a time are no news

_SUMMARIES: Final = {queue.SESSIONS: SUMMARY}

Profiles: TypeAlias = Callable[[int], Awaitable[bool]]
"""Whether anything may be derived about people in a tenant."""


async def everywhere(tenant: int) -> bool:
    """Profiles are allowed in every tenant."""
    del tenant
    return True


@dataclass(frozen=True, slots=True)
class _Read:
    """A message after its reading: what was derived, by the bits of which processors, and which of them failed."""

    task: Task
    derived: tuple[Derived, ...]
    done: int
    failed: int
    reason: str | None
    error: str = ""  # the name of the first error


class Reflector:
    """Derives what waits."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        model: ModelKey,
        *,
        supply: Supply[Task] | None = None,
        lease: Lease | None = None,
        profiles: Profiles = everywhere,
        processors: Sequence[Processor] = TABLE,
    ) -> None:
        """``supply``: where the messages come from; without one, straight from their rows.

        ``lease``: where other processes take from the same rows.
        """
        self._database = database
        self._clock = clock
        self._model = model
        self._profiles = profiles
        self._processors = tuple(processors)
        self._wanted = queue.versions(processors)
        self._supply: Supply[Task] = supply or OutboxSupply(database, reading.outbox(self._wanted), lease)
        self._sessions = Claims(database, session_queue, lease)
        self._aspects = {processor.bit: processor.aspects for processor in processors}
        self._rounds = Rounds("reflect")
        self._draining = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        """Whether somebody in this process is at `run`."""
        return self._rounds.are_made

    def nudge(self) -> None:
        """There is something to do."""
        self._rounds.wake.set()

    async def run(self, look: float = LOOK) -> None:
        """Works until cancelled; waits when there is nothing to do, and looks now and then for what others left."""
        await self._rounds.make(self.drain, lambda: self._supply.wait(self._rounds.wake, look))

    async def drain(self, most: int | None = None) -> int:
        """Reads everything that waits, or about ``most`` of it; gives the number of messages and sessions read.

        Raises Unavailable when the database fails; what was not stored stays in the queue.
        """
        async with self._draining:
            began, read, written = time.perf_counter(), 0, 0
            try:
                await self._catch_up()
                while True:
                    left = None if most is None else most - read
                    some, made = await self._drain(left)
                    read, written = read + some, written + made
                    if (most is not None and read >= most) or not await self._supply.expects():
                        break
                    await self._supply.wait(self._rounds.wake, _PAUSE)
                    self._rounds.wake.clear()
            finally:
                if not self.is_running:
                    await self._supply.rest()
            spent = time.perf_counter() - began
            if read:
                tell = log.info if read >= _MANY else log.debug
                rate = round(read / spent)
                tell("reflection.done", read=read, memories=written, seconds=round(spent, 2), rate=rate)
            return read

    async def _drain(self, most: int | None) -> tuple[int, int]:
        """What there is for us now: messages and sessions that were read, and memories that were written."""
        read, written, after = 0, 0, 0
        while (most is None or read < most) and (batch := await self._supply.claim(after)).tasks:
            written += await self._work(batch)
            after, read = batch.behind(after), read + len(batch.tasks)
        after = 0
        while (most is None or read < most) and (found := await self._claim_sessions(after)):
            ready, made = await self._tell(found)
            read, written = read + ready, written + made
            after = found[-1].session
        return read, written

    async def depth(self, rooms: Sequence[int] | None = None) -> queue.Depth:
        """What waits and what failed."""
        async with self._database.read() as conn:
            return await queue.depth(conn, self._clock.now(), rooms)

    async def standing(self, serial: int) -> dict[str, queue.Standing]:
        """Where a message stands with each processor, by its name."""
        async with self._database.read() as conn:
            return await queue.standing(conn, serial, self._processors)

    async def retry(self) -> int:
        """What failed too often waits again; gives the number."""
        given = await self._supply.retry()
        async with self._database.write() as conn:
            given += await queue.retry_sessions(conn)
        self.nudge()
        return given

    async def afresh(self, rooms: Sequence[int]) -> None:
        """The whole history of these rooms waits again."""
        for room in rooms:
            async with self._database.write() as conn:
                await queue.afresh(conn, room)
            await self._put_history(room, self._wanted)
        self.nudge()

    # -- history ------------------------------------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        """Rooms that older rules read wait again, as far as the rules are newer."""
        async with self._database.read() as conn:
            lag = await queue.behind(conn, self._wanted)
        for room, bits in sorted(lag.items()):
            await self._put_history(room, bits)
            log.info("reflection.history_waits", room=room)

    async def _put_history(self, room: int, bits: Mapping[int, int]) -> None:
        """In slices; the version is noted last, so that a process that dies in between begins again."""
        todo = sum(bits)
        last: int | None = 0
        while last is not None and todo:
            last = await self._put_slice(room, last, todo)
        await self._end_history(room, bits)

    @again
    async def _end_history(self, room: int, bits: Mapping[int, int]) -> None:
        async with self._database.write() as conn:
            await hold_room(conn, room)
            if queue.SESSIONS in bits:
                await queue.put_sessions_of(conn, room, self._clock.now())
            await queue.reached(conn, room, dict(bits))

    @again
    async def _put_slice(self, room: int, after: int, todo: int) -> int | None:
        async with self._database.write() as conn:
            await hold_room(conn, room)
            return await queue.put_room(conn, room, after, self._clock.now(), todo)

    # -- messages -----------------------------------------------------------------------------------------------------

    async def _work(self, batch: Batch[Task]) -> int:
        """Broken off, what was not settled is anybody's."""
        try:
            return await self._finish(batch)
        except BaseException:
            await self._supply.give_back(batch)
            raise

    async def _finish(self, batch: Batch[Task]) -> int:
        """Stores a batch; when it cannot be stored, each message by itself, so that one cannot stop the others."""
        tasks = batch.tasks
        silent = [tenant for tenant in {task.tenant for task in tasks} if not await self._profiles(tenant)]
        async with self._database.read() as conn:
            found = await reading.materials(conn, tasks)
            names = await reading.names(conn, silent) if silent else {}
        read = await asyncio.to_thread(
            lambda: [self._read(task, found[task.serial], names.get(task.tenant)) for task in tasks]
        )
        try:
            written = await self._store(read)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - told without its words
            log.warning("reflection.batch_failed", messages=len(tasks), error=_reason("storing", error))
        else:
            await self._settle(batch, read)
            return written
        written = 0
        for one in read:
            kept = one
            try:
                written += await self._store([one])
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - told without its words
                reason = _reason("storing", error)
                log.warning("reflection.message_failed", serial=one.task.serial, error=reason)
                kept = _Read(one.task, (), 0, one.done | one.failed, reason, type(error).__name__)
                await self._store([kept])
            await self._settle(batch, [kept])
        return written

    async def _settle(self, batch: Batch[Task], read: Sequence[_Read]) -> None:
        """Says of each message whether it is done; what failed has a try less."""
        await self._supply.done(batch.only(*(one.task for one in read if not one.failed)))
        for one in read:
            if one.failed:
                await self._supply.failed(batch, one.task, one.error)

    def _read(self, task: Task, material: Material, names: frozenset[str] | None) -> _Read:
        """Lets each processor that has not read the message do so; one that fails stops none of the others.

        ``names``: of the people of whom nothing may be derived; None where it may.
        """
        derived: list[Derived] = []
        done, failed, reasons, errors = 0, 0, [], []
        for processor in self._processors:
            if not task.todo & processor.bit:
                continue
            try:
                found = () if task.opted_out else processor.derive(material)
                derived += [one for one in found if names is None or tells_of_nobody(one, material, names)]
                done |= processor.bit
            except Exception as error:  # noqa: BLE001 - counted and kept as the reason; the others go on
                failed |= processor.bit
                errors.append(type(error).__name__)
                reasons.append(_reason(processor.name, error))
                log.warning("reflection.failed", serial=task.serial, processor=processor.name, error=reasons[-1])
        return _Read(
            task, tuple(derived), done, failed, "; ".join(reasons)[:_REASON] or None, errors[0] if errors else ""
        )

    @again
    async def _store(self, read: Sequence[_Read]) -> int:
        async with self._database.write() as conn:
            for room in sorted({one.task.room for one in read}):
                await hold_room(conn, room)
            newer = await queue.left_to_newer(conn, {one.task.room for one in read}, self._wanted)
            current = await _current(conn, [one.task.serial for one in read])
            fitting = [one for one in read if current.get(one.task.serial) == (one.task.revision, one.task.turn)]
            ours = [one for one in fitting if one.task.room not in newer]
            aspects = {one.task.serial: self._aspects_of(one.done) for one in ours}
            made = [memory for one in ours for memory in storing.memories_of(one.task, one.derived)]
            written = await storing.replace(conn, list(aspects), aspects, made)
            await self._end(conn, ours)
            return written

    def _aspects_of(self, bits: int) -> frozenset[Any]:
        return frozenset().union(*(aspects for bit, aspects in self._aspects.items() if bits & bit))

    async def _end(self, conn: AsyncConnection, read: Sequence[_Read]) -> None:
        """Rows that everybody has read go; the others keep what is left to do.

        Only in the turn that was read: a row that was put again waits on.
        """
        table = reflection_queue
        over = [(one.task.serial, one.task.turn) for one in read if not one.task.todo & ~one.done]
        await _delete_turns(conn, table, over)
        for one in read:
            left = one.task.todo & ~one.done
            if left:
                values = {"todo": left, "reason": one.reason, "claimed_until": None}
                row = (table.c.message_serial == one.task.serial, table.c.turn == one.task.turn)
                await conn.execute(update(table).where(*row).values(**values))

    # -- sessions -----------------------------------------------------------------------------------------------------

    async def _claim_sessions(self, after: int) -> Sequence[Told]:
        ours = reading.WAITING_SESSIONS.where(~queue.newer(sessions.c.room_id, _SUMMARIES))

        async def read(conn: AsyncConnection, query: Select[Any]) -> list[Told]:
            rows = await conn.execute(query, {"after": after})
            return [Told(row.id, row.room_id, row.turn, row.messages) for row in rows]

        return await self._sessions.take(ours, after, read, lambda told: told.session)

    async def _tell(self, found: Sequence[Told]) -> tuple[int, int]:
        """Sessions and memories that are done; a session of which messages wait to be indexed waits too."""
        async with self._database.read() as conn:
            read = [(told, await reading.lines(conn, told, self._model)) for told in found]
        await self._sessions.give_back(told.session for told, lines in read if lines is None)
        ready = [(told, lines) for told, lines in read if lines is not None]
        summaries: list[tuple[Told, Summary | None]] = []
        for told, lines in ready:
            try:
                summaries.append((told, await asyncio.to_thread(summarise, lines)))
            except Exception as error:  # noqa: BLE001 - told without its words
                await self._fail(told, _reason("summary", error))
        return len(ready), await self._keep_summaries(summaries)

    async def _keep_summaries(self, summaries: Sequence[tuple[Told, Summary | None]]) -> int:
        """Together; when they cannot be stored, each by itself, so that one cannot stop the others."""
        if not summaries:
            return 0
        try:
            return await self._store_summaries(summaries)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - told without its words
            log.warning("reflection.batch_failed", sessions=len(summaries), error=_reason("storing", error))
        written = 0
        for one in summaries:
            try:
                written += await self._store_summaries([one])
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - told without its words
                await self._fail(one[0], _reason("storing", error))
        return written

    @again
    async def _store_summaries(self, summaries: Sequence[tuple[Told, Summary | None]]) -> int:
        async with self._database.write() as conn:
            for room in sorted({told.room for told, _ in summaries}):
                await hold_room(conn, room)
            newer = await queue.left_to_newer(conn, {told.room for told, _ in summaries}, _SUMMARIES)
            keys = [told.session for told, _ in summaries]
            query = select(session_queue.c.session_id, session_queue.c.turn).where(session_queue.c.session_id.in_(keys))
            turns = {row.session_id: row.turn for row in await conn.execute(query)}
            fitting = [
                (told, summary)
                for told, summary in summaries
                if turns.get(told.session) == told.turn and told.room not in newer
            ]
            written = await storing.tell(conn, fitting)
            await _delete_turns(conn, session_queue, [(told.session, told.turn) for told, _ in fitting])
            return written

    async def _fail(self, told: Told, reason: str) -> None:
        async with self._database.write() as conn:
            row = (session_queue.c.session_id == told.session, session_queue.c.turn == told.turn)
            values = {"attempts": session_queue.c.attempts + 1, "reason": reason, "claimed_until": None}
            await conn.execute(update(session_queue).where(*row).values(**values))
        log.warning("reflection.session_failed", session=told.session, error=reason)


def inline(indexer: Indexer, reflector: Reflector) -> Callable[[], Awaitable[None]]:
    """What a message waits for where it is reflected on before it counts as taken: everything that waits is derived.

    When the model or the database fails, the message is kept and what derives from it follows later.
    """

    async def settled() -> None:
        try:
            await indexer.drain()
            await reflector.drain()
        except Unavailable as error:
            log.warning("reflection.put_off", reason=str(error))

    return settled


async def _current(conn: AsyncConnection, serials: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Revision and turn of the messages that still wait, by serial."""
    found: dict[int, tuple[int, int]] = {}
    query = select(messages.c.serial, messages.c.revision, reflection_queue.c.turn).join(
        reflection_queue, reflection_queue.c.message_serial == messages.c.serial
    )
    for start in range(0, len(serials), reading.PAGE):
        some = serials[start : start + reading.PAGE]
        found |= {
            row.serial: (row.revision, row.turn) for row in await conn.execute(query.where(messages.c.serial.in_(some)))
        }
    return found


async def _delete_turns(conn: AsyncConnection, table: Table, rows: Sequence[tuple[int, int]]) -> None:
    """Deletes rows of a queue, given as (key, turn)."""
    key = next(iter(table.primary_key.columns))
    for turn in sorted({turn for _, turn in rows}):
        keys = [number for number, own in rows if own == turn]
        for start in range(0, len(keys), reading.PAGE):
            some = key.in_(keys[start : start + reading.PAGE])
            await conn.execute(delete(table).where(some, table.c.turn == turn))


def _reason(where: str, error: Exception) -> str:
    """Why it failed, without any words of the message."""
    return f"{where}: {named(error)}"[:_REASON]
