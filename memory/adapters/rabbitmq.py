"""A work queue on RabbitMQ 3.10 or newer.

For each kind of work: a quorum queue a shard of rooms and priority (quorum queues have no priorities of their own, so
there are two), and one classic queue of dead letters, which may be looked at as often as one likes. A shard's queues
have a single active consumer, so that the items of a room are with one worker; each worker consumes as many shards as
is fair, each on a channel of its own: closing that channel returns all that it had in one step, in order.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import (
    AMQPError,
    ChannelClosed,
    ChannelInvalidStateError,
    DeliveryError,
)

from memory.adapters import rabbitmq_wire as wire
from memory.adapters.authorities import context_of
from memory.adapters.rabbitmq_session import Place, Receipt, Session, Share, has_ready, receipt_of, still_out, tag_of
from memory.breaker import Breaker
from memory.errors import BadInput, Unavailable
from memory.models import TRIES, DeadLetter, Priority, QueueState, Taken, WorkItem, WorkKind

log = structlog.get_logger()

SHARDS: Final = 8
"""Rooms are shared out by their number modulo this: at most so many workers have something to do. Never changed: the
name of a queue holds it."""

BALANCE: Final = 1.0
"""Seconds between two looks at how many workers there are."""

_PREFETCH: Final = 2048  # of a shard's queue: a batch
_HEARTBEAT: Final = 15  # seconds; a frozen worker loses its items after two
_TOGETHER: Final = 250  # publishes whose confirmations are awaited together, within the patience for one call
_LETTERS: Final = 4  # times the patience of other calls, for all dead letters: 10,000 take some 3 s on a busy machine
_SETTING_UP: Final = 4  # times the patience of other calls
_WRONG_URL: Final = "WEAVEBOT_QUEUE_URL is not right: write amqp://USER:PASSWORD@HOST:5672/, or amqps:// for TLS."
_UNCHECKED: Final = f"Certificates are always checked: name the authority's file in {wire.AUTHORITIES} instead."
_FAILURES: Final = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)

_Given = TypeVar("_Given")


class RabbitQueue:
    """Connects when it is first needed, and again when the connection was lost."""

    def __init__(
        self,
        url: str,
        name: str,
        breaker: Breaker,
        *,
        authorities: Path | None = None,
        shards: int = SHARDS,
        tries: int = TRIES,
        patience: float = 5.0,
        balance: float = BALANCE,
    ) -> None:
        """``name`` tells this installation's queues from another's there; ``patience``: seconds for one call.

        ``authorities`` vouch for its certificate, with amqps; the system's without a file. Raises BadInput for an
        address that is none, and for a file without certificates.
        """
        try:
            parsed = urlsplit(url)
            well = parsed.scheme in {"amqp", "amqps"} and parsed.hostname and (parsed.port or 1)
        except ValueError:
            well = False
        if not well:
            raise BadInput(_WRONG_URL)
        if "no_verify_ssl" in parsed.query:
            raise BadInput(_UNCHECKED)
        self._url = url if "heartbeat=" in url else f"{url}{'&' if parsed.query else '?'}heartbeat={_HEARTBEAT}"
        self._trust = context_of(authorities, wire.AUTHORITIES) if authorities and parsed.scheme == "amqps" else None
        self._name = f"weavebot.{name}"
        self._breaker = breaker
        self._shards = shards
        self._tries = tries
        self._patience = patience
        self._every = balance
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._dead = asyncio.Lock()  # two that look at the dead letters at once would each see a part

    async def publish(self, items: Sequence[WorkItem]) -> None:
        """Each is confirmed by a majority of the queue's replicas."""
        for start in range(0, len(items), _TOGETHER):
            some = items[start : start + _TOGETHER]
            bodies = [(self._queue(one.kind, one.room % self._shards, one.priority), wire.body(one, 0)) for one in some]
            kinds = {one.kind for one in some}

            async def work(session: Session, kinds: set[WorkKind] = kinds, bodies: wire.Bodies = bodies) -> None:
                for kind in kinds:
                    await self._declare(session, kind)
                await wire.publish(session.publishing, bodies)

            await self._watched(work)

    async def take(self, kind: WorkKind, most: int) -> Sequence[Taken]:
        """From what the server has sent ahead."""
        session = await self._watched(lambda session: self._consume(session, kind))
        found: list[Taken] = []
        for priority in Priority:
            for (of, _), share in session.shares.items():
                ready = share.ready[priority]
                while of is kind and ready and len(found) < most:
                    one = ready.popleft()
                    share.out.add((priority, tag_of(one)))
                    found.append(one)
        return found

    async def wait(self, kind: WorkKind, seconds: float) -> bool:
        """Until the server has sent something."""
        session = await self._watched(lambda session: self._consume(session, kind))
        event = session.arrived[kind]
        event.clear()
        if not has_ready(session, kind) and not session.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
        return has_ready(session, kind)

    async def done(self, taken: Sequence[Taken]) -> None:
        """Acknowledged; one of a lost connection comes again."""

        async def work(session: Session) -> None:
            with session.or_anew():
                for one in taken:
                    if (message := still_out(one)) is not None:
                        await message.ack()

        await self._watched(work)

    async def failed(self, taken: Taken, reason: str) -> bool:
        """Published anew with one more try, at the end or among the dead letters, then acknowledged."""
        item, tries = taken.item, taken.tries + 1
        dead = tries >= self._tries
        to = self._letters(item.kind) if dead else self._queue(item.kind, item.room % self._shards, item.priority)

        async def work(session: Session) -> bool:
            with session.or_anew():
                if (message := still_out(taken)) is None:
                    return False
                await wire.publish(session.publishing, [(to, wire.body(item, tries, reason if dead else ""))])
                await message.ack()
                return dead

        return await self._watched(work)

    async def give_back(self, taken: Sequence[Taken]) -> None:
        """To the front of what is ready here."""
        for one in reversed(taken):
            if still_out(one) is not None:
                share = receipt_of(one).share
                share.ready[one.item.priority].appendleft(one)
                self._arrive(one.item.kind)

    async def rest(self, kind: WorkKind) -> None:
        """Our shards are anybody's, with what was sent ahead of them."""
        session = self._session
        if session is None or session.closed or kind not in session.consuming:
            return

        async def work(session: Session) -> None:
            async with session.counting:
                mine = [place for place in session.shares if place[0] is kind]
                balancing = session.consuming.get(kind)
                if balancing is None or any(session.shares[place].out for place in mine):
                    return
                try:
                    del session.consuming[kind]
                    balancing.cancel()
                    await session.present.pop(kind).close()
                    for place in mine:
                        await self._let_go(session, place)
                except BaseException:  # a shard may be ours without being consumed: it is nobody's with the connection
                    await self._forget()
                    raise

        await self._watched(work)

    async def state(self, kind: WorkKind) -> QueueState:
        """What waits there, and what this worker has; the server does not count what others have.

        The oldest is the oldest that was sent to this worker.
        """

        async def work(session: Session) -> QueueState:
            await self._declare(session, kind)
            async with session.counting:
                counted = {name: await wire.count(session.asking, name) for name in self._queues(kind)}
                dead = await wire.count(session.asking, self._letters(kind))
            here = [share for (of, _), share in session.shares.items() if of is kind]
            held = sum(len(share.out) + sum(map(len, share.ready.values())) for share in here)
            ages = [one for share in here for ready in share.ready.values() for one in list(ready)[:1]]
            sent = [stamp.timestamp() for one in ages if (stamp := receipt_of(one).message.timestamp)]
            oldest = max(0.0, time.time() - min(sent)) if sent else None
            ours = {self._queue(kind, shard, one) for of, shard in session.shares if of is kind for one in Priority}
            whole = not any(consumers for name, (_, consumers) in counted.items() if name not in ours)
            return QueueState(sum(waiting for waiting, _ in counted.values()) + held, oldest, dead[0], whole)

        return await self._watched(work)

    async def dead(self, kind: WorkKind, limit: int) -> Sequence[DeadLetter]:
        """Looked at and left there."""

        async def work(session: Session) -> list[DeadLetter]:
            async with self._looking(session, kind, limit) as letters:
                return [wire.letter(kind, message) async for message in letters]

        return await self._watched(work, times=_LETTERS)

    async def revive(self, kind: WorkKind) -> Sequence[WorkItem]:
        """Each is published, then taken off the dead letters."""

        async def work(session: Session) -> list[WorkItem]:
            items: list[WorkItem] = []
            async with self._looking(session, kind) as letters:
                async for message in letters:
                    item = wire.letter(kind, message).item
                    name = self._queue(kind, item.room % self._shards, item.priority)
                    await wire.publish(session.publishing, [(name, wire.body(item, 0))])
                    await message.ack()
                    items.append(item)
            return items

        return await self._watched(work, times=_LETTERS)

    async def drop(self, kind: WorkKind, serials: Sequence[int], below: int | None = None) -> None:
        """Dead letters go now; items when they are taken."""
        gone = set(serials)

        async def work(session: Session) -> None:
            async with self._looking(session, kind) as letters:
                async for message in letters:
                    item = wire.letter(kind, message).item
                    if item.serial in gone and (below is None or item.revision < below):
                        await message.ack()

        await self._watched(work, times=_LETTERS)

    async def close(self) -> None:
        """The connection, and with it everything that was not answered."""
        session, self._session = self._session, None
        if session is not None:
            await self._drop(session)

    def _queue(self, kind: WorkKind, shard: int, priority: Priority) -> str:
        return f"{self._name}.{kind}.{shard}of{self._shards}.{priority.name.lower()}"

    def _queues(self, kind: WorkKind) -> list[str]:
        return [self._queue(kind, shard, priority) for shard in range(self._shards) for priority in Priority]

    def _letters(self, kind: WorkKind) -> str:
        return f"{self._name}.{kind}.dead"

    def _workers(self, kind: WorkKind) -> str:
        """A queue without messages: its consumers are the workers that there are."""
        return f"{self._name}.{kind}.workers"

    def _owner(self, kind: WorkKind, shard: int) -> str:
        return f"{self._name}.{kind}.{shard}of{self._shards}.owner"

    async def _watched(self, work: Callable[[Session], Awaitable[_Given]], *, times: int = 1) -> _Given:
        """``times``: how much more patience the call needs than others."""
        limit = max(self._limit(), times * self._patience)
        with self._breaker.watched():
            try:
                async with asyncio.timeout(limit):
                    try:
                        return await work(await self._open())
                    except DeliveryError:  # somebody has deleted the queues: they are declared anew
                        await self._forget()
                        return await work(await self._open())
            except _FAILURES as exc:
                await self._forget()
                raise Unavailable(wire.sentence(exc, limit)) from exc

    def _limit(self) -> float:
        """Seconds for the next call: the first ones of a connection declare and consume some dozens of queues."""
        session = self._session
        ready = session is not None and not session.closed and session.declared and session.consuming
        return self._patience if ready else _SETTING_UP * self._patience

    async def _open(self) -> Session:
        async with self._opening:
            if self._session is not None and not self._session.closed:
                return self._session
            await self._forget()
            connection = await aio_pika.connect(
                self._url,
                timeout=self._patience,
                ssl_context=self._trust,
                client_properties={"product": "weavebot"},
            )
            try:
                publishing = await connection.channel(on_return_raises=True)
                session = Session(connection, publishing, await connection.channel())
            except BaseException:
                await _hang_up(connection)
                raise
            self._session = session
            connection.close_callbacks.add(session.lost)
            return session

    async def _forget(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await self._drop(session)

    @staticmethod
    async def _drop(session: Session) -> None:
        session.lost()
        for task in session.consuming.values():
            task.cancel()
        await asyncio.gather(*session.consuming.values(), return_exceptions=True)
        await _hang_up(session.connection)

    async def _declare(self, session: Session, kind: WorkKind) -> None:
        """Everything of a kind, once a connection."""
        async with session.counting:
            if kind in session.declared:
                return
            channel = session.asking
            await channel.declare_queue(self._letters(kind), durable=True)
            arguments: dict[str, Any] = {
                "x-queue-type": "quorum",
                "x-single-active-consumer": True,
                "x-delivery-limit": wire.CRASHES,
                "x-overflow": "reject-publish",
                "x-dead-letter-strategy": "at-least-once",
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self._letters(kind),
            }
            for name in self._queues(kind):
                await channel.declare_queue(name, durable=True, arguments=arguments)
            session.declared.add(kind)

    async def _consume(self, session: Session, kind: WorkKind) -> Session:
        """From now on this worker has its share of the shards."""
        await self._declare(session, kind)
        if kind not in session.consuming:
            async with session.counting:
                if kind in session.consuming:
                    return session
                with session.or_anew():  # else this worker is counted once more, and has a smaller share for ever
                    channel = session.present[kind] = await session.connection.channel()
                    workers = await channel.declare_queue(self._workers(kind), auto_delete=True, durable=False)
                    await workers.consume(wire.never)
                    await self._balance(session, kind)
                    session.consuming[kind] = asyncio.create_task(self._keep_balanced(session, kind))
        return session

    async def _keep_balanced(self, session: Session, kind: WorkKind) -> None:
        while not session.closed:
            await asyncio.sleep(self._every)
            try:
                async with asyncio.timeout(self._patience), session.counting:
                    await self._balance(session, kind)
            except _FAILURES as exc:
                log.info("queue.lost", reason=wire.sentence(exc, self._patience))
                session.lost()

    async def _balance(self, session: Session, kind: WorkKind) -> None:
        """Takes shards that nobody has, up to a fair share, and lets those go that are too many and rest."""
        _, workers = await wire.count(session.asking, self._workers(kind))
        fair = math.ceil(self._shards / max(workers, 1))
        for place in [one for one, share in session.shares.items() if share.channel.is_closed]:
            del session.shares[place]  # the server has closed it: an item was out for longer than it allows
        mine = [shard for of, shard in session.shares if of is kind]
        consumers = {
            shard: (await wire.count(session.asking, self._queue(kind, shard, Priority.HISTORY)))[1]
            for shard in range(self._shards)
        }
        for shard in [one for one in mine if not consumers[one]]:  # its queues were deleted, and declared by others
            await session.shares.pop((kind, shard)).channel.close()
            mine.remove(shard)
        for shard in mine[fair:]:
            if not session.shares[kind, shard].out:
                await self._let_go(session, (kind, shard))
        for shard in [one for one, count in consumers.items() if not count]:
            if len(mine) >= fair:
                break
            if await self._is_ours(session, kind, shard):
                await self._take_shard(session, kind, shard)
                mine.append(shard)

    async def _let_go(self, session: Session, place: Place) -> None:
        await session.shares.pop(place).channel.close()
        await session.asking.queue_delete(self._owner(*place))

    async def _is_ours(self, session: Session, kind: WorkKind, shard: int) -> bool:
        """Whether no other worker was first.

        A second consumer would stand by without knowing, and count the shard as its own. So the right to a shard is an
        exclusive queue without messages: it is a connection's own, and ends with it.
        """
        channel = await session.connection.channel()
        try:
            await channel.declare_queue(self._owner(kind, shard), exclusive=True)
        except ChannelClosed:
            return False
        await channel.close()
        return True

    async def _take_shard(self, session: Session, kind: WorkKind, shard: int) -> None:
        channel = await session.connection.channel()
        await channel.set_qos(prefetch_count=_PREFETCH)
        share = session.shares[kind, shard] = Share(channel)

        async def arrived(message: AbstractIncomingMessage) -> None:
            item, tries, _ = wire.read(message.body, kind)
            share.ready[item.priority].append(Taken(item, tries, Receipt(share, message)))
            session.arrived[kind].set()

        for priority in Priority:
            queue = await channel.get_queue(self._queue(kind, shard, priority), ensure=False)
            await queue.consume(arrived)

    @asynccontextmanager
    async def _looking(
        self, session: Session, kind: WorkKind, limit: float = math.inf
    ) -> AsyncIterator[AsyncIterator[AbstractIncomingMessage]]:
        """The dead letters, one by one; those that were not acknowledged are there again at the end of the block."""
        await self._declare(session, kind)
        async with self._dead:
            channel = await session.connection.channel()
            try:
                yield wire.messages(channel, self._letters(kind), limit)
            finally:
                with suppress(*_FAILURES):
                    await channel.close()

    def _arrive(self, kind: WorkKind) -> None:
        if self._session is not None:
            self._session.arrived[kind].set()


async def _hang_up(connection: AbstractConnection) -> None:
    """Closes a connection, as far as it can be within a second."""
    with suppress(*_FAILURES, asyncio.CancelledError):
        async with asyncio.timeout(1.0):
            await connection.close()
