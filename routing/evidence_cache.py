"""Evidence that was found before: as objects in this process (L1), as numbers in a cache that processes share (L2).

A key holds the rooms' versions, so that whatever is written in a room leaves what was found there before unused. It is
a keyed hash, and what is kept are `evidence.Findings`: whoever reads the cache sees no word of a question or a message.
Nobody looks for what somebody else is looking for: in this process the others wait for the one who does, and across
processes for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import structlog
from cachetools import LRUCache

from memory.errors import Unavailable
from memory.models import Query, Slot
from memory.ports import Cache
from memory.pseudonyms import Pseudonyms
from routing import evidence_codec
from routing.evidence import Evidence, Findings

log = structlog.get_logger(__name__)

HELD: Final = 512
"""Questions in this process."""

KEPT: Final = timedelta(hours=1)
"""How long L2 keeps findings: also the longest that a server which was away keeps what was erased meanwhile."""

CLAIM: Final = timedelta(seconds=2)
WAIT: Final = 0.3
"""Seconds that a process waits for another one's findings before it looks itself. A look takes 0.05."""

_POLL: Final = 0.02
_NAMESPACE: Final = "evidence"
_ALL: Final = "all"
_EVERY: Final = 2.0
_LAST: Final = 1.0  # seconds for what is still being written at the end

Key: TypeAlias = tuple[object, ...]
Look: TypeAlias = Callable[[], Awaitable[tuple[Findings, Evidence]]]
Tell: TypeAlias = Callable[[Findings], Awaitable[Evidence | None]]
V = TypeVar("V")


class Held(Generic[V]):
    """What was used last, by key. What was begun before it was emptied is not put into it afterwards."""

    def __init__(self, most: int = HELD) -> None:
        self._values: LRUCache[Key, V] = LRUCache(most)
        self.epoch = 0

    def get(self, key: Key) -> V | None:
        """What is there."""
        return self._values.get(key)

    def put(self, key: Key, value: V, epoch: int) -> None:
        """Holds a value, unless all was dropped since ``epoch``."""
        if epoch == self.epoch:
            self._values[key] = value

    def clear(self) -> None:
        """Drops everything."""
        self._values.clear()
        self.epoch += 1


@dataclass(frozen=True, slots=True)
class Shared:
    """The cache that processes share. ``setting`` is everything of the set-up that decides what is found."""

    cache: Cache
    names: Pseudonyms
    setting: str


@dataclass(slots=True)
class Counts:
    """How often evidence was at hand: in this process (``own``), in the shared cache, or not at all, since the start.

    ``own`` counts those who waited for somebody with the same question, too.
    """

    own: int = 0
    shared: int = 0
    missed: int = 0

    @property
    def asked(self) -> int:
        """All of them."""
        return self.own + self.shared + self.missed

    @property
    def rate(self) -> float:
        """The share that was at hand, in [0, 1]; 0 while nobody has asked."""
        return (self.own + self.shared) / self.asked if self.asked else 0.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Evidence that somebody wants: ``key`` says of what, ``down`` which sources are not asked for it now.

    Wanted ``ahead`` of anybody's question it is not counted.
    """

    query: Query
    key: Key
    down: tuple[str, ...] = ()
    ahead: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """What it is made of: every room that it searches, and with each of them everything."""
        return (_ALL, *(_tag(room) for room in sorted(self.query.scope.rooms)))


class EvidenceCache:
    """L1 before L2, when there is one, before looking."""

    def __init__(self, shared: Shared | None = None) -> None:
        self._shared = shared
        self._held: Held[Evidence] = Held()
        self._flights: dict[Key, asyncio.Future[Evidence]] = {}
        self._owed: set[str] = set()
        self._writing: set[asyncio.Task[None]] = set()
        self.counts = Counts()

    async def of(self, wanted: Wanted, look: Look, tell: Tell) -> Evidence:
        """The evidence: at hand, being looked for, told from shared findings, or looked for now.

        ``look`` gives it from the rooms; ``tell`` from findings, None when they do not hold any more. Raises what
        ``look`` raises, for everybody who waits for it; when whoever looks is cancelled, the next one does.
        """
        place = (wanted.key, wanted.down)
        while True:
            if (held := self._held.get(wanted.key)) is not None:
                self._count("own", wanted)
                return held
            flight = self._flights.get(place)
            if flight is None:
                return await self._lead(place, wanted, look, tell)
            await asyncio.wait([flight])
            if not flight.cancelled():
                self._count("own", wanted)
                return flight.result()

    async def drop(self, room: int) -> None:
        """Nothing that was found in a room is left, nor kept by whoever looks for it now.

        A shared cache that is away is told when it is back (`keep_up`); until then nothing of it is used.
        """
        await self._dropped(_tag(room))

    async def drop_all(self) -> None:
        """Likewise for every room."""
        await self._dropped(_ALL)

    async def settle(self) -> bool:
        """Tells the shared cache what it has missed; whether it knows everything now."""
        if self._shared is not None and self._owed:
            tags = sorted(self._owed)
            try:
                await self._shared.cache.drop(_NAMESPACE, tags)
            except Unavailable:
                return False
            self._owed.difference_update(tags)
        return True

    async def keep_up(self, every: float = _EVERY) -> None:
        """Works until cancelled: what the shared cache missed while it was away is made up when it is back."""
        while True:
            await asyncio.sleep(every)
            await self.settle()

    async def written(self, patience: float | None = None) -> None:
        """What was found so far is in the shared cache when this returns, or not taken; ``patience`` is in seconds."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=patience)

    async def close(self, patience: float = _LAST) -> None:
        """What is still being written may take ``patience`` seconds."""
        await self.written(patience)
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _count(self, where: Literal["own", "shared", "missed"], wanted: Wanted) -> None:
        if not wanted.ahead:
            setattr(self.counts, where, getattr(self.counts, where) + 1)

    async def _dropped(self, tag: str) -> None:
        self._held.clear()
        self._flights.clear()  # they reach who waits already; `AnswerBook.keep` looks whether their messages stand
        if self._shared is not None:
            self._owed.add(tag)
            if not await self.settle():
                log.warning("cache.owes_deletions", tags=len(self._owed))

    async def _lead(self, place: Key, wanted: Wanted, look: Look, tell: Tell) -> Evidence:
        flight: asyncio.Future[Evidence] = asyncio.get_running_loop().create_future()
        self._flights[place] = flight
        epoch = self._held.epoch
        try:
            evidence = await self._found(wanted, look, tell)
        except Exception as exc:
            flight.set_exception(exc)
            flight.exception()  # seen: perhaps nobody waits
            raise
        except BaseException:
            flight.cancel()
            raise
        else:
            flight.set_result(evidence)
            if evidence.findings.whole:
                self._held.put(wanted.key, evidence, epoch)
            return evidence
        finally:
            if self._flights.get(place) is flight:
                del self._flights[place]

    async def _found(self, wanted: Wanted, look: Look, tell: Tell) -> Evidence:
        if self._shared is None or not await self.settle():
            self._count("missed", wanted)
            return (await look())[1]
        cached = _Cached(self._shared, wanted, tell)
        evidence = await cached.get()
        if evidence is None and not await cached.claimed():
            evidence = await cached.awaited()
        if evidence is not None:
            self._count("shared", wanted)
            return evidence
        self._count("missed", wanted)
        findings: Findings | None = None
        try:
            findings, evidence = await look()
        finally:
            task = asyncio.create_task(cached.ended(findings))  # beside: nobody waits for a slow server to take it
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        return evidence


