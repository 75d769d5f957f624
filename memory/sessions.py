"""Sessions: stretches of conversation in a room, ended by silence, each linked to the one before it.

All state is in SQL, so a restart resumes where the room was: a message within the gap of a session's first or last
message belongs to it, another opens a new one. A thread (a forum post) is one session, however long it is silent:
people have said themselves that it is one conversation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Select, and_, bindparam, delete, func, insert, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.contention import again
from memory.models import Session
from memory.ports import Clock, Database
from memory.reflection import queue
from memory.tables import messages, sessions

GAP = timedelta(minutes=30)
"""Silence that ends a session: web sessions' usual 30 minutes (Catledge and Pitkow 1995 measured 25.5)."""

_TIMES = ("started_at", "last_message_at", "ended_at")


@dataclass(slots=True, eq=False)
class _Stretch:
    """A session as the table will hold it; ``id`` None until it is there."""

    id: int | None
    started_at: datetime
    last_message_at: datetime
    ended_at: datetime | None = None
    previous: _Stretch | None = None
    added: int = 0
    changed: bool = False
    is_thread: bool = False

    def holds(self, at: datetime) -> bool:
        return self.is_thread or self.started_at - GAP <= at <= self.last_message_at + GAP

    def take(self, at: datetime) -> None:
        if self.is_thread and at > self.last_message_at:
            self.ended_at = None  # it goes on
        self.started_at = min(self.started_at, at)
        self.last_message_at = max(self.last_message_at, at)
        self.added += 1


async def place(
    conn: AsyncConnection, room: int, spots: Sequence[tuple[datetime, str | None]], now: datetime
) -> list[int]:
    """The session of each message, opened, extended and linked in the caller's transaction.

    One that has ended waits to be told, also when a message comes into it later.

    A spot is when a message was written, and in which thread. However many sessions the messages of a thread open,
    the statements are as many as for one: a year of history has thousands.
    """
    placed: dict[int, int] = {}
    for thread in dict.fromkeys(thread for _, thread in spots):
        numbers = [number for number, spot in enumerate(spots) if spot[1] == thread]
        keys = await _place(conn, room, thread, [spots[number][0] for number in numbers], now)
        placed.update(zip(numbers, keys, strict=True))
    return [placed[number] for number in range(len(spots))]


async def _place(
    conn: AsyncConnection, room: int, thread: str | None, times: Sequence[datetime], now: datetime
) -> list[int]:
    line = await (_timeline(conn, room, min(times), max(times)) if thread is None else _thread(conn, room, thread))
    current: _Stretch | None = None
    placed = []
    for at in times:
        if current is None or not current.holds(at):
            current = next((known for known in reversed(line) if known.holds(at)), None)
            current = current or _open(line, at, is_thread=thread is not None)
        current.take(at)
        placed.append(current)
    await _save(conn, room, thread, line)
    over = [stretch.id for stretch in line if stretch.ended_at is not None and (stretch.added or stretch.changed)]
    if over:
        await queue.put_sessions(conn, sessions.c.id.in_(over), now)
    return [cast("int", stretch.id) for stretch in placed]


async def _thread(conn: AsyncConnection, room: int, thread: str) -> list[_Stretch]:
    """The session of a thread, if it has one."""
    query = select(sessions).where(sessions.c.room_id == room, sessions.c.thread == thread)
    return [_stretch(row, is_thread=True) for row in await conn.execute(query.order_by(sessions.c.id).limit(1))]


async def _timeline(conn: AsyncConnection, room: int, first: datetime, last: datetime) -> list[_Stretch]:
    """The sessions that touch the time between two messages, and one on either side, in order of their start."""
    between = {"room": room, "before": first - GAP, "after": last + GAP}
    return [_stretch(row) for row in await conn.execute(_LINE, between)]


def _line() -> Select[Any]:
    here = select(sessions).where(sessions.c.room_id == bindparam("room"), sessions.c.thread.is_(None))
    begins, ends = sessions.c.started_at, sessions.c.last_message_at
    first, last = bindparam("before", type_=begins.type), bindparam("after", type_=begins.type)
    before = here.where(ends < first).order_by(begins.desc()).limit(1)
    within = here.where(ends >= first, begins <= last)
    after = here.where(begins > last).order_by(begins).limit(1)
    parts = union_all(*(part.subquery().select() for part in (before, within, after))).subquery()
    return select(parts).order_by(parts.c.started_at, parts.c.id)


_LINE: Final = _line()
"""The sessions that touch a time, and one on either side. Built once: building it takes longer than running it."""


def _stretch(row: AnyRow, *, is_thread: bool = False) -> _Stretch:
    return _Stretch(row.id, row.started_at, row.last_message_at, row.ended_at, is_thread=is_thread)


def _open(line: list[_Stretch], at: datetime, *, is_thread: bool) -> _Stretch:
    """A session that begins now, linked to its neighbours in the line; the one before it has ended."""
    place = bisect_left(line, at, key=lambda known: known.started_at)
    fresh = _Stretch(None, at, at, is_thread=is_thread)
    if place > 0:
        before = fresh.previous = line[place - 1]
        if before.ended_at is None:
            before.ended_at, before.changed = before.last_message_at, True
    if place < len(line):
        line[place].previous, line[place].changed = fresh, True
    line.insert(place, fresh)
    return fresh


async def _save(conn: AsyncConnection, room: int, thread: str | None, line: list[_Stretch]) -> None:
    fresh = [stretch for stretch in line if stretch.id is None]
    if fresh:
        rows = [{**_values(stretch), "room_id": room, "thread": thread, "messages": 0} for stretch in fresh]
        await conn.execute(insert(sessions), rows)
        newest = select(sessions.c.id).where(sessions.c.room_id == room).order_by(sessions.c.id.desc())
        keys = (await conn.execute(newest.limit(len(fresh)))).scalars().all()
        for stretch, key in zip(fresh, reversed(keys), strict=True):
            stretch.id = key
    linked = [stretch for stretch in line if stretch.previous is not None]
    if linked:
        ids = [{"at": stretch.id, "before": cast("_Stretch", stretch.previous).id} for stretch in linked]
        await conn.execute(_LINK, ids)
    touched = [stretch for stretch in line if stretch.added or stretch.changed]
    await conn.execute(_GROW, [{**_values(s), "at": s.id, "added": s.added} for s in touched])


_AT: Final = sessions.c.id == bindparam("at")
_LINK: Final = update(sessions).where(_AT).values(previous_id=bindparam("before"))
_GROW: Final = (
    update(sessions)
    .where(_AT)
    .values(messages=sessions.c.messages + bindparam("added"), **{name: bindparam(name) for name in _TIMES})
)


def _values(stretch: _Stretch) -> dict[str, datetime | int | None]:
    return {name: getattr(stretch, name) for name in _TIMES}


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

    @again
    async def clean_up(self) -> tuple[int, int]:
        """Ends sessions that fell silent and removes those whose messages are all gone: (ended, removed)."""
        silent_since = self._clock.now() - GAP
        async with self._database.write(alone=True) as conn:  # nobody puts a message into one that is empty
            quiet = (sessions.c.ended_at.is_(None), sessions.c.last_message_at < silent_since)
            await queue.put_sessions(conn, and_(*quiet), self._clock.now())
            ended = await conn.execute(update(sessions).where(*quiet).values(ended_at=sessions.c.last_message_at))
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
