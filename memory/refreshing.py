"""Rooms of a store on a server are brought up to date in tasks of their own: they go on when whoever waits gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

Refresh: TypeAlias = Callable[[int], Coroutine[Any, Any, None]]


class Refreshing:
    """One task a room at most."""

    def __init__(self, refresh: Refresh) -> None:
        """``refresh`` brings a room to where it is when it begins."""
        self._refresh = refresh
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def done(self, room: int) -> None:
        """The room is where it was when this was called; one that is under way may have begun too early for us."""
        under_way = self._tasks.get(room)
        if under_way is not None and not under_way.done():
            await asyncio.shield(under_way)
        if (task := self._tasks.get(room)) is None or task.done():
            task = self._tasks[room] = asyncio.create_task(self._refresh(room))
            task.add_done_callback(_seen)
        await asyncio.shield(task)

    def under_way(self, room: int) -> bool:
        """Whether it is being brought up to date just now."""
        task = self._tasks.get(room)
        return task is not None and not task.done()

    async def close(self) -> None:
        """Ends what is still under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _seen(task: asyncio.Task[None]) -> None:
    """Its end was seen, also when nobody waited for it."""
    if not task.cancelled():
        task.exception()
