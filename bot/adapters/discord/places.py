"""Channels, threads and people of Discord as places and actors of ours.

A public thread or forum post is a conversation inside its channel's room; a private thread is a room of its own,
because not everybody in the channel may read it. A direct conversation is a room too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import aiohttp
import discord

from bot.adapters.discord.ids import DIRECT, PLATFORM
from bot.adapters.discord.lists import Lists
from bot.models import Actor, Place, Role
from memory.errors import Unavailable

Channel: TypeAlias = discord.abc.GuildChannel | discord.Thread | discord.DMChannel | Any

REMEMBERED: Final = 600.0  # seconds that a channel which the library does not keep (an archived thread) is remembered
MOST: Final = 2_000
_GONE: Final = (400, 403, 404)
"""What is answered for a channel that is not, is hidden from us, or whose id never was one."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something happened: the room, the thread in it (an id, or None), and whether we listen there.

    ``channel`` is what the message stands in, ``guild`` the server (None in a direct conversation).
    """

    place: Place
    channel: Channel
    thread: str | None = None
    guild: int | None = None
    listens: bool = True

    @property
    def is_direct(self) -> bool:
        """Whether the two of us are alone."""
        return self.guild is None


class Places:
    """Finds the spot of a channel id."""

    def __init__(self, client: discord.Client, lists: Lists) -> None:
        self._client = client
        self._lists = lists
        self._fetched: dict[int, tuple[float, Channel]] = {}

    async def of(self, channel_id: int, guild_id: int | None, *, who: Any = None) -> Spot | None:
        """The spot of a channel; None when it is gone or hidden from us. ``who`` names a direct conversation.

        Raises Unavailable when Discord or the notebook does not answer.
        """
        if guild_id is None:
            return direct_spot(channel_id, self._client.get_channel(channel_id), who)
        channel = await self.channel(channel_id)
        if channel is None or getattr(channel, "guild", None) is None:
            return None
        return await self._in_guild(channel, guild_id)

    async def _in_guild(self, channel: Channel, guild_id: int) -> Spot:
        thread = channel if isinstance(channel, discord.Thread) else None
        parent = await self.channel(thread.parent_id) if thread else channel
        top = parent if parent is not None else channel
        choice = await self._lists.of(guild_id)
        nsfw = bool(top.is_nsfw()) if hasattr(top, "is_nsfw") else False
        apart = thread is not None and thread.is_private()
        room: Any = thread if apart else top
        name = f"{top}/{thread}" if apart else str(top)
        return Spot(
            Place(PLATFORM, str(room.id), name, str(guild_id)),
            channel,
            thread=str(thread.id) if thread is not None and not apart else None,
            guild=guild_id,
            listens=choice.listens(top.id, nsfw=nsfw),
        )

    async def channel(self, channel_id: int) -> Channel | None:
        """The channel from the library's cache, from ours, or from Discord. Raises Unavailable."""
        known = self._client.get_channel(channel_id)
        if known is not None:
            return known
        now = time.monotonic()
        if channel_id in self._fetched and now - self._fetched[channel_id][0] < REMEMBERED:
            return self._fetched[channel_id][1]
        try:
            found: Channel | None = await self._client.fetch_channel(channel_id)
        except discord.HTTPException as exc:
            if exc.status not in _GONE:
                raise Unavailable("Discord does not tell now which channel that is") from exc
            found = None
        except discord.InvalidData:
            found = None
        except (OSError, TimeoutError, aiohttp.ClientError) as exc:
            raise Unavailable("Discord cannot be reached now") from exc
        if len(self._fetched) >= MOST:
            self._fetched.clear()
        self._fetched[channel_id] = (now, found)
        return found


def direct_spot(channel_id: int, channel: Channel | None, who: Any = None) -> Spot:
    """A direct conversation."""
    recipient = getattr(channel, "recipient", None) or who
    name = f"@{recipient.display_name}" if recipient is not None else "direct messages"
    return Spot(Place(PLATFORM, str(channel_id), name, DIRECT), channel)


def actor_of(who: Any, channel: Channel | None = None, *, permissions: discord.Permissions | None = None) -> Actor:
    """Somebody as an actor: their role follows from their permissions in the channel, where these are known."""
    granted = permissions
    if granted is None and isinstance(who, discord.Member) and channel is not None:
        granted = channel.permissions_for(who)
    role = role_of(granted) if granted is not None else Role.MEMBER
    return Actor(str(who.id), str(who.display_name), role, is_bot=bool(who.bot))


def role_of(granted: discord.Permissions) -> Role:
    """ADMIN: may manage the server; MODERATOR: may manage messages, threads, channels or members there."""
    if granted.administrator or granted.manage_guild:
        return Role.ADMIN
    moderates = granted.manage_messages or granted.manage_threads or granted.manage_channels
    return Role.MODERATOR if moderates or granted.moderate_members else Role.MEMBER
