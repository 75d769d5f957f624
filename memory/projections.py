"""In-process projections of rooms: arrays for ranking, a graph for paths. Loaded lazily, refreshed by version, bounded.

Each can be dropped and is loaded again from SQL without embedding anything. A refresh reads only what changed since
the version that the projection has seen: one small query when nothing did.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import structlog

from memory import links, loading, ranking, records
from memory.errors import Unavailable
from memory.models import MessageLinks
from memory.ports import Database, GraphIndex, LastingGraph
from memory.records import ModelKey
from memory.refreshing import Refreshing
from memory.room import RoomView

log = structlog.get_logger()

_WASTE = 0.25
_PATIENCE = 5.0  # seconds
_TRIES = 3


@dataclass(slots=True)
class _Shelf:
    """What is held of one room, and the versions that the parts have reached."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    version: int = 0
    view: RoomView = field(default_factory=lambda: RoomView.of(()))
    names: Mapping[str, int] = field(default_factory=dict)


class Rooms:
    """The rooms in memory, least recently used out when they hold more than ``limit`` bytes together."""

    def __init__(self, database: Database, graph: GraphIndex, model: ModelKey, limit: int = 1 << 30) -> None:
        """``limit`` is in bytes."""
        self._database = database
        self._graph = graph
        self._model = model
        self._limit = limit
        self._shelves: OrderedDict[int, _Shelf] = OrderedDict()
        self._graph_locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._refreshing = Refreshing(self._refresh)
        self._owed: set[int] = set()
        self._building: set[int] = set()
        self._swept: set[int] = set()  # rooms where no rebuild of an earlier process has left anything

    async def view(self, room: int, at: int | None = None) -> RoomView:
        """The arrays of a room as it is now, or at least as it was ``at`` a version that the caller has just read."""
        shelf = self._shelf(room)
        if at is not None and at <= shelf.version:
            return shelf.view
        async with shelf.lock:
            async with self._database.read() as conn:
                if await records.version_of(conn, room) == shelf.version:
                    return shelf.view
                changes = await loading.changes(conn, room, shelf.version, self._model)
            shelf.view = await asyncio.to_thread(shelf.view.updated, changes.rows, changes.removed)
            if shelf.view.waste > _WASTE:
                changes = await self._reload(room, shelf)
            shelf.names = await self._names_of(shelf.view)
            shelf.version = changes.version  # last: who finds it reached takes the view and the names unasked
        await self._make_room(keep=room)
        return shelf.view

    async def names(self, room: int, at: int | None = None) -> Mapping[str, int]:
        """The name forms of the people who wrote in a room, to their ids; ``at`` as in `view`."""
        await self.view(room, at)
        return self._shelf(room).names

    async def graph(self, room: int, at: int | None = None) -> GraphIndex:
        """The graph, with the room as it is now; ``at`` as in `view`. Raises Unavailable when it does not answer.

        A lasting graph goes on being brought up to date when the caller has no more patience.
        """
        if at is not None and at <= await self._graph.reached(room):
            return self._graph
        if self._graph.lasting:
            await self._refreshing.done(room)
        else:
            await self._refresh(room)
        return self._graph

    async def hold_graph(self, room: int, at: int | None = None) -> None:
        """Loads a graph that is held in this process, so that the next call of `graph` need not."""
        if not self._graph.lasting:
            await self.graph(room, at)

    async def _refresh(self, room: int) -> None:
        async with self._graph_locks[room]:
            await self._refresh_graph(room)

    async def _refresh_graph(self, room: int) -> None:
        """Brings it up to date; again when another process has done so meanwhile."""
        for _ in range(_TRIES):
            if await self._refreshed(room):
                return
        log.info("graph.kept_up_by_others", room=room)

    async def _refreshed(self, room: int) -> bool:
        """Puts and removes what changed since the version that the index has noted, then notes the new one.

        Stopped at any point, the next one does it again. False when another version was noted meanwhile.
        """
        reached = await self._graph.reached(room)
        async with self._database.read() as conn:
            version = await records.version_of(conn, room)
            if version == reached:
                return True
            since = reached if reached < version else 0  # else the database is older: it was brought back from a copy
            paged = self._graph.lasting and not since
            changed: list[MessageLinks] = []
            if paged:
                removed = await links.removed(conn, room, since)
            else:
                removed, changed = await links.changed(conn, room, since)
        if since != reached or not (since or self._graph.lasting):  # a server may be filled by another process just now
            await self._graph.drop(room)
        await self._graph.remove(room, removed)
        if paged:
            async for page in self._pages(room):
                if not await self._graph.put(room, page, since):
                    return False
        elif not await self._graph.put(room, changed, since):
            return False
        await self._graph.reach(room, version)
        self._owed.discard(room)
        return True

    async def _pages(self, room: int) -> AsyncIterator[list[MessageLinks]]:
        """The links of a whole room, some thousands of messages at a time."""
        after = 0
        while True:
            async with self._database.read() as conn:
                page = await links.page(conn, room, after)
            if not page:
                return
            yield page
            after = page[-1].serial

    async def rebuild_graph(self, graph: LastingGraph, room: int) -> AsyncIterator[int]:
        """Builds a room anew from SQL beside the one that answers, and puts it in its place; gives the numbers done.

        What changed meanwhile follows at once. Raises Unavailable; then the room is what it was.
        """
        self._building.add(room)
        self._swept.discard(room)
        try:
            async with self._database.read() as conn:
                version = await records.version_of(conn, room)
            await graph.begin(room)
            done = 0
            async for page in self._pages(room):
                await graph.build(room, page)
                done += len(page)
                yield done
            async with self._graph_locks[room]:
                await graph.switch(room, version)
                await self._refresh_graph(room)
            self._swept.add(room)  # what it was before goes when nobody reads it any more: the caller knows when
        finally:
            self._building.discard(room)

    def builds(self, room: int) -> bool:
        """Whether `rebuild_graph` is at work on it."""
        return room in self._building

    @property
    def owed(self) -> bool:
        """Whether a graph that did not answer has still to erase something."""
        return bool(self._owed)

    async def close(self) -> None:
        """Ends what is still under way."""
        await self._refreshing.close()

    async def catch_up(self) -> int:
        """Brings a lasting graph to where the rooms are now; gives how many rooms were behind. Raises Unavailable.

        What an interrupted rebuild has left beside them goes.
        """
        if not self._graph.lasting:
            return 0
        there, owed = await self._versions_now(), set(self._owed)
        behind = [room for room, version in there.items() if version and version != await self._graph.reached(room)]
        for room in behind:
            await self.graph(room)
        self._owed -= owed  # not what came meanwhile
        for room in there:
            if room not in self._swept and room not in self._building:
                await cast("LastingGraph", self._graph).sweep(room)
                self._swept.add(room)
        return len(behind)

    async def _versions_now(self) -> dict[int, int]:
        async with self._database.read() as conn:
            return await records.versions(conn)

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Dropper: brings the room up to date at once, so that nothing erased is held.

        A graph that does not answer is told again when it does: the tombstones are newer than what it has noted.
        """
        del hashes
        shelf = self._shelves.get(room)
        if shelf is not None:
            async with shelf.lock:
                shelf.view = await asyncio.to_thread(shelf.view.updated, (), list(serials))
        try:
            async with self._patience(), self._graph_locks[room]:
                await self._graph.remove(room, serials)
        except (Unavailable, TimeoutError) as error:
            self._owed.add(room)
            log.warning("graph.erasing_later", room=room, messages=len(serials), reason=str(error))

    async def drop_person(self, person: int) -> None:
        """Dropper: rooms are loaded afresh when they are next asked; any of them may name the person."""
        for room in list(self._shelves):
            await self.wipe(room)
        try:
            async with self._patience():
                await self.catch_up()
        except (Unavailable, TimeoutError) as error:
            self._owed.update(await self._versions_now())
            log.warning("graph.erasing_later", person=person, reason=str(error))

    def _patience(self) -> asyncio.Timeout:
        """Whoever erases something waits for a server only so long; one that is held here is always waited for."""
        return asyncio.timeout(_PATIENCE if self._graph.lasting else None)

    async def wipe(self, room: int) -> None:
        """Forgets the projection of a room; the next call loads it again."""
        self._shelves.pop(room, None)
        await self._graph.release(room)

    def _shelf(self, room: int) -> _Shelf:
        shelf = self._shelves.get(room)
        if shelf is None:
            shelf = self._shelves[room] = _Shelf()
        self._shelves.move_to_end(room)
        return shelf

    async def _reload(self, room: int, shelf: _Shelf) -> loading.Changes:
        async with self._database.read() as conn:
            changes = await loading.changes(conn, room, -1, self._model)
        shelf.view = await asyncio.to_thread(RoomView.of, changes.rows)
        return changes

    async def _names_of(self, view: RoomView) -> Mapping[str, int]:
        authors = await asyncio.to_thread(lambda: np.unique(view.authors[view.alive]).tolist())
        async with self._database.read() as conn:
            return ranking.names((person.id, person.name) for person in await links.people_of(conn, authors))

    async def _make_room(self, keep: int) -> None:
        held = {room: shelf.view.nbytes for room, shelf in self._shelves.items()}
        for room in list(self._shelves):
            if sum(held.values()) <= self._limit:
                return
            if room != keep and not self._shelves[room].lock.locked():
                held.pop(room)
                await self.wipe(room)
