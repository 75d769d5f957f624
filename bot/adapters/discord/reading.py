"""What happened on Discord as events of ours."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import discord
import structlog

from bot.adapters.discord.feed import (
    Came,
    Changed,
    Happening,
    Kept,
    Left,
    Opened,
    Read,
    Reviewed,
    Stands,
    Used,
    Vanished,
    Voted,
    Written,
)
from bot.adapters.discord.ids import PLATFORM, edit_id, message_id, reaction_id, reactions_of
from bot.adapters.discord.places import Places, Spot, actor_of
from bot.models import (
    Actor,
    Arrival,
    ChatEvent,
    Deletion,
    Edit,
    Gap,
    IncomingMessage,
    Place,
    ReactionAdded,
    ReactionRemoved,
    ReactionsStanding,
)
from bot.ports import Notebook
from memory.models import Provenance
from memory.ports import Clock

SAID: Final = frozenset({discord.MessageType.default, discord.MessageType.reply})
OTHERS: Final = 2_000  # messages of others that are remembered as such
RECHECKED: Final = 200  # newest answers of a room on which a reaction that is taken back is looked at again
_USER: Final = re.compile(r"<@!?(\d+)>")
_CHANNEL: Final = re.compile(r"<#(\d+)>")
_ROLE: Final = re.compile(r"<@&(\d+)>")
_EMOJI: Final = re.compile(r"<a?(:\w+:)\d+>")

log = structlog.get_logger(__name__)


class Lately:
    """Messages of other people on which somebody reacted of late: they show no answer of ours. Bounded."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()

    def add(self, event_id: str) -> None:
        """Somebody else's message."""
        self._known[event_id] = None
        self._known.move_to_end(event_id)
        if len(self._known) > OTHERS:
            self._known.popitem(last=False)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._known


