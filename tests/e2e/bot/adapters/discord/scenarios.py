"""The driver of the scenarios for Discord: people in a channel of a local Discord, the bot with its own wiring."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from routing.tables import votes
from tests.e2e.bot.adapters.discord.bots import Weavebot, weavebot
from tests.e2e.eventually import eventually
from tests.e2e.scenarios.script import Deletes, Edits, Reacts, Says
from tests.standins.discord import Discord, Invocation, Message, Person, Place


@dataclass(slots=True)
class DiscordDriver:
    """One channel. A thread of the scenario is a Discord thread on that message.

    What another person may not do on Discord (edit somebody's message) is not done. Who is answered privately reads it
    in direct messages.
    """

    discord: Discord
    folder: Path
    _names: dict[str, Message] = field(default_factory=dict)
    _authors: dict[str, str] = field(default_factory=dict)
    _threads: dict[str, Place] = field(default_factory=dict)
    _heard: set[int] = field(default_factory=set)
    _used: list[Invocation] = field(default_factory=list)
    _bot: Weavebot | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def says(self, step: Says) -> None:
        place = await self._place(step)
        reply_to = self._names[step.reply_to] if step.reply_to else None
        self._names[step.name] = await self._person(step.who).says(place, step.text, reply_to=reply_to)
        self._authors[step.name] = step.who
        await self._taken_in()

    async def edits(self, step: Edits) -> None:
        if self._authors[step.name] == step.who:
            await self._person(step.who).edits(self._names[step.name], step.text)
            await self._taken_in()

    async def deletes(self, step: Deletes) -> None:
        await self._person(step.who).deletes(self._names[step.name])
        await self._taken_in()

    async def reacts(self, step: Reacts) -> None:
        target = self._names[step.name] if step.name else self._last_of_ours()
        person = self._person(step.who)
        await (person.unreacts if step.remove else person.reacts)(target, step.emoji)
        await self._taken_in()

    async def said(self) -> str | None:
        await self._taken_in()
        new = [message for message in self._of_ours() if message.id not in self._heard]
        self._heard.update(message.id for message in new)
        return "\n".join(message.content for message in new) or None

    async def edited(self, words: str) -> str:
        async def look() -> str:
            changed = [message for message in self._of_ours() if message.edited_at is not None]
            return changed[-1].content if changed else ""

        return await eventually(look, lambda shown: words.casefold() in shown.casefold())

    async def settled(self) -> None:
        await self._taken_in()

    async def votes(self) -> int:
        async with self._running.app.database.read() as conn:
            return int((await conn.execute(select(func.count()).select_from(votes))).scalar_one())

    async def texts(self) -> list[str]:
        return await self._running.kept(self.channel.id)

    async def away(self) -> None:
        await self._stack.aclose()
        self._bot = None

    async def back(self) -> None:
        self._bot = await self._stack.enter_async_context(weavebot(self.discord, self.folder))
        await self._taken_in()

    async def dies(self) -> None:
        await self.away()
        await self.back()

    @property
    def channel(self) -> Place:
        """Where everything happens, but for the notice."""
        self.discord.guild("hives").channel("welcome")
        return self.discord.guild("hives").channel("general")

    @property
    def _running(self) -> Weavebot:
        assert self._bot is not None
        return self._bot

    def _person(self, name: str) -> Person:
        return self.discord.guild("hives").member(name)

    async def _place(self, step: Says) -> Place:
        if step.thread is None:
            return self.channel
        if step.thread not in self._threads:
            on = self._names[step.thread]
            self._threads[step.thread] = await self._person(step.who).opens_thread(self.channel, "apart", on=on)
        return self._threads[step.thread]

    def _of_ours(self) -> list[Message]:
        """Everything that the bot wrote and that still stands, oldest first."""
        world = self.discord.world
        places = [place for place in world.channels.values() if place.name != "welcome"]
        found = [one for place in places for one in place.messages.values() if one.author is world.bot]
        return sorted(found, key=lambda message: message.id)

    def _last_of_ours(self) -> Message:
        """The newest answer (it has buttons), or, where there is none, what the bot said last."""
        return max(self._of_ours(), key=lambda message: (bool(message.components), message.id))

    async def _taken_in(self) -> None:
        """Everything that happened is committed, and everything that was asked is answered."""
        if self._bot is None:
            return
        told = sum(session.seq for session in self.discord.gateway.sessions.known())
        bot = self._bot

        async def heard() -> int:
            return sum(shard._parent.ws.sequence or 0 for shard in bot.port._client.shards.values())

        await eventually(heard, lambda seq: seq >= told)
        await bot.settled()
        replies = bot.connections.all[0].dispatch.replies

        async def at_work() -> tuple[object, object]:
            return await bot.app.inbox.waiting(replies._served), dict(replies._busy)

        await eventually(at_work, lambda found: not any(found))
        await bot.settled()
