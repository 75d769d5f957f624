"""The key of an encrypted room to all devices of its members, before something is said there.

nio says a message also when the key could not be given to some: their devices were not looked up yet, or a request
failed (it drops the error and marks the key as shared). They could never read it. Here the message waits instead.
"""

from __future__ import annotations

from typing import Any

import structlog
from nio import AsyncClient, ErrorResponse, LocalProtocolError

from bot.adapters.matrix.homeserver import failure_of
from memory.errors import Unavailable

log = structlog.get_logger(__name__)


async def share_key(client: AsyncClient, room_id: str) -> None:
    """Sees to it that everybody who can be given the key of a room's next message has it.

    Raises Unavailable when the homeserver did not take what has to be done for that. A device that offers no key to
    encrypt for it is left out: it cannot be reached, by anybody.
    """
    room = client.rooms[room_id]
    if not room.members_synced:
        _must(client, await client.joined_members(room_id))
    if client.should_query_keys:
        _must(client, await client.keys_query())
    if not client.olm.should_share_group_session(room_id):
        return
    if room_id in client.sharing_session:
        await client.sharing_session[room_id].wait()
        return
    try:
        missing = client.get_missing_sessions(room_id)
        if missing:
            _must(client, await client.keys_claim(missing))
        await client.share_group_session(room_id, ignore_unverified_devices=True)
    except LocalProtocolError as exc:
        raise Unavailable("the room's key cannot be shared now") from exc
    left = _without_key(client, room_id)
    if left:
        client.olm.outbound_group_sessions.pop(room_id, None)  # the next try makes a new one, for all
        log.warning("matrix.key_not_shared", room=room_id, devices=len(left))
        raise Unavailable(f"the room's key did not reach {len(left)} devices; the message is sent later")


def _without_key(client: AsyncClient, room_id: str) -> set[tuple[str, str]]:
    """The devices that could be reached and did not get the key: user and device ids."""
    olm = client.olm
    session = olm.outbound_group_sessions[room_id]
    wanted = {
        (user_id, device.id)
        for user_id in client.rooms[room_id].users
        for device in client.device_store.active_user_devices(user_id)
        if olm.session_store.get(device.curve25519) is not None and not olm.is_device_blacklisted(device)
    }
    return wanted - set(session.users_shared_with) - set(session.users_ignored)


def _must(client: AsyncClient, response: Any) -> None:
    if isinstance(response, ErrorResponse):
        raise failure_of(response, client.user_id)
