"""What happened, waiting to be read: bounded, in order, and never at the cost of an interaction's deadline.

The socket is never held back, because commands come through it. When too many messages wait, further ones are not kept
here: their channel is noted as behind, and its history is read once there is room again. Deletions, edits and reactions
are small and cannot all be read again, so they have a far larger bound.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import discord

from bot.models import IncomingMessage

WAITING: Final = 5_000  # messages
SMALL_WAITING: Final = 200_000  # of everything else


@dataclass(frozen=True, slots=True)
class Written:
    """A message as the gateway tells it."""

    message: discord.Message


@dataclass(frozen=True, slots=True)
class Read:
    """Messages of a channel read from its history, oldest first.

    ``missing`` is when what could not be read any more began, if there is such a gap before them. ``upto`` is the
    message up to which the channel is read then.
    """

    channel: int
    guild: int | None
    messages: tuple[discord.Message, ...]
    upto: int
    missing: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """Something about a message: edited, deleted, reacted to. ``kind`` is the library's event."""

    kind: str
    raw: Any


@dataclass(frozen=True, slots=True)
class Used:
    """A command, as the event that it is for us; ``channel`` and ``guild`` say where."""

    event: IncomingMessage


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that somebody asked us to remember, and what to do once that is committed."""

    message: discord.Message
    guild: int | None
    told: asyncio.Future[bool]


@dataclass(frozen=True, slots=True)
class Came:
    """We came to a server; ``last`` are the newest messages of its channels at that time."""

    guild: discord.Guild
    last: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Left:
    """We are no longer in a server."""

    guild: int
    name: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A channel or thread that has just been made."""

    channel: int


@dataclass(frozen=True, slots=True)
class Vanished:
    """A channel or thread that is gone with everything in it; ``room`` and ``name`` are of the channel it was in."""

    channel: int
    room: int
    guild: int
    name: str


@dataclass(frozen=True, slots=True)
class Voted:
    """A click on a rating; ``remove`` takes the one of that id back, ``private``: of what one person alone sees."""

    channel: int
    guild: int | None
    target: str
    who: Any
    emoji: str
    reaction: str
    remove: bool
    private: bool = True


@dataclass(frozen=True, slots=True)
class Stands:
    """Who has reacted with what to a message, read from Discord; every person and emoji once."""

    channel: int
    guild: int | None
    message: int
    by: tuple[tuple[Any, str], ...]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What had changed while we were away among the newest messages of a channel that we know."""

    channel: int
    guild: int | None
    edited: tuple[discord.Message, ...]
    gone: tuple[str, ...]


Happening: TypeAlias = (
    Written | Read | Changed | Used | Kept | Came | Left | Opened | Vanished | Voted | Stands | Reviewed
)


class Feed:
    """The queue between the socket and the reader."""

    def __init__(self, *, most: int = WAITING, small: int = SMALL_WAITING) -> None:
        self._most = most
        self._small = small
        self._waiting: deque[Happening] = deque()
        self._messages = 0
        self._fresh = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended: BaseException | None = None
        self.idle = False
        """Whether everything that came was read and committed."""
        self.peak = 0
        self.lost = 0

    def put(self, one: Happening) -> bool:
        """Appends; False when it was not kept, because too much waits."""
        is_message = isinstance(one, Written)
        if (is_message and self._messages >= self._most) or len(self._waiting) >= self._small:
            self.lost += 0 if is_message else 1
            return False
        self._messages += is_message
        self._append(one)
        return True

    async def put_read(self, one: Read | Stands | Reviewed | Came | Left) -> None:
        """Appends what was read from Discord, as soon as there is room."""
        await self._room.wait()
        self._append(one)

    async def take(self, most: int) -> list[Happening]:
        """The next ones, at least one. Raises what ended the feed once nothing waits."""
        while not self._waiting:
            if self._ended is not None:
                raise self._ended
            self._fresh.clear()
            self.idle = True
            await self._fresh.wait()
        self.idle = False
        taken: list[Happening] = []
        weight = 0
        while self._waiting and weight < most:
            one = self._waiting.popleft()
            weight += max(1, len(one.messages)) if isinstance(one, Read) else 1
            self._messages -= isinstance(one, Written)
            taken.append(one)
        if len(self._waiting) < self._most // 2:
            self._room.set()
        return taken

    def give_back(self, ones: list[Happening]) -> None:
        """Puts what was taken back to the front: it could not be read now."""
        self._waiting.extendleft(reversed(ones))
        self._messages += sum(isinstance(one, Written) for one in ones)

    def end(self, reason: BaseException) -> None:
        """Nothing more will come."""
        self._ended = reason
        self._fresh.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def _append(self, one: Happening) -> None:
        self._waiting.append(one)
        self.peak = max(self.peak, len(self._waiting))
        if len(self._waiting) >= self._most:
            self._room.clear()
        self._fresh.set()
