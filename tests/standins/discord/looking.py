"""Finding what a request names, as somebody who may see it; otherwise Discord's own refusals."""

from __future__ import annotations

from tests.standins.discord.errors import (
    MISSING_ACCESS,
    MISSING_PERMISSIONS,
    UNKNOWN_CHANNEL,
    UNKNOWN_GUILD,
    UNKNOWN_MESSAGE,
    Refused,
)
from tests.standins.discord.permissions import Permission
from tests.standins.discord.rest import Call
from tests.standins.discord.state import Channel, Guild, Message


def channel_of(call: Call, *needed: Permission) -> Channel:
    """The channel in the path, where the bot has these permissions. Raises Refused."""
    channel = call.world.channels.get(call.number("channel"))
    if channel is None:
        raise Refused(UNKNOWN_CHANNEL)
    require(call, channel, *needed)
    return channel


def require(call: Call, channel: Channel, *needed: Permission) -> None:
    """The bot sees the channel (else 50001) and has these permissions there (else 50013). Raises Refused."""
    granted = call.world.permissions(call.world.bot, channel)
    if not granted & Permission.VIEW_CHANNEL:
        raise Refused(MISSING_ACCESS)
    if any(not granted & one for one in needed):
        raise Refused(MISSING_PERMISSIONS)


def message_of(call: Call, channel: Channel) -> Message:
    """The message in the path. Raises Refused (10008)."""
    message = channel.messages.get(call.number("message"))
    if message is None:
        raise Refused(UNKNOWN_MESSAGE)
    return message


def guild_of(call: Call) -> Guild:
    """The server in the path, which the bot must be in. Raises Refused."""
    guild = call.world.guilds.get(call.number("guild"))
    if guild is None:
        raise Refused(UNKNOWN_GUILD)
    if call.world.bot.id not in guild.members:
        raise Refused(MISSING_ACCESS)
    return guild
