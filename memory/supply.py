"""Where the worker's batches come from: the outbox itself, or a work queue that the outbox feeds.

From the outbox a worker takes rows in their order; with a lease they are its own for a while. From a queue it takes
what it is given, live messages first, and reads the rows that still wait: an item whose row is gone (done by somebody
else, edited, forgotten) is finished at once, so that an item may come twice or late. While the queue does not answer
the outbox is used, so that nothing waits for it; what is done meanwhile is found gone when the queue is back.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import structlog
from sqlalchemy import Select, and_, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.contention import again
from memory.errors import Contended, Unavailable, Unreachable
from memory.leases import Lease
from memory.models import TRIES, DeadLetter, QueueReport, QueueState, Taken, WorkItem, WorkKind
from memory.ports import Clock, Database, WorkQueue
from memory.rates import Rate
from memory.relay import Relay
from memory.tables import index_outbox, messages, rooms

log = structlog.get_logger()

BATCH = 2048
"""Messages that are embedded together at most: the more, the less padding (2 % of the tokens; 4 % of 1,024)."""
_CHARACTERS = 1 << 19  # of a batch's texts: their token states and vectors are some 80 MB, twice in flight
_SLICE = 10_000  # serials that a statement names: PostgreSQL takes 32,767
_PAGE = 256  # messages read at once: at 1 MiB each they are what a batch holds in the worst case

PATIENCE: Final = 45.0
"""Seconds without progress after which one no longer waits for what others have taken: more than the relay needs to see
that the queue has lost it (`memory.relay.EMPTY` and `EVERY`), and more than a dead worker's rooms stay his."""

AWAY: Final = 2.0
"""Seconds between two looks at the outbox while the queue does not answer."""


@dataclass(frozen=True, slots=True)
class Task:
    """A message that waits to be indexed, as its row is."""

    serial: int
    revision: int
    room: int
    tenant: int
    author: int
    text: str
    content_hash: bytes
    sent_at: datetime
    replied_to: int | None  # author of the message that it replies to


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks that are done together. ``taken`` are their items by serial, when they came from a queue."""

    tasks: Sequence[Task]
    taken: Mapping[int, Taken] = field(default_factory=dict)

    def items(self) -> list[Taken]:
        """Those of a queue, in the order of the tasks."""
        return [self.taken[task.serial] for task in self.tasks if task.serial in self.taken]

    def only(self, task: Task) -> Batch:
        """One of the tasks."""
        return replace(self, tasks=[task])


class Supply(Protocol):
    """Gives batches. Every call may raise Unavailable of the database."""

    async def claim(self, after: int) -> Batch:
        """The next tasks; empty when nothing waits for this worker. From the outbox those behind a serial."""

    async def done(self, batch: Batch) -> None:
        """The results are committed."""

    async def failed(self, batch: Batch, task: Task, reason: str) -> None:
        """One of the tasks cannot be done: one try less. ``reason`` is the name of an error."""

    async def give_back(self, batch: Batch) -> None:
        """Nobody is at these any more."""

    async def expects(self) -> bool:
        """Whether it is worth waiting for more: somebody has it, or it is on its way."""

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """Until there may be something to do, or so long."""

    async def retry(self) -> None:
        """What had failed too often waits again."""


_Said = TypeVar("_Said")
_PARENT = messages.alias("parent")
_ROWS = (
    select(messages, index_outbox.c.revision.label("wanted"), rooms.c.tenant_id, _PARENT.c.author_id.label("to"))
    .join(index_outbox, index_outbox.c.message_serial == messages.c.serial)
    .join(rooms, rooms.c.id == messages.c.room_id)
    .outerjoin(_PARENT, and_(_PARENT.c.room_id == messages.c.room_id, _PARENT.c.external_id == messages.c.reply_to))
)
_WAITING = (
    _ROWS.where(index_outbox.c.message_serial > bindparam("after"), index_outbox.c.attempts < TRIES)
    .order_by(index_outbox.c.message_serial)
    .limit(_PAGE)
)
"""The next page of messages behind a serial that wait to be indexed."""


class OutboxSupply:
    """Straight from the outbox."""

    def __init__(self, database: Database, lease: Lease | None = None) -> None:
        """``lease``: where other processes take messages off the same outbox."""
        self._database = database
        self._lease = lease

    async def claim(self, after: int) -> Batch:
        """The next messages behind a serial; with a lease they are ours as long as it lasts."""
        if self._lease is None:
            async with self._database.read() as conn:
                return Batch(await _pages(conn, _WAITING, after))
        ours = _WAITING.where(self._lease.free(index_outbox))
        async with self._database.read() as conn:
            if (await conn.execute(ours.limit(1), {"after": after})).first() is None:
                return Batch([])
        skipping = ours.with_for_update(of=index_outbox, skip_locked=True)
        return Batch(await self._take(skipping, after, self._lease.marks()))

    @again
    async def _take(self, query: Select[Any], after: int, marks: dict[str, Any]) -> list[Task]:
        """Rows that somebody else is taking at this moment are passed over."""
        async with self._database.write() as conn:
            if tasks := await _pages(conn, query, after):
                serial = index_outbox.c.message_serial
                between = serial.between(tasks[0].serial, tasks[-1].serial)  # a range of the key
                which = and_(serial.in_([task.serial for task in tasks]), between)
                await conn.execute(update(index_outbox).where(which).values(**marks))
        return tasks

    async def done(self, batch: Batch) -> None:
        """Nothing: the rows are gone."""

    async def failed(self, batch: Batch, task: Task, reason: str) -> None:
        """After five tries the message stays findable by its words and waits for `reindex`."""
        del batch, reason
        await self.count_failure(task, index_outbox.c.attempts + 1)

    async def count_failure(self, task: Task, attempts: Any) -> None:
        """Sets the tries of a row, and leaves it to anybody. That of a text edited since has all of its own."""
        async with self._database.write() as conn:
            which = and_(index_outbox.c.message_serial == task.serial, index_outbox.c.revision == task.revision)
            await conn.execute(update(index_outbox).where(which).values(attempts=attempts, claimed_until=None))

    async def give_back(self, batch: Batch) -> None:
        """Nothing: what is ours we take again."""

    async def expects(self) -> bool:
        """No: whatever waits can be taken."""
        return False

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """Until somebody wakes us."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may swallow a cancellation
                await wake.wait()

    async def retry(self) -> None:
        """Every row has all its tries."""
        async with self._database.write() as conn:
            await conn.execute(update(index_outbox).values(attempts=0))


