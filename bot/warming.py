"""What is done at the start, so that the first questions do not wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from bot.app import App
from memory.models import Room

log = structlog.get_logger(__name__)

QUESTIONS: Final = 5
"""Of each room, at most: those asked most."""

SECONDS: Final = 30.0
"""For the questions of all rooms together: then whoever asks comes first."""


async def warm_up(app: App, rooms: Sequence[Room], *, seconds: float = SECONDS) -> int:
    """Loads the model and the liveliest rooms, and looks for what is asked most there; gives the questions done.

    Nothing is decided, answered or kept. Raises Unavailable when the model or every source is down.
    """
    await app.embedder.embed(["hello"])
    by_id = {room.id: room for room in rooms}
    liveliest = await app.engine.warm(list(by_id))
    done = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            for key in liveliest:
                done += await _ahead(app, by_id[key])
    log.info("warm_up.done", rooms=len(liveliest), questions=done)
    return done


async def _ahead(app: App, room: Room) -> int:
    zone = (await app.preferences.of(room)).zone
    questions = app.shuttle.warm(
        room.id,
        room.tenant,
        asked_at=app.clock.now().astimezone(zone),
        limit=app.settings.limit,
        tokens=app.settings.tokens,
        most=QUESTIONS,
    )
    done = 0
    async with contextlib.aclosing(questions) as each:
        async for _ in each:
            done += 1
            await asyncio.sleep(0)  # whoever asks now goes first
    return done
