"""The driver of the scenarios on a real Synapse: people with accounts, and the program's own wiring for the bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bot.adapters.matrix.accounts import Account, folder_of
from bot.adapters.matrix.decoding import LABEL
from bot.adapters.matrix.port import MatrixPort
from bot.app import App
from bot.clock import SystemClock
from bot.connections import Connections
from bot.models import ChatEvent
from bot.notebook import SqlNotebook
from bot.settings import load
from bot.tables import inbox
from bot.wiring import open_app
from memory.tables import messages
from routing.tables import votes
from tests.doubles import WordEmbedder
from tests.e2e.scenarios.script import Deletes, Edits, Reacts, Says
from tests.services.bot.adapters.matrix.bots import QUICK
from tests.services.bot.adapters.matrix.encryption import Whisperer
from tests.services.matrix import Account as Registered
from tests.services.matrix import Event, Matching, Person
from tests.services.synapse import Homeserver

PATIENCE = 90.0  # seconds


class Watched(MatrixPort):
    """The adapter; it tells which events are committed."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.committed: set[str] = set()

    async def events(self) -> AsyncIterator[Sequence[ChatEvent]]:
        async for batch in super().events():
            yield batch
            self.committed |= {getattr(event, "event_id", "") for event in batch}


@dataclass(slots=True)
class SynapseDriver:
    """One room of a version, and another one where a message after everything else tells that it was taken in."""

    homeserver: Homeserver
    folder: Path
    version: str = "12"
    encrypted: bool = False
    people: dict[str, Person] = field(default_factory=dict)
    room: str = ""
    _fences: str = ""
    _account: Registered | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _reactions: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _heard: set[str] = field(default_factory=set)
    _app: App | None = None
    _port: Watched | None = None
    _connections: Connections | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _clients: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def begin(self) -> None:
        """Makes the accounts and the rooms, and starts the bot."""
        self._account = await self.homeserver.register("weave")
        for name in ("Ana", "Ben", "Eve", "Cleo"):
            self.people[name] = await self._somebody(name)
        ana = self.people["Ana"]
        others = tuple(person.user_id for name, person in self.people.items() if name != "Ana")
        bot = self._account.user_id
        self.room = await ana.create_room(self.version, invite=(bot, *others), encrypted=self.encrypted)
        self._fences = await ana.create_room(self.version, name="fences", invite=(bot,))
        for name, person in self.people.items():
            if name != "Ana":
                await person.join(self.room)
        await self.back()
        for room in (self.room, self._fences):
            await ana.hears(room, joined_by(bot))
        await self.settled()

    async def end(self) -> None:
        """Everybody goes."""
        await self.away()
        await self._clients.aclose()

    async def says(self, step: Says) -> None:
        thread, reply_to = (self._names.get(name or "") for name in (step.thread, step.reply_to))
        said = await self.people[step.who].say(self.room, step.text, thread=thread, reply_to=reply_to)
        self._names[step.name] = said
        await self._happened()

    async def edits(self, step: Edits) -> str:
        """Gives the edit's event id beside."""
        edit = await self.people[step.who].edit(self.room, self._names[step.name], step.text)
        await self._happened()
        return edit

    async def takes_back(self, who: str, event_id: str) -> None:
        """Somebody redacts an event."""
        await self.people[who].redact(self.room, event_id)
        await self._happened()

    async def deletes(self, step: Deletes) -> None:
        await self.people[step.who].redact(self.room, self._names[step.name])
        await self._happened()

    async def reacts(self, step: Reacts) -> None:
        target = self._names[step.name] if step.name else await self._last_of_ours()
        key = target, step.who, step.emoji
        if step.remove:
            await self.people[step.who].redact(self.room, self._reactions.pop(key))
        else:
            self._reactions[key] = await self.people[step.who].react(self.room, target, step.emoji)
        await self._happened()

    async def _last_of_ours(self) -> str:
        """The newest answer (it has a label), or, where there is none, what we said last."""
        ours = await self.ours()
        answers = [event for event in ours if LABEL in event["content"]]
        return str((answers or ours)[-1]["event_id"])

    async def said(self) -> str | None:
        await self.settled()
        new = [event for event in await self.ours() if event["event_id"] not in self._heard]
        self._heard |= {event["event_id"] for event in new}
        return "\n".join([event["content"]["body"] for event in new] + await self._privately()) or None

    async def edited(self, words: str) -> str:
        shown = ""
        for _ in range(60):
            await self.settled()
            last = (await self.ours())[-1]
            changes = await self.people["Ana"].related(self.room, last["event_id"], "m.replace")
            shown = changes[0]["content"]["m.new_content"]["body"] if changes else ""
            if words.casefold() in shown.casefold():
                break
            await asyncio.sleep(0.1)
        return shown

    async def settled(self) -> None:
        assert self._port is not None
        fence = await self.people["Ana"].say(self._fences, "so far")
        await eventually(lambda: self._taken_in(fence))
        await self._running.engine.settle()

    async def votes(self) -> int:
        async with self._running.database.read() as conn:
            return int((await conn.execute(select(func.count()).select_from(votes))).scalar_one())

    async def texts(self) -> list[str]:
        async with self._running.database.read() as conn:
            kept = (await conn.execute(select(messages.c.text))).scalars()
            return [text for text in kept if text != "so far"]

    async def in_the_clear(self) -> list[Event]:
        """The messages of the room that travelled unencrypted."""
        history = await Person.history(self.people["Ana"], self.room, 200)
        return [event for event in history if event["type"] == "m.room.message" and event["content"]]

    async def away(self) -> None:
        await self._stack.aclose()
        self._app = self._port = None

    async def back(self) -> None:
        assert self._account is not None
        account = self._account
        settings = load(None, data=self.folder)
        self._app = app = await open_app(settings, clock=SystemClock(), embedder=WordEmbedder())
        self._stack.push_async_callback(app.close)
        ours = Account(self.homeserver.url, account.user_id, account.device_id, account.token)
        notebook = SqlNotebook(
            app.database, app.clock, platform="matrix", account=account.user_id, team=account.user_id
        )
        folder = folder_of(self.folder, account.user_id)
        self._port = Watched(ours, folder, notebook, app.clock, timing=QUICK)
        self._connections = Connections(app, [self._port], pause=0.05)
        await self._stack.enter_async_context(self._connections.open(_unexpected))

    async def dies(self) -> None:
        await self.away()
        await self.back()

    @property
    def _running(self) -> App:
        assert self._app is not None
        return self._app

    async def _somebody(self, name: str) -> Person:
        if not self.encrypted:
            return await self.homeserver.person(name)
        clients = self.folder.with_name("clients")
        return await self._clients.enter_async_context(Whisperer.of(self.homeserver, name, clients))

    async def _happened(self) -> None:
        if self._port is not None:
            await self.settled()

    async def _taken_in(self, fence: str) -> bool:
        """Whether everything up to the fence is committed and answered."""
        assert self._port is not None
        assert self._connections is not None
        if fence not in self._port.committed or not self._connections.all[0].dispatch.replies.idle:
            return False
        async with self._running.database.read() as conn:
            return not (await conn.execute(select(func.count()).select_from(inbox))).scalar_one()

    async def ours(self) -> list[Event]:
        """What the bot has said in the room, without its edits."""
        assert self._account is not None
        history = await self.people["Ana"].history(self.room, 100)
        mine = [e for e in history if e["sender"] == self._account.user_id and e["type"] == "m.room.message"]
        return [e for e in mine if e["content"].get("m.relates_to", {}).get("rel_type") != "m.replace"]

    async def _privately(self) -> list[str]:
        """What the bot has said to somebody alone since we last listened."""
        assert self._account is not None
        said: list[str] = []
        for person in self.people.values():
            await person.sync()
            for room in list(person.invited):
                if room not in (self.room, self._fences):
                    await person.join(room)
                    del person.invited[room]
            await person.sync()
            for room, event in person.heard:
                new = event["event_id"] not in self._heard and event["sender"] == self._account.user_id
                if room not in (self.room, self._fences) and new and event["type"] == "m.room.message":
                    self._heard.add(event["event_id"])
                    said.append(event["content"]["body"])
        return said


@asynccontextmanager
async def driving(
    homeserver: Homeserver, folder: Path, version: str = "12", *, encrypted: bool = False
) -> AsyncIterator[SynapseDriver]:
    """A driver whose bot and people are there for the time of the block."""
    driver = SynapseDriver(homeserver, folder / "data", version, encrypted)
    driver.folder.mkdir()
    try:
        await driver.begin()
        yield driver
    finally:
        await driver.end()


def joined_by(user: str) -> Matching:
    """That somebody has come to a room."""
    return lambda event: (
        event["type"] == "m.room.member"
        and event.get("state_key") == user
        and event["content"].get("membership") == "join"
    )


async def eventually(true: Callable[[], Awaitable[bool]], *, seconds: float = PATIENCE) -> None:
    """Returns when it is true. Raises TimeoutError when it does not become so."""
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 - what another process or server does is polled
            await asyncio.sleep(0.02)


def _unexpected(words: str) -> None:
    raise AssertionError(words)
