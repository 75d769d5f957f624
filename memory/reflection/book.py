"""Reading memories back: what is known about a person or a thing, and how many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.models import Person
from memory.ports import Database
from memory.reflection.impersonal import may_tell_of_somebody
from memory.reflection.models import FIRST_PERSON, Aspect, Derived
from memory.reflection.storing import key_of
from memory.tables import entities, memories, memory_sources, mentions, messages, people
from memory.text import terms

NEWEST: Final = 1000
"""Memories of the rooms whose words are looked through; older ones are found by what they are about."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory as people see it. ``message_id`` names the message that it derives from, ``also`` further serials.

    ``personal``: it may tell of somebody.
    """

    id: int
    room: int
    aspect: Aspect
    text: str
    subject: str
    author: int
    author_name: str
    about: int | None
    on: str | None
    sent_at: datetime
    message_id: str
    serial: int
    session: int | None
    personal: bool
    also: tuple[int, ...] = ()


def sentence(subject: str, verb: str, thing: str) -> str:
    """A memory as it reads: ``Hive 4 is awfy light``."""
    return " ".join(part for part in (subject, verb, thing) if part)


class MemoryBook:
    """What was derived, read by rooms; nothing of another room is given."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def about_person(self, rooms: Sequence[int], person: Person) -> list[Remembered]:
        """What somebody told of themselves, and what others told of them; newest first."""
        which = or_(memories.c.author_id == person.id, memories.c.about_id == person.id)
        return [one for one in await self._read(rooms, which) if one.about == person.id or _tells_of_self(one)]

    async def about_thing(self, rooms: Sequence[int], thing: str) -> list[Remembered]:
        """What is known of a thing, by what it is about, what it names and the words it holds; newest first."""
        key = key_of(thing)
        wanted = set(terms(thing))
        if not key or not wanted:
            return []
        naming = (
            select(mentions.c.message_serial)
            .join(entities, entities.c.id == mentions.c.entity_id)
            .where(entities.c.room_id.in_(rooms), entities.c.key == key)
        )
        named = or_(memories.c.subject_key == key, memories.c.object_key == key, memories.c.message_serial.in_(naming))
        found = {one.id: one for one in (*await self._read(rooms, None), *await self._read(rooms, named))}
        fitting = await asyncio.to_thread(lambda: [one for one in found.values() if wanted <= set(terms(one.text))])
        return sorted(fitting, key=lambda one: (one.sent_at, one.id), reverse=True)

    async def summaries(self, rooms: Sequence[int], limit: int) -> list[Remembered]:
        """The summaries of the newest sessions that have one."""
        return (await self._read(rooms, memories.c.session_id.is_not(None), summaries=True))[:limit]

    async def all(self, rooms: Sequence[int]) -> list[Remembered]:
        """The newest memories of the rooms but summaries."""
        return await self._read(rooms, None)

    async def _read(
        self, rooms: Sequence[int], which: ColumnElement[bool] | None, *, summaries: bool = False
    ) -> list[Remembered]:
        query = (
            select(memories, people.c.name, messages.c.external_id)
            .join(messages, messages.c.serial == memories.c.message_serial)
            .join(people, people.c.id == memories.c.author_id)
            .where(memories.c.room_id.in_(rooms), people.c.opted_out_at.is_(None))
            .order_by(memories.c.created_at.desc(), memories.c.id.desc())
            .limit(NEWEST)
        )
        told = memories.c.session_id.is_not(None)
        query = query.where(told if summaries else ~told)
        if which is not None:
            query = query.where(which)
        async with self._database.read() as conn:
            rows = (await conn.execute(query)).all()
            also = await _sources(conn, [row.id for row in rows])
        return [_remembered(row, also.get(row.id, ())) for row in rows]


async def count_by_kind(conn: AsyncConnection, rooms: Sequence[int]) -> dict[str, int]:
    """How many memories of each kind the rooms hold."""
    query = select(memories.c.kind, func.count().label("number")).where(memories.c.room_id.in_(rooms))
    return {
        row.kind: row.number for row in await conn.execute(query.group_by(memories.c.kind).order_by(memories.c.kind))
    }


async def _sources(conn: AsyncConnection, keys: Sequence[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for start in range(0, len(keys), 400):
        query = select(memory_sources).where(memory_sources.c.memory_id.in_(keys[start : start + 400]))
        for row in await conn.execute(query.order_by(memory_sources.c.memory_id, memory_sources.c.place)):
            found[row.memory_id] = (*found.get(row.memory_id, ()), row.message_serial)
    return found


def _tells_of_self(one: Remembered) -> bool:
    """Whether its author tells of themselves: *I prefer*, *my boss*."""
    if one.aspect not in {Aspect.PREFERENCE, Aspect.FACT, Aspect.EVENT}:
        return False
    first = one.subject.lower().partition(" ")[0]
    return first in FIRST_PERSON - {"our", "we", "we're", "we've"}


def _remembered(row: AnyRow, also: Iterable[int]) -> Remembered:
    told = Derived(Aspect(row.aspect), row.subject, row.verb, row.object)
    values: dict[str, Any] = {
        "id": row.id,
        "room": row.room_id,
        "aspect": Aspect(row.aspect),
        "text": sentence(row.subject, row.verb, row.object),
        "subject": row.subject,
        "author": row.author_id,
        "author_name": row.name,
        "about": row.about_id,
        "on": row.happened_on,
        "sent_at": row.created_at,
        "message_id": row.external_id,
        "serial": row.message_serial,
        "session": row.session_id,
        "personal": may_tell_of_somebody(told, row.about_id),
    }
    return Remembered(**values, also=tuple(also))