class QueueSupply:
    """From a queue, which it also feeds; from the outbox while the queue does not answer."""

    def __init__(self, database: Database, queue: WorkQueue, relay: Relay, outbox: OutboxSupply, clock: Clock) -> None:
        self._clock = clock
        self._database = database
        self._queue = queue
        self._relay = relay
        self._outbox = outbox
        self._away = False
        self._left, self._progress = 0, 0.0
        self.rate = Rate()
        """Items finished by this process."""

    async def claim(self, after: int) -> Batch:
        """Publishes what waits, and takes what the queue gives."""
        try:
            await self._relay.publish(BATCH)
            while taken := await self._queue.take(WorkKind.INDEX, BATCH):
                self._is_back()
                batch, settled, spare = await self._read_or_return(taken)
                try:
                    await self._queue.give_back(spare)
                    await self._queue.done(settled)
                except BaseException:
                    await self._told(self._queue.give_back([*batch.items(), *spare]))
                    raise
                if batch.tasks:
                    self._progress = _now()
                    return batch
        except (Contended, Unreachable):
            raise  # the database's
        except Unavailable as error:
            self._is_away(error)
            return await self._outbox.claim(after)
        self._is_back()
        return Batch([])

    async def publish(self) -> bool:
        """Everything that waits, for workers elsewhere; False when the queue or the database does not answer."""
        try:
            await self._relay.publish()
        except (Contended, Unreachable) as error:
            log.warning("publishing.paused", reason=str(error))
            return False
        except Unavailable as error:
            self._is_away(error)
            return False
        self._is_back()
        return True

    async def done(self, batch: Batch) -> None:
        """The items leave the queue; when it does not answer they come again, and are found gone."""
        self._progress = _now()
        if batch.taken:
            self.rate.add(len(batch.tasks))
            await self._told(self._queue.done(batch.items()))

    async def failed(self, batch: Batch, task: Task, reason: str) -> None:
        """The row's tries are counted with the item's: both give up together."""
        dead = False
        if task.serial in batch.taken:
            dead = bool(await self._told(self._queue.failed(batch.taken[task.serial], reason)))
        await self._outbox.count_failure(task, TRIES if dead else index_outbox.c.attempts + 1)

    async def give_back(self, batch: Batch) -> None:
        """To the queue."""
        if batch.taken:
            await self._told(self._queue.give_back(batch.items()))

    async def expects(self) -> bool:
        """Whether rows wait that the queue has not lost, as far as one can tell."""
        query = select(func.count()).select_from(index_outbox).where(index_outbox.c.attempts < TRIES)
        async with self._database.read() as conn:
            left = int((await conn.execute(query)).scalar_one())
        if left != self._left:
            self._left, self._progress = left, _now()
        return bool(left) and not self._away and _now() - self._progress < PATIENCE

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """Until somebody wakes us or the queue has something."""
        nudged = asyncio.create_task(wake.wait())
        arrived = asyncio.create_task(self._arrival(seconds))
        try:
            await asyncio.wait({nudged, arrived}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nudged.cancel()
            arrived.cancel()
            await asyncio.gather(nudged, arrived, return_exceptions=True)

    async def retry(self) -> None:
        """Dead letters wait again; a row that has none is published again."""
        revived: Sequence[WorkItem] = await self._told(self._queue.revive(WorkKind.INDEX)) or []
        there = {item.serial for item in revived}
        serial = index_outbox.c.message_serial
        async with self._database.write() as conn:
            given_up = await conn.execute(select(serial).where(index_outbox.c.attempts >= TRIES).order_by(serial))
            lost = [one for one in given_up.scalars() if one not in there]
            for start in range(0, len(lost), _SLICE):
                some = serial.in_(lost[start : start + _SLICE])
                await conn.execute(update(index_outbox).where(some).values(published_at=None))
        await self._outbox.retry()

    async def report(self) -> QueueReport:
        """The numbers of the queue, also while it does not answer."""
        waits = (index_outbox.c.published_at.is_(None), index_outbox.c.attempts < TRIES)
        query = select(func.count(), func.min(index_outbox.c.published_at)).select_from(index_outbox)
        async with self._database.read() as conn:
            unpublished, _ = (await conn.execute(query.where(*waits))).one()
            _, since = (await conn.execute(query.where(index_outbox.c.attempts < TRIES))).one()
        state, away = QueueState(0, None, 0), ""
        try:
            state = await self._queue.state(WorkKind.INDEX)
        except Unavailable as error:
            away = str(error)
        oldest = state.oldest
        if oldest is None and since is not None:
            oldest = max(0.0, (self._clock.now() - since).total_seconds())
        rates = (self._relay.rate.per_second(), self.rate.per_second())
        return QueueReport(state.depth, oldest, state.dead, unpublished, *rates, away)

    async def dead(self, limit: int) -> Sequence[DeadLetter]:
        """Dead letters. Raises Unavailable when the queue does not answer."""
        return await self._queue.dead(WorkKind.INDEX, limit)

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Of forgotten messages, and of edited ones what is older than they are now.

        What cannot be dropped now is when the relay compares the queue with the outbox.
        """
        del room, hashes
        if not serials:
            return
        query = select(messages.c.serial, messages.c.revision).where(messages.c.serial.in_(serials))
        async with self._database.read() as conn:
            there = {row.serial: row.revision for row in await conn.execute(query)}
        old: dict[int, list[int]] = defaultdict(list)
        for serial, revision in there.items():
            old[revision].append(serial)
        if gone := [serial for serial in serials if serial not in there]:
            await self._told(self._queue.drop(gone))
        for revision, some in old.items():
            await self._told(self._queue.drop(some, revision))

    async def drop_person(self, person: int) -> None:
        """Nothing: no item is about a person."""

    async def _read_or_return(self, taken: Sequence[Taken]) -> tuple[Batch, list[Taken], list[Taken]]:
        """`_read`; when the database does not answer, the queue has everything back."""
        try:
            return await self._read(taken)
        except BaseException:
            await self._told(self._queue.give_back(taken))
            raise

    async def _read(self, taken: Sequence[Taken]) -> tuple[Batch, list[Taken], list[Taken]]:
        """The tasks of items that still wait, the items that are settled, and those that are too much for a batch."""
        tasks: dict[int, Task] = {}
        wanted: dict[int, Taken] = {}
        settled: list[Taken] = []
        characters, seen = 0, 0
        async with self._database.read() as conn:
            while seen < len(taken) and characters < _CHARACTERS:
                page = taken[seen : seen + _PAGE]
                seen += len(page)
                query = _ROWS.where(messages.c.serial.in_([one.item.serial for one in page]))
                rows = {row.serial: _task(row) for row in await conn.execute(query)}
                for one in page:
                    task = rows.get(one.item.serial)
                    if task is None or task.revision != one.item.revision or task.serial in tasks:
                        settled.append(one)
                        continue
                    tasks[task.serial], wanted[task.serial] = task, one
                    characters += len(task.text)
        return Batch(list(tasks.values()), wanted), settled, list(taken[seen:])

    async def _arrival(self, seconds: float) -> None:
        try:
            await self._queue.wait(WorkKind.INDEX, seconds)
        except Unavailable as error:
            self._is_away(error)
            await asyncio.sleep(min(AWAY, seconds))

    async def _told(self, call: Awaitable[_Said]) -> _Said | None:
        """What the queue says; None when it does not answer, which harms nothing."""
        try:
            return await call
        except Unavailable as error:
            self._is_away(error)
            return None

    def _is_away(self, error: Unavailable) -> None:
        """Said once."""
        if not self._away:
            log.warning("queue.away", reason=str(error))
        self._away = True

    def _is_back(self) -> None:
        if self._away:
            log.info("queue.back")
        self._away = False


def _now() -> float:
    return asyncio.get_running_loop().time()


def _task(row: Any) -> Task:
    return Task(
        serial=row.serial,
        revision=row.wanted,
        room=row.room_id,
        tenant=row.tenant_id,
        author=row.author_id,
        text=row.text,
        content_hash=row.content_hash,
        sent_at=row.sent_at,
        replied_to=row.to,
    )


async def _pages(conn: AsyncConnection, query: Select[Any], after: int) -> list[Task]:
    """A batch of what the query gives, by pages."""
    tasks: list[Task] = []
    characters = 0
    while len(tasks) < BATCH and characters < _CHARACTERS:
        page = [_task(row) for row in await conn.execute(query, {"after": after})]
        tasks += page
        if len(page) < _PAGE:
            break
        characters += sum(len(task.text) for task in page)
        after = page[-1].serial
    return tasks
