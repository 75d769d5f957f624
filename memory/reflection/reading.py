"""What the processors are given, read from the rows: messages with their mentions and what they answer; sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.embedding import unpack_vectors
from memory.models import TRIES, EntityKind, Floats, Mention, WorkKind
from memory.outbox import Outbox
from memory.records import ModelKey
from memory.reflection.episodic import READ, SESSION
from memory.reflection.impersonal import name_parts
from memory.reflection.models import Before, Line, Material
from memory.reflection.queue import newer
from memory.sessions import GAP
from memory.tables import (
    embeddings,
    entities,
    index_outbox,
    mentions,
    messages,
    people,
    reflection_queue,
    rooms,
    session_queue,
    sessions,
)

PAGE: Final = 256
"""Messages that are read and derived at a time."""
SESSIONS: Final = 16
"""Sessions that are told at a time."""
_SLICE: Final = 400

_EARLIER = messages.alias("earlier")
_PREVIOUS = (
    select(func.max(_EARLIER.c.serial))
    .where(_EARLIER.c.session_id == messages.c.session_id, _EARLIER.c.serial < messages.c.serial)
    .scalar_subquery()
)
_INSIDE = messages.alias("inside")
_UNREAD = (
    select(index_outbox.c.message_serial)
    .join(_INSIDE, _INSIDE.c.serial == index_outbox.c.message_serial)
    .where(_INSIDE.c.session_id == session_queue.c.session_id, index_outbox.c.attempts < TRIES)
    .exists()
)
WAITING_SESSIONS: Final = (
    select(sessions.c.id, sessions.c.room_id, sessions.c.messages, session_queue.c.turn)
    .join(session_queue, session_queue.c.session_id == sessions.c.id)
    .where(session_queue.c.session_id > bindparam("after"), session_queue.c.attempts < TRIES, ~_UNREAD)
    .order_by(session_queue.c.session_id)
    .limit(SESSIONS)
)
"""The next ended sessions behind a key that wait to be told, and of which no message waits to be indexed."""


@dataclass(frozen=True, slots=True)
class Task:
    """A message that waits: which processors are to read it, in which turn, in which revision."""

    serial: int
    room: int
    tenant: int
    author: int
    revision: int
    todo: int
    turn: int
    opted_out: bool
    row: AnyRow

    @property
    def row_revision(self) -> int:
        """The turn."""
        return self.turn

    @property
    def text(self) -> str:
        """Of the message."""
        return str(self.row.text)


@dataclass(frozen=True, slots=True)
class Told:
    """A session that waits, with the number of its messages."""

    session: int
    room: int
    turn: int
    messages: int


def _task(row: AnyRow) -> Task:
    return Task(
        serial=row.serial,
        room=row.room_id,
        tenant=row.tenant_id,
        author=row.author_id,
        revision=row.revision,
        todo=row.todo,
        turn=row.turn,
        opted_out=row.opted_out_at is not None,
        row=row,
    )


def outbox(wanted: dict[int, int]) -> Outbox[Task]:
    """The messages that wait to be read by rules of these versions; rooms that newer ones read are left to those."""
    of = reflection_queue.c.message_serial == messages.c.serial
    columns = (reflection_queue.c.todo, reflection_queue.c.turn, rooms.c.tenant_id, people.c.opted_out_at)
    return Outbox(
        kind=WorkKind.REFLECT,
        table=reflection_queue,
        revision=reflection_queue.c.turn,
        rows=select(messages, *columns, _PREVIOUS.label("previous"))
        .join(reflection_queue, of)
        .join(rooms, rooms.c.id == messages.c.room_id)
        .join(people, people.c.id == messages.c.author_id)
        .where(~newer(messages.c.room_id, wanted)),
        task=_task,
        stale=select(messages.c.serial, func.coalesce(reflection_queue.c.turn, 0).label("below")).outerjoin(
            reflection_queue, of
        ),
        most=PAGE,
    )


async def materials(conn: AsyncConnection, tasks: Sequence[Task]) -> dict[int, Material]:
    """The material of each message, by serial."""
    named = await _mentions(conn, [task.serial for task in tasks])
    answered = await _answered(conn, tasks)
    return {
        task.serial: Material(
            serial=task.serial,
            author=task.author,
            text=task.row.text,
            sent_at=task.row.sent_at,
            mentions=tuple(named.get(task.serial, ())),
            before=answered.get(task.serial),
        )
        for task in tasks
    }


async def _mentions(conn: AsyncConnection, serials: Sequence[int]) -> dict[int, list[Mention]]:
    """What indexing found in messages, people with their names; in the order of keys, the same at every reading."""
    found: dict[int, list[Mention]] = {}
    persons: set[int] = set()
    for some in _sliced(serials):
        query = (
            select(mentions.c.message_serial, entities.c.kind, entities.c.key, entities.c.label)
            .join(entities, entities.c.id == mentions.c.entity_id)
            .where(mentions.c.message_serial.in_(some))
            .order_by(mentions.c.message_serial, entities.c.kind, entities.c.key)
        )
        for row in await conn.execute(query):
            kind = EntityKind(row.kind)
            found.setdefault(row.message_serial, []).append(Mention(kind, row.key, row.label))
            if kind is EntityKind.PERSON:
                persons.add(int(row.key))
    names = {
        row.id: row.name
        for some in _sliced(sorted(persons))
        for row in await conn.execute(select(people.c.id, people.c.name).where(people.c.id.in_(some)))
    }
    return {
        serial: [
            Mention(one.kind, one.key, names.get(int(one.key), "")) if one.kind is EntityKind.PERSON else one
            for one in listed
        ]
        for serial, listed in found.items()
    }


async def _answered(conn: AsyncConnection, tasks: Sequence[Task]) -> dict[int, Before]:
    """What each message answers: what it replies to in its session, else the one before it there, within the gap."""
    wanted: dict[int, tuple[int, bool]] = {}
    replies = [task for task in tasks if task.row.reply_to is not None]
    for room in sorted({task.room for task in replies}):
        here = [task for task in replies if task.room == room]
        there = await _named(conn, room, [task.row.reply_to for task in here])
        for one in here:
            parent = there.get(one.row.reply_to)
            if parent is not None and parent.session_id == one.row.session_id and parent.serial < one.serial:
                wanted[one.serial] = parent.serial, True
    for one in tasks:
        if one.row.reply_to is None and one.row.previous is not None:
            wanted[one.serial] = one.row.previous, False
    texts = await _texts(conn, sorted({serial for serial, _ in wanted.values()}))
    found: dict[int, Before] = {}
    for one in tasks:
        serial, replied = wanted.get(one.serial, (0, False))
        row = texts.get(serial)
        if row is not None and (replied or abs(one.row.sent_at - row.sent_at) <= GAP):
            found[one.serial] = Before(row.serial, row.author_id, row.text, replied)
    return found


async def names(conn: AsyncConnection, tenants: Iterable[int]) -> dict[int, frozenset[str]]:
    """The parts of the names of everybody in these tenants."""
    found: dict[int, set[str]] = {tenant: set() for tenant in tenants}
    query = select(people.c.tenant_id, people.c.name).where(people.c.tenant_id.in_(found), people.c.name != "")
    for row in await conn.execute(query):
        found[row.tenant_id] |= name_parts(row.name)
    return {tenant: frozenset(parts) for tenant, parts in found.items()}


async def _named(conn: AsyncConnection, room: int, names: Sequence[str]) -> dict[str, AnyRow]:
    columns = (messages.c.serial, messages.c.session_id, messages.c.external_id)
    return {
        row.external_id: row
        for some in _sliced(sorted(set(names)))
        for row in await conn.execute(
            select(*columns).where(messages.c.room_id == room, messages.c.external_id.in_(some))
        )
    }


async def _texts(conn: AsyncConnection, serials: Sequence[int]) -> dict[int, AnyRow]:
    """Messages of people who did not opt out, by serial."""
    found: dict[int, AnyRow] = {}
    for some in _sliced(serials):
        query = (
            select(
                messages.c.serial, messages.c.author_id, messages.c.text, messages.c.sent_at, messages.c.content_hash
            )
            .join(people, people.c.id == messages.c.author_id)
            .where(messages.c.serial.in_(some), people.c.opted_out_at.is_(None))
        )
        found |= {row.serial: row for row in await conn.execute(query)}
    return found


async def lines(conn: AsyncConnection, told: Told, model: ModelKey) -> tuple[Line, ...] | None:
    """The messages of a session in order, of a long one `READ` spread over it; None while some wait to be indexed."""
    if told.messages < SESSION:
        return ()
    here = messages.c.session_id == told.session
    query = select(messages.c.serial).where(here).order_by(messages.c.serial)
    serials = (await conn.execute(query)).scalars().all()
    waits = (
        select(index_outbox.c.message_serial)
        .join(messages, messages.c.serial == index_outbox.c.message_serial)
        .where(here, index_outbox.c.attempts < TRIES)
        .limit(1)
    )
    if (await conn.execute(waits)).scalar() is not None:
        return None
    chosen = [serials[place * len(serials) // READ] for place in range(READ)] if len(serials) > READ else serials
    texts = await _texts(conn, chosen)
    named = await _mentions(conn, list(texts))
    vectors = await _vectors(conn, {row.content_hash for row in texts.values()}, model)
    ordered = sorted(texts.values(), key=lambda row: (row.sent_at, row.serial))
    return tuple(
        Line(row.serial, row.author_id, row.text, vectors.get(row.content_hash, ()), tuple(named.get(row.serial, ())))
        for row in ordered
    )


async def _vectors(conn: AsyncConnection, hashes: Iterable[bytes], model: ModelKey) -> dict[bytes, Floats]:
    """The first vector of each text, by content hash."""
    found: dict[bytes, Floats] = {}
    for some in _sliced(sorted(hashes)):
        query: Select[Any] = select(embeddings.c.content_hash, embeddings.c.vectors).where(
            embeddings.c.content_hash.in_(some), embeddings.c.model_id == model.id
        )
        for row in await conn.execute(query):
            vectors = unpack_vectors(row.vectors, model.dim)
            if len(vectors):
                found[row.content_hash] = vectors[0].copy()  # of the first chunk alone
    return found


def _sliced(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + _SLICE] for start in range(0, len(items), _SLICE))
