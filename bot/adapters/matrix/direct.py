"""Rooms of two: where what is meant for one person alone is said. They are marked in the account's ``m.direct``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from nio import AsyncClient

from bot.adapters.matrix.homeserver import Homeserver
from bot.adapters.matrix.timing import Pulse, Timing
from memory.errors import NotFound, Rejected, Unavailable

DIRECT: Final = "m.direct"
_PRESENT: Final = frozenset({"join", "invite"})


class DirectRooms:
    """The direct rooms of an account."""

    def __init__(self, homeserver: Homeserver, client: AsyncClient, pulse: Pulse, timing: Timing, *, me: str) -> None:
        self._homeserver = homeserver
        self._client = client
        self._pulse = pulse
        self._timing = timing
        self._me = me
        self._making = asyncio.Lock()

    async def mark(self, person: str, room_id: str) -> None:
        """Remembers, on the homeserver, that a room is for us and that person."""
        marked = await self._marked()
        rooms = _rooms(marked, person)
        if room_id not in rooms:
            content = {**marked, person: [room_id, *rooms]}
            await self._homeserver.ask("PUT", "user", self._me, "account_data", DIRECT, body=content)

    async def room_with(self, person: str, *, encrypted: bool) -> str:
        """The room for that person, made when there is none; with ``encrypted`` never a plain one.

        Raises Refused when the homeserver does not let us invite that person, Unavailable when it does not answer.
        """
        async with self._making:
            for room_id in _rooms(await self._marked(), person):
                if self._ready(room_id, encrypted=encrypted) and await self.alone_with(person, room_id):
                    return room_id
            room_id = await self._make(person, encrypted=encrypted)
            await self.mark(person, room_id)
        # The homeserver may tell of a new room in two syncs; without its guest in it the key would be given to nobody.
        if not await self._pulse.until(
            lambda: self._ready(room_id, encrypted=encrypted) and person in self._client.rooms[room_id].users,
            seconds=self._timing.ready,
        ):
            raise Unavailable("the homeserver has not told us of the direct room yet")
        return room_id

    async def alone_with(self, person: str, room_id: str) -> bool:
        """Whether both are in a room (or on their way) and nobody else is.

        The homeserver is asked: of the members we know those alone who have said something. Raises Unavailable.
        """
        if room_id not in self._client.rooms:
            return False
        try:
            members = await self._homeserver.ask("GET", "rooms", room_id, "members")
        except (NotFound, Rejected):
            return False
        there = {
            one.get("state_key")
            for one in members.get("chunk", [])
            if isinstance(one, dict) and one.get("content", {}).get("membership") in _PRESENT
        }
        return there == {self._me, person}

    async def _make(self, person: str, *, encrypted: bool) -> str:
        state = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]
        made = await self._homeserver.ask(
            "POST",
            "createRoom",
            body={
                "preset": "trusted_private_chat",
                "is_direct": True,
                "invite": [person],
                "initial_state": state if encrypted else [],
            },
        )
        return str(made["room_id"])

    def _ready(self, room_id: str, *, encrypted: bool) -> bool:
        room = self._client.rooms.get(room_id)
        return room is not None and (room.encrypted or not encrypted)

    async def _marked(self) -> dict[str, Any]:
        try:
            return await self._homeserver.ask("GET", "user", self._me, "account_data", DIRECT)
        except NotFound:
            return {}


def _rooms(marked: Mapping[str, Any], person: str) -> list[str]:
    rooms = marked.get(person)
    return [one for one in rooms if isinstance(one, str)] if isinstance(rooms, list) else []
