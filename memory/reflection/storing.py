"""The rows of memories: what is derived replaces what was, and what is the same is left alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, and_, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import storable
from memory.extraction.entities import normal
from memory.reflection.models import FIRST_PERSON, KIND, Aspect, Derived, Summary
from memory.reflection.reading import Task, Told
from memory.tables import memories, memory_sources, messages

_SLICE: Final = 250
_KEY: Final = 80
_OWN: Final = re.compile(r"^(?:our|my|his|her|their|its|every|each)\s+", re.IGNORECASE)
_COLUMNS: Final = (
    "room_id kind aspect number author_id about_id created_at message_serial session_id happened_on subject"
    " verb object "
    "subject_key object_key"
).split()


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory as its row will be, with the messages that it derives from beside the first."""

    values: tuple[Any, ...]
    also: tuple[int, ...]

    @property
    def key(self) -> tuple[int, str, int]:
        """What makes it one of its kind: message, aspect, number."""
        row = dict(zip(_COLUMNS, self.values, strict=True))
        return row["message_serial"], row["aspect"], row["number"]

    def row(self) -> dict[str, Any]:
        """The columns."""
        return dict(zip(_COLUMNS, self.values, strict=True))


def key_of(words: str) -> str:
    """The normal form by which a thing is found: as that of entities, without whose it is; "" for what is no name."""
    key = normal(_OWN.sub("", " ".join(words.split())).strip(" .,;:!?\"'`"))
    return storable(key, _KEY) if len(key) <= _KEY else ""


def memories_of(task: Task, derived: Sequence[Derived]) -> list[Memory]:
    """The rows of what was derived from a message, numbered within each aspect."""
    numbers: dict[Aspect, int] = {}
    made = []
    for one in derived:
        number = numbers[one.aspect] = numbers.get(one.aspect, -1) + 1
        own = one.subject.lower() in FIRST_PERSON
        values = (
            task.room,
            KIND[one.aspect].value,
            one.aspect.value,
            number,
            task.author,
            int(one.of) if one.of is not None and int(one.of) != task.author else None,
            task.row.sent_at,
            task.serial,
            None,
            one.on.isoformat() if one.on is not None else None,
            one.subject,
            one.verb,
            one.object,
            "" if own else key_of(one.subject),
            key_of(one.object),
        )
        made.append(Memory(values, one.also))
    return made


async def replace(
    conn: AsyncConnection, serials: Sequence[int], aspects: Mapping[int, frozenset[Aspect]], made: Sequence[Memory]
) -> int:
    """The memories of messages, of those aspects of each, are these from now on; gives the number of rows written.

    Rows that are there already are left as they are, key and all.
    """
    there = await _there(conn, serials, aspects)
    wanted = {memory.key: memory for memory in made}
    gone = [key for memory, key in there.items() if wanted.get(memory.key) != memory]
    await _drop(conn, gone)
    fresh = [memory for memory in made if memory not in there]
    if fresh:
        await conn.execute(insert(memories), [memory.row() for memory in fresh])
        await _add_sources(conn, [memory for memory in fresh if memory.also])
    return len(fresh)


async def tell(conn: AsyncConnection, summaries: Sequence[tuple[Told, Summary | None]]) -> int:
    """The summaries of sessions are these from now on; gives the number that was written anew.

    A row holds the topics alone, and points to the messages: nothing is quoted that could outlive them.
    """
    sessions = [told.session for told, _ in summaries]
    there = await _read(conn, list((await conn.execute(_told(sessions))).scalars()))
    made = [
        memory for told, summary in summaries if summary is not None for memory in await _summary(conn, told, summary)
    ]
    await _drop(conn, [key for memory, key in there.items() if memory not in made])
    fresh = [memory for memory in made if memory not in there]
    if fresh:
        await conn.execute(insert(memories), [memory.row() for memory in fresh])
        await _add_sources(conn, fresh)
    return len(fresh)


def _told(sessions: Sequence[int]) -> Select[Any]:
    return select(memories.c.id).where(memories.c.session_id.in_(sessions))


async def _summary(conn: AsyncConnection, told: Told, summary: Summary) -> list[Memory]:
    """The row of a summary; none when its first message has just gone."""
    first = summary.serials[0]
    query = select(messages.c.author_id, messages.c.sent_at).where(messages.c.serial == first)
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return []
    aspect, on = Aspect.SUMMARY, row.sent_at.date().isoformat()
    values = (told.room, KIND[aspect].value, aspect.value, 0, row.author_id, None, row.sent_at, first, told.session)
    return [Memory((*values, on, "", "", ", ".join(summary.topics), "", ""), summary.serials[1:])]


async def _there(
    conn: AsyncConnection, serials: Sequence[int], aspects: Mapping[int, frozenset[Aspect]]
) -> dict[Memory, int]:
    """What stands for the messages in those aspects, with its key."""
    keys: list[int] = []
    for start in range(0, len(serials), _SLICE):
        some = serials[start : start + _SLICE]
        query = select(memories.c.id, memories.c.message_serial, memories.c.aspect)
        found = await conn.execute(query.where(memories.c.message_serial.in_(some)))
        keys += [row.id for row in found if Aspect(row.aspect) in aspects.get(row.message_serial, frozenset())]
    return await _read(conn, keys)


async def _read(conn: AsyncConnection, keys: Sequence[int]) -> dict[Memory, int]:
    found: dict[Memory, int] = {}
    for start in range(0, len(keys), _SLICE):
        some = keys[start : start + _SLICE]
        sources = select(memory_sources).where(memory_sources.c.memory_id.in_(some)).order_by(memory_sources.c.place)
        also: dict[int, list[int]] = {}
        for row in await conn.execute(sources):
            also.setdefault(row.memory_id, []).append(row.message_serial)
        for row in await conn.execute(select(memories).where(memories.c.id.in_(some))):
            values = tuple(getattr(row, name) for name in _COLUMNS)
            found[Memory(values, tuple(also.get(row.id, ())))] = row.id
    return found


async def _drop(conn: AsyncConnection, keys: Sequence[int]) -> None:
    for start in range(0, len(keys), _SLICE):
        await conn.execute(delete(memories).where(memories.c.id.in_(keys[start : start + _SLICE])))


async def _add_sources(conn: AsyncConnection, made: Sequence[Memory]) -> None:
    rows = []
    for memory in made:
        serial, aspect, number = memory.key
        which = and_(memories.c.message_serial == serial, memories.c.aspect == aspect, memories.c.number == number)
        key = (await conn.execute(select(memories.c.id).where(which))).scalar_one()
        rows += [{"memory_id": key, "place": i, "message_serial": other} for i, other in enumerate(memory.also, 1)]
    if rows:
        await conn.execute(insert(memory_sources), rows)
