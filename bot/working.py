"""The worker beside everything else: messages are embedded and indexed, then memories are derived from them.

Which parts a process of ``weavebot run`` has is said with ``--only``; without it, all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Final

import structlog

from bot.app import App
from bot.beside import beside
from bot.shapes import plain_numbers
from memory.errors import BadInput, Unavailable
from memory.models import WorkKind
from memory.rounds import LOOK, Rounds

log = structlog.get_logger(__name__)

ADAPTERS: Final = "adapters"
JOBS: Final = "jobs"
WORKER: Final = "worker"
PARTS: Final = (ADAPTERS, JOBS, WORKER)
SOON: Final = 2.0
"""Seconds between two looks of a process that works alone: what others leave for it, nobody nudges it about."""

EVERY: Final = 60.0
"""Seconds between two lines of the log about the queues."""


def parts_of(words: str | None) -> tuple[str, ...]:
    """The parts that a comma list names; all of them without one. Raises BadInput for one that there is not."""
    if words is None:
        return PARTS
    chosen = [word.strip().lower() for word in words.split(",") if word.strip()]
    unknown = [word for word in chosen if word not in PARTS]
    if unknown or not chosen:
        raise BadInput(f"--only takes a comma list of {', '.join(PARTS)}; {words!r} is none.")
    return tuple(part for part in PARTS if part in chosen)


async def publishing(app: App) -> None:
    """In a process without the worker: tells the queues of what is committed here, so that a worker hears of it.

    It may be cancelled at any time.
    """
    told = False

    async def publish() -> None:
        nonlocal told
        told = False
        told = all([await queue.publish() for kind, queue in app.queues.items() if _is_wanted(app, kind)])

    await Rounds("publish").make(publish, lambda: app.indexer.nudged(LOOK if told else SOON))


def _is_wanted(app: App, kind: WorkKind) -> bool:
    return kind is not WorkKind.REFLECT or app.settings.reflection != "off"


async def telling(app: App, every: float = EVERY) -> None:
    """Logs now and then how the queues do, while something is there or happens. It may be cancelled at any time."""

    async def tell() -> None:
        for kind, queue in app.queues.items():
            if not _is_wanted(app, kind):
                continue
            with contextlib.suppress(Unavailable):  # the database's; everybody says so
                report = await queue.report()
                if report.is_busy:
                    log.info("queue.state", kind=kind.value, **plain_numbers(asdict(report)))

    await Rounds("tell").make(tell, lambda: asyncio.sleep(every))


@contextlib.asynccontextmanager
async def working(app: App, look: float = LOOK) -> AsyncIterator[None]:
    """Works while the block runs. ``look``: seconds between two looks when nobody nudges."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(beside(app.indexer.run(look)))
        if app.settings.reflection != "off":
            await stack.enter_async_context(beside(app.reflector.run(look)))
        yield
