"""The world behind the stand-in: people, servers, channels, messages. Plain records; ``deeds`` changes them."""

from __future__ import annotations

import bisect
import enum
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tests.standins.discord.permissions import (
    ALL,
    EVERYONE,
    IN_DIRECT_MESSAGES,
    Overwrite,
    Permission,
    of_roles,
    with_overwrites,
)
from tests.standins.discord.snowflakes import Snowflakes, timestamp_of

Json: TypeAlias = dict[str, Any]

CONTENT: Final = "message_content"
MEMBERS: Final = "members"
PRESENCES: Final = "presences"


class ChannelKind(enum.IntEnum):
    """Discord's channel types."""

    TEXT = 0
    DIRECT = 1
    VOICE = 2
    CATEGORY = 4
    NEWS = 5
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    FORUM = 15


THREADS: Final = frozenset({ChannelKind.PUBLIC_THREAD, ChannelKind.PRIVATE_THREAD})


class MessageKind(enum.IntEnum):
    """Discord's message types, those that occur here."""

    DEFAULT = 0
    THREAD_CREATED = 18
    REPLY = 19
    CHAT_INPUT_COMMAND = 20
    THREAD_STARTER_MESSAGE = 21
    CONTEXT_MENU_COMMAND = 23


class Flag(enum.IntFlag):
    """Discord's message flags, those that occur here."""

    NONE = 0
    SUPPRESS_EMBEDS = 1 << 2
    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    COMPONENTS_V2 = 1 << 15


@dataclass(eq=False, slots=True)
class User:
    """Somebody with an account; the bot is one too."""

    id: int
    name: str
    bot: bool = False
    takes_direct_messages: bool = True


@dataclass(eq=False, slots=True)
class Role:
    """A role of a server; the one whose id is the server's is @everyone."""

    id: int
    name: str
    permissions: Permission
    position: int


@dataclass(eq=False, slots=True)
class Member:
    """A user in a server."""

    user: User
    roles: set[int] = field(default_factory=set)
    nick: str | None = None
    joined_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Emoji:
    """A unicode emoji (``id`` is None) or one of a server's own."""

    name: str
    id: int | None = None

    @classmethod
    def parse(cls, text: str) -> Emoji:
        """From ``👍`` or ``name:id``."""
        name, _, number = text.rpartition(":")
        return cls(name, int(number)) if name and number.isdecimal() else cls(text)


@dataclass(eq=False, slots=True)
class Reaction:
    """Who put one emoji on a message, as a normal and as a super reaction, oldest first."""

    emoji: Emoji
    normal: list[int] = field(default_factory=list)
    burst: list[int] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class File:
    """An attachment, with its bytes."""

    id: int
    name: str
    data: bytes


@dataclass(eq=False, slots=True)
class Message:
    """A message; an ephemeral one is seen by ``only_for`` alone and stands in no history."""

    id: int
    channel: Channel
    author: User
    content: str
    kind: MessageKind = MessageKind.DEFAULT
    flags: Flag = Flag.NONE
    edited_at: float | None = None
    embeds: list[Json] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    mentions: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    pinged: set[int] = field(default_factory=set)
    reply_to: Message | None = None
    nonce: str | None = None
    reactions: dict[Emoji, Reaction] = field(default_factory=dict)
    interaction: Json | None = None
    only_for: User | None = None
    thread: Channel | None = None
    gone: bool = False

    @property
    def sent_at(self) -> float:
        """Seconds of Unix time."""
        return timestamp_of(self.id)

    @property
    def ephemeral(self) -> bool:
        """Whether only one person sees it."""
        return self.only_for is not None


