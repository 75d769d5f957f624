"""Looking up single messages and reactions of a room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select

from bot.app import App
from memory.columns import AnyRow
from memory.models import Message, Person, Room
from memory.records import message_of, message_query
from memory.tables import messages, reactions


async def message_named(app: App, room: Room, external_id: str) -> Message | None:
    """The message of that id in a room."""
    query = message_query().where(messages.c.room_id == room.id, messages.c.external_id == external_id)
    async with app.database.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    return None if row is None else message_of(row)


async def newest_of(app: App, room: Room, person: Person) -> Message | None:
    """What a person wrote last in a room."""
    query = message_query().where(messages.c.room_id == room.id, messages.c.author_id == person.id)
    newest = query.order_by(messages.c.sent_at.desc(), messages.c.serial.desc()).limit(1)
    async with app.database.read() as conn:
        row = (await conn.execute(newest)).one_or_none()
    return None if row is None else message_of(row)


@dataclass(frozen=True, slots=True)
class Reaction:
    """A reaction as the journal keeps it."""

    event_id: str
    target: str
    person: int
    emoji: str
    removed_at: datetime | None

    @property
    def standing(self) -> bool:
        """Whether it was not taken back."""
        return self.removed_at is None

    def is_over(self, at: datetime) -> bool:
        """Whether it was taken back at that time or later."""
        return self.removed_at is not None and self.removed_at >= at


async def reaction_named(app: App, room: Room, event_id: str) -> Reaction | None:
    """The reaction of that event."""
    return await _reaction(app, room, reactions.c.event_id == event_id)


async def reaction_by(app: App, room: Room, target: str, person: Person, emoji: str) -> Reaction | None:
    """The reaction of that person and emoji on a message that still stands."""
    of = (reactions.c.target == target, reactions.c.person_id == person.id, reactions.c.emoji == emoji)
    return await _reaction(app, room, *of, reactions.c.removed_at.is_(None))


async def reactions_on(app: App, room: Room, target: str) -> list[Reaction]:
    """Every reaction that was ever put on a message, also those taken back."""
    query = select(reactions).where(reactions.c.room_id == room.id, reactions.c.target == target)
    async with app.database.read() as conn:
        return [_of(row) for row in await conn.execute(query.order_by(reactions.c.added_at))]


async def _reaction(app: App, room: Room, *which: ColumnElement[bool]) -> Reaction | None:
    query = select(reactions).where(reactions.c.room_id == room.id, *which).order_by(reactions.c.added_at.desc())
    async with app.database.read() as conn:
        row = (await conn.execute(query.limit(1))).one_or_none()
    return None if row is None else _of(row)


def _of(row: AnyRow) -> Reaction:
    return Reaction(row.event_id, row.target, row.person_id, row.emoji, row.removed_at)
