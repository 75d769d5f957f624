"""Takes what people use: a command becomes the message that it stands for, and its answer finds the way back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import discord
import structlog
from discord import app_commands

from bot.adapters.discord import buttons, slash, writing
from bot.adapters.discord.failing import Standing
from bot.adapters.discord.feed import Feed, Kept, Used, Voted
from bot.adapters.discord.ids import command_id, message_id, press_id
from bot.adapters.discord.lists import Lists
from bot.adapters.discord.places import Places, Spot, actor_of
from bot.adapters.discord.slash import Choice, Suggestions, cut
from bot.adapters.discord.splitting import LONGEST
from bot.adapters.discord.used import Desk, Open, webhook_of
from bot.errors import confess
from bot.models import IncomingMessage
from bot.pages import Page, page
from bot.render import facts, hint_line
from memory.errors import WeavebotError

PATIENCE: Final = 60.0  # seconds that a kept message may take to be committed
SWITCHED_OFF: Final = "I am switched off in this channel; an admin of this server changes that with /weavebot-admin."
BUSY: Final = "Too much is going on here just now; try again in a minute."
NO_ANSWER: Final = "That message shows no answer of mine; use this on one of my answers."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the counter asks."""

    client: discord.Client
    feed: Feed
    desk: Desk
    places: Places
    lists: Lists
    standing: Standing
    suggestions: Suggestions
    health: Callable[[str | None], Awaitable[Page]]
    names: Sequence[str]  # of the commands
    settings: Sequence[str]