class _Cached:
    """One question's place in the shared cache. A cache that does not answer has nothing and takes nothing."""

    def __init__(self, shared: Shared, wanted: Wanted, tell: Tell) -> None:
        self._cache = shared.cache
        self._seal = shared.names.seal
        self._query = wanted.query
        self._tell = tell
        said = repr((shared.setting, evidence_codec.VERSION, wanted.query.scope.tenant, wanted.key))
        key = shared.names.seal(said.encode("utf-8", "surrogatepass")).hex()
        self._slot = Slot(_NAMESPACE, key, wanted.tags)
        self._seen: Sequence[str] | None = None
        self._token: str | None = None

    async def get(self) -> Evidence | None:
        """The evidence told from what is there."""
        try:
            value, seen = await self._cache.get(self._slot)
        except Unavailable:
            return None
        self._seen = self._seen or seen  # of the first look: whatever was dropped since counts
        if value is None:
            return None
        rooms = self._query.scope.rooms
        findings = evidence_codec.unpack(value, self._query.text, self._slot.key, rooms, self._seal)
        evidence = None if findings is None else await self._tell(findings)
        if findings is None or evidence is None or self._seal(evidence.findings.imprint) != findings.imprint:
            return None  # or of messages that read otherwise now, as after an older copy of the database was restored
        return evidence

    async def claimed(self) -> bool:
        """Whether it is on us to look; also when nobody can tell."""
        if self._seen is None:
            return True
        try:
            self._token = await self._cache.claim(self._slot, CLAIM)
        except Unavailable:
            return True
        return self._token is not None

    async def awaited(self) -> Evidence | None:
        """What another process finds within `WAIT`."""
        end = asyncio.get_running_loop().time() + WAIT
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_POLL)
            if (evidence := await self.get()) is not None:
                return evidence
        return None

    async def ended(self, findings: Findings | None) -> None:
        """After the look: keeps what it gave, when it gave all, and lets others look."""
        try:
            if findings is not None and findings.whole:
                await self.put(findings)
        finally:
            await self.released()

    async def put(self, findings: Findings) -> None:
        """Keeps findings, unless something of them was dropped since the first look."""
        packed = evidence_codec.pack(findings, self._query.text, self._slot.key, self._seal)
        if packed is None or self._seen is None:
            return
        try:
            await self._cache.put(self._slot, packed, KEPT, self._seen)
        except Unavailable:
            return

    async def released(self) -> None:
        """Gives the right to look back."""
        if self._token is None:
            return
        try:
            await self._cache.release(self._slot, self._token)
        except Unavailable:
            return  # it ends by itself


def _tag(room: int) -> str:
    return f"room-{room}"
