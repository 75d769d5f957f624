"""The journal admits each event exactly once: messages, edits, deletions, reactions.

A message and its outbox row commit together; everything else (vectors, entities) follows from the outbox. An event that
came before is a no-op, one whose message was deleted stays out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, insert, literal, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory import sessions
from memory.columns import AnyRow, storable
from memory.contention import again
from memory.directory import admit_people
from memory.embedding import content_hash
from memory.erasure import Erasure, drop_unreferenced, next_version
from memory.errors import BadInput
from memory.models import Admitted, Draft, Person, Priority, Provenance, Room
from memory.ports import Clock, Database
from memory.statements import hold_room
from memory.tables import (
    index_outbox,
    memories,
    mentions,
    message_revisions,
    messages,
    people,
    reactions,
    relations,
    tombstones,
)

LONGEST_TEXT = 1 << 20
"""Bytes of UTF-8 in one message; no chat platform allows more (Matrix: 64 KiB an event)."""
_LONGEST_ID = 255
_LONGEST_EMOJI = 64
_SLICE = 500  # bound variables a statement; an import comes in batches of as many


_THERE: Final = union_all(
    *(
        select(table.c.external_id, literal(is_buried).label("is_buried")).where(
            table.c.room_id == bindparam("room"), table.c.external_id.in_(bindparam("ids", expanding=True))
        )
        for table, is_buried in ((messages, 0), (tombstones, 1))
    )
)
"""Which events of a room are there or buried. Built once: a statement that is built anew takes as long as to run it."""


def check(draft: Draft) -> None:
    """Raises BadInput, with the reason, for a message that cannot be kept."""
    if not draft.event_id or len(draft.event_id) > _LONGEST_ID:
        raise BadInput(f"the id must have 1 to {_LONGEST_ID} characters")
    if not draft.author or len(draft.author) > _LONGEST_ID:
        raise BadInput(f"the author must have 1 to {_LONGEST_ID} characters")
    if any(storable(one, _LONGEST_ID) != one for one in (draft.event_id, draft.author)):
        raise BadInput("the id or the author has characters that cannot be kept (NUL, half of a surrogate pair)")
    if not draft.text.strip():
        raise BadInput("the text is empty")
    if len(draft.text) > LONGEST_TEXT or len(draft.text.encode("utf-8", "surrogatepass")) > LONGEST_TEXT:
        raise BadInput("the text is longer than 1 MiB")
    if draft.sent_at.tzinfo is None:
        raise BadInput("the time has no time zone")


class Journal:
    """What came in from the rooms, exactly once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        erasure: Erasure,
        after: Callable[[], None],
        settled: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``after`` is called when something was committed that waits to be indexed.

        ``settled``, where it is given, is waited for before a message or an edit counts as taken: it ends when
        everything is derived. What it cannot do is done later; it raises nothing for that.
        """
        self._database = database
        self._clock = clock
        self._erasure = erasure
        self._after = after
        self._settled = settled

    async def admit(self, room: Room, drafts: Sequence[Draft]) -> Admitted:
        """Keeps messages, all in one transaction. Raises BadInput when one of them cannot be kept.

        Known and deleted ids are passed over, and so are people who opted out.
        """
        for draft in drafts:
            check(draft)
        admitted = await self._admit(room, drafts)
        await self._derive()
        return admitted

    async def _derive(self) -> None:
        """What was committed is derived beside us, or first, where the wiring says so."""
        self._after()
        if self._settled is not None:
            await self._settled()

    @again
    async def _admit(self, room: Room, drafts: Sequence[Draft]) -> Admitted:
        async with self._database.write() as conn:
            await hold_room(conn, room.id)
            fresh, known, buried = await _unknown(conn, room.id, drafts)
            names = {draft.author: draft.author_name for draft in fresh}
            authors = await admit_people(conn, room.tenant, names, self._clock.now()) if names else {}
            welcome = [draft for draft in fresh if not authors[draft.author].opted_out]
            serials = await _insert(conn, room.id, welcome, authors, self._clock.now()) if welcome else []
        silent = len(fresh) - len(welcome)
        return Admitted(tuple(serials), known=known, refused=buried + silent)

    async def edit(self, room: Room, event_id: str, author: str, text: str, edited_at: datetime) -> bool:
        """Replaces a message's text; the earlier text leaves every store. Only its own author's edit counts.

        Of somebody who opted out nothing new is kept: their edit erases the message.
        False when there is nothing to do: an unknown message, somebody else's, or the same text. Raises BadInput.
        """
        check(Draft(event_id, author, author, text, edited_at))
        before = await self._replace(room, event_id, author, text, edited_at)
        if before is None:
            return False
        if before.opted_out_at is not None:
            return await self.delete(room, event_id, edited_at)
        for dropper in self._erasure.droppers:
            await dropper.drop(room.id, [before.serial], [before.content_hash])
        await self._database.scrub()
        await self._derive()
        return True

    @again
    async def _replace(self, room: Room, event_id: str, author: str, text: str, edited_at: datetime) -> AnyRow | None:
        """The row before the edit, with when its author opted out; None when there is nothing to do.

        Alone: what is derived from the text is erased. Nothing is done for an author who opted out.
        """
        async with self._database.write(alone=True) as conn:
            query = select(messages, people.c.opted_out_at).join(people, people.c.id == messages.c.author_id)
            query = query.where(messages.c.room_id == room.id, messages.c.external_id == event_id)
            row = (await conn.execute(query)).one_or_none()
            sender = select(people.c.id).where(people.c.tenant_id == room.tenant, people.c.external_id == author)
            if row is None or row.text == text or (await conn.execute(sender)).scalar() != row.author_id:
                return None
            if row.opted_out_at is not None:
                return row
            values = {
                "text": text,
                "content_hash": content_hash(text),
                "revision": row.revision + 1,
                "version": await next_version(conn, room.id),
            }
            await conn.execute(update(messages).where(messages.c.serial == row.serial).values(**values))
            for table in (mentions, relations, memories, index_outbox):
                await conn.execute(delete(table).where(table.c.message_serial == row.serial))
            kept = {"message_serial": row.serial, "revision": row.revision + 1}
            await conn.execute(insert(message_revisions).values(edited_at=edited_at, **kept))
            await conn.execute(insert(index_outbox).values(attempts=0, **kept))
            for holder in self._erasure.holders:
                await holder.erase_messages(conn, [row.serial])
            await drop_unreferenced(conn, room.id, [row.content_hash])
            return row

    async def delete(self, room: Room, event_id: str, at: datetime) -> bool:
        """Erases a message everywhere; one that comes later under this id stays out. False when it was not there."""
        return await self._erasure.erase(room.id, [event_id], at) > 0

    async def buried(self, room: Room, event_id: str) -> bool:
        """Whether an event was deleted for good, also when the deletion came first."""
        query = select(tombstones.c.external_id).where(
            tombstones.c.room_id == room.id, tombstones.c.external_id == event_id
        )
        async with self._database.read() as conn:
            return (await conn.execute(query)).scalar() is not None

    @again
    async def react(self, room: Room, event_id: str, target: str, person: Person, emoji: str, at: datetime) -> bool:
        """Keeps a reaction. False when the event was known.

        One that was taken back before ``at`` is put again: where a platform gives reactions no ids of their own, the
        same id stands for the same reaction of the same person.
        """
        async with self._database.write() as conn:
            await hold_room(conn, room.id)
            where = (reactions.c.room_id == room.id, reactions.c.event_id == event_id)
            known = (await conn.execute(select(reactions.c.removed_at).where(*where))).one_or_none()
            if known is not None:
                if known.removed_at is None or known.removed_at >= at:
                    return False
                await conn.execute(update(reactions).where(*where).values(added_at=at, removed_at=None))
                return True
            values = {
                "target": target,
                "person_id": person.id,
                "emoji": storable(emoji, _LONGEST_EMOJI),
                "added_at": at,
            }
            await conn.execute(insert(reactions).values(room_id=room.id, event_id=event_id, **values))
            return True

    @again
    async def unreact(self, room: Room, event_id: str, at: datetime) -> tuple[str, int, str] | None:
        """Takes a reaction back: (target, person, emoji) of it, or None when it is unknown or was taken back."""
        async with self._database.write() as conn:
            await hold_room(conn, room.id)
            where = (reactions.c.room_id == room.id, reactions.c.event_id == event_id, reactions.c.removed_at.is_(None))
            row = (await conn.execute(select(reactions).where(*where))).one_or_none()
            if row is None:
                return None
            # never before it was put: clocks of servers differ, and what is delivered again must stay away
            await conn.execute(update(reactions).where(*where).values(removed_at=max(at, row.added_at)))
            return row.target, row.person_id, row.emoji


async def _unknown(conn: AsyncConnection, room: int, drafts: Sequence[Draft]) -> tuple[list[Draft], int, int]:
    """The drafts that are new, the number already known (or twice in the batch), and the number buried."""
    ids = list(dict.fromkeys(draft.event_id for draft in drafts))
    known: set[str] = set()
    buried: set[str] = set()
    for start in range(0, len(ids), _SLICE):
        for row in await conn.execute(_THERE, {"room": room, "ids": ids[start : start + _SLICE]}):
            (buried if row.is_buried else known).add(row.external_id)
    fresh: dict[str, Draft] = {}
    for draft in drafts:
        if draft.event_id not in known and draft.event_id not in buried:
            fresh.setdefault(draft.event_id, draft)
    refused = sum(draft.event_id in buried for draft in drafts)
    return list(fresh.values()), len(drafts) - len(fresh) - refused, refused


_KEPT: Final = insert(messages).returning(messages.c.external_id, messages.c.serial)
_WAITING: Final = insert(index_outbox)


async def _insert(
    conn: AsyncConnection, room: int, drafts: Sequence[Draft], authors: dict[str, Person], now: datetime
) -> list[int]:
    version = await next_version(conn, room)
    spots = [(draft.sent_at, draft.thread and storable(draft.thread, _LONGEST_ID)) for draft in drafts]
    placed = await sessions.place(conn, room, spots, now)
    rows = [
        {
            "room_id": room,
            "external_id": draft.event_id,
            "author_id": authors[draft.author].id,
            "session_id": session,
            "text": draft.text,
            "content_hash": content_hash(draft.text),
            "sent_at": draft.sent_at,
            "reply_to": draft.reply_to and storable(draft.reply_to, _LONGEST_ID),
            "provenance": draft.provenance,
            "revision": 1,
            "version": version,
        }
        for draft, session in zip(drafts, placed, strict=True)
    ]
    made = await conn.execute(_KEPT, rows)
    found = {row.external_id: row.serial for row in made}
    serials = [found[draft.event_id] for draft in drafts]
    urgent = [Priority.HISTORY if draft.provenance is Provenance.HISTORY else Priority.LIVE for draft in drafts]
    waiting = [
        {"message_serial": serial, "revision": 1, "attempts": 0, "priority": priority}
        for serial, priority in zip(serials, urgent, strict=True)
    ]
    await conn.execute(_WAITING, waiting)
    return serials
