"""What a room has set for itself: when and whether the digest comes, in which timezone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select

from bot.settings import Settings, check_timezone, check_weekly
from bot.tables import settings as table
from memory.errors import BadInput
from memory.models import Person, Room
from memory.ports import Clock, Database


def _switch(words: str) -> str:
    if words.lower() not in {"on", "off"}:
        raise ValueError("write on or off")
    return words.lower()


CHECKS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {"digest": _switch, "digest_at": check_weekly, "timezone": check_timezone}
)
"""The settings that a room may have, each with what brings its value to normal form or raises ValueError."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What is in force in a room: its own settings over the general ones."""

    digest: bool
    digest_at: str
    timezone: str
    changed_at: datetime | None = None  # when one of its own was last changed

    @property
    def zone(self) -> ZoneInfo:
        """The room's timezone."""
        return ZoneInfo(self.timezone)

    def as_mapping(self) -> dict[str, str]:
        """Setting to value, as people write them."""
        return {"digest": "on" if self.digest else "off", "digest_at": self.digest_at, "timezone": self.timezone}


class PreferenceBook:
    """Reads and changes the settings of rooms."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    async def of(self, room: Room) -> Preferences:
        """What is in force in a room."""
        async with self._database.read() as conn:
            rows = (await conn.execute(select(table).where(table.c.room_id == room.id))).all()
        own = {row.name: row.value for row in rows if row.value}
        return Preferences(
            digest=own.get("digest", "on") == "on",
            digest_at=own.get("digest_at", self._settings.digest_at),
            timezone=own.get("timezone", self._settings.timezone),
            changed_at=max((row.changed_at for row in rows), default=None),
        )

    async def change(self, room: Room, name: str, value: str | None, by: Person | None) -> Preferences:
        """Sets one, or with None goes back to the general one. Raises BadInput naming what would be right."""
        if name not in CHECKS:
            raise BadInput(f"There is no setting {name!r}; there are {', '.join(CHECKS)}.")
        try:
            kept = None if value is None else CHECKS[name](value)
        except ValueError as exc:
            raise BadInput(f"{name}: {exc}.") from exc
        async with self._database.write() as conn:
            await conn.execute(delete(table).where(table.c.room_id == room.id, table.c.name == name))
            values = {"room_id": room.id, "name": name, "value": kept or "", "changed_at": self._clock.now()}
            await conn.execute(insert(table).values(**values, changed_by=by.id if by else None))
        return await self.of(room)
