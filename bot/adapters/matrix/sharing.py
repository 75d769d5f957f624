"""The key of an encrypted room to all devices of its members, before something is said there.

nio says a message also when the key could not be given to some: their devices were not looked up yet, or a request
failed (it drops the error and marks the key as shared), or they are invited and not there yet. They could never read
it. Here the message waits instead.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from nio import AsyncClient, ErrorResponse

from bot.adapters.matrix.homeserver import Homeserver, failure_of
from memory.errors import Unavailable

TRIES: Final = 5


async def share_key(client: AsyncClient, room_id: str) -> None:
    """Sees to it that everybody who can be given the key of a room's next message has it.

    Raises Unavailable when the homeserver did not take what has to be done for that. A device that offers no key to
    encrypt for it is left out: it cannot be reached, by anybody.
    """
    room = client.rooms[room_id]
    if not room.members_synced:
        _must(client, await client.joined_members(room_id))
        await _invited(client, room_id)
    if client.should_query_keys:
        _must(client, await client.keys_query())
    if not client.olm.should_share_group_session(room_id):
        return
    missing = client.get_missing_sessions(room_id)
    if missing:
        _must(client, await client.keys_claim(missing))
    try:
        await _hand_out(client, room_id)
    except BaseException:
        client.olm.outbound_group_sessions.pop(room_id, None)  # the next try makes a new one, for all
        raise


async def _hand_out(client: AsyncClient, room_id: str) -> None:
    """Gives a new key to the devices; another one to all of them when somebody comes or goes meanwhile.

    By our own requests: nio's take a failure for done, or for the end of our token (0.26 puts the arguments of that
    error into the wrong fields).
    """
    homeserver, keys = Homeserver(client), client.olm.outbound_group_sessions
    for _ in range(TRIES):
        users = list(client.rooms[room_id].users)
        sharing = client.olm.share_group_session_parallel(room_id, users, ignore_unverified_devices=True)
        for devices, messages in sharing:
            key = keys[room_id]
            await homeserver.ask("PUT", "sendToDevice", "m.room.encrypted", secrets.token_hex(16), body=messages)
            if keys.get(room_id) is not key:
                break
            key.users_shared_with.update(devices)
        else:
            keys[room_id].shared = True
            return
    raise Unavailable("people come and go in the room; the message is sent later")


async def _invited(client: AsyncClient, room_id: str) -> None:
    """Makes those known who are invited and not there yet: they may read what is said from their invitation on.

    nio knows of those alone whose invitation it saw.
    """
    room = client.rooms[room_id]
    path = ("rooms", room_id, "members")
    try:
        told = await Homeserver(client).ask("GET", *path, query={"membership": "invite"})
    except Unavailable:
        room.members_synced = False
        raise
    for one in told.get("chunk", []):
        if isinstance(one, dict) and isinstance(who := one.get("state_key"), str) and who not in room.users:
            room.add_member(who, _name(one), None, invited=True)
    client.olm.update_tracked_users(room)


def _name(member: Mapping[str, Any]) -> str | None:
    content = member.get("content")
    name = content.get("displayname") if isinstance(content, dict) else None
    return name if isinstance(name, str) else None


def _must(client: AsyncClient, response: Any) -> None:
    if isinstance(response, ErrorResponse):
        raise failure_of(response, client.user_id)
