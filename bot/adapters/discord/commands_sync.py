"""Registers our commands at Discord, when they are not those that we registered last."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any, Final

import discord
import structlog

from bot.ports import Notebook
from memory.errors import Unavailable

LONGEST_PAUSE: Final = 300.0
_NOTE: Final = "commands"

log = structlog.get_logger(__name__)


class CommandsSync:
    """Discord allows 200 registrations a day; so they are compared with a digest of the last ones first."""

    def __init__(self, client: Any, notebook: Notebook) -> None:
        self._client = client
        self._notebook = notebook

    async def run(self) -> None:
        """Registers them, trying until that succeeds."""
        tree = self._client.tree
        given = [command.to_dict(tree) for command in tree.get_commands()]
        digest = hashlib.blake2b(json.dumps(given, sort_keys=True).encode(), digest_size=16).hexdigest()
        wanted = f"{self._client.application_id}:{digest}"
        wait = 1.0
        while True:
            try:
                if await self._notebook.read(_NOTE) != wanted:
                    await tree.sync()
                    await self._notebook.note(_NOTE, wanted)
                    log.info("discord.commands_registered", count=len(given))
            except (Unavailable, discord.DiscordException, OSError) as exc:
                log.warning("discord.commands_wait", seconds=wait, error=type(exc).__name__)
                await asyncio.sleep(wait)
                wait = min(LONGEST_PAUSE, wait * 2)
            else:
                return
