"""How Discord's things are named in our events. Pure.

An event id is ``channel-message``, which is also what Discord copies with Shift + Copy Message ID. So a message is
found again, and linked to, from its id alone, also one inside a thread of the room.
"""

from __future__ import annotations

from typing import Final

from memory.errors import BadInput

PLATFORM: Final = "discord"
DIRECT: Final = "@me"
"""The team of direct conversations, and what stands for the server in their links."""

_ALONE: Final = "-alone"


def message_id(channel: int, message: int) -> str:
    """The event id of a message in a channel or thread."""
    return f"{channel}-{message}"


def parts_of(event_id: str) -> tuple[int, int]:
    """Channel (or thread) and message of an event id. Raises BadInput for anything else."""
    channel, _, message = event_id.partition("-")
    if not (channel.isdecimal() and message.isdecimal()):
        raise BadInput(f"{event_id!r} is not the id of a Discord message; copy it with Shift + Copy Message ID.")
    return int(channel), int(message)


def is_message(event_id: str | None) -> bool:
    """Whether an event id names a message (others name a command, a button or a reaction)."""
    channel, _, message = (event_id or "").partition("-")
    return channel.isdecimal() and message.isdecimal()


def command_id(interaction: int, *, alone: bool = False) -> str:
    """The event id of a command, menu or button that somebody used; ``alone``: for nobody else to see."""
    return f"used-{interaction}{_ALONE if alone else ''}"


def asked_alone(event_id: str | None) -> bool:
    """Whether it is a command whose answer is for whoever used it."""
    return event_id is not None and event_id.startswith("used-") and event_id.endswith(_ALONE)


def reaction_id(message: str, user: int, emoji: str) -> str:
    """The event id of a reaction. Discord gives it none: it is whose, on what, which. Super or not is one reaction."""
    return f"{reactions_of(message)}{user}:{emoji}"


def reactions_of(message: str) -> str:
    """What the ids of all reactions on a message begin with, and no press of a button does."""
    return f"{message}:"


def press_id(answer: str, user: int, emoji: str) -> str:
    """The event id of a vote by button: pressed again it is the same vote, as a reaction put again is the same one."""
    return f"click-{answer}-{user}-{emoji}"


def edit_id(message: str, edited_at_ms: int) -> str:
    """The event id of an edit: of a message, at a moment (milliseconds of Unix time)."""
    return f"{message}@{edited_at_ms}"


def link(team: str, event_id: str) -> str:
    """Where a message is read in Discord. Raises BadInput when the id names no message."""
    channel, message = parts_of(event_id)
    return f"https://discord.com/channels/{team}/{channel}/{message}"
