"""A small Matrix client that stands for a person in a test: it says, edits, reacts, redacts and hears.

It has nothing in common with the adapter under test but the protocol (spec.matrix.org, client-server API v3).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

Event = dict[str, Any]
Matching = Callable[[Event], bool]

_LONG_POLL_MS = 1_000
_KEYS_OF_MEGOLM = {"algorithm": "m.megolm.v1.aes-sha2"}


class Refused(Exception):
    """The homeserver said no: HTTP status, Matrix error code, and how long to wait when there was a limit."""

    def __init__(self, status: int, told: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {told.get('errcode')}: {told.get('error')}")
        self.status = status
        self.errcode = str(told.get("errcode", ""))
        self.retry_after_ms = told.get("retry_after_ms")


@dataclass(frozen=True, slots=True)
class Account:
    """Who somebody is on a homeserver."""

    user_id: str
    token: str
    device_id: str
    password: str


class Person:
    """Somebody with an account, at a homeserver's base URL."""

    def __init__(self, session: aiohttp.ClientSession, base: str, account: Account) -> None:
        self.account = account
        self.heard: list[tuple[str, Event]] = []
        """Every timeline event so far with its room, in the order of the syncs."""
        self.invited: dict[str, list[Event]] = {}
        """Rooms that this person was invited to, with the stripped state."""
        self._session, self._base = session, base
        self._since: str | None = None
        self._count = itertools.count()

    @property
    def user_id(self) -> str:
        """Such as ``@ana:localhost``."""
        return self.account.user_id

    async def ask(self, method: str, path: str, body: object = None, **query: str | int) -> dict[str, Any]:
        """One request under ``/_matrix/client``. Raises Refused."""
        headers = {"Authorization": f"Bearer {self.account.token}"}
        url = f"{self._base}/_matrix/client/{path}"
        async with self._session.request(method, url, json=body, params=query, headers=headers) as reply:
            told: dict[str, Any] = await reply.json()
            if not reply.ok:
                raise Refused(reply.status, told)
            return told

    async def create_room(
        self,
        version: str = "12",
        *,
        name: str = "hives",
        encrypted: bool = False,
        invite: tuple[str, ...] = (),
        preset: str = "private_chat",
        **more: Any,
    ) -> str:
        """A room of a version; gives its id. ``more`` are further fields of createRoom."""
        state = [{"type": "m.room.encryption", "state_key": "", "content": _KEYS_OF_MEGOLM}] if encrypted else []
        body = {"room_version": version, "name": name, "preset": preset, "invite": list(invite), "initial_state": state}
        told = await self.ask("POST", "v3/createRoom", {**body, **more})
        return str(told["room_id"])

    async def invite(self, room: str, user_id: str) -> None:
        """Invites somebody."""
        await self.ask("POST", f"v3/rooms/{quote(room)}/invite", {"user_id": user_id})

    async def join(self, room: str) -> None:
        """Joins, invited or where everybody may."""
        await self.ask("POST", f"v3/join/{quote(room)}", {})

    async def leave(self, room: str) -> None:
        """Leaves."""
        await self.ask("POST", f"v3/rooms/{quote(room)}/leave", {})

    async def kick(self, room: str, user_id: str) -> None:
        """Removes somebody."""
        await self.ask("POST", f"v3/rooms/{quote(room)}/kick", {"user_id": user_id})

    async def ban(self, room: str, user_id: str) -> None:
        """Removes somebody for good."""
        await self.ask("POST", f"v3/rooms/{quote(room)}/ban", {"user_id": user_id})

    async def send(self, room: str, kind: str, content: Mapping[str, Any], txn: str | None = None) -> str:
        """An event of any type; gives its id."""
        txn = txn or f"{self.account.device_id}-{next(self._count)}"
        told = await self.ask("PUT", f"v3/rooms/{quote(room)}/send/{kind}/{quote(txn, safe='')}", dict(content))
        return str(told["event_id"])

    async def say(
        self, room: str, text: str, *, reply_to: str | None = None, thread: str | None = None, kind: str = "m.text"
    ) -> str:
        """A message, perhaps in reply to another or in a thread (its root's id); gives its event id."""
        relates: dict[str, Any] = {}
        if thread:
            relates = {"rel_type": "m.thread", "event_id": thread}
        if reply_to:
            relates["m.in_reply_to"] = {"event_id": reply_to}
        content: dict[str, Any] = {"msgtype": kind, "body": text}
        return await self.send(room, "m.room.message", {**content, "m.relates_to": relates} if relates else content)

    async def edit(self, room: str, event_id: str, text: str) -> str:
        """Replaces the text of a message, as clients do."""
        fresh = {"msgtype": "m.text", "body": text}
        relates = {"rel_type": "m.replace", "event_id": event_id}
        content = {"msgtype": "m.text", "body": f"* {text}", "m.new_content": fresh, "m.relates_to": relates}
        return await self.send(room, "m.room.message", content)

    async def react(self, room: str, event_id: str, key: str) -> str:
        """A reaction; gives the event id to redact when it is taken back."""
        relates = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
        return await self.send(room, "m.reaction", {"m.relates_to": relates})

    async def redact(self, room: str, event_id: str, reason: str = "") -> str:
        """Deletes an event's content."""
        path = f"v3/rooms/{quote(room)}/redact/{quote(event_id)}/{self.account.device_id}-{next(self._count)}"
        return str((await self.ask("PUT", path, {"reason": reason}))["event_id"])

    async def state(self, room: str, kind: str, key: str = "") -> dict[str, Any]:
        """The content of a piece of the room's state."""
        return await self.ask("GET", f"v3/rooms/{quote(room)}/state/{kind}/{quote(key)}")

    async def set_state(self, room: str, kind: str, content: Mapping[str, Any], key: str = "") -> None:
        """Sets a piece of the room's state."""
        await self.ask("PUT", f"v3/rooms/{quote(room)}/state/{kind}/{quote(key)}", dict(content))

    async def event(self, room: str, event_id: str) -> Event:
        """One event as the server has it now."""
        return await self.ask("GET", f"v3/rooms/{quote(room)}/event/{quote(event_id)}")

    async def related(self, room: str, event_id: str, rel_type: str) -> list[Event]:
        """The events that relate to one in that way, newest first (the first page)."""
        path = f"v1/rooms/{quote(room)}/relations/{quote(event_id)}/{rel_type}"
        return list((await self.ask("GET", path, limit=100))["chunk"])

    async def history(self, room: str, limit: int = 100) -> list[Event]:
        """The last events of a room, oldest first."""
        told = await self.ask("GET", f"v3/rooms/{quote(room)}/messages", dir="b", limit=limit)
        return list(reversed(told["chunk"]))

    async def members(self, room: str) -> set[str]:
        """Who is in the room."""
        return set((await self.ask("GET", f"v3/rooms/{quote(room)}/joined_members"))["joined"])

    async def upload(self, data: bytes, content_type: str = "text/plain", name: str = "file.txt") -> str:
        """A file; gives its mxc:// address."""
        headers = {"Authorization": f"Bearer {self.account.token}", "Content-Type": content_type}
        url = f"{self._base}/_matrix/media/v3/upload"
        async with self._session.post(url, data=data, params={"filename": name}, headers=headers) as reply:
            told = await reply.json()
            if not reply.ok:
                raise Refused(reply.status, told)
            return str(told["content_uri"])

    async def download(self, mxc: str) -> bytes:
        """The bytes behind an mxc:// address."""
        headers = {"Authorization": f"Bearer {self.account.token}"}
        url = f"{self._base}/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}"
        async with self._session.get(url, headers=headers) as reply:
            if not reply.ok:
                raise Refused(reply.status, await reply.json())
            return await reply.read()

    async def sync(self, timeout_ms: int = 0) -> dict[str, Any]:
        """One sync from where the last one ended; what it brought is heard."""
        query = {"timeout": timeout_ms} | ({"since": self._since} if self._since else {})
        told = await self.ask("GET", "v3/sync", None, **query)
        self._since = str(told["next_batch"])
        rooms = told.get("rooms", {})
        for room, part in rooms.get("join", {}).items():
            self.heard += [(room, event) for event in part.get("timeline", {}).get("events", [])]
        for room, part in rooms.get("invite", {}).items():
            self.invited[room] = part["invite_state"]["events"]
        return told

    async def hears(self, room: str, matching: Matching, *, within: float = 15.0, after: str | None = None) -> Event:
        """The first matching event of the room (after that event id), waiting for it. Raises AssertionError."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for event in self._events(room, after):
                        if matching(event):
                            return event
                    await self.sync(_LONG_POLL_MS)
        except TimeoutError:
            seen = [(e["type"], e["sender"], e["content"].get("body", "")) for e in self._events(room, after)]
            raise AssertionError(f"{self.user_id} heard no such event within {within} s, but {seen}") from None

    async def hears_nothing(self, room: str, matching: Matching, *, during: float, after: str | None = None) -> None:
        """Listens for that long. Raises AssertionError when a matching event comes."""
        try:
            event = await self.hears(room, matching, within=during, after=after)
        except AssertionError:
            return
        raise AssertionError(f"{self.user_id} heard {event['content']}")

    def _events(self, room: str, after: str | None) -> list[Event]:
        events = [event for where, event in self.heard if where == room]
        ids = [event["event_id"] for event in events]
        return events[ids.index(after) + 1 :] if after in ids else ([] if after else events)


def said_by(user_id: str, part: str = "") -> Matching:
    """Messages of somebody, perhaps with these words in them."""
    return lambda event: (
        event["type"] == "m.room.message" and event["sender"] == user_id and part in event["content"].get("body", "")
    )
