"""Forget, export, know, opt out: what a person may ask of the memory.

What others wrote about a person stays theirs; everything the person wrote, asked and voted goes, and so does the row
that names them. Of somebody who opted out a salted hash of the id stays, so that the wish outlives the forgetting.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.contention import again
from memory.directory import hidden_id
from memory.erasure import SLICE, Erasure, next_version
from memory.errors import Ambiguous, NotFound
from memory.models import EntityKind, Person, Priority, Room
from memory.ports import Clock, Database
from memory.reflection import queue
from memory.reflection.holding import forget_derived
from memory.statements import hold_room
from memory.tables import entities, mentions, messages, people, reactions, relations, rooms

_NOBODY = ""
_SLICE = 1000
_PAGE = 500  # messages of an export that are read at a time


class Privacy:
    """A person's rights over what is kept."""

    def __init__(self, database: Database, clock: Clock, erasure: Erasure) -> None:
        self._database = database
        self._clock = clock
        self._erasure = erasure

    async def forget_message(self, tenant: int | None, external_id: str, room: Room | None = None) -> int:
        """Erases one message everywhere; without a tenant, of whichever team.

        Raises NotFound, or Ambiguous when several rooms have that id.
        """
        async with self._database.read() as conn:
            query = (
                select(messages.c.room_id, rooms.c.name)
                .join(rooms, rooms.c.id == messages.c.room_id)
                .where(messages.c.external_id == external_id)
            )
            if tenant is not None:
                query = query.where(rooms.c.tenant_id == tenant)
            if room is not None:
                query = query.where(rooms.c.id == room.id)
            found = (await conn.execute(query)).all()
        if not found:
            raise NotFound(f"there is no message {external_id!r}" + (f" in {room.name}" if room else ""))
        if len(found) > 1:
            names = ", ".join(row.name for row in found)
            raise Ambiguous(f"several rooms have a message {external_id!r}: say which with --room ({names})")
        return await self._erasure.erase(found[0].room_id, [external_id], self._clock.now())

    async def forget_person(self, person: Person) -> int:
        """Erases everything a person wrote, asked and voted, and their name. Gives the number of messages."""
        async with self._database.scrubbing_later():
            erased = await self._erase_written(person)
            while not await self._erase_name(person):  # they wrote something meanwhile
                erased += await self._erase_written(person)
            for dropper in self._erasure.droppers:
                await dropper.drop_person(person.id)
            await self._database.scrub()
        return erased

    async def _erase_written(self, person: Person) -> int:
        async with self._database.read() as conn:
            query = select(messages.c.room_id, messages.c.external_id).where(messages.c.author_id == person.id)
            wrote = (await conn.execute(query)).all()
        erased = 0
        for room in sorted({row.room_id for row in wrote}):
            theirs = [row.external_id for row in wrote if row.room_id == room]
            erased += await self._erasure.erase(room, theirs, self._clock.now())
        return erased

    @again
    async def _erase_name(self, person: Person) -> bool:
        """What other parts keep of them, and the row that names them; False, and nothing, while a message is there."""
        async with self._database.write(alone=True) as conn:
            theirs = select(messages.c.serial).where(messages.c.author_id == person.id).limit(1)
            if (await conn.execute(theirs)).scalar() is not None:
                return False
            for holder in self._erasure.holders:
                await holder.erase_person(conn, person.id)
            await _erase_row(conn, person)
        return True

    async def expire(self, room: Room, before: datetime) -> int:
        """Erases what was written in a room before a moment. Gives the number of messages."""
        query = select(messages.c.external_id).where(messages.c.room_id == room.id, messages.c.sent_at < before)
        erased = 0
        while True:  # in slices, so that nobody waits for a year of messages to be erased
            async with self._database.read() as conn:
                old = list((await conn.execute(query.limit(_SLICE))).scalars())
            if not old:
                return erased
            erased += await self._erasure.erase(room.id, old, self._clock.now())

    async def opt_out(self, person: Person, *, out: bool) -> None:
        """From now on nothing the person writes is kept; or again it is.

        What was derived from what they wrote goes at once, and comes back with them; the messages stay until they are
        forgotten.
        """
        async with self._database.write() as conn:
            when = self._clock.now() if out else None
            await conn.execute(update(people).where(people.c.id == person.id).values(opted_out_at=when))
        last: int | None = 0
        while last is not None:
            last = await self._reflect_anew(person, last)

    @again
    async def _reflect_anew(self, person: Person, after: int) -> int | None:
        """What rests on the next messages of a person is derived anew; gives the last of them, None without any."""
        theirs = select(messages.c.serial, messages.c.room_id).where(messages.c.author_id == person.id)
        async with self._database.write() as conn:
            page = theirs.where(messages.c.serial > after).order_by(messages.c.serial).limit(SLICE)
            found = (await conn.execute(page)).all()
            if not found:
                return None
            for room in sorted({row.room_id for row in found}):  # who is storing what rests on them ends first
                await hold_room(conn, room)
            still = select(messages.c.serial).where(messages.c.serial.in_([row.serial for row in found]))
            serials = (await conn.execute(still.order_by(messages.c.serial))).scalars().all()
            await forget_derived(conn, serials, self._clock)
            await queue.put(conn, serials, self._clock.now(), priority=Priority.HISTORY)
            return int(found[-1].serial)

    async def know(self, person: Person) -> dict[str, Any]:
        """What is kept about a person, in numbers."""
        async with self._database.read() as conn:
            query = select(func.count(), func.min(messages.c.sent_at), func.max(messages.c.sent_at))
            count, first, last = (await conn.execute(query.where(messages.c.author_id == person.id))).one()
            counted: dict[str, int] = {}
            async for item in self._held(conn, person):
                counted[item["kind"]] = counted.get(item["kind"], 0) + 1
        return {
            "person": person.external_id,
            "name": person.name,
            "messages": int(count),
            "first": first and first.isoformat(),
            "last": last and last.isoformat(),
            "opted_out": person.opted_out,
            **{f"{kind}s": number for kind, number in sorted(counted.items())},
        }

    async def export(self, person: Person) -> AsyncIterator[dict[str, Any]]:
        """Everything that is kept about a person, one JSON object each.

        No transaction is open while one is taken: whoever reads may take as long as they like.
        """
        yield {"kind": "person", "id": person.external_id, "name": person.name, "opted_out": person.opted_out}
        query = (
            select(messages, rooms.c.name.label("room"))
            .join(rooms, rooms.c.id == messages.c.room_id)
            .where(messages.c.author_id == person.id)
            .order_by(messages.c.serial)
            .limit(_PAGE)
        )
        last, more = 0, True
        while more:
            async with self._database.read() as conn:
                page = (await conn.execute(query.where(messages.c.serial > last))).all()
            for row in page:
                yield {
                    "kind": "message",
                    "id": row.external_id,
                    "room": row.room,
                    "text": row.text,
                    "sent_at": row.sent_at.isoformat(),
                    "reply_to": row.reply_to,
                    "revision": row.revision,
                }
                last = row.serial
            more = len(page) == _PAGE
        async with self._database.read() as conn:
            held = [item async for item in self._held(conn, person)]
        for item in held:
            yield item

    async def _held(self, conn: AsyncConnection, person: Person) -> AsyncIterator[dict[str, Any]]:
        for row in await conn.execute(select(reactions).where(reactions.c.person_id == person.id)):
            yield {"kind": "reaction", "to": row.target, "emoji": row.emoji, "at": row.added_at.isoformat()}
        for holder in self._erasure.holders:
            async for item in holder.export_person(conn, person.id):
                yield item


