"""The worker beside everything else: messages are embedded and indexed, then memories are derived from them.

Which parts a process of ``weavebot run`` has is said with ``--only``; without it, all of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from bot.app import App
from bot.beside import beside
from memory.errors import BadInput
from memory.indexing import LOOK, Indexer
from memory.supply import QueueSupply

ADAPTERS: Final = "adapters"
JOBS: Final = "jobs"
WORKER: Final = "worker"
PARTS: Final = (ADAPTERS, JOBS, WORKER)
SOON: Final = 2.0
"""Seconds between two looks of a process that works alone: what others leave for it, nobody nudges it about."""


def parts_of(words: str | None) -> tuple[str, ...]:
    """The parts that a comma list names; all of them without one. Raises BadInput for one that there is not."""
    if words is None:
        return PARTS
    chosen = [word.strip().lower() for word in words.split(",") if word.strip()]
    unknown = [word for word in chosen if word not in PARTS]
    if unknown or not chosen:
        raise BadInput(f"--only takes a comma list of {', '.join(PARTS)}; {words!r} is none.")
    return tuple(part for part in PARTS if part in chosen)


async def publishing(queue: QueueSupply, indexer: Indexer) -> None:
    """In a process without the worker: tells the queue of what is committed here, so that a worker hears of it at once.

    It may be cancelled at any time.
    """
    while True:
        told = await queue.publish()
        await indexer.nudged(LOOK if told else SOON)


@contextlib.asynccontextmanager
async def working(app: App, look: float = LOOK) -> AsyncIterator[None]:
    """Works while the block runs. ``look``: seconds between two looks when nobody nudges."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(beside(app.indexer.run(look)))
        if app.settings.reflection != "off":
            await stack.enter_async_context(beside(app.reflector.run(look)))
        yield
