"""Sessions: stretches of conversation in a room, ended by silence, each linked to the one before it.

All state is in SQL, so a restart resumes where the room was: a message within the gap of a session's first or last
message belongs to it, another opens a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.models import Session
from memory.ports import Clock, Database
from memory.tables import messages, sessions

GAP = timedelta(minutes=30)
"""Silence that ends a session: web sessions' usual 30 minutes (Catledge and Pitkow 1995 measured 25.5)."""


@dataclass(slots=True)
class _Open:
    id: int
    started_at: datetime
    last_message_at: datetime
    added: int = 0

    def holds(self, at: datetime) -> bool:
        return self.started_at - GAP <= at <= self.last_message_at + GAP


async def place(conn: AsyncConnection, room: int, times: Sequence[datetime]) -> list[int]:
    """The session of each message, opened, extended and linked in the caller's transaction."""
    touched: dict[int, _Open] = {}
    current: _Open | None = None
    placed = []
    for at in times:
        if current is None or not current.holds(at):
            current = await _session_at(conn, room, at, touched)
        current.started_at = min(current.started_at, at)
        current.last_message_at = max(current.last_message_at, at)
        current.added += 1
        touched[current.id] = current
        placed.append(current.id)
    for session in touched.values():
        await _save(conn, session)
    return placed


async def _session_at(conn: AsyncConnection, room: int, at: datetime, touched: dict[int, _Open]) -> _Open:
    for known in touched.values():
        if known.holds(at):
            return known
    nearest = (
        await conn.execute(
            select(sessions)
            .where(
                sessions.c.room_id == room, sessions.c.started_at <= at + GAP, sessions.c.last_message_at >= at - GAP
            )
            .order_by(sessions.c.started_at.desc())
            .limit(1)
        )
    ).one_or_none()
    if nearest is not None:
        return _Open(nearest.id, nearest.started_at, nearest.last_message_at)
    for known in touched.values():  # what follows is looked up in the table
        await _save(conn, known)
    return await _start(conn, room, at)


async def _start(conn: AsyncConnection, room: int, at: datetime) -> _Open:
    before = (
        await conn.execute(
            select(sessions.c.id, sessions.c.last_message_at)
            .where(sessions.c.room_id == room, sessions.c.started_at < at)
            .order_by(sessions.c.started_at.desc())
            .limit(1)
        )
    ).one_or_none()
    after = select(sessions.c.id).where(sessions.c.room_id == room, sessions.c.started_at > at)
    follower = (await conn.execute(after.order_by(sessions.c.started_at).limit(1))).scalar()
    values = {"room_id": room, "started_at": at, "last_message_at": at, "previous_id": before and before.id}
    made = await conn.execute(insert(sessions).values(messages=0, **values).returning(sessions.c.id))
    key = int(made.scalar_one())
    if before is not None:
        await conn.execute(
            update(sessions)
            .where(sessions.c.id == before.id, sessions.c.ended_at.is_(None))
            .values(ended_at=before.last_message_at)
        )
    if follower is not None:
        await conn.execute(update(sessions).where(sessions.c.id == follower).values(previous_id=key))
    return _Open(key, at, at)


async def _save(conn: AsyncConnection, session: _Open) -> None:
    if not session.added:
        return
    await conn.execute(
        update(sessions)
        .where(sessions.c.id == session.id)
        .values(
            started_at=session.started_at,
            last_message_at=session.last_message_at,
            messages=sessions.c.messages + session.added,
        )
    )
    session.added = 0


class SessionBook:
    """What a room's sessions are, and the job that ends and cleans them up."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of_room(self, room: int) -> list[Session]:
        """The sessions of a room, oldest first."""
        async with self._database.read() as conn:
            query = select(sessions).where(sessions.c.room_id == room).order_by(sessions.c.started_at)
            return [_session(row) for row in await conn.execute(query)]

    async def clean_up(self) -> tuple[int, int]:
        """Ends sessions that fell silent and removes those whose messages are all gone: (ended, removed)."""
        silent_since = self._clock.now() - GAP
        async with self._database.write() as conn:
            ended = await conn.execute(
                update(sessions)
                .where(sessions.c.ended_at.is_(None), sessions.c.last_message_at < silent_since)
                .values(ended_at=sessions.c.last_message_at)
            )
            bare = ~select(messages.c.serial).where(messages.c.session_id == sessions.c.id).exists()
            empty = (
                (await conn.execute(select(sessions.c.id).where(bare).order_by(sessions.c.started_at))).scalars().all()
            )
            for key in empty:
                earlier = select(sessions.c.previous_id).where(sessions.c.id == key)
                previous = (await conn.execute(earlier)).scalar()
                await conn.execute(update(sessions).where(sessions.c.previous_id == key).values(previous_id=previous))
                await conn.execute(delete(sessions).where(sessions.c.id == key))
            return ended.rowcount, len(empty)

    async def count(self, rooms: Sequence[int]) -> int:
        """How many sessions the rooms have had."""
        async with self._database.read() as conn:
            query = select(func.count()).select_from(sessions).where(sessions.c.room_id.in_(rooms))
            return int((await conn.execute(query)).scalar_one())


def _session(row: AnyRow) -> Session:
    return Session(
        row.id, row.room_id, row.started_at, row.last_message_at, row.ended_at, row.previous_id, row.messages
    )
