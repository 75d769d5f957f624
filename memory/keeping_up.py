"""Keeps a store on a server up to date while nobody asks, and brings it to where the rooms are when it was away."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from memory.errors import Unavailable

log = structlog.get_logger()

EVERY: Final = 2.0
"""Seconds between two looks. One costs a small query; a store that is down is tried as often as its breaker lets it."""


class Behind(Protocol):
    """What may be behind the rooms."""

    async def catch_up(self) -> int:
        """Brings it to where the rooms are now; gives how many were behind. Raises Unavailable."""


async def keep_up(store: Behind, every: float = EVERY, *, name: str = "graph") -> None:
    """Works until cancelled. What a store missed while it was away is made up when it is back.

    ``name`` is what it is called in the log.
    """
    away = False
    while True:
        try:
            if await store.catch_up() and away:
                log.info("store.caught_up", store=name)
            away = False
        except Unavailable as error:
            if not away:
                log.warning("store.away", store=name, reason=str(error))
            away = True
        await asyncio.sleep(every)
