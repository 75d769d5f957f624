"""What waits to be read by the processors, what failed and why, and by which rules each room was read.

Only what waits or failed has a row. A message without one was read by the version that stands in ``reflections`` for
its room (or is indexed first): it is done when there are memories of it, else nothing was found.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, case, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.models import TRIES, Priority
from memory.reflection.models import Processor
from memory.reflection.processors import SUMMARY, TABLE
from memory.statements import inserting
from memory.tables import (
    index_outbox,
    memories,
    messages,
    reflection_queue,
    reflections,
    rooms,
    session_queue,
    sessions,
)

ALL: Final = sum(processor.bit for processor in TABLE)
SESSIONS: Final = 0
"""The bit of the summaries in ``reflections``."""
_TURNS: Final = 30_000  # a small integer holds them, and nobody sleeps through as many
SLICE: Final = 10_000
"""Messages that are put into the queue in one transaction."""


class State(enum.StrEnum):
    """Where a message stands with a processor."""

    PENDING = "pending"
    DONE = "done"
    NOTHING = "nothing found"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """A message and a processor: the state, the version that read it (0: none yet), and why it failed."""

    state: State
    version: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits: messages and sessions, those that failed too often, and the age of the oldest that waits."""

    waiting: int = 0
    failed: int = 0
    oldest: timedelta | None = None


# -- putting in -------------------------------------------------------------------------------------------------------


async def begin(conn: AsyncConnection, room: int) -> None:
    """A room that is made now was read by today's rules as far as it goes."""
    rows = [{"room_id": room, "bit": bit, "version": version} for bit, version in versions().items()]
    await conn.execute(inserting(conn, reflections).on_conflict_do_nothing(), rows)


def versions(processors: Sequence[Processor] = TABLE) -> dict[int, int]:
    """The version of each processor by its bit, and that of the summaries."""
    return {SESSIONS: SUMMARY} | {processor.bit: processor.version for processor in processors}


async def put(
    conn: AsyncConnection,
    serials: Sequence[int],
    since: datetime,
    todo: int = ALL,
    *,
    priority: Priority = Priority.LIVE,
) -> None:
    """Messages that are to be read (again). A row that is there takes a new turn: what is being derived is stale."""
    given = {"todo": todo, "since": since, "priority": priority}
    rows = [{"message_serial": serial, **given} for serial in serials]
    if rows:
        await conn.execute(_putting(conn, reflection_queue), rows)


async def put_room(conn: AsyncConnection, room: int, after: int, since: datetime, todo: int) -> int | None:
    """Up to `SLICE` indexed messages of a room behind a serial; gives the last serial, None when there are no more."""
    here = (messages.c.room_id == room, messages.c.serial > after)
    page = select(messages.c.serial).where(*here).order_by(messages.c.serial).limit(SLICE).subquery()
    last = (await conn.execute(select(func.max(page.c.serial)))).scalar()
    if last is not None:
        unread = (
            select(index_outbox.c.message_serial).where(index_outbox.c.message_serial == messages.c.serial).exists()
        )
        await _put_selected(conn, and_(*here, messages.c.serial <= last, ~unread), since, todo)
    return None if last is None else int(last)


async def _put_selected(conn: AsyncConnection, which: ColumnElement[bool], since: datetime, todo: int) -> None:
    history = literal(int(Priority.HISTORY))
    columns = [messages.c.serial, literal(todo), history, literal(since, reflection_queue.c.since.type)]
    chosen = select(*columns).where(which)
    await conn.execute(_putting(conn, reflection_queue, chosen))


async def put_sessions(conn: AsyncConnection, which: ColumnElement[bool], since: datetime) -> None:
    """Sessions that are to be told (anew); the caller says that they have ended."""
    chosen = select(sessions.c.id, literal(since, session_queue.c.since.type))
    await conn.execute(_putting(conn, session_queue, chosen.where(which)))


async def put_sessions_of(conn: AsyncConnection, room: int, since: datetime) -> None:
    """Every ended session of a room."""
    await put_sessions(conn, and_(sessions.c.room_id == room, sessions.c.ended_at.is_not(None)), since)


def _putting(conn: AsyncConnection, table: Table, chosen: Select[Any] | None = None) -> Any:
    """An INSERT that gives a row which is there a new turn and all its tries."""
    key = next(iter(table.primary_key.columns))
    of_messages = table is reflection_queue
    names = [key.name, *(("todo", "priority") if of_messages else ()), "since"]
    made = inserting(conn, table)
    if chosen is not None:
        made = made.from_select(names, chosen)
    fresh: dict[str, Any] = {
        "turn": (table.c.turn + 1) % _TURNS,
        "attempts": 0,
        "claimed_by": None,
        "claimed_until": None,
    }
    if of_messages:
        there, comes = table.c.priority, made.excluded.priority
        fresh["todo"] = table.c.todo.op("|")(made.excluded.todo)
        fresh["priority"] = case((there < comes, there), else_=comes)
        fresh["published_at"] = None
    return made.on_conflict_do_update(index_elements=[key], set_=fresh)


