"""A notebook in memory, for tests of adapters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memory.errors import Unavailable


class MemoryNotebook:
    """What an adapter keeps, as long as the test lasts; ``broken`` takes it away."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self.shown: dict[str, list[str]] = {}  # answers by room, newest first
        self.journalled: dict[str, set[str]] = {}
        self.changed: dict[str, list[str]] = {}  # edited messages by room, the newest edit first
        self.broken = False

    async def read(self, name: str) -> str | None:
        self._check()
        return self.notes.get(name)

    async def note(self, name: str, value: str) -> None:
        self._check()
        self.notes[name] = value

    async def rooms(self) -> list[str]:
        self._check()
        return list(self.shown)

    async def answers(self, room: str, limit: int) -> list[str]:
        self._check()
        return self.shown.get(room, [])[:limit]

    async def kept(self, room: str, start: str, newest: int | None = None) -> list[str]:
        self._check()
        found = [one for one in sorted(self.journalled.get(room, set())) if one.startswith(start)]
        return found if newest is None else found[-newest:]

    async def knows(self, room: str, event_ids: Sequence[str]) -> set[str]:
        self._check()
        return self.journalled.get(room, set()) & set(event_ids)

    async def edited(self, room: str, event_id: str, author: str, at: datetime, most: int) -> list[str]:
        del event_id, author, at
        self._check()
        return self.changed.get(room, [])[:most]

    def _check(self) -> None:
        if self.broken:
            raise Unavailable("the database does not answer")
