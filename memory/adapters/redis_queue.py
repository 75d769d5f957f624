"""A work queue on Redis 7: streams with a consumer group.

For each kind of work: a stream a shard of rooms and priority, a hash of the items that are there (so that none is there
twice) and a hash of dead letters. A shard belongs to one worker at a time, by a key that runs out unless it is renewed;
whoever takes a shard over takes what its last worker left (XAUTOCLAIM) before anything new. What is finished is deleted
from its stream. How often an item was given out and never answered is counted in a hash; what was merely read ahead
is not. Each change is one script: all of it or nothing.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar, cast

import structlog
from redis import exceptions as driver
from redis.asyncio import Redis

from memory.adapters.redis_link import RedisLink
from memory.adapters.redis_scripts import BEGUN, DONE, DROP, FAILED, HOLD, LEAVE, PUBLISH, RETURNED
from memory.errors import Unavailable
from memory.models import TRIES, DeadLetter, Priority, QueueState, Taken, WorkItem, WorkKind

log = structlog.get_logger()

SHARDS: Final = 8
"""Rooms are shared out by their number modulo this: at most so many workers have something to do."""

LEASE: Final = 15.0
"""Seconds after which the shards of a worker that does not renew them are anybody's."""

GROUP: Final = "workers"
_CRASHES: Final = 20  # times that it was given out and never answered: the item takes its worker with it
_DOUBTED: Final = 3  # times, after which it is given out alone: one of those that were given with it did that
_PAGE: Final = 1000

_Given = TypeVar("_Given")
_Left: TypeAlias = tuple[str, list[Taken], list[int]]  # where the next page begins, items, how often each was given


@dataclass(slots=True)
class _Share:
    """A shard that is ours: what was read and not yet given by priority, what is out, and how far each stream was read.

    ``doubted`` was given out before and never answered. Entries are named by their streams' ids.
    """

    ready: dict[Priority, deque[Taken]] = field(default_factory=lambda: {one: deque() for one in Priority})
    out: set[str] = field(default_factory=set)
    doubted: set[str] = field(default_factory=set)
    reached: dict[Priority, str] = field(default_factory=lambda: dict.fromkeys(Priority, "0-0"))


