"""From the rows that wait to a work queue: published after their commit, and again when the queue has lost them.

The row is the truth and goes when the result is stored; the queue only says who is to work on it, and when. So
a row is published at least once: it is marked (``published_at``) when the queue has confirmed it, and the mark is taken
away when it has waited too long, or when the queue holds nothing and the row is still there. A queue that was wiped is
filled again by that.

Where several processes publish, one of them at a time has the rows of a room (`memory.claims`), so that they enter the
queue in their order.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Generic

import structlog
from sqlalchemy import Select, and_, literal, not_, or_, select, update

from memory.claims import Claims
from memory.columns import AnyRow
from memory.contention import again
from memory.errors import Unavailable
from memory.leases import Lease
from memory.models import Priority, WorkItem
from memory.outbox import Outbox, T
from memory.ports import Clock, Database, WorkQueue
from memory.rates import Rate
from memory.statements import hold_room
from memory.tables import messages

log = structlog.get_logger()

PAGE: Final = 1000
"""Items that are published together."""

DEPTH: Final = 20_000
"""Items of a queue at which history waits in the outbox until there are half as many; what is said now at twice it."""

EVERY: Final = 10.0
"""Seconds between two comparisons of the outbox with the queue."""

LOOK: Final = 60.0
"""Seconds between two looks at the dead letters, while there are as many."""

EMPTY: Final = timedelta(seconds=30)
"""A queue that holds nothing has lost what was published so long ago and still waits; more than a batch takes."""

LONG: Final = timedelta(minutes=10)
"""What waits so long is published again, whatever the queue holds. Several times what `DEPTH` items take."""

AHEAD: Final = timedelta(minutes=1)
"""What was published so much later than now was published before the clock was set back: nobody knows how long ago."""

_DEAD: Final = 10_000  # dead letters that are looked at


class Relay(Generic[T]):
    """Publishes the rows of one kind of work."""

    def __init__(
        self,
        database: Database,
        queue: WorkQueue,
        outbox: Outbox[T],
        clock: Clock,
        lease: Lease | None = None,
        *,
        depth: int = DEPTH,
        every: float = EVERY,
    ) -> None:
        """``lease``: where other processes publish the same rows."""
        self._database = database
        self._queue = queue
        self._outbox = outbox
        self._clock = clock
        self._claims = Claims(database, outbox.table, lease)
        self._lease = lease
        self._most = depth
        self._every = every
        self._turn = asyncio.Lock()
        self._depth = 0  # as it was when last asked, and what was published since
        self._held = False
        self._compared: float | None = None
        self._dead, self._looked = 0, -math.inf
        self._letters: Sequence[int] | None = None  # serials of the dead letters; None when they could not be read
        self.rate = Rate()
        """Items published."""

    async def publish(self, most: float = math.inf) -> int:
        """Everything that waits in the outbox and that the queue has room for; gives the number of items.

        After ``most`` items it ends with the page that it is at, so that whoever works beside it comes to it.

        Raises Unavailable when the queue or the database does not answer; what was not confirmed is published later.
        """
        async with self._turn:
            await self._compare()
            told = 0
            while told < most and (items := await self._next()):
                try:
                    await self._queue.publish(items)
                except Unavailable:
                    await self._mark(items, {"claimed_until": None})
                    raise
                await self._mark(items, {"published_at": self._clock.now(), "claimed_until": None})
                self._depth += len(items)
                self.rate.add(len(items))
                told += len(items)
            return told

    async def _next(self) -> Sequence[WorkItem]:
        """The next items, and ours alone until they are marked; none when there are none or the queue is full."""
        full: bool | None = None
        for priority in Priority:  # one after the other: each is read by the index that it has
            query = self._unpublished(priority)
            async with self._database.read() as conn:
                if (await conn.execute(query.limit(1))).first() is None:
                    continue
            full = await self._full() if full is None else full
            left = (2 * self._most if full else self._most) - self._depth
            if left <= 0 or (full and priority is not Priority.LIVE):
                return []
            if items := await self._page(query.limit(min(PAGE, left))):
                return items
        return []

    def _unpublished(self, priority: Priority) -> Select[Any]:
        outbox, columns = self._outbox, self._outbox.table.c
        rows = select(outbox.serial, outbox.revision.label("revision"), columns.priority, messages.c.room_id)
        rows = rows.join(messages, messages.c.serial == outbox.serial).order_by(outbox.serial)
        urgent = columns.priority == literal(int(priority), literal_execute=True)  # a partial index wants it in words
        return rows.where(columns.published_at.is_(None), urgent, outbox.alive)

    async def _page(self, query: Select[Any]) -> list[WorkItem]:
        if self._lease is not None:
            return await self._claim(query, self._lease)
        async with self._database.read() as conn:
            return [self._item(row) for row in await conn.execute(query)]

    def _item(self, row: AnyRow) -> WorkItem:
        return WorkItem(self._outbox.kind, row.room_id, row.message_serial, row.revision, Priority(row.priority))

    async def _full(self) -> bool:
        """Whether history has to wait: from the depth on, until half of it is gone."""
        if self._held or self._depth >= self._most:
            self._depth = (await self._queue.state(self._outbox.kind)).depth
        held = self._depth >= (self._most // 2 if self._held else self._most)
        if held != self._held:
            log.info("relay.held" if held else "relay.goes_on", kind=self._outbox.kind.value, depth=self._depth)
        self._held = held
        return held

    @again
    async def _claim(self, query: Select[Any], lease: Lease) -> list[WorkItem]:
        """Rows of rooms that no other process is publishing at this moment."""
        table = self._outbox.table
        async with self._database.read() as conn:
            wanted = query.where(lease.free(table))
            rooms = sorted({row.room_id for row in await conn.execute(wanted)})
        if not rooms:
            return []
        here = messages.c.room_id.in_(rooms)
        async with self._database.write() as conn:
            for room in rooms:
                await hold_room(conn, room)
            theirs = select(messages.c.room_id).join(table, self._outbox.serial == messages.c.serial)
            theirs = theirs.where(here, table.c.published_at.is_(None), not_(lease.free(table)))
            taken = set((await conn.execute(theirs.distinct())).scalars())
            ours = query.where(here, messages.c.room_id.not_in(taken))
            rows = await conn.execute(ours.with_for_update(of=table, skip_locked=True))
            items = [self._item(row) for row in rows]
            await self._claims.mark(conn, [item.serial for item in items])
        return items

    @again
    async def _mark(self, items: Sequence[WorkItem], values: dict[str, Any]) -> None:
        """An edit that came meanwhile is another revision, and stays unpublished."""
        async with self._database.write() as conn:
            for which in self._outbox.which(items):
                await conn.execute(update(self._outbox.table).where(which).values(**values))

    async def _compare(self) -> None:
        """Now and then: publishes again what the queue has lost, and takes out of it what nobody waits for."""
        now = asyncio.get_running_loop().time()
        first = self._compared is None
        if self._compared is not None and now - self._compared < self._every:
            return
        state = await self._queue.state(self._outbox.kind)
        self._depth = state.depth
        self._compared = now  # also when the dead letters cannot be read: everything else goes on until the next time
        limit = LONG if state.depth or not state.whole else timedelta() if first else EMPTY
        await self._look(state.dead, now)
        if self._letters is not None:
            await self._publish_again(limit, self._letters)

    async def _look(self, dead: int, now: float) -> None:
        """At the dead letters, when there are more or fewer than the last time, or it was long ago."""
        if dead == self._dead and now - self._looked < LOOK:
            return
        self._dead, self._looked, self._letters = dead, now, None
        letters = await self._queue.dead(self._outbox.kind, _DEAD) if dead else []
        await self._drop_settled([letter.item for letter in letters])
        self._letters = [letter.item.serial for letter in letters]

    async def _drop_settled(self, dead: Sequence[WorkItem]) -> None:
        """Dead letters of messages that were forgotten, edited or done since, also while the queue was away."""
        if not dead:
            return
        serial, revision = self._outbox.serial, self._outbox.revision.label("revision")
        query = select(serial, revision).where(serial.in_([item.serial for item in dead]))
        async with self._database.read() as conn:
            waiting = {(row.message_serial, row.revision) for row in await conn.execute(query)}
        gone: dict[int, list[int]] = defaultdict(list)
        for item in dead:
            if (item.serial, item.revision) not in waiting:
                gone[item.revision].append(item.serial)
        for past, serials in gone.items():
            await self._queue.drop(self._outbox.kind, serials, past + 1)  # a newer one may be on its way

    @again
    async def _publish_again(self, limit: timedelta, dead: Sequence[int]) -> None:
        table, now = self._outbox.table, self._clock.now()
        lost = and_(
            or_(table.c.published_at <= now - limit, table.c.published_at > now + AHEAD),
            self._outbox.alive,
            self._outbox.serial.not_in(dead),
        )
        async with self._database.read() as conn:
            if (await conn.execute(select(self._outbox.serial).where(lost).limit(1))).first() is None:
                return
        async with self._database.write() as conn:
            renewed = (await conn.execute(update(table).where(lost).values(published_at=None))).rowcount
        log.warning("relay.again", kind=self._outbox.kind.value, messages=renewed)
