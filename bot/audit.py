"""Who did what that others may ask about: forgetting, opting out, changed settings. Ids and counts alone.

``BotHolder`` is the bot's part in forgetting and exporting a person.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.inbox import Kind, withdraw
from bot.tables import audit, inbox, send_outbox, settings, team_settings
from memory.models import Person, Room
from memory.ports import Clock, Database
from routing.tables import citations


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
    """What the bot's own tables keep about people and messages.

    It must come before the part that keeps the citations: an answer that was shown and cites what is erased is put in
    the inbox, to be shown without it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def erase_messages(self, conn: AsyncConnection, serials: Sequence[int]) -> None:
        """Answers in a room that cite these messages are to be shown anew."""
        query = select(send_outbox.c.room_id, send_outbox.c.answer_id).join(
            citations, citations.c.answer_serial == send_outbox.c.answer_serial
        )
        shown = query.where(citations.c.message_serial.in_(serials), send_outbox.c.event_id.is_not(None))
        await withdraw(conn, [(row.room_id, row.answer_id) for row in await conn.execute(shown)], self._clock.now())

    async def erase_events(self, conn: AsyncConnection, room: int, external_ids: Sequence[str]) -> None:
        """Questions that wait are not answered any more; answers to these are to be shown without their question."""
        of = (inbox.c.room_id == room, inbox.c.event_id.in_(external_ids))
        await conn.execute(delete(inbox).where(*of, inbox.c.kind != Kind.WITHDRAWN))
        query = select(send_outbox.c.room_id, send_outbox.c.answer_id).where(
            send_outbox.c.room_id == room,
            send_outbox.c.in_reply_to.in_(external_ids),
            send_outbox.c.answer_id.is_not(None),
            send_outbox.c.event_id.is_not(None),
        )
        await withdraw(conn, [(row.room_id, row.answer_id) for row in await conn.execute(query)], self._clock.now())

    async def erase_person(self, conn: AsyncConnection, person: int) -> None:
        """What waits of theirs goes; actions and replies stay, nobody's."""
        await conn.execute(delete(inbox).where(inbox.c.person_id == person))
        await conn.execute(update(send_outbox).where(send_outbox.c.person_id == person).values(person_id=None))
        await conn.execute(update(audit).where(audit.c.person_id == person).values(person_id=None))
        for table in (settings, team_settings):
            await conn.execute(update(table).where(table.c.changed_by == person).values(changed_by=None))

    async def export_person(self, conn: AsyncConnection, person: int) -> AsyncIterator[dict[str, Any]]:
        """The actions of a person."""
        for row in await conn.execute(select(audit).where(audit.c.person_id == person).order_by(audit.c.id)):
            yield {"kind": "action", "action": row.action, "detail": row.detail, "at": row.at.isoformat()}
