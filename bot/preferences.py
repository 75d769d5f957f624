"""What a room has set for itself: whether I listen, how long I keep, the digest, timezone and language, asking back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select

from bot.settings import MOST_DAYS, Settings, check_language, check_timezone, check_weekly
from bot.tables import settings as table
from bot.tables import team_settings
from memory.errors import BadInput
from memory.models import Person, Room
from memory.ports import Clock, Database
from memory.statements import put
from memory.tables import tenants


def _switch(words: str) -> str:
    if words.lower() not in {"on", "off"}:
        raise ValueError("write on or off")
    return words.lower()


def _retention(words: str) -> str:
    """``90 days``, ``12 weeks``, ``off``: as days."""
    if words.lower() in {"off", "0", "forever"}:
        return "0"
    found = re.fullmatch(r"(\d{1,5})\s*(d|days?|w|weeks?|y|years?)?", words.lower())
    days = int(found[1]) * {"w": 7, "y": 365}.get((found[2] or "d")[0], 1) if found else 0
    if not 0 < days <= MOST_DAYS:
        raise ValueError("write a number of days such as 90, or off to keep everything")
    return str(days)


CHECKS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "listen": _switch,
        "retention": _retention,
        "digest": _switch,
        "digest_at": check_weekly,
        "timezone": check_timezone,
        "language": check_language,
        "prompts": _switch,
    }
)
"""The settings that a room may have, each with what brings its value to normal form or raises ValueError."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What is in force in a room: its own settings over the general ones."""

    digest: bool
    digest_at: str
    timezone: str
    listen: bool = True  # off: questions are answered, nothing new is remembered
    retention: int = 0  # days after which messages are erased; 0: never
    language: str = "en"  # of dates
    prompts: bool = True  # whether I ask for votes now and then, and what was wrong after a first 👎
    changed_at: datetime | None = None  # when one of its own was last changed

    @property
    def zone(self) -> ZoneInfo:
        """The room's timezone."""
        return ZoneInfo(self.timezone)

    def as_mapping(self) -> dict[str, str]:
        """Setting to value, as people write them."""
        return {
            "listen": "on" if self.listen else "off",
            "retention": f"{self.retention} days" if self.retention else "off",
            "digest": "on" if self.digest else "off",
            "digest_at": self.digest_at,
            "timezone": self.timezone,
            "language": self.language,
            "prompts": "on" if self.prompts else "off",
        }


WHERE_ELSE: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({"discord": {"retention": "30"}})
"""What is in force on a platform unless somebody chose otherwise: Discord asks that messages be not kept for long."""


class PreferenceBook:
    """Reads and changes the settings of rooms, and of whole teams. A room's own come before its team's."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    async def of(self, room: Room) -> Preferences:
        """What is in force in a room."""
        of_team = select(team_settings).where(team_settings.c.tenant_id == room.tenant)
        async with self._database.read() as conn:
            rows = (await conn.execute(select(table).where(table.c.room_id == room.id))).all()
            teams = (await conn.execute(of_team)).all()
            platform = (await conn.execute(select(tenants.c.platform).where(tenants.c.id == room.tenant))).scalar()
        own = dict(WHERE_ELSE.get(platform or "", {}))
        own |= {row.name: row.value for row in [*teams, *rows] if row.value}
        return Preferences(
            digest=own.get("digest", "on") == "on",
            digest_at=own.get("digest_at", self._settings.digest_at),
            timezone=own.get("timezone", self._settings.timezone),
            listen=own.get("listen", "on") == "on",
            retention=int(own.get("retention", self._settings.retention)),
            language=own.get("language", self._settings.language),
            prompts=own.get("prompts", "on") == "on",
            changed_at=max((row.changed_at for row in [*rows, *teams]), default=None),
        )

    async def change(self, room: Room, name: str, value: str | None, by: Person | None) -> Preferences:
        """Sets one, or with None goes back to the general one. Raises BadInput naming what would be right."""
        kept = _checked(name, value)
        async with self._database.write() as conn:
            values = {"value": kept or "", "changed_at": self._clock.now(), "changed_by": by.id if by else None}
            await put(conn, table, {"room_id": room.id, "name": name}, values)
        return await self.of(room)

    async def change_for_team(self, room: Room, name: str, value: str | None, by: Person | None) -> Preferences:
        """Sets one for all rooms of the room's team that have none of their own; None goes back to the general one.

        Gives what is in force in the room then. Raises BadInput naming what would be right.
        """
        kept = _checked(name, value)
        async with self._database.write() as conn:
            values = {"value": kept or "", "changed_at": self._clock.now(), "changed_by": by.id if by else None}
            await put(conn, team_settings, {"tenant_id": room.tenant, "name": name}, values)
        return await self.of(room)


def _checked(name: str, value: str | None) -> str | None:
    if name not in CHECKS:
        raise BadInput(f"There is no setting {name!r}; there are {', '.join(CHECKS)}.")
    try:
        return None if value is None else CHECKS[name](value)
    except ValueError as exc:
        raise BadInput(f"{name}: {exc}.") from exc
