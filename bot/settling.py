"""Waiting until everything that was admitted is embedded and indexed, and telling how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bot.app import App
from bot.events import Event, closing, note, progress
from bot.patience import patiently
from memory import records

SOON = 2000  # messages; a minute of embedding on two busy cores
EVERY = 0.3  # seconds between two looks


async def settling(app: App, stage: str = "indexing") -> AsyncIterator[Event]:
    """Ends when nothing waits any more. Raises what the indexer raises; leaving early cancels our wait.

    Counted from the outbox, because a worker of the same process may be doing part of it already.
    """
    total = await _waiting(app)
    work = asyncio.ensure_future(patiently(app.engine.settle)())
    try:
        while total and not work.done():
            left = await _waiting(app)
            total = max(total, left)
            yield progress(stage, total - left, total)
            await asyncio.wait({work}, timeout=EVERY)
        await work
        if total:
            yield progress(stage, total, total)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def catching_up(app: App) -> AsyncIterator[Event]:
    """Before a question: indexes what an interrupted import left, when it is soon done; else says what would do it."""
    left = await _waiting(app)
    if left > SOON:
        yield note(f"{left:,} messages wait to be indexed and are found by their words alone; weavebot reindex does it")
    elif left:
        async with closing(settling(app)) as events:
            async for event in events:
                yield event


@patiently
async def _waiting(app: App) -> int:
    async with app.database.read() as conn:
        return await records.waiting(conn)
