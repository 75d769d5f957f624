"""Waiting for something to happen in the world, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tests.standins.discord.state import World

T = TypeVar("T")

PATIENCE = 10.0  # seconds


async def until(world: World, look: Callable[[], T | None], what: Callable[[], str], patience: float) -> T:
    """What ``look`` gives as soon as it gives something. Raises AssertionError that says what was there instead."""
    fresh = asyncio.Event()
    world.on_change.append(fresh.set)
    end = asyncio.get_running_loop().time() + patience
    try:
        while (found := look()) is None:
            fresh.clear()
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                raise AssertionError(f"waited {patience:g} s in vain; {what()}")
            try:
                await asyncio.wait_for(fresh.wait(), min(left, 0.5))  # looks again now and then: clocks move too
            except TimeoutError:
                continue
        return found
    finally:
        world.on_change.remove(fresh.set)
