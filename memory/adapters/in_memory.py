"""The cache in this process: for whoever has no server, and where one is away."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from memory.models import Slot
from memory.ports import Clock

BYTES: Final = 16 << 20
"""Of values, at most."""

MOST: Final = 100_000
"""Claims, and counters, at most."""

V = TypeVar("V")


@dataclass(slots=True)
class _Until(Generic[V]):
    value: V
    end: datetime


class ProcessCache:
    """See `memory.ports.Cache`; what was not used for longest goes first."""

    def __init__(self, clock: Clock, limit: int = BYTES) -> None:
        """``limit`` is in bytes of values."""
        self._clock = clock
        self._limit = limit
        self._bytes = 0
        self._values: OrderedDict[tuple[str, str], _Until[bytes]] = OrderedDict()
        self._tags: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self._tags_of: dict[tuple[str, str], tuple[str, ...]] = {}
        self._fences: dict[tuple[str, str], str] = {}
        self._claims: OrderedDict[tuple[str, str], _Until[str]] = OrderedDict()
        self._counts: OrderedDict[tuple[str, str], _Until[int]] = OrderedDict()

    async def get(self, slot: Slot) -> tuple[bytes | None, tuple[str, ...]]:
        """See the port."""
        place = (slot.namespace, slot.key)
        held = self._values.get(place)
        if held is not None and held.end <= self._clock.now():
            self._remove(place)
            held = None
        if held is not None:
            self._values.move_to_end(place)
        return None if held is None else held.value, self._standing(slot)

    async def put(self, slot: Slot, value: bytes, ttl: timedelta, seen: Sequence[str]) -> bool:
        """See the port."""
        if tuple(seen) != self._standing(slot):
            return False
        place = (slot.namespace, slot.key)
        self._remove(place)
        self._values[place] = _Until(value, self._clock.now() + ttl)
        self._tags_of[place] = slot.tags
        for tag in slot.tags:
            self._tags.setdefault((slot.namespace, tag), set()).add(place)
        self._bytes += len(value)
        while self._bytes > self._limit:
            self._remove(next(iter(self._values)))
        return True

    async def drop(self, namespace: str, tags: Sequence[str]) -> None:
        """See the port."""
        for tag in tags:
            self._fences[namespace, tag] = secrets.token_hex(8)
            for place in list(self._tags.get((namespace, tag), ())):
                self._remove(place)

    async def claim(self, slot: Slot, ttl: timedelta) -> str | None:
        """See the port."""
        place, now = (slot.namespace, slot.key), self._clock.now()
        held = self._claims.get(place)
        if held is not None and held.end > now:
            return None
        token = secrets.token_hex(8)
        self._claims[place] = _Until(token, now + ttl)
        _shorten(self._claims)
        return token

    async def release(self, slot: Slot, token: str) -> None:
        """See the port."""
        place = (slot.namespace, slot.key)
        held = self._claims.get(place)
        if held is not None and held.value == token:
            del self._claims[place]

    async def count(self, slot: Slot, window: timedelta) -> int:
        """See the port."""
        place, now = (slot.namespace, slot.key), self._clock.now()
        held = self._counts.get(place)
        if held is None or held.end <= now:
            held = self._counts[place] = _Until(0, now + window)
            self._counts.move_to_end(place)
        held.value += 1
        _shorten(self._counts)
        return held.value

    def _standing(self, slot: Slot) -> tuple[str, ...]:
        return tuple(self._fences.get((slot.namespace, tag), "") for tag in slot.tags)

    def _remove(self, place: tuple[str, str]) -> None:
        held = self._values.pop(place, None)
        if held is None:
            return
        self._bytes -= len(held.value)
        for tag in self._tags_of.pop(place):
            tagged = self._tags[place[0], tag]
            tagged.discard(place)
            if not tagged:
                del self._tags[place[0], tag]


def _shorten(held: OrderedDict[tuple[str, str], _Until[V]]) -> None:
    while len(held) > MOST:
        held.popitem(last=False)