class InteractionCounter:
    """See the protocol ``slash.Counter``. Every use is deferred first; nothing here may take long before that."""

    def __init__(self, parts: Parts, *, prefix: str) -> None:
        self._parts = parts
        self._prefix = prefix
        self._tasks: set[asyncio.Task[None]] = set()

    async def say(self, used: discord.Interaction[Any], words: str, *, private: bool) -> None:
        """See the protocol."""
        found = await self._begin(used, private=private)
        if found is None:
            return
        one, spot = found
        text = f"{self._prefix} {words}"
        actor = actor_of(used.user, permissions=used.permissions if used.guild_id else None)
        event = IncomingMessage(spot.place, one.event_id, actor, text, used.created_at, thread=spot.thread)
        if not self._parts.feed.put(Used(event)):
            await self._reply(one, page(BUSY))

    async def keep(self, used: discord.Interaction[Any], message: discord.Message) -> None:
        """See the protocol."""
        found = await self._begin(used, private=True)
        if found is None:
            return
        one, _ = found
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if message.author.bot or not message.content.strip():
            await self._reply(one, page("There is nothing in it that I could remember: I keep what people write."))
            return
        self._parts.feed.put(Kept(message, used.guild_id, told))
        try:
            kept = await asyncio.wait_for(told, PATIENCE)
        except TimeoutError:
            await self._reply(one, page("I could not keep it now; try again in a minute."))
            return
        words = "I remember it." if kept else "I do not keep it: whoever wrote it asked me not to, or it was forgotten."
        await self._reply(one, page(words))

    async def explain(self, used: discord.Interaction[Any], message: discord.Message) -> None:
        """See the protocol."""
        shown = buttons.answer_in(message) if _is_ours(self._parts.client, message) else None
        if shown is not None:
            await self.say(used, f"why {shown.number}", private=True)
            return
        found = await self._begin(used, private=True)
        if found is not None:
            await self._reply(found[0], page(NO_ANSWER))

    async def press(self, used: discord.Interaction[Any]) -> None:
        """A button under one of our answers."""
        data: Any = used.data or {}
        press = buttons.parse(data.get("custom_id"))
        if press is None or used.message is None:
            return
        if press.kind == buttons.WHY:
            await self.say(used, f"why {press.number}", private=True)
            return
        channel = used.channel_id or 0
        reaction = "" if press.reaction else press_id(press.answer, used.user.id, press.emoji)
        vote = Voted(
            channel,
            used.guild_id,
            message_id(channel, used.message.id),
            used.user,
            press.emoji,
            press.reaction or reaction,
            remove=bool(press.reaction),
            private=press.kind != buttons.ASK,
        )
        taken = self._parts.feed.put(vote)
        with self._parts.standing.translated():
            if taken:
                await _acknowledge(used.response, used.message, press, reaction)
            else:
                await used.response.send_message(BUSY, ephemeral=True)

    async def administer(self, used: discord.Interaction[Any], deed: str, **given: Any) -> None:
        """See the protocol."""
        if deed == "settings":
            words = [str(part) for part in (given["name"], given["value"]) if part]
            verb = "server" if given.get("whole_server") else "settings"
            await self.say(used, " ".join([verb, *words]), private=True)
            return
        found = await self._begin(used, private=True, everywhere=True)
        if found is None:
            return
        one, spot = found
        try:
            shown = await self._administered(spot, deed, given)
        except WeavebotError as exc:
            shown = page(str(exc))
        await self._reply(one, shown)

    async def _administered(self, spot: Spot, deed: str, given: dict[str, Any]) -> Page:
        guild = spot.guild
        if guild is None:
            return page("That is decided in a server, not here.")
        if deed == "health":
            return await self._parts.health(spot.place.room)
        choice = await self._parts.lists.of(guild)
        if deed == "age-restricted":
            choice = type(choice)(choice.only, choice.never, nsfw=given["switch"] == "on")
            await self._parts.lists.change(guild, choice)
        elif given.get("rule"):
            channel = int(given["channel"] or spot.place.room)
            change = {"only": choice.allowing, "never": choice.denying, "either": choice.without}[given["rule"]]
            choice = change(channel)
            await self._parts.lists.change(guild, choice)
        return self._rules(guild, choice)

    def _rules(self, guild: int, choice: Any) -> Page:
        known = self._parts.client.get_guild(guild)

        def named(ids: frozenset[int]) -> str:
            found = [known.get_channel(one) for one in sorted(ids)] if known else []
            return ", ".join(f"#{one.name}" for one in found if one is not None) or "none chosen"

        return (
            *facts(
                [
                    ("only in", named(choice.only) if choice.only else "all channels that I can see"),
                    ("never in", named(choice.never)),
                    ("age-restricted", "on" if choice.nsfw else "off"),
                ]
            ),
            hint_line("What I remember from a channel stays when I stop listening there; `forget` erases it."),
        )

    async def offer(self, used: discord.Interaction[Any], what: str, typed: str) -> list[Choice]:
        """See the protocol. What cannot be looked up in time is not offered."""
        spot = await self._parts.places.of(used.channel_id or 0, used.guild_id, who=used.user)
        if spot is None:
            return []
        try:
            offered = await asyncio.wait_for(self._offered(spot, str(used.user.id), what, typed), 2.0)
        except (WeavebotError, TimeoutError):
            return []
        return [Choice(name=cut(name), value=value) for name, value in offered if 0 < len(value) <= slash.SHOWN][
            : slash.MOST
        ]

    async def _offered(self, spot: Spot, person: str, what: str, typed: str) -> list[tuple[str, str]]:
        place = spot.place
        if what == "question":
            return [
                (one, one) for one in await self._parts.suggestions.questions(place.team, place.room, person, typed)
            ]
        if what == "why.answer":
            found = await self._parts.suggestions.answers(place.team, place.room, person, typed)
            return [(f"#{number} {question}", str(number)) for number, question in found]
        fixed = {"help.command": self._parts.names, "forget.what": ("last", "me")}
        return [(one, one) for one in fixed.get(what, ()) if typed.lower() in one]

    async def _begin(
        self, used: discord.Interaction[Any], *, private: bool, everywhere: bool = False
    ) -> tuple[Open, Spot] | None:
        """Defers, and finds where we are; None when it is over already, or we are switched off there."""
        one = await self._parts.desk.defer(used, private=private)
        if one is None:
            return None
        spot = await self._parts.places.of(one.channel, used.guild_id, who=used.user)
        if spot is not None and (spot.listens or everywhere):
            return one, spot
        await self._reply(one, page(SWITCHED_OFF))
        return None

    async def _reply(self, one: Open, shown: Page) -> None:
        """An answer of the adapter's own, to a command that needs nobody else."""
        with self._parts.standing.translated():
            await webhook_of(self._parts.client, one).edit_message(
                one.original, content=writing.markdown(shown, team="@me")[:LONGEST]
            )
        self._parts.desk.close(one.event_id)

    async def failed(self, used: discord.Interaction[Any], exc: app_commands.AppCommandError) -> None:
        """A command ended by an error: whoever waits for it is told so."""
        reason = getattr(exc, "original", exc.__cause__ or exc)
        log.warning("discord.command_failed", error=type(reason).__name__)
        desk = self._parts.desk
        one = desk.find(command_id(used.id)) or desk.find(command_id(used.id, alone=True))
        if one is not None and not one.answered:
            with contextlib.suppress(WeavebotError):
                await self._reply(one, page(confess(reason).words))

    def take_press(self, used: discord.Interaction[Any]) -> None:
        """Handles a button in a task of its own."""
        task = asyncio.create_task(self._guarded(used))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, used: discord.Interaction[Any]) -> None:
        try:
            await self.press(used)
        except Exception as exc:  # noqa: BLE001 - the top of a click
            log.warning("discord.press_failed", error=type(exc).__name__)


async def _acknowledge(
    response: discord.InteractionResponse[Any], message: discord.Message, press: buttons.Press, reaction: str
) -> None:
    """Shows whoever pressed that it counts; ``reaction`` is the vote that was cast, empty for one taken back."""
    match press.kind:
        case buttons.ASK:
            words = f"{press.emoji} counts, thank you."
            await response.send_message(words, view=buttons.back_view(press, reaction), ephemeral=True)
        case buttons.BACK:
            await response.edit_message(content=f"{press.emoji} is taken back.", view=None)
        case _:
            await response.edit_message(view=buttons.pressed(message, press, reaction))


def _is_ours(client: discord.Client, message: discord.Message) -> bool:
    return client.user is not None and message.author.id == client.user.id
