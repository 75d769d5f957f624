"""The operation ``reflect``: memories are derived from what waits, or from the whole history again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from bot import teams
from bot.app import App
from bot.events import Event, closing, progress, result
from bot.pages import count, page
from bot.patience import patiently
from bot.settling import EVERY, settling
from memory.reflection.queue import Depth


async def reflect(app: App, *, room: str | None = None, again: bool = False) -> AsyncIterator[Event]:
    """Everything that waits is indexed and read by the rules of today; what had failed is tried again.

    ``again``: also the whole history of the room, or of all rooms. What comes out the same is left as it is.
    """
    chosen = [await teams.find_room(app, room)] if room else await teams.rooms(app)
    async with closing(settling(app)) as events:
        async for event in events:
            yield event
    tried = await app.reflector.retry()
    if again:
        await app.reflector.afresh([one.id for one in chosen])
    async with closing(reflecting(app)) as events:
        async for event in events:
            yield event
    left = await app.reflector.depth()
    kinds = (await app.statistician.memories([one.id for one in chosen])).items()
    words = ", ".join(f"{number:,} {kind}" for kind, number in kinds) or "no memories yet"
    failed = f"; {count(left.failed, 'message')} failed" if left.failed else ""
    yield result({"memories": dict(kinds), "tried_again": tried, "failed": left.failed}, page(f"{words}{failed}"))


async def reflecting(app: App) -> AsyncIterator[Event]:
    """Ends when nothing waits to be reflected on; tells how far it is. Leaving early cancels our wait."""
    total = (await app.reflector.depth()).waiting
    work = asyncio.ensure_future(patiently(app.reflector.drain)())
    try:
        while not work.done():
            await asyncio.wait({work}, timeout=EVERY)
            left = (await app.reflector.depth()).waiting
            total = max(total, left)
            if total:
                yield progress("reflecting", total - left, total)
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def depth_object(depth: Depth) -> dict[str, Any]:
    """What waits, as JSON: ``oldest_seconds`` is None when nothing does."""
    told = asdict(depth)
    oldest = told.pop("oldest")
    return {**told, "oldest_seconds": None if oldest is None else round(oldest.total_seconds())}
