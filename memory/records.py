"""Reading messages back as records for people, and what else is asked of single rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.models import TRIES, Message, Priority, WorkItem, WorkKind
from memory.tables import index_outbox, messages, people, rooms, sessions

_SLICE = 400


@dataclass(frozen=True, slots=True)
class ModelKey:
    """The embedding model in use: the key of its row in ``models``, and the lengths of its vectors and states."""

    id: int
    dim: int
    state_dim: int


async def version_of(conn: AsyncConnection, room: int) -> int:
    """The room's version now; 0 for a room that is not there."""
    return int((await conn.execute(select(rooms.c.version).where(rooms.c.id == room))).scalar() or 0)


async def versions(conn: AsyncConnection) -> dict[int, int]:
    """The version of every room now."""
    found = (await conn.execute(select(rooms.c.id, rooms.c.version).order_by(rooms.c.id))).all()
    return {row.id: row.version for row in found}


def message_query() -> Select[Any]:
    """Messages with their authors' names, to be narrowed by the caller."""
    return select(messages, people.c.name.label("author_name")).join(people, people.c.id == messages.c.author_id)


async def by_serial(conn: AsyncConnection, serials: Sequence[int]) -> dict[int, Message]:
    """Messages by serial; those that are gone are missing."""
    found: dict[int, Message] = {}
    for start in range(0, len(serials), _SLICE):
        query = message_query().where(messages.c.serial.in_(serials[start : start + _SLICE]))
        found |= {row.serial: message_of(row) for row in await conn.execute(query)}
    return found


def message_of(row: AnyRow) -> Message:
    """The record of a row of ``message_query``."""
    return Message(
        serial=row.serial,
        room=row.room_id,
        external_id=row.external_id,
        author=row.author_id,
        author_name=row.author_name,
        text=row.text,
        sent_at=row.sent_at,
        reply_to=row.reply_to,
        revision=row.revision,
        session=row.session_id,
    )


async def authors_of(conn: AsyncConnection, room: int) -> list[tuple[int, str]]:
    """The people who wrote in a room: (id, name), in order of first sight."""
    wrote = select(messages.c.author_id).where(messages.c.room_id == room).distinct()
    query = select(people.c.id, people.c.name).where(people.c.id.in_(wrote), people.c.name != "")
    return [(row.id, row.name) for row in await conn.execute(query.order_by(people.c.id))]


async def span(conn: AsyncConnection, room_ids: Sequence[int]) -> tuple[int, datetime | None, datetime | None]:
    """How many messages the rooms hold, and when the first and the last were sent."""
    query = select(func.count(), func.min(messages.c.sent_at), func.max(messages.c.sent_at))
    count, first, last = (await conn.execute(query.where(messages.c.room_id.in_(room_ids)))).one()
    return int(count), first, last


async def liveliest(conn: AsyncConnection, room_ids: Sequence[int], most: int) -> list[int]:
    """The rooms where somebody wrote last, that one first."""
    newest = func.max(sessions.c.last_message_at)
    query = select(sessions.c.room_id).where(sessions.c.room_id.in_(room_ids)).group_by(sessions.c.room_id)
    return list((await conn.execute(query.order_by(newest.desc()).limit(most))).scalars())


async def waiting(conn: AsyncConnection) -> int:
    """How many messages wait to be embedded and indexed."""
    return int((await conn.execute(select(func.count()).select_from(index_outbox))).scalar_one())


async def given_up(conn: AsyncConnection, limit: int) -> list[WorkItem]:
    """Messages that failed so often that nobody tries to index them by himself, the oldest first."""
    query = select(index_outbox, messages.c.room_id).join(messages, messages.c.serial == index_outbox.c.message_serial)
    query = query.where(index_outbox.c.attempts >= TRIES).order_by(index_outbox.c.message_serial).limit(limit)
    return [
        WorkItem(WorkKind.INDEX, row.room_id, row.message_serial, row.revision, Priority(row.priority))
        for row in await conn.execute(query)
    ]


def utc(seconds: float) -> datetime:
    """POSIX seconds as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)
