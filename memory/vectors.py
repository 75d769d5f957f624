"""Vectors and words of all rooms on a server, kept where the rooms are, and asked in their stead.

The version that a room has reached there is noted after what it covers was put and removed. So nothing counts as taken
that was not; what came after it is put again, which changes nothing. A process that read a message and puts it while
another one erases or edits it looks afterwards what happened meanwhile, and takes it out again or puts it as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

import structlog
from cachetools import LRUCache
from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory import links, loading, ranking, records
from memory.errors import Unavailable
from memory.models import Nominations, Query, VectorSum
from memory.ports import Database, LastingVectors
from memory.pseudonyms import Pseudonyms
from memory.records import ModelKey
from memory.refreshing import Refreshing
from memory.room_rows import RoomRows, digests
from memory.tables import embeddings, messages, rooms

log = structlog.get_logger()

STORE: Final = "qdrant"

PATIENCE: Final = 2.0
"""Seconds in which a question must have been answered; then it is answered from the arrays of this process."""

_ERASING: Final = 5.0  # seconds that whoever erases something waits
_ASKED: Final = 8  # questions of which the answer is kept: several sources ask the same
_SLICE: Final = 400
_PAGE: Final = 4096
_SCALE: Final = 4  # bytes of a vector's scale

Said: TypeAlias = tuple[Nominations, Nominations]
"""By meaning and by words."""

Put: TypeAlias = Callable[[int, int, RoomRows], Awaitable[None]]
"""Of a room and a team."""

_BEHIND: Final = "Qdrant has not caught up with this room yet"


class Vectors:
    """The index of all rooms on one server."""

    def __init__(self, database: Database, index: LastingVectors, model: ModelKey, pseudonyms: Pseudonyms) -> None:
        self._database = database
        self.index = index
        self._model = model
        self._pseudonyms = pseudonyms
        self._refreshing = Refreshing(self._refresh)
        self._asked: LRUCache[tuple[Any, ...], asyncio.Task[Said]] = LRUCache(_ASKED)
        self._owed: set[int] = set()
        self._slow: set[int] = set()  # rooms that took longer to catch up than a question waits
        self._building = False
        self._looked: set[int] = set()  # rooms that hold nothing which an earlier process should have taken out
        self._swept = False

    # -- asking -------------------------------------------------------------------------------------------------------

    async def nominate(self, query: Query, room: int, depth: int) -> Said:
        """The best ``depth`` messages by meaning and by words, of the room as it is in the query or later.

        Both are asked in one request, for all who ask about the same. Raises Unavailable when the server does not
        answer, or has not caught up, within `PATIENCE`.
        """
        direction, terms = ranking.direction(query.embedding), ranking.weighted_terms(query)
        at = query.versions.get(room)
        seen = None if direction is None else direction.tobytes()
        key = (room, at, depth, seen, *terms.items())
        task = None if at is None else self._asked.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):

            async def ask() -> Said:
                async with asyncio.timeout(PATIENCE):
                    await self._current(room, at)
                    return await self.index.nominate(room, direction, terms, depth)

            task = self._asked[key] = asyncio.create_task(ask())
            task.add_done_callback(_seen)
        try:
            return await asyncio.shield(task)
        except TimeoutError as exc:
            raise Unavailable(_BEHIND) from exc

    async def _current(self, room: int, at: int | None) -> None:
        """Waits until the room is where the question saw it, unless another question has waited in vain just now."""
        if at is not None and at <= await self.index.reached(room):
            return
        if room in self._slow and self._refreshing.under_way(room):
            raise Unavailable(_BEHIND)
        self._slow.discard(room)
        try:
            await self._refreshing.done(room)
        except asyncio.CancelledError:
            self._slow.add(room)
            raise

    # -- keeping up ---------------------------------------------------------------------------------------------------

    async def catch_up(self) -> int:
        """Brings every room to where it is now; gives how many were behind. Raises Unavailable.

        What an interrupted rebuild has left goes, and so does what a process that was killed has left of a message.
        """
        await self.index.generation()  # another process may have built everything anew
        async with self._database.read() as conn:
            there, owed = await records.versions(conn), set(self._owed)
        behind = [room for room, version in there.items() if version and version != await self.index.reached(room)]
        for room in behind:
            await self._refreshing.done(room)
        self._owed -= owed  # not what came meanwhile
        if not self._swept and not self._building:
            await self.index.sweep()
            self._swept = True
        for room in there:
            if room not in self._looked:
                async with self._database.read() as conn:
                    wanted, _, _ = await records.span(conn, [room])
                if await self.index.count(room) > wanted:
                    await self._remove_strays(room)
                self._looked.add(room)
        return len(behind)

    async def _refresh(self, room: int) -> None:
        """Puts and removes what changed since the version that the index has noted, then notes the new one."""
        generation = await self.index.generation()
        reached = await self.index.reached(room)
        async with self._database.read() as conn:
            version = await records.version_of(conn, room)
            since = reached if reached < version else 0  # else the database is older: it was brought back from a copy
            removed = await links.removed(conn, room, since)
        if version == reached:
            return
        if since != reached:
            await self.index.drop(room)
        await self.index.remove(room, removed)
        async for _ in self._put_pages(room, since, self.index.put):
            pass
        await self.index.reach(room, version, generation)
        self._owed.discard(room)

    async def _put_pages(self, room: int, since: int, put: Put) -> AsyncIterator[int]:
        """Puts what changed in a room after a version, some thousands of messages at a time; gives their numbers."""
        after = 0
        while True:
            async with self._database.read() as conn:
                seen = await records.version_of(conn, room)
                page = await loading.page(conn, room, since, after, self._model)
                tenant = await _tenant_of(conn, room)
            if not len(page):
                return
            await put(room, tenant, page)
            await self._follow(room, page.serials.tolist(), seen, put)
            yield len(page)
            after = int(page.serials[-1])

    async def _follow(self, room: int, serials: Sequence[int], seen: int, put: Put) -> None:
        """What was put as it was at a version may have changed since: it is put as it is now, or taken out.

        Until nothing has: another process may have noted that change, and would never put it again.
        """
        mine = set(serials)
        while True:
            async with self._database.read() as conn:
                now = await records.version_of(conn, room)
                gone = mine.intersection(await links.removed(conn, room, seen))
                edited = mine & await loading.changed(conn, room, seen, min(mine), max(mine))
            await self.index.remove(room, sorted(gone))
            if not edited:
                return
            await self._put_some(room, sorted(edited), put)
            mine, seen = edited, now

    async def _put_some(self, room: int, serials: Sequence[int], put: Put) -> int:
        """As they are now; gives the version before which none of them was read."""
        async with self._database.read() as conn:
            seen = await records.version_of(conn, room)
        for start in range(0, len(serials), _SLICE):
            async with self._database.read() as conn:
                rows = await loading.rows_of(conn, room, serials[start : start + _SLICE], self._model)
                tenant = await _tenant_of(conn, room)
            if len(rows):
                await put(room, tenant, rows)
        return seen

    async def _remove_strays(self, room: int) -> None:
        """Messages that SQL does not have: a process was killed when it had put what another one was erasing."""
        after = 0
        while held := await self.index.serials(room, after):
            async with self._database.read() as conn:
                here = (messages.c.room_id == room, messages.c.serial.between(held[0], held[-1]))
                there = set((await conn.execute(select(messages.c.serial).where(*here))).scalars())
            if strays := [serial for serial in held if serial not in there]:
                log.warning("vectors.strays", room=room, messages=len(strays))
                await self.index.remove(room, strays)
            after = held[-1]

    async def mend(self, room: int) -> None:
        """Puts everything of a room again and takes out what SQL does not have, while the room goes on answering."""
        async for _ in self._put_pages(room, -1, self.index.put):
            pass
        await self._remove_strays(room)

    async def close(self) -> None:
        """Ends what is still under way."""
        await self._refreshing.close()
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    # -- rebuilding ---------------------------------------------------------------------------------------------------

    async def rebuild(self) -> AsyncIterator[int]:
        """Builds all rooms anew from SQL beside what answers, and puts them in its place; gives the numbers done.

        What changed meanwhile follows at once. Raises Unavailable; then everything is what it was.
        """
        self._building, self._swept = True, False
        try:
            async with self._database.read() as conn:
                there = await records.versions(conn)
            await self.index.begin()
            done = 0
            for room, version in there.items():
                async for some in self._put_pages(room, -1, self.index.build):
                    done += some
                    yield done
                await self.index.built(room, version)
            await self.index.switch()
            for room in there:
                await self._refreshing.done(room)
            self._swept = True  # what it was before goes when nobody reads it any more: the caller knows when
        finally:
            self._building = False

    @property
    def builds(self) -> bool:
        """Whether `rebuild` is at work."""
        return self._building

    # -- erasing ------------------------------------------------------------------------------------------------------

    @property
    def owed(self) -> bool:
        """Whether a server that did not answer has still to erase something."""
        return bool(self._owed)

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Dropper: nothing of these messages is left there, at once; one that was edited is put as it is now.

        A server that does not answer is told again when it does: the tombstones are newer than what it has noted.
        """
        del hashes
        self._asked.clear()
        try:
            async with asyncio.timeout(_ERASING):
                await self.index.remove(room, serials)
                if serials:
                    seen = await self._put_some(room, serials, self.index.put)
                    await self._follow(room, serials, seen, self.index.put)
        except (Unavailable, TimeoutError) as error:
            self._owed.add(room)
            log.warning("vectors.erasing_later", room=room, messages=len(serials), reason=str(error))

    async def drop_person(self, person: int) -> None:
        """Dropper: what they wrote is gone by now, and nothing there names anybody."""

    # -- comparing ----------------------------------------------------------------------------------------------------

    async def sum_of(self, conn: AsyncConnection, room: int) -> VectorSum:
        """Of a room as it is in SQL, to be compared with the index's own."""
        vectors = func.coalesce(func.length(embeddings.c.vectors), 0)
        made = and_(embeddings.c.content_hash == messages.c.content_hash, embeddings.c.model_id == self._model.id)
        query = (
            select(messages.c.serial, messages.c.content_hash, vectors)
            .outerjoin(embeddings, made)
            .where(messages.c.room_id == room)
        )
        count, checksum = 0, 0
        async for page in (await conn.stream(query)).partitions(_PAGE):
            count += len(page)
            checksum += await asyncio.to_thread(self._marks, page)
        return VectorSum(count, checksum)

    def _marks(self, page: Sequence[Any]) -> int:
        marks = digests(row[1] for row in page).tolist()
        size = self._model.dim + _SCALE
        mark = self._pseudonyms.mark
        return sum(mark(row[0], digest, row[2] // size) for row, digest in zip(page, marks, strict=True))


async def _tenant_of(conn: AsyncConnection, room: int) -> int:
    return int((await conn.execute(select(rooms.c.tenant_id).where(rooms.c.id == room))).scalar() or 0)


def _seen(task: asyncio.Task[Said]) -> None:
    """Its end was seen, also when nobody waited for it."""
    if not task.cancelled():
        task.exception()
