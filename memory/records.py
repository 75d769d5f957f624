"""Reading messages back: as array rows for the in-process projections, and as records for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.embedding import unpack_vectors
from memory.models import Message, RoomRow
from memory.tables import embeddings, index_outbox, messages, people, rooms, tombstones

_SLICE = 400
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a room since a version: rows new or changed, serials removed, and the version reached."""

    version: int
    rows: list[RoomRow]
    removed: list[int]


@dataclass(frozen=True, slots=True)
class ModelKey:
    """The embedding model in use: the key of its row in ``models``, and the lengths of its vectors and states."""

    id: int
    dim: int
    state_dim: int


async def version_of(conn: AsyncConnection, room: int) -> int:
    """The room's version now; 0 for a room that is not there."""
    return int((await conn.execute(select(rooms.c.version).where(rooms.c.id == room))).scalar() or 0)


async def changes(conn: AsyncConnection, room: int, since: int, model: ModelKey) -> Changes:
    """Everything of a room that changed after version ``since``, rows ordered by serial, vectors of ``model``."""
    version = await version_of(conn, room)
    if version == since:
        return Changes(version, [], [])
    gone = select(tombstones.c.serial).where(
        tombstones.c.room_id == room, tombstones.c.version > since, tombstones.c.serial.is_not(None)
    )
    removed = list((await conn.execute(gone)).scalars())
    rows: list[RoomRow] = []
    after = 0
    while True:  # by pages, so that a large room does not stand in memory twice
        page = await _page(conn, room, since, model, after)
        rows += page
        if len(page) < _PAGE:
            return Changes(version, rows, removed)
        after = page[-1].serial


async def _page(conn: AsyncConnection, room: int, since: int, model: ModelKey, after: int) -> list[RoomRow]:
    parent = messages.alias("parent")
    query = (
        select(
            messages.c.serial,
            messages.c.author_id,
            messages.c.sent_at,
            messages.c.text,
            messages.c.session_id,
            messages.c.content_hash,
            parent.c.serial.label("parent_serial"),
        )
        .outerjoin(parent, and_(parent.c.room_id == messages.c.room_id, parent.c.external_id == messages.c.reply_to))
        .where(messages.c.room_id == room, messages.c.version > since, messages.c.serial > after)
        .order_by(messages.c.serial)
        .limit(_PAGE)
    )
    found = (await conn.execute(query)).all()
    vectors = await _vectors(conn, {row.content_hash for row in found}, model)
    return [_room_row(row, vectors.get(row.content_hash), model) for row in found]


async def _vectors(conn: AsyncConnection, hashes: Iterable[bytes], model: ModelKey) -> dict[bytes, AnyRow]:
    found: dict[bytes, AnyRow] = {}
    wanted = list(hashes)
    for start in range(0, len(wanted), _SLICE):
        query = select(embeddings).where(
            embeddings.c.model_id == model.id, embeddings.c.content_hash.in_(wanted[start : start + _SLICE])
        )
        found |= {row.content_hash: row for row in await conn.execute(query)}
    return found


def _room_row(row: AnyRow, embedding: AnyRow | None, model: ModelKey) -> RoomRow:
    tokens = None if embedding is None else np.frombuffer(embedding.token_ids, dtype="<u2").astype(np.uint16)
    return RoomRow(
        serial=row.serial,
        author=row.author_id,
        sent_at=row.sent_at.timestamp(),
        text=row.text,
        reply_to=row.parent_serial,
        session=row.session_id,
        vectors=None if embedding is None else unpack_vectors(embedding.vectors, model.dim),
        token_ids=tokens,
        codes=None
        if embedding is None
        else np.frombuffer(embedding.codes, dtype=np.uint8).reshape(-1, model.state_dim // 8),
    )


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


async def waiting(conn: AsyncConnection) -> int:
    """How many messages wait to be embedded and indexed."""
    return int((await conn.execute(select(func.count()).select_from(index_outbox))).scalar_one())


def utc(seconds: float) -> datetime:
    """POSIX seconds as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)
