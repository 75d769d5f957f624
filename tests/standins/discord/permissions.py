"""Who may do what in a channel: roles, then overwrites, as Discord computes it.

https://docs.discord.com/developers/topics/permissions#permission-overwrites
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Permission(enum.IntFlag):
    """The permissions that a chat bot meets, with Discord's bits."""

    NONE = 0
    KICK_MEMBERS = 1 << 1
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    MANAGE_ROLES = 1 << 28
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38


ALL: Final = Permission((1 << 53) - 1)
EVERYONE: Final = (
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)  # what a new server gives to everybody
IN_DIRECT_MESSAGES: Final = EVERYONE


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What a channel allows and denies to one role or member."""

    target: int
    allow: Permission = Permission.NONE
    deny: Permission = Permission.NONE
    of_member: bool = False


def of_roles(roles: dict[int, Permission], *, owner: bool) -> Permission:
    """A member's permissions in the server, from the permissions of their roles (@everyone among them)."""
    if owner:
        return ALL
    granted = Permission.NONE
    for role in roles.values():
        granted |= role
    return ALL if granted & Permission.ADMINISTRATOR else granted


def with_overwrites(
    base: Permission, overwrites: dict[int, Overwrite], *, everyone: int, roles: set[int], member: int
) -> Permission:
    """The permissions in a channel: @everyone's overwrite, then those of the roles together, then the member's."""
    if base & Permission.ADMINISTRATOR:
        return ALL
    if (first := overwrites.get(everyone)) is not None:
        base = base & ~first.deny | first.allow
    allow = deny = Permission.NONE
    for role in roles - {everyone}:
        if (given := overwrites.get(role)) is not None:
            allow |= given.allow
            deny |= given.deny
    base = base & ~deny | allow
    if (own := overwrites.get(member)) is not None:
        base = base & ~own.deny | own.allow
    return base
