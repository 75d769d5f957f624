"""Weavebot in a local Discord: the program's own wiring, the real discord.py, real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.adapters.discord.port import DiscordPort, Pace
from bot.app import App
from bot.clock import SystemClock
from bot.connections import Connections
from bot.settings import Settings
from bot.wiring import open_app
from bot.wiring.chats import open_discord
from memory.models import Message, Room
from memory.records import message_of, message_query
from memory.tables import messages
from tests.doubles import WordEmbedder
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord

QUICK = Pace(settle=0.05, identify_every=0.0, first_pause=0.05, longest_pause=0.5)


@dataclass
class Weavebot:
    """A running bot."""

    app: App
    port: DiscordPort
    connections: Connections
    told: list[str] = field(default_factory=list)

    async def settled(self) -> None:
        """Connected, and everything missed is read and committed."""
        await eventually(self._state, lambda state: not any(state.values()))
        await self.app.engine.settle()

    async def _state(self) -> dict[str, object]:
        """What is not settled yet."""
        port = self.port
        return {
            "connecting": not port._client.is_ready(),
            "works": len(port._tasks),
            "to read": port._catching_up.left,
            "waiting": len(port.feed),
            "committing": not port.feed.idle,
        }

    async def room(self, channel: int) -> Room | None:
        """The room of a channel, when there is one."""
        teams = await self.app.directory.tenants()
        rooms = [room for team in teams for room in await self.app.directory.rooms(team.id)]
        return next((room for room in rooms if room.external_id == str(channel)), None)

    async def kept(self, channel: int) -> list[str]:
        """The texts that are remembered of a channel, oldest first."""
        return [message.text for message in await self.messages(channel)]

    async def messages(self, channel: int) -> list[Message]:
        """What is remembered of a channel, oldest first."""
        room = await self.room(channel)
        if room is None:
            return []
        async with self.app.database.read() as conn:
            query = message_query().where(messages.c.room_id == room.id).order_by(messages.c.serial)
            return [message_of(row) for row in await conn.execute(query)]

    async def keeps(self, channel: int, count: int) -> list[str]:
        """The texts of a channel, as soon as there are so many."""
        return await eventually(lambda: self.kept(channel), lambda texts: len(texts) == count)


@asynccontextmanager
async def weavebot(
    discord: Discord, folder: Path, *, pace: Pace = QUICK, wait: bool = True, token: str | None = None, **given: Any
) -> AsyncIterator[Weavebot]:
    """The bot on a folder; opened again on the same folder it is the bot after a restart."""
    settings = Settings(
        data=folder,
        discord_token=SecretStr(token or discord.token),
        discord_api=discord.api_url,
        discord_gateway=discord.gateway_url,
        **given,
    )
    app = await open_app(settings, clock=SystemClock(), embedder=WordEmbedder())
    worker = asyncio.create_task(app.indexer.run())
    try:
        port = open_discord(app, pace)
        connections = Connections(app, [port], pause=0.05)
        running = Weavebot(app, port, connections)
        async with connections.open(running.told.append):
            if wait:
                await running.settled()
            yield running
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await app.close()
