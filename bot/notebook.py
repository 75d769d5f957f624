"""What an adapter keeps between two starts, as rows: see the port ``Notebook``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, select

from bot.outbox import transaction_of
from bot.tables import inbox, notes, send_outbox
from memory.ports import Clock, Database
from memory.statements import put
from memory.tables import message_revisions, messages, people, reactions, rooms, tenants, tombstones

_SLICE = 400


class SqlNotebook:
    """The notebook of one account. ``team`` None: the account is in many teams of the platform."""

    def __init__(self, database: Database, clock: Clock, *, platform: str, account: str, team: str | None) -> None:
        self._database = database
        self._clock = clock
        self._account = f"{platform}:{account}"
        self._of = [tenants.c.platform == platform]
        if team is not None:
            self._of.append(tenants.c.external_id == team)

    async def read(self, name: str) -> str | None:
        """See the port."""
        query = select(notes.c.value).where(notes.c.account == self._account, notes.c.name == name)
        async with self._database.read() as conn:
            return (await conn.execute(query)).scalar()

    async def note(self, name: str, value: str) -> None:
        """See the port."""
        key = {"account": self._account, "name": name}
        async with self._database.write() as conn:
            await put(conn, notes, key, {"value": value, "noted_at": self._clock.now()})

    async def rooms(self) -> list[str]:
        """See the port."""
        query = select(rooms.c.external_id).join(tenants, tenants.c.id == rooms.c.tenant_id).where(*self._of)
        async with self._database.read() as conn:
            return list((await conn.execute(query.order_by(rooms.c.id))).scalars())

    async def answers(self, room: str, limit: int) -> list[str]:
        """See the port."""
        shown = (send_outbox.c.event_id.is_not(None), send_outbox.c.answer_id.is_not(None))
        query = select(send_outbox.c.event_id).where(send_outbox.c.room_id.in_(self._room(room)), *shown)
        async with self._database.read() as conn:
            found = (await conn.execute(query.order_by(send_outbox.c.id.desc()).limit(limit))).scalars()
            return list(dict.fromkeys(one for one in found if one is not None))

    async def kept(self, room: str, start: str, newest: int | None = None) -> list[str]:
        """See the port."""
        here = (messages.c.room_id.in_(self._room(room)), messages.c.external_id.startswith(start, autoescape=True))
        query = select(messages.c.external_id).where(*here).order_by(messages.c.serial.desc()).limit(newest)
        async with self._database.read() as conn:
            return list((await conn.execute(query)).scalars())[::-1]

    async def knows(self, room: str, event_ids: Sequence[str]) -> set[str]:
        """See the port."""
        found: set[str] = set()
        columns = (
            (messages.c.room_id, messages.c.external_id),
            (tombstones.c.room_id, tombstones.c.external_id),
            (reactions.c.room_id, reactions.c.event_id),
            (inbox.c.room_id, inbox.c.event_id),
            (send_outbox.c.room_id, send_outbox.c.in_reply_to),
        )
        async with self._database.read() as conn:
            for start in range(0, len(event_ids), _SLICE):
                some = event_ids[start : start + _SLICE]
                for where, named in columns:
                    query = select(named).where(where.in_(self._room(room)), named.in_(some))
                    found.update((await conn.execute(query)).scalars())
        return found

    async def edited(self, room: str, event_id: str, author: str, at: datetime, most: int) -> list[str]:
        """See the port."""
        here = self._room(room)
        asked = select(send_outbox.c.in_reply_to).where(
            send_outbox.c.room_id.in_(here), send_outbox.c.transaction_id == transaction_of(event_id)
        )
        revised = (
            select(messages.c.external_id)
            .join(message_revisions, message_revisions.c.message_serial == messages.c.serial)
            .join(people, people.c.id == messages.c.author_id)
            .where(messages.c.room_id.in_(here), people.c.external_id == author)
        )
        before = revised.where(message_revisions.c.edited_at <= at).order_by(message_revisions.c.edited_at.desc())
        after = revised.where(message_revisions.c.edited_at > at).order_by(message_revisions.c.edited_at)
        found: list[str] = []
        async with self._database.read() as conn:
            for query in (asked, before, after):
                found += [one for one in (await conn.execute(query.limit(most))).scalars() if one is not None]
        return list(dict.fromkeys(found))[:most]

    def _room(self, room: str) -> Select[tuple[int]]:
        query = select(rooms.c.id).join(tenants, tenants.c.id == rooms.c.tenant_id)
        return query.where(rooms.c.external_id == room, *self._of)
