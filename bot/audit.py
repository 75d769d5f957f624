"""Who did what that others may ask about: forgetting, opting out, changed settings. Ids and counts alone.

``BotHolder`` is the bot's part in forgetting and exporting a person.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.tables import audit, settings
from memory.models import Person, Room
from memory.ports import Clock, Database


class Audit:
    """The record of actions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(
        self, tenant: int, action: str, *, by: Person | None, room: Room | None = None, detail: Mapping[str, Any]
    ) -> None:
        """Keeps one action; ``by`` is None for the operator on the command line."""
        values = {
            "tenant_id": tenant,
            "room_id": room.id if room else None,
            "person_id": by.id if by else None,
            "action": action,
            "detail": dict(detail),
            "at": self._clock.now(),
        }
        async with self._database.write() as conn:
            await conn.execute(insert(audit).values(**values))


class BotHolder:
    """What the bot's own tables keep about people."""

    async def erase_messages(self, conn: AsyncConnection, serials: Sequence[int]) -> None:
        """The bot's tables hold nothing of a message but ids of replies, which go with their answers."""

    async def erase_person(self, conn: AsyncConnection, person: int) -> None:
        """The actions stay, nobody's."""
        await conn.execute(update(audit).where(audit.c.person_id == person).values(person_id=None))
        await conn.execute(update(settings).where(settings.c.changed_by == person).values(changed_by=None))

    async def export_person(self, conn: AsyncConnection, person: int) -> AsyncIterator[dict[str, Any]]:
        """The actions of a person."""
        for row in await conn.execute(select(audit).where(audit.c.person_id == person).order_by(audit.c.id)):
            yield {"kind": "action", "action": row.action, "detail": row.detail, "at": row.at.isoformat()}
