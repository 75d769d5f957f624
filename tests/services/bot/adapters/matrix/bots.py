"""A Matrix account of ours on a real homeserver, and what reached it: the adapter with a consumer that records."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.port import MatrixPort
from bot.adapters.matrix.timing import Timing
from bot.clock import SystemClock
from bot.models import Arrival, ChatEvent, Label, Place, Reply
from bot.pages import page
from tests.notebooks import MemoryNotebook
from tests.services.matrix import Account as Registered
from tests.services.matrix import Person

QUICK = Timing(poll=2.0, first_pause=0.05, longest_pause=1.0, ready=10.0, limited=30.0)
Event = TypeVar("Event", bound=ChatEvent)


class Bot:
    """The adapter; its folder and notebook outlive a restart."""

    def __init__(self, url: str, registered: Registered, folder: Path, *, timing: Timing = QUICK) -> None:
        self.account = Account(url, registered.user_id, registered.device_id, registered.token)
        self.user_id = registered.user_id
        self.folder = folder
        self.timing = timing
        self.notebook = MemoryNotebook()
        self.seen: list[ChatEvent] = []
        self.batches: list[Sequence[ChatEvent]] = []
        self.port: MatrixPort | None = None
        self.hold: asyncio.Event | None = None  # batches are not committed before it is set
        self.refuse: Callable[[Sequence[ChatEvent]], bool] = lambda _: False

    @contextlib.asynccontextmanager
    async def running(self, *, allow: Sequence[str] = (), most: int = 5_000) -> AsyncIterator[Bot]:
        """Reads its rooms for the time of the block."""
        port = MatrixPort(
            self.account, self.folder, self.notebook, SystemClock(), allow=allow, timing=self.timing, most=most
        )
        self.port = port
        task = asyncio.create_task(self._consume(port))
        try:
            yield self
        finally:
            task.cancel()
            ended = (await asyncio.gather(task, return_exceptions=True))[0]
            await port.close()
            if not isinstance(ended, asyncio.CancelledError | None):
                raise ended

    async def sees(
        self, kind: type[Event], true: Callable[[Event], bool] = lambda _: True, *, seconds: float = 15
    ) -> Event:
        """The first event of that kind for which it is true, waiting for it."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for one in self.seen:
                        if isinstance(one, kind) and true(one):
                            return one
                    await asyncio.sleep(0.02)
        except TimeoutError:
            kinds = [type(one).__name__ for one in self.seen]
            raise AssertionError(f"no such {kind.__name__} within {seconds} s, but {kinds}") from None

    def all(self, kind: type[Event], room: str | None = None) -> list[Event]:
        """All events of that kind, of a room when one is named."""
        return [one for one in self.seen if isinstance(one, kind) and room in (None, one.place.room)]

    async def comes_to(self, room: str) -> Place:
        """Waits until it is in a room that it was invited to."""
        return (await self.sees(Arrival, lambda one: one.place.room == room and one.joined)).place

    async def says(self, place: Place, *lines: str, transaction: str = "", **more: object) -> str:
        """Posts a reply."""
        assert self.port is not None
        return await self.port.send(Reply(place, page(*lines), **more), transaction=transaction)  # type: ignore[arg-type]

    async def _consume(self, port: MatrixPort) -> None:
        async for batch in port.events():
            if self.refuse(batch):
                raise SystemError("killed before the batch was committed")
            if self.hold is not None:
                await self.hold.wait()
            self.batches.append(batch)
            self.seen += batch


def label(answer: str = "answer-1", number: int = 1) -> Label:
    """What an answer says about itself."""
    return Label(answer, number, "chat", "rules-1")


async def room_with(bot: Bot, owner: Person, version: str = "12", **more: object) -> Place:
    """A room of the owner's that the bot has come to."""
    room = await owner.create_room(version, invite=(bot.user_id,), **more)  # type: ignore[arg-type]
    return await bot.comes_to(room)


def by_hand(bot: Bot) -> Registered:
    """The bot's account as somebody would use it in another client."""
    return Registered(bot.user_id, bot.account.access_token, bot.account.device_id, "")
