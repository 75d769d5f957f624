"""What waits to be answered: one row for each question, command and notice, until its reply was taken by the platform.

A row is committed before the platform is told that we have read the event, and removed when the reply is out. Killed
in between, it is carried out again; its answer and its transaction id are functions of the event, so that the room sees
one reply. What was begun before is marked, because not every command may be done twice.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

import structlog
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.models import Arrival, Edit, IncomingMessage, ReactionAdded
from bot.tables import inbox
from memory.columns import AnyRow
from memory.errors import Unavailable
from memory.leases import Lease
from memory.models import Person, Room, Tenant
from memory.ports import Clock, Database
from memory.tables import rooms, tenants

log = structlog.get_logger(__name__)


class Kind(enum.StrEnum):
    """What is to be done about a row."""

    ASKED = "asked"  # a question or a command
    CHANGED = "changed"  # one that was edited
    ARRIVED = "arrived"  # we came to a room
    WITHDRAWN = "withdrawn"  # an answer that was shown has lost a message that it cited, or its question
    DISLIKED = "disliked"  # somebody voted an answer down for the first time: they are asked what was wrong
    STARRED = "starred"  # somebody gave an answer a star: it is marked


Payload: TypeAlias = IncomingMessage | Edit | Arrival | ReactionAdded | str
_FORMS: Final[dict[Kind, TypeAdapter[Any]]] = {
    Kind.ASKED: TypeAdapter(IncomingMessage),
    Kind.CHANGED: TypeAdapter(Edit),
    Kind.ARRIVED: TypeAdapter(Arrival),
    Kind.WITHDRAWN: TypeAdapter(str),  # the id of the answer
    Kind.DISLIKED: TypeAdapter(ReactionAdded),
    Kind.STARRED: TypeAdapter(ReactionAdded),
}


_KNOWN: Final = inbox.c.kind.in_([kind.value for kind in Kind])


@dataclass(frozen=True, slots=True)
class Item:
    """A row. ``begun`` counts the earlier tries to carry it out."""

    id: int
    room: Room
    kind: Kind
    event_id: str
    payload: Payload
    begun: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Served:
    """The teams whose rows a process carries out: one, or all of a platform."""

    tenant: int | None = None
    platform: str | None = None
    team: str | None = None

    def where(self) -> ColumnElement[bool]:
        """Those teams, as a condition on ``tenants``."""
        if self.tenant is not None:
            return tenants.c.id == self.tenant
        of = tenants.c.platform == self.platform
        return of if self.team is None else and_(of, tenants.c.external_id == self.team)

    def covers(self, team: Tenant) -> bool:
        """Whether a team is one of them."""
        if self.tenant is not None:
            return team.id == self.tenant
        return team.platform == self.platform and self.team in {None, team.external_id}


class Inbox:
    """The rows of all rooms."""

    def __init__(self, database: Database, clock: Clock, lease: Lease | None = None) -> None:
        """``lease``: where other processes carry rows out too."""
        self._database = database
        self._clock = clock
        self._lease = lease
        self._unreadable: set[int] = set()

    async def put(self, room: Room, kind: Kind, event_id: str, payload: Payload, person: Person | None = None) -> bool:
        """Keeps one; False when it was there. Raises Unavailable when its person was forgotten this very moment."""
        key = {"room_id": room.id, "kind": kind, "event_id": event_id}
        values = {
            **key,
            "person_id": person.id if person else None,
            "payload": _FORMS[kind].dump_json(payload).decode(),
            "begun": 0,
            "received_at": self._clock.now(),
        }
        try:
            async with self._database.write() as conn:
                await conn.execute(insert(inbox).values(**values))
        except IntegrityError as exc:
            there = select(inbox.c.id).where(*(inbox.c[name] == value for name, value in key.items()))
            async with self._database.read() as conn:
                if (await conn.execute(there)).scalar() is None:
                    raise Unavailable("who asked was forgotten meanwhile: it must come again") from exc
            return False
        return True

    async def waiting(self, served: Served) -> list[int]:
        """The rooms in which something waits for us, the one that has waited longest first."""
        query = select(inbox.c.room_id, inbox.c.claimed_by, inbox.c.claimed_until)
        query = query.join(rooms, rooms.c.id == inbox.c.room_id)
        query = query.join(tenants, tenants.c.id == rooms.c.tenant_id).where(served.where(), *self._legible())
        query = query.order_by(inbox.c.id)
        firsts: dict[int, AnyRow] = {}
        async with self._database.read() as conn:
            for row in await conn.execute(query):
                firsts.setdefault(row.room_id, row)
        return [room for room, row in firsts.items() if self._is_free(row)]

    async def first(self, room: int) -> Item | None:
        """What has waited longest in a room; None too while another process is at it: a room's rows go in order.

        Rows that only a newer version can read, of kinds that we do not know or with another payload, are left to it:
        somebody waits for their answer.
        """
        query = select(inbox, rooms.c.tenant_id, rooms.c.external_id, rooms.c.name, rooms.c.version, rooms.c.created_at)
        query = query.join(rooms, rooms.c.id == inbox.c.room_id).where(inbox.c.room_id == room)
        while True:
            async with self._database.read() as conn:
                some = query.where(*self._legible()).order_by(inbox.c.id).limit(1)
                row = (await conn.execute(some)).one_or_none()
            if row is None or not self._is_free(row):
                return None
            try:
                return _item(row)
            except ValidationError as exc:  # its words may be somebody's
                log.error("inbox.unreadable", row=row.id, kind=row.kind, errors=exc.error_count())  # noqa: TRY400
                self._unreadable.add(row.id)

    def _legible(self) -> tuple[ColumnElement[bool], ...]:
        """The rows that this version can read, as far as it knows."""
        return _KNOWN, inbox.c.id.not_in(sorted(self._unreadable))

    async def begin(self, item: Item) -> Item | None:
        """Marks that it is being carried out: the row as it is now; None when it is not ours to do.

        Its author may have corrected it since it was read. It is gone (taken back by its author meanwhile), or another
        process was faster.
        """
        mark = update(inbox).where(inbox.c.id == item.id).values(begun=inbox.c.begun + 1)
        if self._lease is not None:
            mark = mark.where(self._lease.free(inbox)).values(**self._lease.marks())
        async with self._database.write() as conn:
            row = (await conn.execute(mark.returning(inbox.c.payload, inbox.c.begun))).one_or_none()
        if row is None:
            return None
        return replace(item, payload=_FORMS[item.kind].validate_json(row.payload), begun=row.begun - 1)

    def _is_free(self, row: AnyRow) -> bool:
        """Whether this process may take a row."""
        return self._lease is None or self._lease.may_take(row.claimed_by, row.claimed_until)

    async def done(self, item: Item) -> None:
        """It is out of the way."""
        async with self._database.write() as conn:
            await conn.execute(delete(inbox).where(inbox.c.id == item.id))

    async def reword(self, room: Room, event_id: str, person: Person, text: str) -> bool:
        """Changes a question that waits still and is this person's; False when there is none."""
        mine = (*_asked(room, event_id, person), inbox.c.begun == 0)
        async with self._database.write() as conn:
            row = (await conn.execute(select(inbox.c.id, inbox.c.payload).where(*mine))).one_or_none()
            if row is None:
                return False
            asked = _FORMS[Kind.ASKED].validate_json(row.payload)
            payload = _FORMS[Kind.ASKED].dump_python(asked, mode="json") | {"text": text}
            changed = _FORMS[Kind.ASKED].dump_json(_FORMS[Kind.ASKED].validate_python(payload)).decode()
            waits = (inbox.c.id == row.id, inbox.c.begun == 0)  # it may have been begun since it was read
            return (await conn.execute(update(inbox).where(*waits).values(payload=changed))).rowcount > 0

    async def is_under_way(self, room: Room, event_id: str, person: Person) -> bool:
        """Whether a question of this person's is being answered."""
        async with self._database.read() as conn:
            found = select(inbox.c.id).where(*_asked(room, event_id, person), inbox.c.begun > 0)
            return (await conn.execute(found)).scalar() is not None