async def _renew_what_names(conn: AsyncConnection, person: Person) -> None:
    """The messages that name somebody change: graphs that last are told that they no longer do."""
    theirs = (entities.c.kind == EntityKind.PERSON, entities.c.key == str(person.id))
    naming = select(mentions.c.message_serial).join(entities, entities.c.id == mentions.c.entity_id).where(*theirs)
    there = select(entities.c.room_id).where(*theirs).order_by(entities.c.room_id)
    for room in (await conn.execute(there)).scalars().all():
        version = await next_version(conn, room)
        here = (messages.c.room_id == room, messages.c.serial.in_(naming))
        await conn.execute(update(messages).where(*here).values(version=version))


async def _erase_row(conn: AsyncConnection, person: Person) -> None:
    await conn.execute(delete(reactions).where(reactions.c.person_id == person.id))
    named = or_(relations.c.subject_id == person.id, relations.c.object_id == person.id)
    await conn.execute(delete(relations).where(named))
    await _renew_what_names(conn, person)
    await conn.execute(delete(entities).where(entities.c.kind == EntityKind.PERSON, entities.c.key == str(person.id)))
    row = people.c.id == person.id
    if (await conn.execute(select(people.c.opted_out_at).where(row))).scalar() is None:
        await conn.execute(delete(people).where(row))
    else:
        await conn.execute(
            update(people).where(row).values(external_id=hidden_id(person.tenant, person.external_id), name=_NOBODY)
        )
