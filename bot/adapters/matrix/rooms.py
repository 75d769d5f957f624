"""The rooms of an account as the rest of the adapter sees them: their names, who is who in them, who may do what.

A creator of a room of version 12 or later stands above every power level and is not named among them; nio does not know
that, so the creation event is read here (https://spec.matrix.org/v1.16/rooms/v12/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nio import AsyncClient, MatrixRoom

from bot.models import Actor, Place, Role

PLATFORM: Final = "matrix"
CREATORS_ABOVE: Final = 12  # the first room version whose creators need no power level
ADMIN: Final = 100
MODERATOR: Final = 50


@dataclass(frozen=True, slots=True)
class View:
    """A room while a batch of events is read: whom a user id names and what that person may do."""

    me: str
    place: Place
    room: MatrixRoom
    creators: frozenset[str]
    names: Mapping[str, str]  # of people who are not among the members that we know

    def actor(self, user_id: str) -> Actor:
        """Who that is here."""
        name = self.room.user_name(user_id) or self.names.get(user_id) or local_part(user_id)
        return Actor(user_id, name, self.role(user_id))

    def role(self, user_id: str) -> Role:
        """What that person may do here."""
        if user_id in self.creators and above_levels(self.room.room_version, self.room.room_id):
            return Role.ADMIN
        levels = self.room.power_levels
        level = levels.get_user_level(user_id)
        if user_id in self.creators and not levels.users:
            level = ADMIN  # a room without power levels belongs to whoever made it
        return Role.ADMIN if level >= ADMIN else Role.MODERATOR if level >= MODERATOR else Role.MEMBER


class Rooms:
    """All rooms of an account."""

    def __init__(self, client: AsyncClient, user_id: str) -> None:
        self._client = client
        self._me = user_id
        self._creators: dict[str, frozenset[str]] = {}

    def __contains__(self, room_id: str) -> bool:
        return room_id in self._client.rooms

    def __len__(self) -> int:
        return len(self._client.rooms)

    @property
    def ids(self) -> list[str]:
        """The rooms that we are in."""
        return list(self._client.rooms)

    def room(self, room_id: str) -> MatrixRoom:
        """What nio knows of it; an empty room for one that we are not in."""
        return self._client.rooms.get(room_id) or MatrixRoom(room_id, self._me)

    def place(self, room_id: str) -> Place:
        """The room for the rest of Weavebot; its team is our account."""
        return self.named(self.room(room_id))

    def named(self, room: MatrixRoom) -> Place:
        """The same for a room of nio."""
        return Place(PLATFORM, room.room_id, room.display_name or room.room_id, self._me)

    def view(self, room_id: str, names: Mapping[str, str] | None = None) -> View:
        """The room as it is now."""
        room = self.room(room_id)
        return View(self._me, self.named(room), room, self._creators.get(room_id, frozenset()), names or {})

    def learn(self, room_id: str, sources: Iterable[Mapping[str, Any]]) -> None:
        """Takes from events what nio leaves out: who made the room."""
        for source in sources:
            if source.get("type") == "m.room.create" and source.get("state_key") == "":
                self._creators[room_id] = creators_of(source)

    def outdated(self, room_id: str) -> None:
        """We missed a stretch of the room: the members are read again before anything is encrypted for them.

        What was encrypted so far may be readable for somebody who has left since; the next message has a new key.
        """
        self.room(room_id).members_synced = False
        if self._client.olm is not None:
            self._client.invalidate_outbound_session(room_id)

    def forget(self, room_id: str) -> None:
        """We are not in it any more (nio would keep it)."""
        self._client.rooms.pop(room_id, None)
        self._creators.pop(room_id, None)


def creators_of(create: Mapping[str, Any]) -> frozenset[str]:
    """Who made a room: the sender of its first event and those named there."""
    content = create.get("content")
    more = content.get("additional_creators") if isinstance(content, dict) else None
    named = [one for one in more if isinstance(one, str)] if isinstance(more, list) else []
    return frozenset([str(create.get("sender", "")), *named])


def above_levels(version: str, room_id: str) -> bool:
    """Whether creators stand above the power levels: since version 12, whose room ids name no server."""
    return int(version) >= CREATORS_ABOVE if version.isdecimal() else ":" not in room_id


def local_part(user_id: str) -> str:
    """``anna`` of ``@anna:example.org``."""
    return user_id.removeprefix("@").partition(":")[0] or user_id


def server_of(user_id: str) -> str:
    """``example.org`` of ``@anna:example.org``."""
    return user_id.partition(":")[2]
