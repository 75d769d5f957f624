"""Two devices with their encryption stores, without a homeserver between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nio import AsyncClient, Event
from nio.crypto import OlmDevice

from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.client import open_client
from bot.adapters.matrix.encryption import machine, own_keys

ROOM = "!hives:example.org"
WEAVE = "@weave:example.org"
ANA = "@ana:example.org"


def device(folder: Path, user: str, name: str) -> AsyncClient:
    """A client that makes no request."""
    return open_client(Account("http://127.0.0.1:9", user, name, "token"), folder / name)


def introduce(to: AsyncClient, other: AsyncClient) -> None:
    """Makes a device known to another, as a query of keys does."""
    keys = own_keys(other)
    known = OlmDevice(other.user_id, other.device_id, {"ed25519": keys.ed25519, "curve25519": keys.curve25519})
    machine(to).device_store.add(known)


def locked(client: AsyncClient, text: str, event_id: str, *, sender: str | None = None) -> dict[str, Any]:
    """An encrypted message as JSON, as a homeserver would give it."""
    olm = machine(client)
    if ROOM not in olm.outbound_group_sessions:
        olm.create_outbound_group_session(ROOM)
    olm.outbound_group_sessions[ROOM].shared = True
    said = {"type": "m.room.message", "content": {"msgtype": "m.text", "body": text}}
    content = olm.group_encrypt(ROOM, said)
    return {
        "type": "m.room.encrypted",
        "event_id": event_id,
        "sender": sender or client.user_id,
        "origin_server_ts": 1_700_000_000_000,
        "content": json.loads(json.dumps(content)),
    }


def hand_over(giver: AsyncClient, taker: AsyncClient) -> None:
    """Gives the room's key, as a message to a device does."""
    session, keys = machine(giver).outbound_group_sessions[ROOM], own_keys(giver)
    machine(taker).create_group_session(keys.curve25519, keys.ed25519, ROOM, session.id, session.session_key)


def parsed(source: dict[str, Any]) -> Any:
    """The event as nio gives it."""
    event = Event.parse_event(source)
    if event is not None:
        event.room_id = ROOM
    return event
