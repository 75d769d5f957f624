"""Deletion that reaches everything: a message in one transaction where the store is SQL, and after it everywhere else.

The tombstone and the removal of the message, its revisions, mentions, relations, memories, vectors and token ids commit
together; parts that keep something derived from messages (answers, digests) join as ``Holder`` in the same transaction;
in-process projections (arrays, graph, caches) join as ``Dropper`` after it. Last, the embedded files are scrubbed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.contention import again
from memory.ports import Database
from memory.tables import embeddings, entities, mentions, messages, reactions, rooms, sessions, tombstones

SLICE = 250
"""Messages that are erased in one transaction, and bound variables of a statement, well under SQLite's limit."""


class Holder(Protocol):
    """A part that keeps something about messages or people in tables of its own."""

    async def erase_messages(self, conn: AsyncConnection, serials: Sequence[int]) -> None:
        """Nothing of these messages is left in the part's tables afterwards; in the transaction that removes them."""

    async def erase_events(self, conn: AsyncConnection, room: int, external_ids: Sequence[str]) -> None:
        """Nothing of events that are no messages (questions to the bot) is left in the part's tables afterwards."""

    async def erase_person(self, conn: AsyncConnection, person: int) -> None:
        """Nothing of this person is left in the part's tables afterwards, and no row names them."""

    def export_person(self, conn: AsyncConnection, person: int) -> AsyncIterator[dict[str, Any]]:
        """What the part keeps about a person, one JSON object each, with a ``kind``."""


class Dropper(Protocol):
    """Removes what a part holds in memory or in another store, after the commit; may be called twice."""

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Nothing of these messages, or of texts with these content hashes, is left in the part afterwards."""

    async def drop_person(self, person: int) -> None:
        """Nothing of this person is left in the part afterwards."""


@dataclass(slots=True)
class Erasure:
    """The saga. ``holders`` and ``droppers`` are filled by the wiring."""

    database: Database
    holders: list[Holder] = field(default_factory=list)
    droppers: list[Dropper] = field(default_factory=list)

    async def erase(self, room: int, external_ids: Sequence[str], at: datetime) -> int:
        """Erases messages of a room; ids that never came are kept out for good. Gives the number that was there.

        Some hundred are a transaction: everybody else waits for each, and nobody for thousands. Broken off, what was
        erased stays so, and the same call does the rest.
        """
        erased = 0
        async with self.database.scrubbing_later():
            for start in range(0, len(external_ids), SLICE):
                serials, hashes = await self._erase(room, external_ids[start : start + SLICE], at)
                for dropper in self.droppers:
                    await dropper.drop(room, serials, hashes)
                await self.database.scrub()
                erased += len(serials)
        return erased

    @again
    async def _erase(self, room: int, external_ids: Sequence[str], at: datetime) -> tuple[list[int], list[bytes]]:
        """Alone: whoever writes meanwhile could cite, embed or count what is about to go."""
        async with self.database.write(alone=True) as conn:
            return await self._erase_some(conn, room, external_ids, await next_version(conn, room), at)

    async def _erase_some(
        self, conn: AsyncConnection, room: int, external_ids: Sequence[str], version: int, at: datetime
    ) -> tuple[list[int], list[bytes]]:
        await _bury(conn, room, external_ids, version, at)
        for holder in self.holders:
            await holder.erase_events(conn, room, external_ids)
        query = select(messages).where(messages.c.room_id == room, messages.c.external_id.in_(external_ids))
        found = (await conn.execute(query)).all()
        serials = [row.serial for row in found]
        if not serials:
            return [], []
        gone = messages.c.serial.in_(serials)
        serial = select(messages.c.serial).where(gone, messages.c.external_id == tombstones.c.external_id)
        of = (tombstones.c.room_id == room, tombstones.c.external_id.in_([row.external_id for row in found]))
        await conn.execute(update(tombstones).where(*of).values(serial=serial.scalar_subquery()))
        fewer = select(func.count()).where(gone, messages.c.session_id == sessions.c.id).scalar_subquery()
        shrunk = sessions.c.id.in_({row.session_id for row in found})
        await conn.execute(update(sessions).where(shrunk).values(messages=sessions.c.messages - fewer))
        for holder in self.holders:
            await holder.erase_messages(conn, serials)
        await conn.execute(delete(reactions).where(reactions.c.room_id == room, reactions.c.target.in_(external_ids)))
        await conn.execute(delete(messages).where(gone))  # the rest cascades
        hashes = [row.content_hash for row in found]
        await drop_unreferenced(conn, room, hashes)
        return serials, hashes


async def next_version(conn: AsyncConnection, room: int) -> int:
    """The room's next version; takes the room's row for the rest of the transaction."""
    return int((await conn.execute(_BUMP, {"room": room})).scalar_one())


_BUMP: Final = (
    update(rooms).where(rooms.c.id == bindparam("room")).values(version=rooms.c.version + 1).returning(rooms.c.version)
)


async def drop_unreferenced(conn: AsyncConnection, room: int, hashes: Sequence[bytes]) -> None:
    """Removes embeddings of texts that no message has any more, and entities that no message of the room names."""
    alive = select(messages.c.serial).where(messages.c.content_hash == embeddings.c.content_hash).exists()
    for start in range(0, len(hashes), SLICE):
        some = hashes[start : start + SLICE]
        await conn.execute(delete(embeddings).where(embeddings.c.content_hash.in_(some), ~alive))
    named = select(mentions.c.message_serial).where(mentions.c.entity_id == entities.c.id).exists()
    await conn.execute(delete(entities).where(entities.c.room_id == room, ~named))


async def _bury(conn: AsyncConnection, room: int, external_ids: Sequence[str], version: int, at: datetime) -> None:
    query = select(tombstones.c.external_id).where(
        tombstones.c.room_id == room, tombstones.c.external_id.in_(external_ids)
    )
    buried = set((await conn.execute(query)).scalars())
    fresh = [
        {"room_id": room, "external_id": key, "version": version, "deleted_at": at}
        for key in dict.fromkeys(external_ids)
        if key not in buried
    ]
    if fresh:
        await conn.execute(insert(tombstones), fresh)
