"""What the gateway tells, and which intent a session needs to hear it.

https://docs.discord.com/developers/events/gateway#list-of-intents
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tests.standins.discord.state import CONTENT, MEMBERS, PRESENCES, Channel, Guild, Json


class Intent(enum.IntFlag):
    """Gateway intents with Discord's bits; NONE is for what every session hears."""

    NONE = 0
    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_MODERATION = 1 << 2
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    DIRECT_MESSAGE_TYPING = 1 << 14
    MESSAGE_CONTENT = 1 << 15


KNOWN_BITS: Final = (1 << 26) - 1
PRIVILEGED: Final = MappingProxyType(
    {Intent.GUILD_MEMBERS: MEMBERS, Intent.GUILD_PRESENCES: PRESENCES, Intent.MESSAGE_CONTENT: CONTENT}
)

_MESSAGES: Final = (Intent.GUILD_MESSAGES, Intent.DIRECT_MESSAGES)
_REACTIONS: Final = (Intent.GUILD_MESSAGE_REACTIONS, Intent.DIRECT_MESSAGE_REACTIONS)
_GUILDS: Final = (Intent.GUILDS, Intent.NONE)
_NEEDS: Final = MappingProxyType(
    {
        "MESSAGE_CREATE": _MESSAGES,
        "MESSAGE_UPDATE": _MESSAGES,
        "MESSAGE_DELETE": _MESSAGES,
        "MESSAGE_DELETE_BULK": _MESSAGES,
        "MESSAGE_REACTION_ADD": _REACTIONS,
        "MESSAGE_REACTION_REMOVE": _REACTIONS,
        "MESSAGE_REACTION_REMOVE_ALL": _REACTIONS,
        "MESSAGE_REACTION_REMOVE_EMOJI": _REACTIONS,
        "GUILD_CREATE": _GUILDS,
        "GUILD_UPDATE": _GUILDS,
        "GUILD_DELETE": _GUILDS,
        "GUILD_ROLE_CREATE": _GUILDS,
        "GUILD_ROLE_UPDATE": _GUILDS,
        "CHANNEL_CREATE": _GUILDS,
        "CHANNEL_UPDATE": _GUILDS,
        "CHANNEL_DELETE": _GUILDS,
        "THREAD_CREATE": _GUILDS,
        "THREAD_UPDATE": _GUILDS,
        "THREAD_DELETE": _GUILDS,
        "GUILD_MEMBER_ADD": (Intent.GUILD_MEMBERS, Intent.NONE),
        "GUILD_MEMBER_UPDATE": (Intent.GUILD_MEMBERS, Intent.NONE),
        "GUILD_MEMBER_REMOVE": (Intent.GUILD_MEMBERS, Intent.NONE),
        "INTERACTION_CREATE": (Intent.NONE, Intent.NONE),
    }
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that happened; ``make`` gives its payload for a session with these intents.

    What happens in a channel is heard by those who see the channel.
    """

    event: str
    make: Callable[[Intent], Json]
    guild: Guild | None = None
    channel: Channel | None = None

    def wants(self, intents: Intent) -> bool:
        """Whether a session with these intents hears of it."""
        in_guild, direct = _NEEDS[self.event]
        needed = direct if self.guild is None else in_guild
        return needed is Intent.NONE or bool(intents & needed)
