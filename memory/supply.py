"""Where a worker's batches come from: the rows that wait themselves, or a work queue that they feed.

From the rows a worker takes them in their order; with a lease they are its own for a while. From a queue it takes
what it is given, live messages first, and reads the rows that still wait: an item whose row is gone (done by somebody
else, edited, forgotten) is finished at once, so that an item may come twice or late. While the queue does not answer
the rows are used, so that nothing waits for it; what is done meanwhile is found gone when the queue is back.

Which rows and what a task is says an `memory.outbox.Outbox`: indexing and reflection are fed in the same way.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog
from sqlalchemy import func, select, update

from memory.claims import Claims
from memory.errors import Contended, Unavailable, Unreachable
from memory.leases import Lease
from memory.models import TRIES, DeadLetter, QueueReport, QueueState, Taken, WorkItem
from memory.outbox import CHARACTERS, PAGE, Outbox, T
from memory.ports import Clock, Database, WorkQueue
from memory.rates import Rate
from memory.relay import Relay
from memory.tables import messages

log = structlog.get_logger()

_SLICE = 10_000  # serials that a statement names: PostgreSQL takes 32,767

PATIENCE: Final = 45.0
"""Seconds without progress after which one no longer waits for what others have taken: more than the relay needs to see
that the queue has lost it (`memory.relay.EMPTY` and `EVERY`), and more than a dead worker's rooms stay his."""

AWAY: Final = 2.0
"""Seconds between two looks at the rows while the queue does not answer."""

_Said = TypeVar("_Said")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Tasks that are done together. ``taken`` are their items by serial, when they came from a queue."""

    tasks: Sequence[T]
    taken: Mapping[int, Taken] = field(default_factory=dict)

    def items(self) -> list[Taken]:
        """Those of a queue, in the order of the tasks."""
        return [self.taken[task.serial] for task in self.tasks if task.serial in self.taken]

    def only(self, *tasks: T) -> Batch[T]:
        """Some of the tasks."""
        return replace(self, tasks=tasks)

    def behind(self, after: int) -> int:
        """The serial behind which the next batch begins: rows are taken in their order, a queue has its own."""
        return after if self.taken or not self.tasks else self.tasks[-1].serial


class Supply(Protocol[T]):
    """Gives batches. Every call may raise Unavailable of the database."""

    async def claim(self, after: int) -> Batch[T]:
        """The next tasks; empty when nothing waits for this worker. From the rows those behind a serial."""

    async def done(self, batch: Batch[T]) -> None:
        """The results are committed."""

    async def failed(self, batch: Batch[T], task: T, reason: str) -> None:
        """One of the tasks cannot be done: one try less. ``reason`` is the name of an error."""

    async def give_back(self, batch: Batch[T]) -> None:
        """Nobody is at these any more."""

    async def expects(self) -> bool:
        """Whether it is worth waiting for more: somebody has it, or it is on its way."""

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """Until there may be something to do, or so long."""

    async def rest(self) -> None:
        """This worker takes nothing until it claims again: nothing is kept for it."""

    async def retry(self) -> int:
        """What had failed too often waits again; gives the number."""


class OutboxSupply(Generic[T]):
    """Straight from the rows."""

    def __init__(self, database: Database, outbox: Outbox[T], lease: Lease | None = None) -> None:
        """``lease``: where other processes take from the same rows."""
        self._database = database
        self._claims = Claims(database, outbox.table, lease)
        self.outbox = outbox

    async def claim(self, after: int) -> Batch[T]:
        """The next messages behind a serial; with a lease they are ours as long as it lasts."""
        outbox = self.outbox
        found = await self._claims.take(
            outbox.waiting, after, lambda conn, query: outbox.pages(conn, query, after), lambda task: task.serial
        )
        return Batch(found)

    async def done(self, batch: Batch[T]) -> None:
        """Nothing: the rows are gone."""

    async def failed(self, batch: Batch[T], task: T, reason: str) -> None:
        """After five tries the message stays as it is and waits for somebody to say that it is tried again."""
        del batch, reason
        await self.count_failure(task, self.outbox.table.c.attempts + 1)

    async def count_failure(self, task: T, attempts: Any) -> None:
        """Sets the tries of a row, and leaves it to anybody. One that was put anew since has all of its own."""
        counted = update(self.outbox.table).where(self.outbox.of(task))
        async with self._database.write() as conn:
            await conn.execute(counted.values(attempts=attempts, claimed_until=None))

    async def give_back(self, batch: Batch[T]) -> None:
        """Nothing: what is ours we take again."""

    async def expects(self) -> bool:
        """No: whatever waits can be taken."""
        return False

    async def wait(self, wake: asyncio.Event, seconds: float) -> None:
        """Until somebody wakes us."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may swallow a cancellation
                await wake.wait()

    async def rest(self) -> None:
        """Nothing: whatever waits can be taken by anybody."""

    async def retry(self) -> int:
        """Every row has all its tries."""
        table = self.outbox.table
        given_up = select(func.count()).select_from(table).where(~self.outbox.alive)
        async with self._database.write() as conn:
            number = int((await conn.execute(given_up)).scalar_one())
            await conn.execute(update(table).where(table.c.attempts > 0).values(attempts=0))
            return number


