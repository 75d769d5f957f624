"""Replies on their way out: each event gets exactly one, also when the process dies between deciding and sending.

A reply's transaction id is a function of the event that it answers. Its row is made before anything is sent; a platform
that knows transaction ids posts the same one once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update

from bot.tables import send_outbox
from memory.columns import AnyRow
from memory.contention import again
from memory.models import Person, Room
from memory.ports import Clock, Database
from memory.statements import add_missing
from memory.tables import people
from routing.models import Answer


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply in the outbox. ``event_id`` is what the platform called it; None until it was taken."""

    transaction: str
    answer: str | None  # id of the answer that it shows
    event_id: str | None
    person: int | None = None  # whom it replies to


def transaction_of(event_id: str, purpose: str = "reply") -> str:
    """The transaction id of what is said because of an event."""
    return hashlib.blake2b(f"{purpose}\0{event_id}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Outbox:
    """The replies of a tenant's rooms."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, room: Room, transaction: str) -> Outgoing | None:
        """The reply of that transaction, or None."""
        where = (send_outbox.c.room_id == room.id, send_outbox.c.transaction_id == transaction)
        async with self._database.read() as conn:
            row = (await conn.execute(select(send_outbox).where(*where))).one_or_none()
        return _outgoing(row) if row else None

    async def showing(self, room: Room, answer: str) -> Outgoing | None:
        """The newest reply whose message shows that answer; None when that message shows another one by now."""
        where = (send_outbox.c.room_id == room.id, send_outbox.c.answer_id == answer)
        async with self._database.read() as conn:
            query = select(send_outbox).where(*where).order_by(send_outbox.c.id.desc()).limit(1)
            row = (await conn.execute(query)).one_or_none()
        if row is None or row.event_id is None or await self.answer_behind(room, row.event_id) != answer:
            return None
        return _outgoing(row)

    @again
    async def put(
        self,
        room: Room,
        transaction: str,
        *,
        in_reply_to: str | None,
        shows: Answer | None,
        person: Person | None = None,
    ) -> Outgoing:
        """A reply that is to be sent; the one already there when the transaction is known."""
        known = await self.find(room, transaction)
        if known is not None:
            return known
        values = {"room_id": room.id, "transaction_id": transaction, "created_at": self._clock.now()}
        async with self._database.write() as conn:
            made = await conn.execute(
                add_missing(conn, send_outbox).values(
                    **values,
                    in_reply_to=in_reply_to,
                    # None too for somebody who was forgotten by the very command that this replies to
                    person_id=select(people.c.id).where(people.c.id == person.id).scalar_subquery() if person else None,
                    answer_serial=shows.serial if shows else None,
                    answer_id=shows.id if shows else None,
                )
            )
        if made.rowcount == 0 and (known := await self.find(room, transaction)) is not None:
            return known  # another process put it this very moment
        return Outgoing(transaction, shows.id if shows else None, None, person.id if person else None)

    @again
    async def sent(self, room: Room, transaction: str, event_id: str) -> None:
        """The platform took it."""
        where = (send_outbox.c.room_id == room.id, send_outbox.c.transaction_id == transaction)
        async with self._database.write() as conn:
            values = {"event_id": event_id, "sent_at": self._clock.now()}
            await conn.execute(update(send_outbox).where(*where).values(**values))

    async def answer_behind(self, room: Room, event_id: str) -> str | None:
        """The id of the answer that the bot's message of that id shows; None for any other message."""
        return await self._answer(room, send_outbox.c.event_id == event_id)

    async def answer_numbered(self, room: Room, number: int) -> str | None:
        """The id of the answer of that number, when it was given in this room."""
        return await self._answer(room, send_outbox.c.answer_serial == number)

    async def newest_answer(self, room: Room) -> int | None:
        """The number of the answer that was given last in a room."""
        shown = (send_outbox.c.room_id == room.id, send_outbox.c.event_id.is_not(None))
        async with self._database.read() as conn:
            newest: int | None = (
                await conn.execute(select(func.max(send_outbox.c.answer_serial)).where(*shown))
            ).scalar()
        return newest

    async def _answer(self, room: Room, which: ColumnElement[bool]) -> str | None:
        async with self._database.read() as conn:
            query = select(send_outbox.c.answer_id).where(send_outbox.c.room_id == room.id, which)
            return (await conn.execute(query.order_by(send_outbox.c.id.desc()).limit(1))).scalar()


def _outgoing(row: AnyRow) -> Outgoing:
    return Outgoing(row.transaction_id, row.answer_id, row.event_id, row.person_id)
