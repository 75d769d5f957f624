"""The rounds of a worker: it does what waits, rests until there may be more, and outlives what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from memory.errors import Unavailable
from memory.failures import named

log = structlog.get_logger()

LOOK: Final = 30.0
"""Seconds between two looks when nobody nudges: another process may have left something."""

_PAUSE: Final = 1.0  # seconds after a round that failed


class Rounds:
    """Of one worker; ``wake`` is set while there may be something to do."""

    def __init__(self, worker: str) -> None:
        """``worker`` names it in the log."""
        self._worker = worker
        self._running = 0
        self.wake = asyncio.Event()

    @property
    def are_made(self) -> bool:
        """Whether somebody in this process is at `make`."""
        return self._running > 0

    async def make(self, drain: Callable[[], Awaitable[Any]], wait: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled. ``drain`` does what there is; ``wait`` ends when there may be more."""
        self._running += 1
        try:
            while True:
                await self._make(drain)
                await wait()
        finally:
            self._running -= 1

    async def _make(self, drain: Callable[[], Awaitable[Any]]) -> None:
        self.wake.clear()
        try:
            await drain()
        except Unavailable as error:
            log.warning("worker.paused", worker=self._worker, reason=str(error))
            await asyncio.sleep(_PAUSE)
            self.wake.set()
        except Exception as error:  # noqa: BLE001 - told without its words; what waits is tried again
            log.error("worker.broken_off", worker=self._worker, error=named(error))  # noqa: TRY400 - likewise
            await asyncio.sleep(_PAUSE)