@dataclass(slots=True)
class _Work:
    """What this worker has of one kind. ``held`` is when its shards were renewed last, of the monotonic clock."""

    shares: dict[int, _Share] = field(default_factory=dict)
    held: float | None = None
    renewing: asyncio.Task[None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    back: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def or_anew(self) -> Iterator[None]:
        """Broken off, nobody knows what the server has done: our shards are adopted anew, with all that is left."""
        try:
            yield
        except BaseException:
            self.held = None
            raise


class RedisQueue:
    """One worker's view. It closes its line with itself."""

    def __init__(
        self,
        link: RedisLink,
        name: str,
        *,
        shards: int = SHARDS,
        tries: int = TRIES,
        lease: float = LEASE,
        patience: float = 5.0,
    ) -> None:
        """``name`` tells this installation's keys from another's there; ``patience``: seconds for one call."""
        self._link = link
        self._name = name
        self._shards = shards
        self._tries = tries
        self._lease = lease
        self._patience = patience
        self._me = secrets.token_hex(8)
        self._kinds = {kind: _Work() for kind in WorkKind}

    async def publish(self, items: Sequence[WorkItem]) -> None:
        """One that is there already stays where it is; another revision takes its place, at the end."""
        for kind in {item.kind for item in items}:
            told: list[int] = []
            for item in items:
                if item.kind is kind:
                    stream = self._number(item.room, item.priority)
                    told += [stream, item.serial, item.revision, item.room]
            await self._script(PUBLISH, kind, told)

    async def take(self, kind: WorkKind, most: int) -> Sequence[Taken]:
        """What was read before, then what the streams have; live first. What is in doubt goes alone."""
        work = self._kinds[kind]
        async with work.turn:
            await self._hold(kind)
            with work.or_anew():
                found: list[Taken] = []
                if any(share.out & share.doubted for share in work.shares.values()):
                    return found
                for priority in Priority:
                    full = _fill(found, work, priority, most)
                    if not full and work.shares:
                        await self._read(kind, priority, most - len(found))
                        full = _fill(found, work, priority, most)
                    if full:
                        break
                if found:
                    await self._script(BEGUN, kind, [one.item.serial for one in found])
                return found

    async def wait(self, kind: WorkKind, seconds: float) -> bool:
        """Blocks at the server on the streams of our shards; the shards may change meanwhile, so not for long."""
        work = self._kinds[kind]
        until = time.monotonic() + seconds
        while True:
            async with work.turn:
                await self._hold(kind)
            if any(ready for share in work.shares.values() for ready in share.ready.values()):
                return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            if await self._block(kind, min(left, self._lease / 3)):
                return True

    async def done(self, taken: Sequence[Taken]) -> None:
        """Acknowledged and deleted."""
        told: dict[WorkKind, list[Any]] = {}
        for one in taken:
            self._settle(one)
            stream = self._number(one.item.room, one.item.priority)
            told.setdefault(one.item.kind, []).extend((stream, one.receipt, one.item.serial))
        with ExitStack() as stack:
            for kind in told:
                stack.enter_context(self._kinds[kind].or_anew())
            for kind, words in told.items():
                await self._script(DONE, kind, words)

    async def failed(self, taken: Taken, reason: str) -> bool:
        """To the end of its stream, or to the dead letters."""
        item, tries = taken.item, taken.tries + 1
        self._settle(taken)
        dead = tries >= self._tries
        letter = _letter(item, tries, reason) if dead else ""
        stream = self._number(item.room, item.priority)
        words = [stream, taken.receipt, item.serial, item.revision, item.room, tries, letter]
        with self._kinds[item.kind].or_anew():
            return bool(await self._script(FAILED, item.kind, words)) and dead

    async def give_back(self, taken: Sequence[Taken]) -> None:
        """To the front of what was read."""
        told: dict[WorkKind, list[int]] = {}
        for one in reversed(taken):
            work = self._kinds[one.item.kind]
            share = work.shares.get(one.item.room % self._shards)
            if share is not None and one.receipt in share.out:
                share.out.discard(str(one.receipt))
                share.ready[one.item.priority].appendleft(one)
                work.back.set()
                told.setdefault(one.item.kind, []).append(one.item.serial)
        for kind, serials in told.items():
            await self._script(RETURNED, kind, serials)

    async def rest(self, kind: WorkKind) -> None:
        """Our shards are anybody's, with what was read ahead of them."""
        work = self._kinds[kind]
        async with work.turn:
            if not any(share.out for share in work.shares.values()):
                await self._leave(kind)

    async def state(self, kind: WorkKind) -> QueueState:
        """Counted; the age is that of the oldest entry in a stream."""

        async def work(client: Redis) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            pipe.time()
            pipe.hlen(self._key(kind, "items"))
            pipe.hlen(self._key(kind, "dead"))
            for stream in self._streams(kind):
                pipe.xrange(stream, count=1)
            return await pipe.execute()

        (seconds, micros), depth, dead, *firsts = await self._run(work)
        now = int(seconds) * 1000 + int(micros) // 1000
        began = [int(_text(first[0][0]).partition("-")[0]) for first in firsts if first]
        oldest = max(0.0, (now - min(began)) / 1000) if began else None
        return QueueState(int(depth), oldest, int(dead))

    async def dead(self, kind: WorkKind, limit: int) -> Sequence[DeadLetter]:
        """By serial."""
        found = await self._run(lambda client: cast("Awaitable[Any]", client.hgetall(self._key(kind, "dead"))))
        letters = [_read_letter(kind, int(serial), words) for serial, words in found.items()]
        return sorted(letters, key=lambda letter: letter.item.serial)[:limit]

    async def revive(self, kind: WorkKind) -> Sequence[WorkItem]:
        """Publishing an item takes it off the dead letters."""
        items = [letter.item for letter in await self.dead(kind, 1 << 31)]
        if items:
            await self.publish(items)
        return items

    async def drop(self, kind: WorkKind, serials: Sequence[int], below: int | None = None) -> None:
        """Items go too."""
        await self._script(DROP, kind, ["" if below is None else below, *serials])

    async def close(self) -> None:
        """Our shards are anybody's at once; what we had read is taken over with them."""
        for kind in self._kinds:
            with suppress(Unavailable):
                await self._leave(kind)
        await self._link.close()

    async def _leave(self, kind: WorkKind) -> None:
        work = self._kinds[kind]
        if work.renewing is not None:
            work.renewing.cancel()
            await asyncio.gather(work.renewing, return_exceptions=True)
            work.renewing, work.held = None, None
            work.shares.clear()
            await self._script(LEAVE, kind, [self._me])

    def _key(self, kind: WorkKind, what: str) -> str:
        return f"weavebot:{{{self._name}}}:queue:{kind}:{what}"

    def _number(self, room: int, priority: Priority) -> int:
        """Which of the streams: those of a shard lie beside each other."""
        return room % self._shards * len(Priority) + priority

    def _stream(self, kind: WorkKind, shard: int, priority: Priority) -> str:
        return self._key(kind, f"{shard}of{self._shards}:{priority.name.lower()}")

    def _streams(self, kind: WorkKind) -> list[str]:
        """In the order of their numbers."""
        return [self._stream(kind, shard, priority) for shard in range(self._shards) for priority in Priority]

    async def _run(
        self, work: Callable[[Redis], Awaitable[_Given]], *, repeat: bool = True, more: float = 0.0
    ) -> _Given:
        return await self._link.run(work, repeat=repeat, limit=self._patience + more)

    async def _script(self, words: str, kind: WorkKind, told: Sequence[Any]) -> Any:
        """Runs a script on all keys of a kind. Each may be run twice: the second time it finds nothing to do."""
        owners = [self._key(kind, f"{shard}of{self._shards}:owner") for shard in range(self._shards)]
        keys = [
            *(self._key(kind, what) for what in ("items", "dead", "workers", "begun")),
            *self._streams(kind),
            *owners,
        ]

        async def work(client: Redis) -> Any:
            return await client.register_script(words)(keys=keys, args=[self._shards, GROUP, *told])

        return await self._run(work)

    async def _hold(self, kind: WorkKind) -> None:
        """Renews our shards when it is time, with those that are ours from now on."""
        work = self._kinds[kind]
        now = time.monotonic()
        if work.held is not None and now - work.held < self._lease / 3:
            return
        anew = work.held is None or now - work.held >= self._lease  # they may have been somebody else's meanwhile
        work.held = now  # first: what is broken off meanwhile beside us counts from now on
        with work.or_anew():
            await self._renew_shares(kind, anew=anew)
        if work.renewing is None:
            work.renewing = asyncio.create_task(self._renew(kind))

    async def _renew_shares(self, kind: WorkKind, *, anew: bool) -> None:
        work = self._kinds[kind]
        busy = [shard for shard, share in work.shares.items() if share.out]
        ours = {int(one) for one in await self._script(HOLD, kind, [self._me, int(self._lease * 1000), *busy])}
        if anew:
            work.shares.clear()
        for shard in [one for one in work.shares if one not in ours]:
            del work.shares[shard]
        for shard in sorted(ours - work.shares.keys()):
            work.shares[shard] = await self._adopt(kind, shard)

    async def _renew(self, kind: WorkKind) -> None:
        """While a batch is worked on, nobody takes or waits."""
        while True:
            await asyncio.sleep(self._lease / 3)
            with suppress(Unavailable):
                async with self._kinds[kind].turn:
                    await self._hold(kind)

    async def _adopt(self, kind: WorkKind, shard: int) -> _Share:
        """A shard with what its last worker left. What was taken too often without an answer is a dead letter."""
        share = _Share()
        for priority in Priority:
            stream = self._stream(kind, shard, priority)

            async def begin(client: Redis, stream: str = stream) -> str:
                with suppress(driver.ResponseError):  # the group is there
                    await client.xgroup_create(stream, GROUP, id="0", mkstream=True)
                [group] = await client.xinfo_groups(stream)
                return _text(group["last-delivered-id"])

            share.reached[priority] = await self._run(begin)
            start, left = "0-0", True
            while left:
                start, items, counts = await self._run(self._adopting(kind, priority, stream, start))
                for one, begun in zip(items, counts, strict=True):
                    if begun >= _CRASHES:
                        await self._bury(one)
                        continue
                    share.ready[priority].append(one)
                    if begun >= _DOUBTED:
                        share.doubted.add(str(one.receipt))
                left = start != "0-0"
        return share

    def _adopting(
        self, kind: WorkKind, priority: Priority, stream: str, start: str
    ) -> Callable[[Redis], Awaitable[_Left]]:
        """A page of what a stream's last worker left."""

        async def work(client: Redis) -> _Left:
            found = await client.xautoclaim(stream, GROUP, self._me, 0, start_id=start, count=_PAGE)
            items = [_taken(kind, priority, *one) for one in found[1] if one[0] is not None]
            serials = [str(one.item.serial) for one in items]
            counts = await cast("Any", client.hmget(self._key(kind, "begun"), serials)) if items else []
            return _text(found[0]), items, [int(one or 0) for one in counts]

        return work

    async def _bury(self, taken: Taken) -> None:
        item, tries = taken.item, taken.tries
        letter = _letter(item, tries, f"taken {_CRASHES} times and never finished")
        stream = self._number(item.room, item.priority)
        words = [stream, taken.receipt, item.serial, item.revision, item.room, tries, letter]
        await self._script(FAILED, item.kind, words)

    async def _read(self, kind: WorkKind, priority: Priority, most: int) -> None:
        """New entries of our shards; they are pending with us from now on, also when the answer is lost."""
        work = self._kinds[kind]
        streams = {self._stream(kind, shard, priority): share for shard, share in work.shares.items()}

        async def read(client: Redis) -> Any:
            try:
                return await client.xreadgroup(GROUP, self._me, dict.fromkeys(streams, ">"), count=most)
            except driver.ResponseError as exc:
                if not str(exc).startswith("NOGROUP"):
                    raise
                return None

        found = await self._run(read, repeat=False)
        if found is None:
            log.warning("queue.wiped")
            work.held, work.shares = None, {}
            return
        for stream, entries in found:
            share = streams[_text(stream)]
            for key, values in entries:
                share.ready[priority].append(_taken(kind, priority, key, values))
                share.reached[priority] = _text(key)

    async def _block(self, kind: WorkKind, seconds: float) -> bool:
        """Until one of our streams has more than we have read, or something is given back."""
        work = self._kinds[kind]
        ids = {
            self._stream(kind, shard, priority): share.reached[priority]
            for shard, share in work.shares.items()
            for priority in Priority
        }
        work.back.clear()
        back = asyncio.create_task(work.back.wait())

        async def read(client: Redis) -> Any:
            return await client.xread(cast("Any", ids), count=1, block=max(1, int(seconds * 1000)))

        blocked: asyncio.Task[Any] = asyncio.create_task(
            self._run(read, more=seconds) if ids else asyncio.sleep(seconds)
        )
        try:
            await asyncio.wait({back, blocked}, return_when=asyncio.FIRST_COMPLETED)
            return bool(blocked.result()) if blocked.done() else True
        finally:
            back.cancel()
            blocked.cancel()
            await asyncio.gather(back, blocked, return_exceptions=True)

    def _settle(self, taken: Taken) -> None:
        share = self._kinds[taken.item.kind].shares.get(taken.item.room % self._shards)
        if share is not None:
            share.out.discard(str(taken.receipt))
            share.doubted.discard(str(taken.receipt))


def _fill(found: list[Taken], work: _Work, priority: Priority, most: int) -> bool:
    """Takes what was read, until there are ``most``; whether nothing more may be taken with it."""
    for share in work.shares.values():
        ready = share.ready[priority]
        while ready and len(found) < most:
            in_doubt = str(ready[0].receipt) in share.doubted
            if in_doubt and found:
                break  # the next time
            one = ready.popleft()
            share.out.add(str(one.receipt))
            found.append(one)
            if in_doubt:
                return True
    return len(found) == most


def _taken(kind: WorkKind, priority: Priority, key: Any, values: dict[Any, Any]) -> Taken:
    told = {_text(name): int(value) for name, value in values.items()}
    return Taken(WorkItem(kind, told["r"], told["s"], told["v"], priority), told["t"], _text(key))


def _letter(item: WorkItem, tries: int, reason: str) -> str:
    return json.dumps([item.room, item.revision, int(item.priority), tries, reason])


def _read_letter(kind: WorkKind, serial: int, words: Any) -> DeadLetter:
    room, revision, priority, tries, reason = json.loads(words)
    return DeadLetter(WorkItem(kind, room, serial, revision, Priority(priority)), tries, reason)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
