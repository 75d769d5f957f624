"""How an account is, in lines that say what to do."""

from __future__ import annotations

from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.invitations import Invitations
from bot.adapters.matrix.rooms import Rooms
from bot.adapters.matrix.syncing import State
from bot.pages import BAD, GOOD, Line, Page, count, line, sentence


def health_page(
    account: Account, rooms: Rooms, state: State, invitations: Invitations, room: str | None = None
) -> Page:
    """The connection and the invitations that wait; of a room, whether we are in it and whether it is encrypted."""
    lines: list[Line] = [_connection(account, rooms, state)]
    lines += [
        line(f"{by} invited me to {where}; to let that person, add {by} to the setting matrix_allow and restart me.")
        for where, by in invitations.refused.items()
        if room is None
    ]
    if room is not None:
        lines.append(_room(rooms, room))
    return tuple(lines)


def _connection(account: Account, rooms: Rooms, state: State) -> Line:
    if state.ended:
        return line((BAD, sentence(state.ended)))
    if state.failing_since is not None:
        since = f"{state.failing_since:%Y-%m-%d %H:%M:%S} UTC"
        return line((BAD, f"{account.homeserver} fails since {since}: "), sentence(state.trouble))
    if state.synced_at is None:
        return line(f"{account.user_id} has not heard from {account.homeserver} yet.")
    return line((GOOD, "connected"), f" as {account.user_id} to {account.homeserver}, {count(len(rooms), 'room')}")


def _room(rooms: Rooms, room: str) -> Line:
    if room not in rooms:
        return line((BAD, "I am not in that room."))
    known = rooms.room(room)
    return line(f"{rooms.place(room).name}: {'encrypted' if known.encrypted else 'not encrypted'}.")
