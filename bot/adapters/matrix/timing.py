"""How long we wait for what, in seconds; and the growing pauses after failures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of an account; tests shorten them."""

    poll: float = 30.0  # the homeserver holds a sync request that long when nothing happens
    first_sync: float = 180.0  # the whole state of all rooms comes with it
    first_pause: float = 1.0
    longest_pause: float = 60.0
    limited: float = 30.0  # a rate limit that is over by then is waited out; a longer one goes back to the outbox
    ready: float = 30.0  # a reply waits that long for the first sync, and for a room that was just made
    look: float = 10.0  # a look at the homeserver for a page on our health; somebody waits for that page
    between_reads: float = 0.02  # pause between two answers whose reactions are read again


class Backoff:
    """Pauses that double up to a longest one, with full jitter, so that many clients do not come back at once.

    Exponential backoff and jitter, AWS Architecture Blog, 2015: ``random(0, min(longest, first * 2 ** tries))``.
    """

    def __init__(self, timing: Timing, *, draw: Callable[[], float] = random.random) -> None:
        self._timing = timing
        self._draw = draw
        self.tries = 0

    def pause(self) -> float:
        """Seconds to wait before the next try."""
        most = min(self._timing.longest_pause, self._timing.first_pause * 2.0 ** min(self.tries, 20))
        self.tries += 1
        return self._draw() * most

    def reset(self) -> None:
        """It went well."""
        self.tries = 0


class Pulse:
    """Beats after each sync; others wait for what a sync must bring."""

    def __init__(self) -> None:
        self._condition = asyncio.Condition()
        self.beats = 0

    async def beat(self) -> None:
        """A sync has been taken in."""
        self.beats += 1
        async with self._condition:
            self._condition.notify_all()

    async def until(self, true: Callable[[], bool], *, seconds: float) -> bool:
        """Waits until something is true after a sync; False when it is not by then."""
        try:
            async with asyncio.timeout(seconds), self._condition:
                await self._condition.wait_for(true)
        except TimeoutError:
            return False
        return True