@dataclass(eq=False, slots=True)
class Channel:
    """A channel, thread, forum or direct conversation; of a thread ``parent`` is where it hangs."""

    id: int
    kind: ChannelKind
    name: str = ""
    guild: Guild | None = None
    parent: Channel | None = None
    nsfw: bool = False
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    recipient: User | None = None
    owner: User | None = None
    archived: bool = False
    archived_at: float = 0.0
    thread_members: set[int] = field(default_factory=set)
    messages: dict[int, Message] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)

    @property
    def is_thread(self) -> bool:
        """Whether it hangs in another channel."""
        return self.kind in THREADS

    def put(self, message: Message) -> None:
        """Adds a message at its place in time."""
        self.messages[message.id] = message
        bisect.insort(self.order, message.id)

    def take(self, message: Message) -> None:
        """Removes a message."""
        del self.messages[message.id]
        del self.order[bisect.bisect_left(self.order, message.id)]

    def page(self, limit: int, *, before: int | None, after: int | None, around: int | None) -> list[Message]:
        """A page of history, newest first; with ``after`` the ones that follow it directly."""
        if after is not None:
            start = bisect.bisect_right(self.order, after)
            ids = self.order[start : start + limit]
        elif around is not None:
            middle = bisect.bisect_left(self.order, around)
            start = max(0, middle - limit // 2)
            ids = self.order[start : start + limit]
        else:
            end = len(self.order) if before is None else bisect.bisect_left(self.order, before)
            ids = self.order[max(0, end - limit) : end]
        return [self.messages[i] for i in reversed(ids)]


@dataclass(eq=False, slots=True)
class Guild:
    """A server."""

    id: int
    name: str
    owner: User
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    emojis: dict[int, str] = field(default_factory=dict)
    unavailable: bool = False

    def permissions(self, user: User, channel: Channel | None = None) -> Permission:
        """What a user may do in the server, or in one of its channels."""
        member = self.members.get(user.id)
        if member is None:
            return Permission.NONE
        held = member.roles | {self.id}
        base = of_roles({i: self.roles[i].permissions for i in held}, owner=user is self.owner)
        place = channel.parent if channel is not None and channel.is_thread else channel
        if place is None:
            return base
        return with_overwrites(base, place.overwrites, everyone=self.id, roles=held, member=user.id)


@dataclass(eq=False, slots=True)
class App:
    """The bot's application in the developer portal; ``privileged`` are the intents switched on there.

    With an ``endpoint`` Discord sends commands there instead of through the gateway.
    """

    id: int
    name: str
    token: str
    owner: User
    privileged: set[str] = field(default_factory=lambda: {CONTENT, MEMBERS, PRESENCES})
    endpoint: str | None = None
    commands: dict[int, Json] = field(default_factory=dict)
    guild_commands: dict[int, dict[int, Json]] = field(default_factory=dict)


class World:
    """Everything there is, by id."""

    def __init__(self, *, token: str = "stand-in-token", bot_name: str = "Weavebot") -> None:  # noqa: S107 - opens nothing
        self._ids = Snowflakes()
        self._offset = 0.0
        self._numbers = itertools.count(1)
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.bot = self.user(bot_name, bot=True)
        self.app = App(self.bot.id, bot_name, token, self.user("owner"))
        self.on_change: list[Callable[[], None]] = []

    def now(self) -> float:
        """Seconds of Unix time, moved by ``later``."""
        return time.time() + self._offset

    def later(self, seconds: float) -> None:
        """Moves the world's clock forward."""
        self._offset += seconds

    def make_id(self, at: float | None = None) -> int:
        """A new id, of now or of another moment."""
        return self._ids.make(self.now() if at is None else at)

    def number(self) -> int:
        """A small number, each one given once."""
        return next(self._numbers)

    def user(self, name: str, *, bot: bool = False) -> User:
        """A new account."""
        made = User(self.make_id(), name, bot)
        self.users[made.id] = made
        return made

    def guild(self, name: str, owner: User, *, guild_id: int | None = None) -> Guild:
        """A new server with the role @everyone; its owner is a member."""
        made = Guild(guild_id or self.make_id(), name, owner)
        made.roles[made.id] = Role(made.id, "@everyone", EVERYONE, 0)
        made.members[owner.id] = Member(owner, joined_at=self.now())
        self.guilds[made.id] = made
        return made

    def add_channel(self, channel: Channel) -> Channel:
        """Registers a channel, also in its server."""
        self.channels[channel.id] = channel
        if channel.guild is not None:
            channel.guild.channels[channel.id] = channel
        return channel

    def direct(self, user: User) -> Channel:
        """The conversation of that user with the bot; made when there is none."""
        for channel in self.channels.values():
            if channel.recipient is user:
                return channel
        return self.add_channel(Channel(self.make_id(), ChannelKind.DIRECT, recipient=user))

    def permissions(self, user: User, channel: Channel) -> Permission:
        """What a user may do in a channel."""
        if channel.guild is not None:
            granted = channel.guild.permissions(user, channel)
            if channel.kind is ChannelKind.PRIVATE_THREAD and user.id not in channel.thread_members:
                return granted if granted & Permission.MANAGE_THREADS else Permission.NONE
            return granted
        return IN_DIRECT_MESSAGES if user in (self.bot, channel.recipient) else Permission.NONE

    def sees(self, user: User, channel: Channel) -> bool:
        """Whether the user can look into the channel."""
        return bool(self.permissions(user, channel) & Permission.VIEW_CHANNEL)

    def bot_guilds(self) -> Iterator[Guild]:
        """The servers that the bot is in."""
        return (guild for guild in self.guilds.values() if self.bot.id in guild.members)

    def changed(self) -> None:
        """Tells those who wait for something that something happened."""
        for told in list(self.on_change):
            told()


__all__ = [
    "ALL",
    "App",
    "Channel",
    "ChannelKind",
    "Emoji",
    "File",
    "Flag",
    "Guild",
    "Json",
    "Member",
    "Message",
    "MessageKind",
    "Reaction",
    "Role",
    "User",
    "World",
]