async def withdraw(conn: AsyncConnection, shown: Sequence[tuple[int, str]], now: datetime) -> None:
    """In the caller's transaction: these answers, as (room, id), are to be shown anew."""
    for room, answer in sorted(set(shown)):
        key = {"room_id": room, "kind": Kind.WITHDRAWN, "event_id": answer}
        there = select(inbox.c.id).where(*(inbox.c[name] == value for name, value in key.items()))
        if (await conn.execute(there)).scalar() is None:
            payload = _FORMS[Kind.WITHDRAWN].dump_json(answer).decode()
            await conn.execute(insert(inbox).values(**key, payload=payload, begun=0, received_at=now))


def _asked(room: Room, event_id: str, person: Person) -> tuple[ColumnElement[bool], ...]:
    of = (inbox.c.room_id == room.id, inbox.c.kind == Kind.ASKED, inbox.c.event_id == event_id)
    return (*of, inbox.c.person_id == person.id)


def _item(row: AnyRow) -> Item:
    return Item(
        id=row.id,
        room=Room(row.room_id, row.tenant_id, row.external_id, row.name, row.version, row.created_at),
        kind=Kind(row.kind),
        event_id=row.event_id,
        payload=_FORMS[Kind(row.kind)].validate_json(row.payload),
        begun=row.begun,
        received_at=row.received_at,
    )
