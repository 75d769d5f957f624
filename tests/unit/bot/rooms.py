"""A whole bot on a folder of a test's own: the program's wiring, a clock to move, an embedder that needs no model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bot import schema
from bot.app import App
from bot.dispatch import Dispatch
from bot.events import Event
from bot.lines import Lines
from bot.models import Actor, Capabilities, ChatEvent, IncomingMessage, Place, Reply, Role
from bot.operations import perform
from bot.pages import Page, page, plain
from bot.settings import Settings
from bot.wiring import open_app
from memory.models import Provenance
from tests.doubles import START, HandClock, WordEmbedder
from tests.fresh import copy_tables

HIVES = Place("test", "hives", "hives")


@asynccontextmanager
async def open_bot(
    folder: Path, *, clock: HandClock | None = None, embedder: WordEmbedder | None = None, **given: Any
) -> AsyncIterator[App]:
    """The bot; the same folder opened again finds what was there."""
    if given.get("database_url") is None:
        await copy_tables(folder, schema.bring_up_to_date)
    app = await open_app(
        Settings(data=folder, **given), clock=clock or HandClock(), embedder=embedder or WordEmbedder()
    )
    try:
        yield app
    finally:
        await app.close()


def clock_of(app: App) -> HandClock:
    assert isinstance(app.clock, HandClock)
    return app.clock


async def run(app: App, name: str, lines: Lines | None = None, /, **arguments: Any) -> list[Event]:
    """What an operation yields."""
    return [event async for event in perform(app, name, arguments, lines)]


async def results(app: App, name: str, lines: Lines | None = None, /, **arguments: Any) -> list[dict[str, Any]]:
    """The objects that an operation ends in."""
    return [event["result"] for event in await run(app, name, lines, **arguments) if "result" in event]


async def result(app: App, name: str, lines: Lines | None = None, /, **arguments: Any) -> dict[str, Any]:
    """The one object that an operation ends in."""
    [only] = await results(app, name, lines, **arguments)
    return only


async def batch(*lines: bytes) -> AsyncIterator[list[bytes]]:
    """Lines of a file, in one batch."""
    yield list(lines)


def history(*said: tuple[str, str], room: str = "hives", start: datetime = START) -> list[bytes]:
    """(author, text) pairs as lines of a history, a minute apart, with ids h1, h2, ..."""
    return [
        json.dumps(
            {
                "id": f"h{number}",
                "room": room,
                "author": author,
                "text": text,
                "sent_at": (start + timedelta(minutes=number)).isoformat(),
                "reply_to": None,
            }
        ).encode()
        for number, (author, text) in enumerate(said, 1)
    ]


async def told(app: App, *said: tuple[str, str], room: str = "hives") -> None:
    """A room that has heard these."""
    await run(app, "import", batch(*history(*said, room=room)))


class Platform:
    """A chat platform in memory: what was said there, by transaction."""

    platform = "test"
    team = "local"

    def __init__(self, capabilities: Capabilities | None = None) -> None:
        self.capabilities = capabilities or Capabilities(tells_votes=True)
        self.sent: list[Reply] = []
        self.broken: Exception | None = None
        self.spoke = asyncio.Event()
        self.members: dict[str, set[str]] = {}
        self.labels: dict[str, str] = {}
        self.marked: list[tuple[str, str]] = []
        self.may_mark = True

    def events(self) -> AsyncIterator[Sequence[ChatEvent]]:
        raise NotImplementedError

    async def mark(self, place: Place, event_id: str, emoji: str) -> bool:
        del place
        if self.broken is not None:
            raise self.broken
        if self.may_mark:
            self.marked.append((event_id, emoji))
        return self.may_mark

    async def busy(self, place: Place, *, on: bool) -> None:
        """Nobody sees it."""

    async def may_read(self, room: str, person: str) -> bool:
        return person in self.members.get(room, set())

    async def shown_in(self, place: Place, event_id: str) -> str | None:
        del place
        return self.labels.get(event_id)

    async def health(self, room: str | None = None) -> Page:
        return page(f"all is well in {room}")

    async def send(self, reply: Reply, *, transaction: str) -> str:
        del transaction
        if self.broken is not None:
            raise self.broken
        self.sent.append(reply)
        self.spoke.set()
        return f"sent{len(self.sent)}"

    async def close(self) -> None:
        """Nothing to leave."""

    async def spoken(self, times: int) -> None:
        """Returns when that much was said."""
        while len(self.sent) < times:
            self.spoke.clear()
            await self.spoke.wait()

    @property
    def said(self) -> str:
        """The last reply as plain text."""
        return plain(self.sent[-1].page)


class Chat:
    """People in a room of a platform."""

    def __init__(self, app: App, platform: Platform | None = None) -> None:
        self.app = app
        self.platform = platform or Platform()
        self.dispatch = Dispatch(app, self.platform)
        self.count = 0

    async def say(
        self,
        who: str,
        text: str,
        *,
        event_id: str | None = None,
        role: Role = Role.MEMBER,
        provenance: Provenance = Provenance.LIVE,
        reply_to: str | None = None,
        is_bot: bool = False,
    ) -> str:
        """Somebody writes; what the bot said to it, if anything."""
        self.count += 1
        before = len(self.platform.sent)
        message = IncomingMessage(
            HIVES,
            event_id or f"m{self.count}",
            actor(who, role, is_bot=is_bot),
            text,
            self.app.clock.now(),
            reply_to=reply_to,
            provenance=provenance,
        )
        await self.dispatch.handle(message)
        if not self.platform.broken:
            await self.app.engine.settle()  # the worker's part, so that each route finds what was said
        return "\n".join(plain(reply.page) for reply in self.platform.sent[before:])

    async def handle(self, event: ChatEvent) -> str:
        """Something else happens; what the bot said to it, if anything."""
        before = len(self.platform.sent)
        await self.dispatch.handle(event)
        return "\n".join(plain(reply.page) for reply in self.platform.sent[before:])

    async def texts(self) -> list[str]:
        """What is remembered of the room, oldest first."""
        exported: list[str] = []
        for person in await self.app.directory.people(self.app.tenant):
            exported += [item["text"] async for item in self.app.privacy.export(person) if item["kind"] == "message"]
        return sorted(exported)


def actor(name: str, role: Role = Role.MEMBER, *, is_bot: bool = False) -> Actor:
    """Somebody whose id is their lower-cased name."""
    return Actor(name.lower(), name, role, is_bot)


def shown(events: Sequence[Event]) -> str:
    """What people see of an operation's events."""
    return "\n".join(plain(event["page"]) for event in events if event.get("page"))