class QueueSupply(Generic[T]):
    """From a queue, which it also feeds; from the rows while the queue does not answer."""

    def __init__(
        self, database: Database, queue: WorkQueue, relay: Relay[T], rows: OutboxSupply[T], clock: Clock
    ) -> None:
        self._clock = clock
        self._database = database
        self._queue = queue
        self._relay = relay
        self._rows = rows
        self._outbox = rows.outbox
        self._kind = rows.outbox.kind
        self._away = False
        self._left, self._progress = 0, 0.0
        self.rate = Rate()
        """Items finished by this process."""
        self.failures = Rate()
        """Items that it could not finish."""

    async def claim(self, after: int) -> Batch[T]:
        """Publishes what waits, and takes what the queue gives."""
        try:
            await self._relay.publish(self._outbox.most)
            while taken := await self._queue.take(self._kind, self._outbox.most):
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
            return await self._rows.claim(after)
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

    async def done(self, batch: Batch[T]) -> None:
        """The items leave the queue; when it does not answer they come again, and are found gone."""
        self._progress = _now()
        if batch.taken:
            self.rate.add(len(batch.tasks))
            await self._told(self._queue.done(batch.items()))

    async def failed(self, batch: Batch[T], task: T, reason: str) -> None:
        """The row's tries are counted with the item's: both give up together."""
        self.failures.add(1)
        dead = False
        if task.serial in batch.taken:
            dead = bool(await self._told(self._queue.failed(batch.taken[task.serial], reason)))
        await self._rows.count_failure(task, TRIES if dead else self._outbox.table.c.attempts + 1)

    async def give_back(self, batch: Batch[T]) -> None:
        """To the queue."""
        if batch.taken:
            await self._told(self._queue.give_back(batch.items()))

    async def expects(self) -> bool:
        """Whether rows wait that the queue has not lost, as far as one can tell."""
        query = select(func.count()).select_from(self._outbox.table).where(self._outbox.alive)
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

    async def rest(self) -> None:
        """The rooms that were ours are other workers'."""
        await self._told(self._queue.rest(self._kind))

    async def retry(self) -> int:
        """Dead letters wait again; a row that has none is published again."""
        revived: Sequence[WorkItem] = await self._told(self._queue.revive(self._kind)) or []
        there = {item.serial for item in revived}
        serial, table = self._outbox.serial, self._outbox.table
        async with self._database.write() as conn:
            given_up = await conn.execute(select(serial).where(~self._outbox.alive).order_by(serial))
            lost = [one for one in given_up.scalars() if one not in there]
            for start in range(0, len(lost), _SLICE):
                some = serial.in_(lost[start : start + _SLICE])
                await conn.execute(update(table).where(some).values(published_at=None))
        return await self._rows.retry()

    async def report(self) -> QueueReport:
        """The numbers of the queue, also while it does not answer."""
        table, alive = self._outbox.table, self._outbox.alive
        query = select(func.count(), func.min(table.c.published_at)).select_from(table).where(alive)
        async with self._database.read() as conn:
            unpublished, _ = (await conn.execute(query.where(table.c.published_at.is_(None)))).one()
            _, since = (await conn.execute(query)).one()
        state, away = QueueState(0, None, 0), ""
        try:
            state = await self._queue.state(self._kind)
        except Unavailable as error:
            away = str(error)
        oldest = state.oldest
        if oldest is None and since is not None:
            oldest = max(0.0, (self._clock.now() - since).total_seconds())
        return QueueReport(
            depth=state.depth,
            oldest=oldest,
            dead=state.dead,
            unpublished=unpublished,
            published_per_second=self._relay.rate.per_second(),
            done_per_second=self.rate.per_second(),
            failed_per_second=self.failures.per_second(),
            away=away,
        )

    async def dead(self, limit: int) -> Sequence[DeadLetter]:
        """Dead letters. Raises Unavailable when the queue does not answer."""
        return await self._queue.dead(self._kind, limit)

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Of forgotten messages, and of edited ones what is older than they are now.

        What cannot be dropped now is when the relay compares the queue with the rows.
        """
        del room, hashes
        if not serials:
            return
        async with self._database.read() as conn:
            rows = await conn.execute(self._outbox.stale.where(messages.c.serial.in_(serials)))
            there = {row.serial: row.below for row in rows}
        old: dict[int, list[int]] = defaultdict(list)
        for serial, below in there.items():
            old[below].append(serial)
        if gone := [serial for serial in serials if serial not in there]:
            await self._told(self._queue.drop(self._kind, gone))
        for below, some in old.items():
            await self._told(self._queue.drop(self._kind, some, below))

    async def drop_person(self, person: int) -> None:
        """Nothing: no item is about a person."""

    async def _read_or_return(self, taken: Sequence[Taken]) -> tuple[Batch[T], list[Taken], list[Taken]]:
        """`_read`; when the database does not answer, the queue has everything back."""
        try:
            return await self._read(taken)
        except BaseException:
            await self._told(self._queue.give_back(taken))
            raise

    async def _read(self, taken: Sequence[Taken]) -> tuple[Batch[T], list[Taken], list[Taken]]:
        """The tasks of items that still wait, the items that are settled, and those that are too much for a batch.

        An item of a revision that is past is settled: that of the row it has now is on its way.
        """
        outbox = self._outbox
        tasks: dict[int, T] = {}
        wanted: dict[int, Taken] = {}
        settled: list[Taken] = []
        characters, seen = 0, 0
        async with self._database.read() as conn:
            while seen < len(taken) and characters < CHARACTERS:
                page = taken[seen : seen + PAGE]
                seen += len(page)
                query = outbox.rows.where(messages.c.serial.in_([one.item.serial for one in page]))
                rows = {row.serial: outbox.task(row) for row in await conn.execute(query)}
                for one in page:
                    task = rows.get(one.item.serial)
                    if task is None or one.item.revision < task.row_revision or task.serial in tasks:
                        settled.append(one)
                        continue
                    tasks[task.serial], wanted[task.serial] = task, one
                    characters += len(task.text)
        return Batch(list(tasks.values()), wanted), settled, list(taken[seen:])

    async def _arrival(self, seconds: float) -> None:
        try:
            await self._queue.wait(self._kind, seconds)
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
            log.warning("queue.away", kind=self._kind.value, reason=str(error))
        self._away = True

    def _is_back(self) -> None:
        if self._away:
            log.info("queue.back", kind=self._kind.value)
        self._away = False


def _now() -> float:
    return asyncio.get_running_loop().time()
