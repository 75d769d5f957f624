"""How far each channel has been read, kept in the notebook: noted only after what was read is committed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from bot.ports import Notebook

MOST_DIRECT: Final = 500
"""Direct conversations that are looked into after an absence; Discord does not list them for bots."""
_ALIVE: Final = "alive"
_DIRECT: Final = "direct"
_GUILDS: Final = "guilds"


class Cursors:
    """Message ids by channel. All methods raise Unavailable when the notebook cannot be read or written."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._known: dict[int, int] = {}
        self._direct: list[int] | None = None

    async def of(self, channel: int) -> int | None:
        """The newest message read in a channel or thread; None when we never were in it."""
        if channel not in self._known:
            kept = await self._notebook.read(f"read:{channel}")
            if kept is None:
                return None
            self._known[channel] = int(kept)
        return self._known[channel]

    async def advance(self, read: dict[int, int]) -> None:
        """Notes that channels have been read up to these messages; never goes back."""
        for channel, message in read.items():
            if message > (await self.of(channel) or 0):
                await self._notebook.note(f"read:{channel}", str(message))
                self._known[channel] = message

    async def alive(self) -> int:
        """A snowflake of the time when we last noted that we were here; 0 when we never were."""
        return int(await self._notebook.read(_ALIVE) or 0)

    async def note_alive(self, snowflake: int) -> None:
        """We are here."""
        await self._notebook.note(_ALIVE, str(snowflake))

    async def arrived(self, guild: int) -> int:
        """A snowflake of the time when we joined a server, as far as we have noted it; 0 when we have not."""
        return int(await self._notebook.read(f"joined:{guild}") or 0)

    async def note_arrived(self, guild: int, snowflake: int) -> None:
        """We have joined a server, and the cursors of its channels are set; 0: we are no longer in it."""
        await self._notebook.note(f"joined:{guild}", str(snowflake))
        guilds = {*await self.guilds(), guild} if snowflake else {*await self.guilds()} - {guild}
        await self._notebook.note(_GUILDS, json.dumps(sorted(guilds)))

    async def guilds(self) -> list[int]:
        """The servers that we know to be in."""
        found: list[int] = json.loads(await self._notebook.read(_GUILDS) or "[]")
        return found

    async def direct(self) -> list[int]:
        """The channels of direct conversations, the newest last."""
        if self._direct is None:
            self._direct = json.loads(await self._notebook.read(_DIRECT) or "[]")
        return list(self._direct)

    async def add_direct(self, channels: Iterable[int]) -> None:
        """Remembers direct conversations, so that they are looked into after an absence."""
        known = await self.direct()
        fresh = [channel for channel in dict.fromkeys(channels) if channel not in known]
        if fresh:
            self._direct = [*known, *fresh][-MOST_DIRECT:]
            await self._notebook.note(_DIRECT, json.dumps(self._direct))
