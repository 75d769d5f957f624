"""In-process projections of rooms: arrays for ranking, a graph for paths. Loaded lazily, refreshed by version, bounded.

Each can be dropped and is loaded again from SQL without embedding anything. A refresh reads only what changed since
the version that the projection has seen: one small query when nothing did.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, Select, and_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from memory import loading, ranking, records
from memory.columns import AnyRow, instant
from memory.models import EntityKind, Mention, MessageLinks, Person
from memory.ports import Database, GraphIndex
from memory.records import ModelKey
from memory.room import RoomView
from memory.tables import entities, mentions, messages, people, tombstones

_WASTE = 0.25
_SLICE = 400
_PAGE = 4096


@dataclass(slots=True)
class _Shelf:
    """What is held of one room, and the versions that the parts have reached."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    graph_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    version: int = 0
    view: RoomView = field(default_factory=lambda: RoomView.of(()))
    names: Mapping[str, int] = field(default_factory=dict)
    graph_version: int = 0


class Rooms:
    """The rooms in memory, least recently used out when they hold more than ``limit`` bytes together."""

    def __init__(self, database: Database, graph: GraphIndex, model: ModelKey, limit: int = 1 << 30) -> None:
        """``limit`` is in bytes."""
        self._database = database
        self._graph = graph
        self._model = model
        self._limit = limit
        self._shelves: OrderedDict[int, _Shelf] = OrderedDict()

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
        """The graph, with the room as it is now; ``at`` as in `view`."""
        shelf = self._shelf(room)
        if at is not None and at <= shelf.graph_version:
            return self._graph
        async with shelf.graph_lock:
            async with self._database.read() as conn:
                version = await records.version_of(conn, room)
                if version == shelf.graph_version:
                    return self._graph
                removed, links = await _links(conn, room, shelf.graph_version)
            await self._graph.remove(room, removed)
            await self._graph.put(room, links)
            shelf.graph_version = version
        return self._graph

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Dropper: brings the room up to date at once, so that nothing erased is held."""
        del hashes
        shelf = self._shelves.get(room)
        if shelf is None:
            return
        async with shelf.lock:
            shelf.view = await asyncio.to_thread(shelf.view.updated, (), list(serials))
        async with shelf.graph_lock:
            await self._graph.remove(room, serials)

    async def drop_person(self, person: int) -> None:
        """Dropper: rooms are loaded afresh when they are next asked; any of them may name the person."""
        del person
        for room in list(self._shelves):
            await self.wipe(room)

    async def wipe(self, room: int) -> None:
        """Forgets the projection of a room; the next call loads it again."""
        self._shelves.pop(room, None)
        await self._graph.drop(room)

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
            return ranking.names((person.id, person.name) for person in await _people(conn, authors))

    async def _make_room(self, keep: int) -> None:
        held = {room: shelf.view.nbytes for room, shelf in self._shelves.items()}
        for room in list(self._shelves):
            if sum(held.values()) <= self._limit:
                return
            if room != keep and not self._shelves[room].lock.locked():
                held.pop(room)
                await self.wipe(room)


async def _people(conn: AsyncConnection, keys: Sequence[int]) -> list[Person]:
    found: list[Person] = []
    for start in range(0, len(keys), _SLICE):
        query = select(people).where(people.c.id.in_(keys[start : start + _SLICE]), people.c.name != "")
        found += [Person(row.id, row.tenant_id, row.external_id, row.name) for row in await conn.execute(query)]
    return found


async def _links(conn: AsyncConnection, room: int, since: int) -> tuple[list[int], list[MessageLinks]]:
    """Serials removed from a room after a version, and the links of its messages that changed after it."""
    gone = select(tombstones.c.serial).where(
        tombstones.c.room_id == room, tombstones.c.version > since, tombstones.c.serial.is_not(None)
    )
    removed = list((await conn.execute(gone)).scalars())
    changed = and_(messages.c.room_id == room, messages.c.version > since)
    named = (
        select(mentions.c.message_serial, mentions.c.entity_id, mentions.c.is_subject)
        .join(messages, messages.c.serial == mentions.c.message_serial)
        .where(changed)
    )
    known = await _entities(conn, select(named.subquery().c.entity_id))
    said: dict[int, list[Mention]] = {}
    subjects: dict[int, str] = {}
    async for page in (await conn.stream(named)).partitions(_PAGE):
        for serial, entity, is_subject in page:
            said.setdefault(serial, []).append(known[entity])
            if is_subject:
                subjects[serial] = known[entity].key
    parent = messages.alias("parent")
    query = (
        select(
            messages.c.serial,
            messages.c.author_id,
            people.c.name,
            type_coerce(messages.c.sent_at, BigInteger),
            messages.c.session_id,
            parent.c.serial.label("parent_serial"),
        )
        .join(people, people.c.id == messages.c.author_id)
        .outerjoin(parent, (parent.c.room_id == room) & (parent.c.external_id == messages.c.reply_to))
        .where(changed)
        .order_by(messages.c.serial)
    )
    found: list[MessageLinks] = []
    authors: dict[int, Mention] = {}
    async for page in (await conn.stream(query)).partitions(_PAGE):
        found += await asyncio.to_thread(_page_of_links, page, authors, said, subjects)
    return removed, found


async def _entities(conn: AsyncConnection, wanted: Select[tuple[int]]) -> dict[int, Mention]:
    """The entities with these ids; people with the name that they have now."""
    query = select(entities).where(entities.c.id.in_(wanted))
    rows = [row async for page in (await conn.stream(query)).partitions(_PAGE) for row in page]
    keys = {int(row.key) for row in rows if row.kind == EntityKind.PERSON}
    labels = {person.id: person.name for person in await _people(conn, sorted(keys))}
    return {row.id: _mention(row, labels) for row in rows}


def _page_of_links(
    page: Sequence[AnyRow],
    authors: dict[int, Mention],
    said: Mapping[int, Sequence[Mention]],
    subjects: Mapping[int, str],
) -> list[MessageLinks]:
    found = []
    for serial, author, name, sent_at, session, parent in page:
        wrote = authors.get(author)
        if wrote is None:
            wrote = authors[author] = Mention(EntityKind.PERSON, str(author), name)
        named = tuple(said.get(serial, ()))
        found.append(MessageLinks(serial, wrote, instant(sent_at), parent, session, named, subjects.get(serial)))
    return found


def _mention(row: Any, labels: Mapping[int, str]) -> Mention:
    kind = EntityKind(row.kind)
    return Mention(kind, row.key, labels.get(int(row.key), "") if kind is EntityKind.PERSON else row.label)