class Reader:
    """Turns happenings into events, in order. ``recheck`` has the reactions on a message of ours read again."""

    def __init__(
        self,
        client: discord.Client,
        places: Places,
        notebook: Notebook,
        clock: Clock,
        *,
        prefix: str,
        recheck: Callable[[int, int | None, int], None],
    ) -> None:
        self._client = client
        self._places = places
        self._notebook = notebook
        self._clock = clock
        self._prefix = prefix
        self._recheck = recheck
        self.others = Lately()
        self._changes: Mapping[str, Callable[[Any, Spot], Any]] = {
            "raw_message_edit": self._edited,
            "raw_message_delete": self._deleted,
            "raw_bulk_message_delete": self._deleted,
            "raw_reaction_add": self._reacted,
            "raw_reaction_remove": self._unreacted,
            "raw_reaction_clear": self._cleared,
            "raw_reaction_clear_emoji": self._cleared_emoji,
        }

    async def events(self, one: Happening) -> list[ChatEvent]:  # noqa: PLR0911, C901 - one case each kind
        """The events of one happening; often one, sometimes none. Raises Unavailable."""
        match one:
            case Written(message=message):
                return await self._written([message], _guild_id(message), message.channel.id, Provenance.LIVE)
            case Read():
                return await self._read(one)
            case Changed(kind=kind, raw=raw):
                spot = await self._places.of(raw.channel_id, raw.guild_id)
                return [] if spot is None else await self._changes[kind](raw, spot)
            case Used(event=event):
                return [event]
            case Kept(message=message, guild=guild):
                return await self._written([message], guild, message.channel.id, Provenance.HISTORY)
            case Came(guild=guild):
                return self._came(guild)
            case Left():
                return [self._left(one)]
            case Vanished():
                return await self._vanished(one)
            case Opened():
                return []
            case Stands():
                return await self._standing(one)
            case Voted():
                return await self._voted(one)
            case Reviewed():
                return await self._reviewed(one)

    async def _read(self, one: Read) -> list[ChatEvent]:
        events = await self._written(list(one.messages), one.guild, one.channel, Provenance.RECOVERED)
        if one.missing is None:
            return events
        spot = await self._places.of(one.channel, one.guild)
        gap = [] if spot is None else [Gap(spot.place, one.missing, one.messages[0].created_at)]
        return [*gap, *events]

    async def _written(
        self, messages: list[discord.Message], guild: int | None, channel: int, how: Provenance
    ) -> list[ChatEvent]:
        who = messages[0].author if guild is None else None
        spot = await self._places.of(channel, guild, who=who)
        if spot is None or not spot.listens:
            return []
        events = [await self._message(message, spot, how) for message in messages]
        return [event for event in events if event is not None]

    async def _message(self, message: discord.Message, spot: Spot, how: Provenance) -> IncomingMessage | None:
        """What somebody wrote; None for what we, other bots or Discord itself say, and for what we may not read."""
        if not _by_a_person(message):
            return None
        text = self.text_of(message, spot)
        if not text.strip():
            return None
        who = message.author
        if how is Provenance.RECOVERED and spot.guild is not None and text.lower().startswith(self._prefix.lower()):
            who = await self._member(message, spot.guild)
        return IncomingMessage(
            spot.place,
            message_id(message.channel.id, message.id),
            actor_of(who, spot.channel),
            text,
            message.created_at,
            reply_to=_replied(message),
            thread=spot.thread,
            provenance=how,
        )

    async def _member(self, message: discord.Message, guild_id: int) -> Any:
        """The author with their roles, which history does not tell."""
        guild = self._client.get_guild(guild_id)
        if guild is None or isinstance(message.author, discord.Member):
            return message.author
        try:
            return await guild.fetch_member(message.author.id)
        except discord.HTTPException:
            return message.author  # they left, or Discord does not say: then they are a member like any other

    def text_of(self, message: discord.Message, spot: Spot) -> str:
        """What was written, with names for mentions; what is said to us begins with the prefix."""
        content = message.content
        to_us = _mentions_first(content, self._client.user)
        if to_us is not None:
            return f"{self._prefix} {self._named(to_us, message)}"
        text = self._named(content, message)
        if spot.is_direct and text.strip() and not text.lower().startswith(self._prefix.lower()):
            return f"{self._prefix} {text}"
        forum = isinstance(spot.channel, discord.Thread) and isinstance(spot.channel.parent, discord.ForumChannel)
        return f"{spot.channel}\n{text}".strip() if forum and message.id == spot.channel.id else text

    def _named(self, text: str, message: discord.Message) -> str:
        people = {user.id: user.display_name for user in message.mentions}
        guild = message.guild

        def channel(found: re.Match[str]) -> str:
            known = guild.get_channel_or_thread(int(found[1])) if guild else None
            return f"#{known.name}" if known else found[0]

        def role(found: re.Match[str]) -> str:
            known = guild.get_role(int(found[1])) if guild else None
            return f"@{known.name}" if known else found[0]

        text = _USER.sub(lambda found: f"@{people[int(found[1])]}" if int(found[1]) in people else found[0], text)
        return _EMOJI.sub(r"\1", _ROLE.sub(role, _CHANNEL.sub(channel, text)))

    async def _edited(self, raw: discord.RawMessageUpdateEvent, spot: Spot) -> list[ChatEvent]:
        """An edit by a person; link previews, pins and new threads on a message are updates too, but no edits."""
        edit = self._edit(raw.message, raw.channel_id, spot, Provenance.LIVE)
        return [edit] if edit is not None else []

    def _edit(self, message: discord.Message, channel: int, spot: Spot, how: Provenance) -> Edit | None:
        if message.edited_at is None or not _by_a_person(message) or not spot.listens:
            return None
        if not message.content and not self._may_read(spot):
            return None  # blank because we may not read it, not because nothing is left
        target = message_id(channel, message.id)
        return Edit(
            spot.place,
            edit_id(target, round(message.edited_at.timestamp() * 1000)),
            target,
            actor_of(message.author, spot.channel),
            self.text_of(message, spot),
            message.edited_at,
            thread=spot.thread,
            provenance=how,
        )

    async def _reviewed(self, one: Reviewed) -> list[ChatEvent]:
        """What was edited and deleted while we were away."""
        spot = await self._places.of(one.channel, one.guild)
        if spot is None:
            return []
        now = self._clock.now()
        edits = [self._edit(message, one.channel, spot, Provenance.RECOVERED) for message in one.edited]
        gone = [Deletion(spot.place, f"{target}!", target, now) for target in one.gone]
        return [*(edit for edit in edits if edit is not None), *gone]

    def _may_read(self, spot: Spot) -> bool:
        return spot.is_direct or self._client.intents.message_content

    async def _deleted(
        self, raw: discord.RawMessageDeleteEvent | discord.RawBulkMessageDeleteEvent, spot: Spot
    ) -> list[ChatEvent]:
        ids = raw.message_ids if isinstance(raw, discord.RawBulkMessageDeleteEvent) else {raw.message_id}
        targets = [message_id(raw.channel_id, one) for one in sorted(ids)]
        return [Deletion(spot.place, f"{target}!", target, self._clock.now()) for target in targets]

    async def _reacted(self, raw: discord.RawReactionActionEvent, spot: Spot) -> list[ChatEvent]:
        if self._client.user is not None and raw.user_id == self._client.user.id:
            return []
        target = message_id(raw.channel_id, raw.message_id)
        emoji = str(raw.emoji)
        who = raw.member or self._client.get_user(raw.user_id)
        if raw.message_author_id is not None and raw.message_author_id != getattr(self._client.user, "id", None):
            self.others.add(target)
        actor = actor_of(who, spot.channel) if who is not None else Actor(str(raw.user_id), str(raw.user_id))
        event_id = reaction_id(target, raw.user_id, emoji)
        return [ReactionAdded(spot.place, event_id, target, actor, emoji, self._clock.now())]

    async def _unreacted(self, raw: discord.RawReactionActionEvent, spot: Spot) -> list[ChatEvent]:
        """Somebody took one back; on an answer their super reaction with the same emoji may still stand."""
        target = message_id(raw.channel_id, raw.message_id)
        if target in await self._notebook.answers(spot.place.room, RECHECKED):
            self._recheck(raw.channel_id, raw.guild_id, raw.message_id)
            return []
        found = reaction_id(target, raw.user_id, str(raw.emoji))
        return [ReactionRemoved(spot.place, f"{found}!", self._clock.now(), reaction=found)]

    async def _cleared(self, raw: discord.RawReactionClearEvent, spot: Spot) -> list[ChatEvent]:
        target = message_id(raw.channel_id, raw.message_id)
        return [ReactionsStanding(spot.place, target, (), self._clock.now(), listed=reactions_of(target))]

    async def _cleared_emoji(self, raw: discord.RawReactionClearEmojiEvent, spot: Spot) -> list[ChatEvent]:
        self._recheck(raw.channel_id, raw.guild_id, raw.message_id)
        del spot
        return []

    async def _standing(self, one: Stands) -> list[ChatEvent]:
        spot = await self._places.of(one.channel, one.guild)
        if spot is None:
            return []
        target, now = message_id(one.channel, one.message), self._clock.now()
        me = self._client.user.id if self._client.user is not None else 0
        standing = tuple(
            ReactionAdded(spot.place, reaction_id(target, who.id, emoji), target, actor_of(who), emoji, now)
            for who, emoji in one.by
            if who.id != me and not who.bot
        )
        return [ReactionsStanding(spot.place, target, standing, now, listed=reactions_of(target))]

    async def _voted(self, one: Voted) -> list[ChatEvent]:
        """A rating by a click: of an answer that one person alone sees, or of one that asks everybody."""
        spot = await self._places.of(one.channel, one.guild)
        if spot is None:
            return []
        now = self._clock.now()
        if one.remove:
            return [ReactionRemoved(spot.place, f"{one.reaction}!", now, reaction=one.reaction)]
        who = actor_of(one.who)
        return [ReactionAdded(spot.place, one.reaction, one.target, who, one.emoji, now, private=one.private)]

    def _came(self, guild: discord.Guild) -> list[ChatEvent]:
        """To a server: one arrival, in the channel where a notice belongs; the same join is the same event."""
        joined = guild.me.joined_at or self._clock.now()
        channel = notice_channel(guild)
        event_id = f"came-{guild.id}-{round(joined.timestamp())}"
        return [] if channel is None else [Arrival(_place(channel, guild.id), event_id, joined)]

    def _left(self, one: Left) -> Arrival:
        """Out of a server, and so of all its channels."""
        now = self._clock.now()
        place = Place(PLATFORM, str(one.guild), one.name, str(one.guild))
        return Arrival(place, f"left-{one.guild}-{round(now.timestamp())}", now, joined=False)

    async def _vanished(self, one: Vanished) -> list[ChatEvent]:
        """A channel or thread was deleted: so were all messages in it."""
        place = Place(PLATFORM, str(one.room), one.name, str(one.guild))
        kept = await self._notebook.kept(place.room, f"{one.channel}-")
        now = self._clock.now()
        return [Deletion(place, f"{target}!", target, now) for target in kept]


