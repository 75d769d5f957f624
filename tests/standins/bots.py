"""A small bot of the real discord.py, which notes everything that it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import discord as library
from discord import app_commands

from tests.standins.discord import Discord

PATIENCE = 10.0
HEARD = (
    "message",
    "raw_message_edit",
    "raw_message_delete",
    "raw_bulk_message_delete",
    "raw_reaction_add",
    "raw_reaction_remove",
    "raw_reaction_clear",
    "raw_reaction_clear_emoji",
    "thread_create",
    "raw_thread_update",
    "guild_join",
    "guild_remove",
    "guild_available",
    "guild_unavailable",
    "guild_channel_update",
    "guild_channel_delete",
    "member_join",
    "interaction",
    "resumed",
    "ready",
    "disconnect",
)


class Bot(library.AutoShardedClient):
    """Notes what it hears, by name of the event."""

    def __init__(self, intents: library.Intents, **options: Any) -> None:
        super().__init__(intents=intents, guild_ready_timeout=0.05, max_messages=None, **options)
        self.tree = app_commands.CommandTree(self)
        self.heard: dict[str, list[Any]] = {name: [] for name in HEARD}
        self._fresh = asyncio.Event()

    async def before_identify_hook(self, _shard_id: int | None, *, initial: bool = False) -> None:
        """No waiting between two identifies: the stand-in's own limit is tested by itself."""

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        if event in self.heard:
            self.heard[event].append(args[0] if args else None)
            self._fresh.set()
        super().dispatch(event, *args, **kwargs)

    async def hears(self, event: str, wanted: Callable[[Any], bool] = lambda _: True, *, count: int = 1) -> Any:
        """The ``count``-th such event. Raises TimeoutError when it does not come."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [one for one in self.heard[event] if wanted(one)]
                if len(found) >= count:
                    return found[count - 1]
                self._fresh.clear()
                await self._fresh.wait()

    def place(self, channel_id: int) -> library.PartialMessageable:
        """A channel to write to, known or not."""
        return self.get_partial_messageable(channel_id)


class Bots:
    """Starts bots and ends them."""

    def __init__(self, discord: Discord) -> None:
        self._discord = discord
        self._running: list[tuple[Bot, asyncio.Task[None]]] = []

    def launch(self, intents: library.Intents | None = None, *, token: str | None = None, **options: Any) -> Bot:
        """A bot that begins to connect."""
        bot = Bot(intents or library.Intents.all(), **options)
        self._running.append((bot, asyncio.create_task(bot.start(token or self._discord.token))))
        return bot

    async def start(self, intents: library.Intents | None = None, **options: Any) -> Bot:
        """A bot that is ready."""
        bot = self.launch(intents, **options)
        await bot.hears("ready")
        return bot

    async def end(self, bot: Bot) -> BaseException | None:
        """Waits until a bot ended by itself, and gives why."""
        task = next(task for one, task in self._running if one is bot)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        return next(iter(done)).exception() if done else None

    async def close(self) -> None:
        """Ends those that still run."""
        for bot, task in self._running:
            await bot.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
