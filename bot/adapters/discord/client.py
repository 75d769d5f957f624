"""The library's client as we use it: no caches of messages and members, nobody pinged, every event caught at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import discord
from discord import app_commands

from bot.adapters.discord.gateway import Guard, HeldState

PATIENT: Final = 30.0  # seconds that a request waits for its bucket at most; then the outbox waits instead


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Discord. ``shards`` are those of this process out of ``shard_count``; None: all that are needed.

    ``full_memory`` asks for the message content intent; without it we hear what is said to us alone. ``api`` and
    ``gateway`` are for a proxy in front of Discord.
    """

    token: str
    full_memory: bool = True
    shard_count: int | None = None
    shards: Sequence[int] | None = None
    api: str | None = None
    gateway: str | None = None


class Client(discord.AutoShardedClient):
    """Tells every event to ``hear``, in the order in which they came, before the library's own listeners."""

    def __init__(
        self,
        access: Access,
        hear: Callable[[str, Any], None],
        *,
        guard: Guard,
        trace: aiohttp.TraceConfig,
        set_up: Callable[[], Any],
        settle: float = 2.0,
        identify_every: float = 5.0,
    ) -> None:
        """In seconds: how long the stream of servers at the start may pause; the time between two identifies.

        Discord takes one identify in five seconds.
        """
        super().__init__(
            intents=intents_for(full_memory=access.full_memory),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            shard_count=access.shard_count,
            shard_ids=list(access.shards) if access.shards is not None else None,  # type: ignore[arg-type] # None is all
            max_ratelimit_timeout=PATIENT,
            http_trace=trace,
            guild_ready_timeout=settle,
        )
        self._hear = hear
        self._identify_every = identify_every
        self._set_up = set_up
        self._connection.guard = guard  # type: ignore[attr-defined] # see HeldState
        self.tree = Tree(self)

    def _get_state(self, **options: Any) -> HeldState:
        return HeldState(dispatch=self.dispatch, handlers=self._handlers, hooks=self._hooks, http=self.http, **options)

    async def before_identify_hook(self, _shard_id: int | None, *, initial: bool = False) -> None:
        """Waits its turn."""
        if not initial:
            await asyncio.sleep(self._identify_every)

    async def setup_hook(self) -> None:
        """Once after the login, before the first event."""
        await self._set_up()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """See the class. A listener of the library is a task of its own and may come late; this does not."""
        self._hear(event, args[0] if args else None)
        super().dispatch(event, *args, **kwargs)


class Tree(app_commands.CommandTree["Client"]):
    """The library's tree of commands, with every error of a command told to its handler, also of a malformed one."""

    async def _call(self, interaction: discord.Interaction[Client]) -> None:
        try:
            await super()._call(interaction)
        except app_commands.AppCommandError:
            raise
        except Exception as exc:
            raise app_commands.AppCommandError("a command could not be read") from exc

    async def _dispatch_error(
        self, interaction: discord.Interaction[Client], error: app_commands.AppCommandError, /
    ) -> None:
        await self.on_error(interaction, error)  # no command has a handler of its own


def intents_for(*, full_memory: bool) -> discord.Intents:
    """What we want to hear: servers, messages and reactions; no presences, no member lists, no typing."""
    return discord.Intents(
        guilds=True,
        guild_messages=True,
        guild_reactions=True,
        dm_messages=True,
        dm_reactions=True,
        message_content=full_memory,
    )


def point_at(api: str | None, gateway: str | None) -> None:
    """Sends this process's requests somewhere else than to Discord itself (a proxy)."""
    if api is not None:
        discord.http.Route.BASE = api.rstrip("/")
    if gateway is not None:
        import yarl  # noqa: PLC0415 - only with a proxy

        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