def notice_channel(guild: discord.Guild) -> discord.TextChannel | None:
    """Where a notice to everybody belongs: the server's channel for such, or the first one that we may write in."""
    candidates = [guild.system_channel, *sorted(guild.text_channels, key=lambda one: (one.position, one.id))]
    for channel in candidates:
        if channel is not None:
            granted = channel.permissions_for(guild.me)
            if granted.view_channel and granted.send_messages and not channel.is_nsfw():
                return channel
    return None


def _place(channel: discord.TextChannel, guild: int) -> Place:
    return Place(PLATFORM, str(channel.id), channel.name, str(guild))


def _by_a_person(message: discord.Message) -> bool:
    return message.type in SAID and not message.author.bot and message.webhook_id is None


def _replied(message: discord.Message) -> str | None:
    reference = message.reference
    if reference is None or reference.message_id is None or reference.type is not discord.MessageReferenceType.reply:
        return None
    return message_id(reference.channel_id, reference.message_id)


def _mentions_first(content: str, me: Any) -> str | None:
    """What follows when a message begins with a mention of us; else None."""
    found = _USER.match(content.lstrip())
    if found is None or me is None or int(found[1]) != me.id:
        return None
    return content.lstrip()[found.end() :].lstrip(" ,:")


def _guild_id(message: discord.Message) -> int | None:
    return message.guild.id if message.guild is not None else None
