"""What happens in a room and what the bot says there: the neutral records between chat adapters and the rest.

An adapter turns its platform's events into these; past it nobody imports a chat library.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from bot.pages import Page
from memory.models import Provenance

LOCAL = "local"
"""The team that the command line and the console speak for."""


@dataclass(frozen=True, slots=True)
class Place:
    """A room as the platform names it. ``team`` is the server or account that the room belongs to."""

    platform: str
    room: str
    name: str
    team: str = LOCAL


class Role(enum.IntEnum):
    """What somebody may do in a room; a higher role may all that a lower one may."""

    MEMBER = 1
    MODERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody in a room: the platform's id, the name that people see, the role there."""

    external_id: str
    name: str
    role: Role = Role.MEMBER
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """Somebody wrote. ``event_id`` is unique in the room; ``thread`` names the conversation inside it, if any."""

    place: Place
    event_id: str
    actor: Actor
    text: str
    sent_at: datetime
    reply_to: str | None = None
    thread: str | None = None
    provenance: Provenance = Provenance.LIVE


@dataclass(frozen=True, slots=True)
class Edit:
    """Somebody changed a message of theirs."""

    place: Place
    event_id: str
    target: str
    actor: Actor
    text: str
    edited_at: datetime
    thread: str | None = None
    provenance: Provenance = Provenance.LIVE


@dataclass(frozen=True, slots=True)
class Deletion:
    """A message is gone from the room, whoever took it away."""

    place: Place
    event_id: str
    target: str
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class ReactionAdded:
    """Somebody put an emoji on a message.

    The same emoji in two spellings (👍 and 👍🏽) are two reactions; what they mean for a vote is decided later. One
    that is ``private`` was put on a message that its author alone sees: nothing is said about it to others.
    """

    place: Place
    event_id: str
    target: str
    actor: Actor
    emoji: str
    added_at: datetime
    private: bool = False


@dataclass(frozen=True, slots=True)
class ReactionRemoved:
    """Somebody took a reaction back.

    Platforms name it by the event of the reaction (``reaction``), or by message, person and emoji.
    """

    place: Place
    event_id: str
    removed_at: datetime
    reaction: str | None = None
    target: str | None = None
    actor: Actor | None = None
    emoji: str | None = None


@dataclass(frozen=True, slots=True)
class ReactionsStanding:
    """All reactions that stand on a message now, read from the platform: what was missed while away is put right.

    A reaction that we know and that is not among them was taken back, if its id begins with ``listed``: what people did
    by a button the platform does not list.
    """

    place: Place
    target: str
    standing: tuple[ReactionAdded, ...]
    read_at: datetime
    listed: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events between two times did not reach us and cannot be had any more."""

    place: Place
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """Somebody came to a room or left it."""

    place: Place
    event_id: str
    actor: Actor
    joined: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """We came to a room, by whose invitation, or left it (kicked, or the team removed us)."""

    place: Place
    event_id: str
    at: datetime
    joined: bool = True
    by: Actor | None = None


ChatEvent: TypeAlias = (
    IncomingMessage | Edit | Deletion | ReactionAdded | ReactionRemoved | ReactionsStanding | Gap | Membership | Arrival
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a platform can show, so that words are fitted to it instead of guessed."""

    reactions: bool = True
    threads: bool = False
    markdown: bool = True
    files: bool = False
    edits: bool = False  # a message of ours can be replaced (``Reply.replaces``)
    longest: int | None = None  # characters of one message
    buttons: bool = False  # a question of ours can be answered by a click
    tells_votes: bool = False  # a line after each vote would disturb a room of many
    greets: bool = False  # a notice of what is kept is due when we come
    picking: str = "react with its number, 1️⃣ 2️⃣ …"  # how to say which source is the one
    hint: str = ""  # how to react there, if not by clicking; ``{prefix}`` is the command prefix
    help: Page = ()  # lines that the help of every room there ends with
    hears_all: bool = True  # not: what is said to us alone reaches us
    asking: str = "`{prefix} QUESTION`"  # how one asks there
    command: str = "{prefix}"  # what the commands for everybody begin with there
    settings: str = "{prefix} settings"  # the command that changes a room's settings there


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to hand over with a reply."""

    name: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Label:
    """What a message of ours says about itself beside its words, so that a reaction to it can always be resolved."""

    answer: str  # id of the answer that it shows
    number: int  # the number of it that people see
    route: str
    router: str  # version of what chose the route
    asks: bool = False  # whether it asks for a vote


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bot says.

    ``in_reply_to`` is the event that caused it, ``thread`` the conversation that belongs to. ``replaces`` names a
    message of ours that this one takes the place of. With ``private`` it is for ``to`` alone (an external id), wherever
    the platform can say that; an attachment of a private reply too. ``sources`` are the event ids of the messages that
    the marks [1], [2] … of the page refer to, so that an adapter can link them. What is said ``beside`` replies to a
    message of ours, of which it is no part; several may.
    """

    place: Place
    page: Page
    in_reply_to: str | None = None
    thread: str | None = None
    label: Label | None = None
    replaces: str | None = None
    private: bool = False
    to: str | None = None
    attachment: Attachment | None = None
    sources: tuple[str, ...] = ()
    beside: bool = False

    @property
    def answer(self) -> int | None:
        """The number of the answer that it shows."""
        return self.label.number if self.label else None
