"""A circuit breaker: after a failure a store is left alone for a while, so that nobody waits for it again and again.

Closed, everything goes through. After a failure it is open: calls are refused at once for a rest. Then one call may
try; it closes the breaker, or the rest begins anew.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from memory.errors import Unavailable
from memory.ports import Clock

REST: Final = timedelta(seconds=10)
"""Less than sources rest (`routing.health`), so that whoever tries one again after its rest is not refused here."""

_JITTER: Final = 0.2  # of the rest, more or less: processes that saw the same failure do not come back together


class Breaker:
    """Of one store, in this process."""

    def __init__(self, name: str, clock: Clock, rest: timedelta = REST) -> None:
        """``name`` is what the store is called in sentences."""
        self._name = name
        self._clock = clock
        self._rest = rest
        self._until: datetime | None = None

    @property
    def name(self) -> str:
        """What the store is called."""
        return self._name

    @property
    def resting(self) -> bool:
        """Whether the store is left alone now: never for longer than a rest, also when the clock has gone back."""
        if self._until is None:
            return False
        left = self._until - self._clock.now()
        return timedelta(0) < left <= self._rest * (1.0 + _JITTER)

    def check(self) -> None:
        """Raises Unavailable while the store rests."""
        if self.resting:
            raise Unavailable(f"{self._name} did not answer just now and rests for some seconds: try again soon")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around one call: Unavailable raised within opens the breaker. Raises it itself while the store rests."""
        self.check()
        if self._until is not None:
            self._trip()  # the others wait until this one knows
        try:
            yield
        except Unavailable:
            self._trip()
            raise
        self._until = None

    def _trip(self) -> None:
        spread = 1.0 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - nothing to guess
        self._until = self._clock.now() + self._rest * spread
