"""Waiting for something that another task brings about, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0  # seconds


async def eventually(look: Callable[[], Awaitable[T]], fits: Callable[[T], object], patience: float = PATIENCE) -> T:
    """What ``look`` gives as soon as it fits. Raises AssertionError that says what it gave instead."""
    end = asyncio.get_running_loop().time() + patience
    while not fits(found := await look()):
        assert asyncio.get_running_loop().time() < end, f"after {patience:g} s it is still {found!r}"
        await asyncio.sleep(0.02)
    return found
