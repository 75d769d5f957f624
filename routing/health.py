"""Which sources are down. One that did not answer is left alone for a while, so that nobody waits for it again.

While a source rests, routes that need it are outside the safe set; the decision keeps which were. After the rest it is
tried by whoever comes first. A store behind a breaker (a graph, a cache, a queue on a server) may rest while every
source still answers, more slowly or from what is at hand: how many do is a feature of the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from memory.breaker import Breaker
from memory.ports import Clock
from routing.routes import MENU

REST: Final = timedelta(seconds=15)


class Health:
    """What was seen of the sources, and of the stores behind ``breakers``, lately, in this process."""

    def __init__(self, clock: Clock, breakers: Sequence[Breaker] = ()) -> None:
        self._clock = clock
        self._breakers = breakers
        self._failed: dict[str, datetime] = {}

    @property
    def down(self) -> tuple[str, ...]:
        """The sources that did not answer within the last `REST`, by name; never one of the future."""
        now = self._clock.now()
        return tuple(sorted(name for name, at in self._failed.items() if timedelta(0) <= now - at < REST))

    @property
    def away(self) -> tuple[str, ...]:
        """The sources that are down and the stores that rest, by name; a store of several breakers once."""
        return (*self.down, *sorted({one.name for one in self._breakers if one.resting}))

    def saw(self, *, missing: Iterable[str] = (), there: Iterable[str] = ()) -> None:
        """Some did not answer just now, some did."""
        for name in there:
            self._failed.pop(name, None)
        now = self._clock.now()
        for name in missing:
            self._failed[name] = now


def routes_without(down: Iterable[str]) -> frozenset[str]:
    """The routes that need none of these sources; all of them when there are none, for then one has to be tried."""
    away = set(down)
    up = frozenset(route.name for route in MENU if not away.intersection(route.sources))
    return up or frozenset(route.name for route in MENU)
