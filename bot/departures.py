"""Teams that put us out, or that we left: what is kept of them is erased after a time in which they may come back."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import delete, select

from bot.tables import departures, team_settings
from memory.directory import Directory
from memory.ports import Clock, Database
from memory.privacy import Privacy
from memory.statements import add_missing

log = structlog.get_logger(__name__)


class Departures:
    """Which teams we are no longer in, since when."""

    def __init__(self, database: Database, clock: Clock, directory: Directory, privacy: Privacy) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._privacy = privacy

    async def note(self, tenant: int, at: datetime) -> None:
        """We are out of a team; the first time counts."""
        async with self._database.write() as conn:
            await conn.execute(add_missing(conn, departures).values(tenant_id=tenant, left_at=at))

    async def undo(self, tenant: int) -> None:
        """We are in the team (again)."""
        async with self._database.write() as conn:
            await conn.execute(delete(departures).where(departures.c.tenant_id == tenant))

    async def since(self, before: datetime) -> list[int]:
        """The teams that we left before a moment."""
        async with self._database.read() as conn:
            return list(
                (await conn.execute(select(departures.c.tenant_id).where(departures.c.left_at < before))).scalars()
            )

    async def erase(self, tenant: int) -> int:
        """Erases everything of a team that people wrote, asked and voted, and their names; gives the messages erased.

        Interrupted, it goes on where it stopped: the departure is removed last.
        """
        erased = 0
        for person in await self._directory.people(tenant):
            erased += await self._privacy.forget_person(person)
        now = self._clock.now()
        for room in await self._directory.rooms(tenant):
            erased += await self._privacy.expire(room, now)
        async with self._database.write() as conn:
            await conn.execute(delete(team_settings).where(team_settings.c.tenant_id == tenant))
        await self.undo(tenant)
        log.info("team.erased", tenant=tenant, messages=erased)
        return erased
