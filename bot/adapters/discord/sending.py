"""Replies on their way to Discord: each once, where it belongs, and never against a refusal.

A nonce makes Discord post a message once for some minutes. What may have been sent before that (we were killed, or the
answer to our request was lost) is looked for in the channel first: a message of ours that replies to the same event.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import aiohttp
import discord
import structlog

from bot.adapters.discord import buttons, writing
from bot.adapters.discord.failing import Gone, Standing
from bot.adapters.discord.ids import DIRECT, asked_alone, is_message, message_id, parts_of
from bot.adapters.discord.splitting import LONGEST, split
from bot.adapters.discord.used import Desk, Open, webhook_of
from bot.models import Reply
from bot.pages import page
from memory.errors import NotFound, Refused
from memory.ports import Clock

TRUSTED: Final = timedelta(minutes=2)
"""How long after an event a nonce alone is trusted; Discord keeps nonces "for the past few minutes"."""
LOOKED_AT: Final = 100  # messages after an event among which our reply is looked for
WHOLE: Final = "answer.md"
TITLE: Final = 100  # characters of a forum post's title
NO_DIRECT: Final = (
    "That is for you alone, and Discord does not let me write to you: use the slash command instead, or allow "
    "direct messages from members of this server."
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """A reply cut to Discord's measure: one or two texts, and what goes along as files."""

    texts: Sequence[str]
    files: Sequence[tuple[str, str]]

    def attachments(self) -> list[discord.File]:
        """The files, to be sent once."""
        return [discord.File(io.BytesIO(text.encode("utf-8", "replace")), name) for name, text in self.files]


