"""How many requests we make, and how many Discord refused: 10,000 in ten minutes would ban our address.

So we stop long before, and stay below the 50 requests a second that Discord takes from a bot; the library waits for
routes, but runs into that limit. Answers to commands are not counted in it.

https://docs.discord.com/developers/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import structlog

INVALID: Final = frozenset({401, 403, 429})
WINDOW: Final = 600.0  # seconds
MOST: Final = 1_000
"""Refused requests in the window after which we send nothing more until it has moved on; Discord bans at 10,000."""
PER_SECOND: Final = 45
_UNCOUNTED: Final = ("/interactions/", "/webhooks/")

log = structlog.get_logger(__name__)


class Budget:
    """Counts refused requests as they happen. ``clock`` gives seconds that only grow."""

    def __init__(self, *, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._refused: deque[float] = deque()
        self._turns: deque[float] = deque(maxlen=PER_SECOND)
        self._quiet_until = 0.0

    @property
    def refused(self) -> int:
        """Refused requests in the last ten minutes."""
        before = self._clock() - WINDOW
        while self._refused and self._refused[0] < before:
            self._refused.popleft()
        return len(self._refused)

    @property
    def wait(self) -> float:
        """Seconds until requests are allowed again; 0 when they are."""
        now = self._clock()
        quiet = max(0.0, self._quiet_until - now)
        if self.refused < self._most:
            return quiet
        return max(quiet, self._refused[0] + WINDOW - now)

    def rest(self, seconds: float) -> None:
        """Nothing for so long: somebody in front of Discord has told us to go away."""
        self._quiet_until = max(self._quiet_until, self._clock() + seconds)
        log.warning("discord.resting", seconds=seconds)

    def turn(self) -> float:
        """Takes the next turn to make a request; gives how many seconds it is ahead."""
        now = self._clock()
        at = max(now, self._turns[0] + 1.0) if len(self._turns) == PER_SECOND else now
        self._turns.append(at)
        return at - now

    def note(self, status: int) -> None:
        """An answer came."""
        if status in INVALID:
            self._refused.append(self._clock())
            if self.refused == self._most:
                log.error("discord.too_many_refusals", refused=self._most, window_s=WINDOW)

    def trace(self) -> aiohttp.TraceConfig:
        """What makes the library's requests wait for their turn, and count."""
        trace = aiohttp.TraceConfig()

        async def begins(_session: Any, _context: Any, params: aiohttp.TraceRequestStartParams) -> None:
            if not any(part in params.url.path for part in _UNCOUNTED) and (ahead := self.turn()) > 0:
                await asyncio.sleep(ahead)

        async def ended(_session: Any, _context: Any, params: aiohttp.TraceRequestEndParams) -> None:
            self.note(params.response.status)

        trace.on_request_start.append(begins)
        trace.on_request_end.append(ended)
        return trace
