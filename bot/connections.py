"""The chat accounts of a running bot: each is listened to, and what its rooms ask is answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import structlog

from bot.app import App
from bot.beside import beside
from bot.dispatch import Dispatch
from bot.models import ChatEvent
from bot.pages import Page
from bot.ports import ChatPort
from bot.replying import served_by
from memory.errors import Unavailable
from memory.models import Room

LONGEST_PAUSE = 30.0  # seconds between two tries to commit a batch

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Connection:
    """An account and what takes its events."""

    port: ChatPort
    dispatch: Dispatch


class Connections:
    """All accounts of a process. ``pause`` is the first wait before a batch that was not committed is tried again."""

    def __init__(self, app: App, ports: Sequence[ChatPort], *, pause: float = 1.0) -> None:
        self._app = app
        self._pause = pause
        self.all = [Connection(port, Dispatch(app, port)) for port in ports]

    @contextlib.asynccontextmanager
    async def open(self, tell: Callable[[str], None]) -> AsyncIterator[None]:
        """Listens and answers while the block runs. ``tell`` is given a sentence when an account must be mended."""
        async with contextlib.AsyncExitStack() as stack:
            for one in self.all:
                stack.push_async_callback(one.port.close)
                self._app.ports.append(one.port)
                await stack.enter_async_context(beside(one.dispatch.replies.run()))
                await stack.enter_async_context(beside(self._listen(one, tell)))
            yield

    async def rooms(self) -> list[Room]:
        """The rooms that something can be posted in."""
        return [room for one in self.all for room in await self._rooms_of(one)]

    async def post(self, room: Room, said: Page, occasion: str) -> None:
        """Says something in a room. Raises Unavailable when no account of ours is in it."""
        for one in self.all:
            if any(room.id == other.id for other in await self._rooms_of(one)):
                await one.dispatch.post(room, said, occasion)
                return
        raise Unavailable("No chat account is configured for that room; there is nobody to post it.")

    async def _rooms_of(self, one: Connection) -> list[Room]:
        served = served_by(self._app, one.port)
        return [
            room
            for team in await self._app.directory.tenants()
            if served.covers(team)
            for room in await self._app.directory.rooms(team.id)
        ]

    async def _listen(self, one: Connection, tell: Callable[[str], None]) -> None:
        with structlog.contextvars.bound_contextvars(platform=one.port.platform):
            try:
                async for batch in one.port.events():
                    await self._commit(one.dispatch, batch)
            except Unavailable as exc:
                log.error("account.stopped", reason=str(exc))  # noqa: TRY400 - a sentence, not a defect
                tell(str(exc))

    async def _commit(self, dispatch: Dispatch, batch: Sequence[ChatEvent]) -> None:
        """Until it is committed: the platform must not hear before that we have read so far."""
        wait = self._pause
        while True:
            try:
                await dispatch.take(batch)
            except Unavailable as exc:
                log.warning("batch.waits", events=len(batch), seconds=wait, reason=str(exc))
                await asyncio.sleep(wait)
                wait = min(LONGEST_PAUSE, wait * 2)
            else:
                return
