"""The weekly summary's content: what was asked, what helped, which routes won or lost and how sure, open questions.

It is composed from what stands now; what was posted is kept as ids and numbers only, so that a forgotten message leaves
no trace in an old digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory import records
from memory.models import Message, Room
from memory.ports import Clock, Database
from memory.projections import Rooms
from memory.room import RoomView
from memory.statements import add_missing
from memory.tables import messages, rooms
from routing.answers import GONE
from routing.emoji import STAR
from routing.learner import Learner, Scored
from routing.statistics import RouteStats, by_route
from routing.tables import answers, citations, digests, votes

WEEK = timedelta(days=7)
SHOWN = 5
_LIKED, _DISLIKED = 0.6, 0.4
_AFTER = 8
"""Messages after a question in which an answer is looked for: chats answer at once or never."""
_ANSWERS = 0.35
"""Cosine from which a later message by somebody else counts as an answer; round, read off the demo room."""
_SHORTEST_QUESTION = 15  # characters: "really?" leaves nothing open


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a digest: what, by whom, when, and the message or answer it is about."""

    text: str
    author: str
    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Digest:
    """A room's week. Sections may be empty; who shows it leaves those out."""

    room: str
    since: datetime
    until: datetime
    messages: int
    people: int
    answers: int
    liked: int
    disliked: int
    asked: tuple[Line, ...]
    helped: tuple[Line, ...]
    starred: tuple[Line, ...]
    open_questions: tuple[Line, ...]
    routes: tuple[RouteStats, ...]


class Digests:
    """Composes digests and keeps which were posted."""

    def __init__(self, database: Database, rooms_: Rooms, learner: Learner, clock: Clock) -> None:
        self._database = database
        self._rooms = rooms_
        self._learner = learner
        self._clock = clock

    async def compose(self, room: Room, until: datetime | None = None) -> Digest:
        """The seven days before ``until`` (now, when not given)."""
        end = until or self._clock.now()
        since = end - WEEK
        everything = [one for one in await self._learner.scored(room.tenant) if one.room == room.id]
        scored = [one for one in everything if since < one.asked_at <= end]
        async with self._database.read() as conn:
            window = (messages.c.room_id == room.id, messages.c.sent_at > since, messages.c.sent_at <= end)
            counted = select(func.count(), func.count(messages.c.author_id.distinct())).where(*window)
            count, people = (await conn.execute(counted)).one()
            lines = await _answer_lines(conn, [one.answer for one in scored])
            liked_messages = await _starred(conn, scored)
        return Digest(
            room=room.name,
            since=since,
            until=end,
            messages=int(count),
            people=int(people),
            answers=len(scored),
            liked=sum(one.y > _LIKED for one in scored if one.w > 0),
            disliked=sum(one.y < _DISLIKED for one in scored if one.w > 0),
            asked=_once(lines[one.answer] for one in scored[::-1] if one.answer in lines),
            helped=_helped(scored, lines),
            starred=liked_messages,
            open_questions=await self._open_questions(room, since, end),
            routes=by_route(everything, end),
        )

    async def keep(self, room: Room, digest: Digest) -> bool:
        """Marks a digest as posted; False when that week's was posted before."""
        async with self._database.write() as conn:
            numbers = {
                "answers": digest.answers,
                "liked": digest.liked,
                "disliked": digest.disliked,
                "open": [line.id for line in digest.open_questions],
                "helped": [line.id for line in digest.helped],
            }
            values = {"since": digest.since, "until": digest.until, "content": json.dumps(numbers)}
            made = add_missing(conn, digests).values(room_id=room.id, posted_at=None, **values)
            return (await conn.execute(made)).rowcount > 0

    async def posted(self, room: Room, until: datetime) -> None:
        """The digest of that week went out."""
        async with self._database.write() as conn:
            where = (digests.c.room_id == room.id, digests.c.until == until)
            await conn.execute(update(digests).where(*where).values(posted_at=self._clock.now()))

    async def _open_questions(self, room: Room, since: datetime, until: datetime) -> tuple[Line, ...]:
        view = await self._rooms.view(room.id)
        serials = unanswered(view, since.timestamp(), until.timestamp())
        async with self._database.read() as conn:
            found = await records.by_serial(conn, serials)
        asked = [found[serial] for serial in serials if serial in found]
        return tuple(_line(message) for message in asked if len(message.text) >= _SHORTEST_QUESTION)[:SHOWN]


def unanswered(view: RoomView, since: float, until: float) -> list[int]:
    """Serials of questions sent in a window (POSIX seconds) that nobody answered, newest first.

    A question is answered by a reply, or by one of the next eight messages of somebody else that lies close to it.
    """
    window = view.alive & view.asks & (view.sent_at > since) & (view.sent_at <= until)
    replied = np.unique(view.replies[view.replies >= 0])
    rows = [int(row) for row in np.flatnonzero(window) if row not in replied and not _is_answered(view, int(row))]
    return [int(view.serials[row]) for row in rows[::-1]]


def _is_answered(view: RoomView, row: int) -> bool:
    after = np.arange(row + 1, min(row + 1 + _AFTER, len(view)))
    after = after[view.alive[after] & (view.authors[after] != view.authors[row])]
    mine, _ = view.vectors_at(np.array([row]))
    theirs, _ = view.vectors_at(after)
    if not len(mine) or not len(theirs):
        return False
    answers, question = view.vectors[theirs].astype(np.float32), view.vectors[mine].astype(np.float32)
    return bool((answers @ question.T).max() >= _ANSWERS)


def _helped(scored: Sequence[Scored], lines: dict[int, Line]) -> tuple[Line, ...]:
    liked = sorted((one for one in scored if one.w > 0 and one.y > _LIKED), key=lambda one: -one.y * one.w)
    return _once(lines[one.answer] for one in liked if one.answer in lines)


def _once(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The first lines, a question that was asked again only once."""
    first: dict[str, Line] = {}
    for line in lines:
        first.setdefault(line.text.casefold(), line)
    return tuple(first.values())[:SHOWN]


async def _answer_lines(conn: AsyncConnection, serials: Sequence[int]) -> dict[int, Line]:
    query = select(answers).where(
        answers.c.serial.in_(serials), answers.c.asker_id.is_not(None), answers.c.text != GONE
    )
    return {row.serial: Line(row.question, "", row.asked_at, row.id) for row in await conn.execute(query)}


async def _starred(conn: AsyncConnection, scored: Sequence[Scored]) -> tuple[Line, ...]:
    """First citations of answers that somebody starred."""
    query = (
        records.message_query()
        .join(citations, citations.c.message_serial == messages.c.serial)
        .join(votes, votes.c.answer_serial == citations.c.answer_serial)
        .join(rooms, rooms.c.id == messages.c.room_id)
        .where(
            votes.c.emoji == STAR,
            citations.c.rank == 1,
            citations.c.answer_serial.in_([one.answer for one in scored]),
        )
        .order_by(votes.c.serial.desc())
    )
    found = {row.serial: _line(records.message_of(row)) for row in await conn.execute(query)}
    return tuple(found.values())[:SHOWN]


def _line(message: Message) -> Line:
    return Line(" ".join(message.text.split()), message.author_name, message.sent_at, message.external_id)
