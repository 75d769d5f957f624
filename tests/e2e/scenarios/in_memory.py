"""The driver of the chat in memory: no network, the program's own wiring, an embedder of words."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from bot.app import App
from bot.models import (
    Capabilities,
    ChatEvent,
    Deletion,
    Edit,
    IncomingMessage,
    ReactionAdded,
    ReactionRemoved,
    ReactionsStanding,
)
from bot.pages import plain
from memory.models import Provenance
from routing.tables import votes
from tests.doubles import START
from tests.e2e.scenarios.script import Deletes, Edits, Reacts, Says
from tests.unit.bot.rooms import HIVES, Chat, Platform, actor, open_bot

CAPABILITIES = Capabilities(threads=True, edits=True, files=True)


@dataclass(slots=True)
class InMemoryDriver:
    """One room. What happens while the bot is away is delivered when it comes back, reactions as they stand then."""

    folder: Path
    platform: Platform = field(default_factory=lambda: Platform(CAPABILITIES))
    _names: dict[str, str] = field(default_factory=dict)
    _missed: list[ChatEvent] = field(default_factory=list)
    _standing: dict[tuple[str, str, str], ReactionAdded] = field(default_factory=dict)
    _count: int = 0
    _heard: int = 0
    _app: App | None = None
    _chat: Chat | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def says(self, step: Says) -> None:
        self._names[step.name] = event_id = self._event()
        provenance = Provenance.LIVE if self._chat else Provenance.RECOVERED
        message = IncomingMessage(
            HIVES,
            event_id,
            actor(step.who),
            step.text,
            self._now(),
            reply_to=self._names[step.reply_to] if step.reply_to else None,
            thread=self._names[step.thread] if step.thread else None,
            provenance=provenance,
        )
        await self._happens(message)

    async def edits(self, step: Edits) -> None:
        target = self._names[step.name]
        await self._happens(Edit(HIVES, self._event(), target, actor(step.who), step.text, self._now()))

    async def deletes(self, step: Deletes) -> None:
        await self._happens(Deletion(HIVES, self._event(), self._names[step.name], self._now()))

    async def reacts(self, step: Reacts) -> None:
        target = self._names[step.name] if step.name else self._last_of_ours()
        key = target, step.who, step.emoji
        if step.remove:
            gone = self._standing.pop(key)
            if self._chat:
                await self._happens(ReactionRemoved(HIVES, self._event(), self._now(), reaction=gone.event_id))
            return
        added = ReactionAdded(HIVES, self._event(), target, actor(step.who), step.emoji, self._now())
        self._standing[key] = added
        if self._chat:
            await self._happens(added)

    async def said(self) -> str | None:
        new = [reply for reply in self.platform.sent[self._heard :] if not reply.replaces]
        self._heard = len(self.platform.sent)
        return "\n".join(plain(reply.page) for reply in new) or None

    async def edited(self, words: str) -> str:
        del words
        changed = [reply for reply in self.platform.sent if reply.replaces]
        return plain(changed[-1].page) if changed else ""

    async def settled(self) -> None:
        """Everything is taken in before a step returns."""

    async def votes(self) -> int:
        async with self._running.database.read() as conn:
            return int((await conn.execute(select(func.count()).select_from(votes))).scalar_one())

    async def texts(self) -> list[str]:
        assert self._chat is not None
        return await self._chat.texts()

    async def away(self) -> None:
        await self._stack.aclose()
        self._app = self._chat = None

    async def back(self) -> None:
        self._app = await self._stack.enter_async_context(open_bot(self.folder))
        self._chat = Chat(self._app, self.platform)
        await self._chat.dispatch.replies.settle()
        missed, self._missed = self._missed, []
        for event in missed:
            await self._happens(event)
        for target in {reaction.target for reaction in self._standing.values()} | set(self._shown()):
            standing = tuple(one for one in self._standing.values() if one.target == target)
            await self._happens(ReactionsStanding(HIVES, target, standing, self._now()))

    async def dies(self) -> None:
        await self.away()
        await self.back()

    @property
    def _running(self) -> App:
        assert self._app is not None
        return self._app

    def _event(self) -> str:
        self._count += 1
        return f"ev{self._count}"

    def _now(self) -> datetime:
        return START + timedelta(seconds=self._count)

    def _shown(self) -> list[str]:
        """What we called our messages, as the platform numbered them."""
        return [f"sent{number}" for number, _ in enumerate(self.platform.sent, 1)]

    def _last_of_ours(self) -> str:
        """The newest answer, or, where there is none, what we said last."""
        sent = [(number, reply) for number, reply in enumerate(self.platform.sent, 1) if not reply.replaces]
        number, _ = max(sent, key=lambda one: (one[1].answer is not None, one[0]))
        return f"sent{number}"

    async def _happens(self, event: ChatEvent) -> None:
        if self._chat is None:
            self._missed.append(event)
            return
        await self._chat.dispatch.handle(event)
        await self._running.engine.settle()
