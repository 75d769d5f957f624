"""What happens to memories when their messages change or go, and to a person's share of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.models import EntityKind
from memory.ports import Clock
from memory.reflection import queue
from memory.reflection.book import sentence
from memory.reflection.models import Aspect
from memory.tables import (
    entities,
    memories,
    memory_sources,
    mentions,
    messages,
    reflection_queue,
    session_queue,
    sessions,
)


class MemoryHolder:
    """Keeps memories true to their messages: the part of reflection in erasing, editing and exporting."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def erase_messages(self, conn: AsyncConnection, serials: Sequence[int]) -> None:
        """No memory derives from these messages any more; those that did so beside another one are derived anew."""
        await forget_derived(conn, serials, self._clock)
        await conn.execute(delete(reflection_queue).where(reflection_queue.c.message_serial.in_(serials)))

    async def erase_events(self, conn: AsyncConnection, room: int, external_ids: Sequence[str]) -> None:
        """Memories know no events that are no messages."""

    async def erase_person(self, conn: AsyncConnection, person: int) -> None:
        """What others told of somebody who is forgotten is derived no more; what is being read of them is stale."""
        await queue.put(conn, sorted(await _naming(conn, person)), self._clock.now())
        await conn.execute(delete(memories).where(or_(memories.c.author_id == person, memories.c.about_id == person)))

    async def export_person(self, conn: AsyncConnection, person: int) -> AsyncIterator[dict[str, Any]]:
        """What was derived from a person's messages, and what was derived about them."""
        own = or_(memories.c.author_id == person, memories.c.about_id == person)
        query = (
            select(memories, messages.c.external_id)
            .join(messages, messages.c.serial == memories.c.message_serial)
            .where(own, memories.c.aspect != Aspect.SUMMARY)
            .order_by(memories.c.id)
        )
        for row in (await conn.execute(query)).all():
            yield {
                "kind": "reflection",
                "of": row.aspect,
                "text": sentence(row.subject, row.verb, row.object),
                "on": row.happened_on,
                "message": row.external_id,
            }
        for item in await _summaries(conn, person):
            yield item


async def _naming(conn: AsyncConnection, person: int) -> set[int]:
    """The messages that name a person, or of which a memory tells of them."""
    theirs = (entities.c.kind == EntityKind.PERSON, entities.c.key == str(person))
    named = select(mentions.c.message_serial).join(entities, entities.c.id == mentions.c.entity_id).where(*theirs)
    told = select(memories.c.message_serial).where(memories.c.about_id == person)
    return {serial for query in (named, told) for serial in (await conn.execute(query)).scalars()}


async def _summaries(conn: AsyncConnection, person: int) -> list[dict[str, Any]]:
    """The summaries that quote a person: the topics, and which of their messages; what others said there is theirs."""
    told = select(memories.c.id, memories.c.object, messages.c.external_id, messages.c.serial)
    first = told.join(messages, messages.c.serial == memories.c.message_serial)
    other = told.join(memory_sources, memory_sources.c.memory_id == memories.c.id).join(
        messages, messages.c.serial == memory_sources.c.message_serial
    )
    found: dict[int, dict[str, Any]] = {}
    for query in (first, other):
        theirs = query.where(memories.c.aspect == Aspect.SUMMARY, messages.c.author_id == person)
        for row in await conn.execute(theirs.order_by(memories.c.id, messages.c.serial)):
            item = {"kind": "reflection", "of": Aspect.SUMMARY.value, "text": row.object, "messages": []}
            found.setdefault(row.id, item)["messages"].append(row.external_id)
    return [found[key] for key in sorted(found)]


async def forget_derived(conn: AsyncConnection, serials: Sequence[int], clock: Clock) -> None:
    """Drops every memory that any of these messages had a part in, and asks for anew what others can still give.

    The messages may be there still. Sessions that they are in are told again, messages that answer them read again.
    """
    now = clock.now()
    of = messages.c.serial.in_(serials)
    touched = set((await conn.execute(select(messages.c.session_id).where(of))).scalars()) - {None}
    await conn.execute(delete(memories).where(memories.c.session_id.in_(touched)))
    key = session_queue.c.session_id
    waiting = (await conn.execute(select(key).where(key.in_(touched)))).scalars().all()
    told = or_(sessions.c.ended_at.is_not(None), sessions.c.id.in_(waiting))  # one that goes on may be being told
    await queue.put_sessions(conn, and_(sessions.c.id.in_(touched), told), now)
    beside = select(memories.c.id, memories.c.message_serial).join(
        memory_sources, memory_sources.c.memory_id == memories.c.id
    )
    used = (await conn.execute(beside.where(memory_sources.c.message_serial.in_(serials)))).all()
    await conn.execute(delete(memories).where(memories.c.id.in_([row.id for row in used])))
    await conn.execute(delete(memories).where(memories.c.message_serial.in_(serials)))
    again = {row.message_serial for row in used} | await _answering(conn, serials)
    await queue.put(conn, sorted(again - set(serials)), now)


async def _answering(conn: AsyncConnection, serials: Sequence[int]) -> set[int]:
    """The messages that are read with one of these before them: replies in its session, and the next one there."""
    later = messages.alias("later")
    behind = and_(later.c.session_id == messages.c.session_id, later.c.serial > messages.c.serial)
    following = select(func.min(later.c.serial)).where(behind, later.c.serial.not_in(serials)).scalar_subquery()
    query = select(messages.c.serial, messages.c.room_id, messages.c.session_id, messages.c.external_id)
    rows = (await conn.execute(query.add_columns(following.label("next")).where(messages.c.serial.in_(serials)))).all()
    found = {row.next for row in rows}
    answer = select(messages.c.serial, messages.c.session_id, messages.c.reply_to)
    for room in sorted({row.room_id for row in rows}):
        asked = {row.external_id: row for row in rows if row.room_id == room}
        replies = answer.where(messages.c.room_id == room, messages.c.reply_to.in_(asked))
        for row in await conn.execute(replies):
            before = asked[row.reply_to]
            if before.session_id == row.session_id and before.serial < row.serial:
                found.add(row.serial)
    return {serial for serial in found if serial is not None}