class Sender:
    """Sends for one account."""

    def __init__(self, client: discord.Client, desk: Desk, standing: Standing, clock: Clock) -> None:
        self._client = client
        self._desk = desk
        self._standing = standing
        self._clock = clock
        self._unsure: set[str] = set()

    async def send(self, reply: Reply, transaction: str) -> str:
        """Posts a reply and gives its event id. Raises Unavailable, Rejected."""
        self._standing.check()
        open_one = self._desk.find(reply.in_reply_to)
        if open_one is not None and reply.replaces is None and open_one.answered in {"", transaction}:
            with contextlib.suppress(Gone):
                return await self._answer_command(reply, open_one, transaction)
        if reply.replaces is not None:
            return await self._replace(reply)
        if (reply.private or asked_alone(reply.in_reply_to)) and reply.to is not None:
            return await self._directly(reply, transaction)
        return await self._post(reply, self._channel_of(reply), transaction)

    async def mark(self, event_id: str, emoji: str) -> bool:
        """Reacts to a message; False where we may not, or it is gone. Raises Unavailable."""
        if not is_message(event_id):
            return False
        channel, message = parts_of(event_id)
        self._standing.check()
        try:
            with self._standing.translated():  # of no channel: where we may not react we may still write
                await self._client.get_partial_messageable(channel).get_partial_message(message).add_reaction(emoji)
        except (NotFound, Refused):
            return False
        return True

    def _channel_of(self, reply: Reply) -> int:
        """The channel or thread that it belongs to."""
        if reply.in_reply_to is not None and is_message(reply.in_reply_to):
            return parts_of(reply.in_reply_to)[0]
        return int(reply.thread or reply.place.room)

    def _cut(self, reply: Reply, *, most: int = writing.AT_MOST) -> Parts:
        team = self._team_of(int(reply.place.room))
        texts, whole = writing.messages(reply.page, team=team, sources=reply.sources)
        files = [] if reply.attachment is None else [(reply.attachment.name, "\n".join([*reply.attachment.lines, ""]))]
        if not whole or len(texts) > most:
            files.append((WHOLE, writing.markdown(reply.page, team=team, sources=reply.sources) + "\n"))
        if len(texts) > most:
            shorter = split(texts[0], LONGEST - len(writing.MORE) - 1)[0]
            texts = [f"{shorter}\n{writing.MORE}"]
        return Parts(texts or ["…"], files)

    def _team_of(self, room: int) -> str:
        guild = getattr(self._client.get_channel(room), "guild", None)
        return str(guild.id) if guild is not None else DIRECT

    # to a command

    async def _answer_command(self, reply: Reply, one: Open, transaction: str) -> str:
        """In the place of "thinking"; the same again changes nothing. Raises Gone when that is over."""
        webhook = webhook_of(self._client, one)
        parts = self._cut(reply, most=1)
        private = one.private or reply.private
        view = buttons.view_of(reply.label, private=private)
        with self._standing.translated():
            if private and not one.private:
                await self._in_private(webhook, one, parts, view)
            else:
                await webhook.edit_message(
                    one.original, content=parts.texts[0], attachments=parts.attachments(), view=view
                )
        self._desk.close(one.event_id, transaction)
        return message_id(one.channel, one.original)

    async def _in_private(self, webhook: discord.Webhook, one: Open, parts: Parts, view: discord.ui.View) -> None:
        """The answer turned out to be for one person alone, but "thinking" was shown to all."""
        await webhook.edit_message(one.original, content="-# the answer is for whoever asked")
        await webhook.send(parts.texts[0], files=parts.attachments(), ephemeral=True, view=view, wait=True)

    # in the place of an earlier message

    async def _replace(self, reply: Reply) -> str:
        channel, first = parts_of(reply.replaces or "")
        parts = self._cut(reply)
        texts = list(parts.texts)
        place = self._client.get_partial_messageable(channel)
        self._standing.check(channel)
        with self._standing.translated(channel):
            second = await self._second(place, first)
            if second is not None and len(texts) == 1:
                await second.delete()
            for at, target in enumerate([place.get_partial_message(first), second]):
                if at < len(texts) and target is not None:
                    await target.edit(
                        content=texts[at],
                        attachments=parts.attachments() if at == len(texts) - 1 else [],
                        view=buttons.view_of(reply.label, private=False),
                    )
            if second is None and len(texts) > 1:
                await self._say(place, texts[1], parts, reply, nonce=None, reference=first)
        return reply.replaces or ""

    async def _second(self, place: discord.PartialMessageable, first: int) -> discord.PartialMessage | None:
        """The second message of an answer: the one of ours that replies to the first."""
        return await self._ours(place, first, first)

    # to one person

    async def _directly(self, reply: Reply, transaction: str) -> str:
        room = self._client.get_channel(int(reply.place.room))
        if isinstance(room, discord.DMChannel):
            return await self._post(reply, room.id, transaction)
        try:
            with self._standing.translated():
                channel = await self._client.create_dm(discord.Object(int(reply.to or 0)))
            return await self._post(_alone(reply), channel.id, transaction)
        except Refused:
            return await self._post(_told(reply), self._channel_of(reply), transaction)

    # to a channel

    async def _post(self, reply: Reply, channel: int, transaction: str) -> str:
        self._standing.check(channel)
        forum = self._client.get_channel(channel)
        parts = self._cut(reply)
        with self._standing.translated(channel):
            if isinstance(forum, discord.ForumChannel):
                return await self._post_in_forum(forum, parts, reply)
            place = self._client.get_partial_messageable(channel)
            source = parts_of(reply.in_reply_to)[1] if is_message(reply.in_reply_to) and reply.in_reply_to else None
            if source is not None and parts_of(reply.in_reply_to or "")[0] != channel:
                source = None
            try:
                return await self._in_order(place, parts, reply, transaction, source)
            except (OSError, TimeoutError, aiohttp.ClientError, discord.DiscordServerError):
                self._unsure.add(transaction)  # it may have arrived
                raise

    async def _in_order(
        self, place: discord.PartialMessageable, parts: Parts, reply: Reply, transaction: str, source: int | None
    ) -> str:
        # What is said beside an answer cannot be told from what was said to others: the nonce alone keeps it single.
        first = None if reply.beside else await self._sent_before(place, parts.texts[0], transaction, source)
        if first is None:
            nonce = _nonce(place.id, transaction, 0)
            sent = await self._say(place, parts.texts[0], parts, reply, nonce=nonce, reference=source)
            first = sent.id
        if len(parts.texts) > 1 and await self._second_missing(place, first, transaction):
            nonce = _nonce(place.id, transaction, 1)
            await self._say(place, parts.texts[1], parts, reply, nonce=nonce, reference=first, last=True)
        self._unsure.discard(transaction)
        return message_id(place.id, first)

    async def _second_missing(self, place: discord.PartialMessageable, first: int, transaction: str) -> bool:
        unsure = transaction in self._unsure or self._is_old(first)
        return not unsure or await self._second(place, first) is None

    async def _say(
        self,
        place: discord.PartialMessageable,
        text: str,
        parts: Parts,
        reply: Reply,
        *,
        nonce: str | None,
        reference: int | None,
        last: bool = False,
    ) -> discord.Message:
        """One message; files go with the last one, the buttons with each."""
        options: dict[str, Any] = {"suppress_embeds": True, "mention_author": False, "silent": reply.beside}
        if reply.label is not None:
            options["view"] = buttons.view_of(reply.label, private=False)
        if nonce is not None:
            options["nonce"] = nonce
        if reference is not None:
            options["reference"] = discord.MessageReference(
                message_id=reference, channel_id=place.id, fail_if_not_exists=False
            )
        if parts.files and (last or len(parts.texts) == 1):
            options["files"] = parts.attachments()
        return await place.send(text, **options)

    async def _post_in_forum(self, forum: discord.ForumChannel, parts: Parts, reply: Reply) -> str:
        """A forum holds posts alone: what is said to it (a digest) becomes one."""
        first_line = next((one for one in parts.texts[0].split("\n") if one.strip(" *_#-")), "Weavebot")
        title = first_line.replace("*", "").strip()[:TITLE]
        made = await forum.create_thread(
            name=title, content=parts.texts[0], files=parts.attachments(), suppress_embeds=True
        )
        place = self._client.get_partial_messageable(made.thread.id)
        if len(parts.texts) > 1:
            await self._say(place, parts.texts[1], Parts(parts.texts[1:], ()), reply, nonce=None, reference=None)
        return message_id(made.thread.id, made.message.id)

    # what was sent before

    async def _sent_before(
        self, place: discord.PartialMessageable, text: str, transaction: str, source: int | None
    ) -> int | None:
        """The first message of this very reply, when it is there already."""
        if not transaction:
            return None
        if source is not None:
            if transaction not in self._unsure and not self._is_old(source):
                return None
            found = await self._ours(place, source, source)
            return found.id if found is not None else None
        since = discord.utils.time_snowflake(self._clock.now() - timedelta(days=1))
        async for message in place.history(limit=LOOKED_AT, after=discord.Object(since), oldest_first=False):
            if self._is_mine(message) and message.content == text:
                return message.id
        return None

    async def _ours(
        self, place: discord.PartialMessageable, after: int, replies_to: int
    ) -> discord.PartialMessage | None:
        """The message of ours that replies to another, among those that follow; never one said beside (silently)."""
        async for message in place.history(limit=LOOKED_AT, after=discord.Object(after)):
            reference = message.reference
            if not self._is_mine(message) or message.flags.silent:
                continue
            if reference is not None and reference.message_id == replies_to:
                return place.get_partial_message(message.id)
        return None

    def _is_mine(self, message: discord.Message) -> bool:
        return self._client.user is not None and message.author.id == self._client.user.id

    def _is_old(self, message: int) -> bool:
        return self._clock.now() - discord.utils.snowflake_time(message) > TRUSTED


def _nonce(channel: int, transaction: str, part: int) -> str | None:
    """At most 25 characters. Another one in each channel: Discord compares a nonce with all that its author posted."""
    if not transaction:
        return None
    return f"{hashlib.blake2b(f'{channel} {transaction}'.encode(), digest_size=11).hexdigest()}-{part}"


def _alone(reply: Reply) -> Reply:
    """The reply in a direct conversation, where it refers to nothing."""
    return replace(reply, in_reply_to=None, thread=None)


def _told(reply: Reply) -> Reply:
    """What is said in the channel instead of what only one person may read."""
    return replace(reply, page=page(NO_DIRECT), label=None, attachment=None, private=False)