# -- history ----------------------------------------------------------------------------------------------------------


async def behind(conn: AsyncConnection, wanted: dict[int, int]) -> dict[int, dict[int, int]]:
    """The rooms that older rules read: by room, the bits that lag with the version that is wanted."""
    lag: dict[int, dict[int, int]] = {}
    for bit, version in wanted.items():
        there = (reflections.c.room_id == rooms.c.id, reflections.c.bit == bit, reflections.c.version >= version)
        lagging = select(rooms.c.id).where(~select(reflections.c.bit).where(*there).exists())
        for room in (await conn.execute(lagging)).scalars():
            lag.setdefault(room, {})[bit] = version
    return lag


async def reached(conn: AsyncConnection, room: int, bits: dict[int, int]) -> None:
    """Everything in the room is read by these versions, or waits to be."""
    made = inserting(conn, reflections)
    above = made.excluded.version > reflections.c.version
    put_ = made.on_conflict_do_update(
        index_elements=[reflections.c.room_id, reflections.c.bit], set_={"version": made.excluded.version}, where=above
    )
    await conn.execute(put_, [{"room_id": room, "bit": bit, "version": version} for bit, version in bits.items()])


async def afresh(conn: AsyncConnection, room: int) -> None:
    """The room's history counts as unread."""
    await conn.execute(delete(reflections).where(reflections.c.room_id == room))


def newer(room: ColumnElement[int], wanted: dict[int, int]) -> ColumnElement[bool]:
    """Whether newer rules than ours read a room: a newer process is at it, and everything there is left to it."""
    above = or_(*(and_(reflections.c.bit == bit, reflections.c.version > version) for bit, version in wanted.items()))
    return select(reflections.c.bit).where(reflections.c.room_id == room, above).exists()


async def left_to_newer(conn: AsyncConnection, rooms_: Iterable[int], wanted: dict[int, int]) -> set[int]:
    """Those of the rooms that newer rules than ours read."""
    query = select(rooms.c.id).where(rooms.c.id.in_(sorted(rooms_)), newer(rooms.c.id, wanted))
    return set((await conn.execute(query)).scalars())


async def retry_sessions(conn: AsyncConnection) -> int:
    """Sessions that failed too often wait again; gives the number."""
    failed = update(session_queue).where(session_queue.c.attempts >= TRIES)
    return (await conn.execute(failed.values(attempts=0, claimed_until=None))).rowcount


# -- telling ----------------------------------------------------------------------------------------------------------


async def standing(conn: AsyncConnection, serial: int, processors: Sequence[Processor] = TABLE) -> dict[str, Standing]:
    """Where a message stands with each processor, by its name."""
    row = (
        await conn.execute(select(reflection_queue).where(reflection_queue.c.message_serial == serial))
    ).one_or_none()
    unread = (
        await conn.execute(select(index_outbox.c.message_serial).where(index_outbox.c.message_serial == serial))
    ).scalar() is not None
    by = select(reflections.c.bit, reflections.c.version).join(messages, messages.c.room_id == reflections.c.room_id)
    versions_ = {one.bit: one.version for one in await conn.execute(by.where(messages.c.serial == serial))}
    found = set((await conn.execute(select(memories.c.aspect).where(memories.c.message_serial == serial))).scalars())
    told: dict[str, Standing] = {}
    for processor in processors:
        version = versions_.get(processor.bit, 0)
        if unread or version < processor.version:
            told[processor.name] = Standing(State.PENDING, version)
        elif row is not None and row.todo & processor.bit:
            state = State.FAILED if row.attempts >= TRIES else State.PENDING
            told[processor.name] = Standing(state, version, row.reason)
        else:
            told[processor.name] = Standing(State.DONE if found & processor.aspects else State.NOTHING, version)
    return told


async def depth(conn: AsyncConnection, now: datetime, room_ids: Sequence[int] | None = None) -> Depth:
    """What waits and what failed, of all rooms or of these."""
    waiting, failed, oldest = 0, 0, None
    for table, of in ((reflection_queue, messages), (session_queue, sessions)):
        done = table.c.attempts >= TRIES
        query = select(done.label("failed"), func.count().label("number"), func.min(table.c.since).label("since"))
        if room_ids is not None:
            own = next(iter(of.primary_key.columns))
            query = query.join(of, own == next(iter(table.primary_key.columns))).where(of.c.room_id.in_(room_ids))
        for row in await conn.execute(query.group_by(done)):
            if row.failed:
                failed += row.number
            else:
                waiting += row.number
                oldest = row.since if oldest is None else min(oldest, row.since)
    return Depth(waiting, failed, None if oldest is None else max(now - oldest, timedelta()))
