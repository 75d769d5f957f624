"""Keeps a lasting graph up to date while nobody asks, and brings it back to where the rooms are when it was away."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from memory.errors import Unavailable
from memory.projections import Rooms

log = structlog.get_logger()

EVERY: Final = 2.0
"""Seconds between two looks. One costs a small query; a store that is down is tried as often as its breaker lets it."""


async def keep_up(rooms: Rooms, every: float = EVERY) -> None:
    """Works until cancelled. What a store missed while it was away is made up when it is back."""
    away = False
    while True:
        try:
            if await rooms.catch_up() and away:
                log.info("graph.caught_up")
            away = False
        except Unavailable as error:
            if not away:
                log.warning("graph.away", reason=str(error))
            away = True
        await asyncio.sleep(every)
