"""The graph of each room in this process: a rustworkx digraph for what is tied to what, arrays for the random walk.

rustworkx holds nodes (people, entities, days, sessions, messages) and typed edges, and answers for paths, degrees and
removal. PageRank runs on the sparse incidence matrix of `memory.graph` instead: at 100,000 messages rustworkx's own
takes 200 ms a question, the matrix 20.

Node payloads are the records as they were put, so nothing about a message outlives it: an entity shows the label of a
message that is still there, and vanishes with its last one.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import numpy as np
from rustworkx import NoSuitableNeighbors

from memory.adapters.graph_view import GraphView, day_of
from memory.graph import Relation
from memory.models import EntityKind, Mention, MessageLinks, Nominations, Path, PathType, Walks

_SLICE: Final = 1024
"""Messages put in one go; between two goes others may look at the room."""

_MANY: Final = 500
"""Taking out more than this rebuilds the room: unhooking an old message from a busy person or day costs about 1 ms at
100,000 messages, building afresh 15 µs a message."""


class RustworkxGraphIndex:
    """A `GraphIndex` in this process, one graph a room; all work is done in threads, one at a time in each room."""

    lasting = False

    def __init__(self) -> None:
        self._rooms: dict[int, _RoomGraph] = {}
        self._reached: dict[int, int] = {}

    async def reached(self, room: int) -> int:
        """See the port."""
        return self._reached.get(room, 0)

    async def reach(self, room: int, version: int) -> None:
        """See the port."""
        self._reached[room] = max(version, self._reached.get(room, 0))

    async def put(self, room: int, links: Sequence[MessageLinks], since: int | None = None) -> bool:
        """See the port."""
        if since not in {None, self._reached.get(room, 0)}:
            return False
        for start in range(0, len(links), _SLICE):
            graph = self._rooms.setdefault(room, _RoomGraph())
            await asyncio.to_thread(graph.put, links[start : start + _SLICE])
        return True

    async def remove(self, room: int, serials: Sequence[int]) -> None:
        """See the port."""
        if serials and room in self._rooms:
            await asyncio.to_thread(self._rooms[room].remove, serials)

    async def drop(self, room: int) -> None:
        """See the port."""
        self._rooms.pop(room, None)
        self._reached.pop(room, None)

    async def release(self, room: int) -> None:
        """See the port."""
        await self.drop(room)

    async def rank(
        self, room: int, messages: Mapping[int, float], entities: Sequence[Mention], limit: int
    ) -> Nominations:
        """See the port."""
        graph = self._rooms.get(room, _EMPTY)
        return await asyncio.to_thread(graph.rank, messages, entities, limit)

    async def known(self, room: int, mentions: Sequence[Mention]) -> list[tuple[Mention, int]]:
        """See the port."""
        return await asyncio.to_thread(self._rooms.get(room, _EMPTY).known, mentions)

    async def paths(self, room: int, start: Sequence[Mention], serials: Sequence[int]) -> list[Path]:
        """See the port."""
        return await asyncio.to_thread(self._rooms.get(room, _EMPTY).paths, start, serials)

    async def walks(
        self, room: int, messages: Mapping[int, float], entities: Sequence[Mention], serials: Sequence[int]
    ) -> Walks:
        """See the port."""
        return await asyncio.to_thread(self._rooms.get(room, _EMPTY).walks, messages, entities, serials)

    async def trace(
        self, room: int, path: PathType, messages: Mapping[int, float], entities: Sequence[Mention], serial: int
    ) -> Path | None:
        """See the port."""
        return await asyncio.to_thread(self._rooms.get(room, _EMPTY).trace, path, messages, entities, serial)


@dataclass(slots=True)
class _Chain:
    """A session's node, and its messages in order of time."""

    node: int
    serials: list[int] = field(default_factory=list)


class _RoomGraph(GraphView):
    """One whole room, kept up to date."""

    def _clear(self) -> None:
        super()._clear()
        self._sessions: dict[int, _Chain] = {}
        self._repliers: dict[int, set[int]] = {}  # serial to those who reply to it; it may not be there yet

    def put(self, links: Iterable[MessageLinks]) -> None:
        """Adds or replaces; replies to what comes now are tied to it, also when they came first."""
        with self._lock:
            fresh = {link.serial: link for link in links}
            for link in self._replies_to(fresh):
                fresh.setdefault(link.serial, link)
            self._take_out([serial for serial in fresh if serial in self._messages])
            self._add(list(fresh.values()))

    def remove(self, serials: Iterable[int]) -> None:
        """Takes messages out; replies to them stay, without the tie."""
        with self._lock:
            gone = set(serials)
            orphans = [replace(link, reply_to=None) for link in self._replies_to(gone) if link.serial not in gone]
            self._take_out([serial for serial in gone if serial in self._messages] + [o.serial for o in orphans])
            self._add(orphans)

    def _replies_to(self, serials: Iterable[int]) -> list[MessageLinks]:
        """The messages that are there and reply to one of these."""
        replying = {child for serial in serials for child in self._repliers.get(serial, ())}
        return [self._graph[self._messages[child]] for child in sorted(replying)]

    # -- adding -------------------------------------------------------------------------------------------------------

    def _add(self, links: Sequence[MessageLinks]) -> None:
        """Messages first, then their edges, so that replies within a batch find each other."""
        added = [(link, self._graph.add_node(link)) for link in links]
        self._messages.update((link.serial, node) for link, node in added)
        self._number(added)
        tied = [self._tie(link, node) for link, node in added]
        for link, node in sorted(added, key=lambda pair: (pair[0].sent_at, pair[0].serial)):
            self._place(link, node)
        pairs = [self._pairs(link) for link in links]
        self._incidence = self._incidence.appended([link.serial for link in links], tied)
        self._ties = self._ties.appended([link.serial for link in links], pairs)

    def _number(self, added: Sequence[tuple[MessageLinks, int]]) -> None:
        highest = max((node for _, node in added), default=-1)
        if highest >= len(self._serials):
            self._serials = np.append(self._serials, np.zeros(highest + 1, np.int64))  # doubles, at the least
        self._serials[[node for _, node in added]] = [link.serial for link, _ in added]

    def _tie(self, link: MessageLinks, node: int) -> set[int]:
        """Draws the edges of a message; gives the nodes that the random walk shares."""
        graph = self._graph
        author, shown = self._entity(link.author)
        graph.add_edge(author, node, Relation.WROTE)
        named = [self._entity(mention) for mention in link.mentions]
        shared = {entity for entity, _ in named}
        for entity in shared:
            graph.add_edge(node, entity, self._naming(link, entity))
        day, _ = self._entity(day_of(link.sent_at))
        graph.add_edge(node, day, Relation.ON)
        shared |= {author, node}  # a message and the replies to it share its thread, named by its own node
        if link.reply_to is not None and link.reply_to != link.serial:
            self._repliers.setdefault(link.reply_to, set()).add(link.serial)
            parent = self._messages.get(link.reply_to)
            if parent is not None:
                graph.add_edge(node, parent, Relation.REPLIES_TO)
                shared.add(parent)
        mentioned = tuple(mention for _, mention in named)
        if shown is not link.author or any(a is not b for a, b in zip(mentioned, link.mentions, strict=True)):
            graph[node] = replace(link, author=shown, mentions=mentioned)
        return shared

    def _naming(self, link: MessageLinks, entity: int) -> Relation:
        """How a message names an entity."""
        subject = None if link.subject is None else self._things.get(link.subject)
        return Relation.ABOUT if entity == subject else Relation.MENTIONS

    def _pairs(self, link: MessageLinks) -> list[tuple[int, Relation]]:
        """The nodes that a message is tied to, each once by each relation, for typed walks."""
        entities = {node for mention in link.mentions if (node := self._node_of(mention)) is not None}
        pairs = [(self._table(link.author)[link.author.key], Relation.WROTE)]
        pairs += [(entity, self._naming(link, entity)) for entity in sorted(entities)]
        pairs.append((self._table(day_of(link.sent_at))[day_of(link.sent_at).key], Relation.ON))
        if link.session is not None:
            pairs.append((self._sessions[link.session].node, Relation.IN_SESSION))
        return pairs

    def _entity(self, mention: Mention) -> tuple[int, Mention]:
        """The node of an entity, made when new, and the mention itself, as one object for all that write it alike."""
        if mention.kind is EntityKind.DATE and mention.label != mention.key:
            mention = replace(mention, label=mention.key)  # "yesterday" says nothing to others
        table = self._table(mention)
        node = table.get(mention.key)
        if node is None:
            node = table[mention.key] = self._graph.add_node(mention)
            return node, mention
        shown: Mention = self._graph[node]
        if shown is mention:
            return node, shown
        if not shown.label:
            self._graph[node] = shown = mention
        return node, shown if shown == mention else mention

    def _place(self, link: MessageLinks, node: int) -> None:
        """Puts a message into its session, between its neighbours in time."""
        if link.session is None:
            return
        chain = self._sessions.get(link.session)
        if chain is None:
            chain = self._sessions[link.session] = _Chain(self._graph.add_node(link.session))
        self._graph.add_edge(node, chain.node, Relation.IN_SESSION)
        at = self._place_in(chain, link)
        before, after = self._neighbours(chain, at, at)
        chain.serials.insert(at, link.serial)
        if before is not None and after is not None:
            self._graph.remove_edge(after, before)
        if before is not None:
            self._graph.add_edge(node, before, Relation.FOLLOWS)
        if after is not None:
            self._graph.add_edge(after, node, Relation.FOLLOWS)

    def _place_in(self, chain: _Chain, link: MessageLinks) -> int:
        """Where a message stands, or would stand, in its session."""
        at = (link.sent_at, link.serial)
        if chain.serials and self._when(chain.serials[-1]) < at:
            return len(chain.serials)
        return bisect_left(chain.serials, at, key=self._when)

    def _when(self, serial: int) -> tuple[datetime, int]:
        return self._link(serial).sent_at, serial

    def _neighbours(self, chain: _Chain, before: int, after: int) -> tuple[int | None, int | None]:
        """The nodes of the message before the one place and of the message at the other."""
        return (
            self._messages[chain.serials[before - 1]] if before else None,
            self._messages[chain.serials[after]] if after < len(chain.serials) else None,
        )

    # -- taking out ---------------------------------------------------------------------------------------------------

    def _take_out(self, serials: Sequence[int]) -> None:
        """Removes messages, then the entities that nothing is tied to; the others show a label that is still there."""
        if not serials:
            return
        if len(serials) > _MANY:
            self._rebuild_without(set(serials))
            return
        links = [self._link(serial) for serial in serials]
        for link in links:
            self._leave(link)
        nodes = [self._messages.pop(serial) for serial in serials]
        self._graph.remove_nodes_from(nodes)
        self._serials[nodes] = 0
        touched = {(m.kind is EntityKind.PERSON, m.key): m for link in links for m in _named(link)}
        for mention in touched.values():
            self._refresh(mention)
        self._incidence = self._incidence.without(serials)
        self._ties = self._ties.without(serials)

    def _rebuild_without(self, serials: set[int]) -> None:
        stay = [self._graph[node] for serial, node in self._messages.items() if serial not in serials]
        self._clear()
        self._add(stay)

    def _leave(self, link: MessageLinks) -> None:
        """Takes a message out of its session and its thread."""
        if link.reply_to is not None and link.reply_to in self._repliers:
            self._repliers[link.reply_to].discard(link.serial)
            if not self._repliers[link.reply_to]:
                del self._repliers[link.reply_to]
        if link.session is None:
            return
        chain = self._sessions[link.session]
        at = self._place_in(chain, link)
        before, after = self._neighbours(chain, at, at + 1)
        del chain.serials[at]
        if before is not None and after is not None:
            self._graph.add_edge(after, before, Relation.FOLLOWS)
        if not chain.serials:
            self._graph.remove_node(chain.node)
            del self._sessions[link.session]

    def _refresh(self, mention: Mention) -> None:
        table = self._table(mention)
        node = table[mention.key]
        living = self._some_message(node)
        if living is None:
            self._graph.remove_node(node)
            del table[mention.key]
        elif mention.kind is not EntityKind.DATE:
            self._graph[node] = next(m for m in _named(living) if m.key == mention.key and self._table(m) is table)

    def _some_message(self, node: int) -> MessageLinks | None:
        """A message that is tied to the entity; in constant time, also for a busy one."""
        for find in (self._graph.find_successor_node_by_edge, self._graph.find_predecessor_node_by_edge):
            with suppress(NoSuitableNeighbors):
                link: MessageLinks = find(node, lambda _: True)
                return link
        return None

    # -- looking up ---------------------------------------------------------------------------------------------------

    def _link(self, serial: int) -> MessageLinks:
        link: MessageLinks = self._graph[self._messages[serial]]
        return link


_EMPTY: Final = _RoomGraph()


def _named(link: MessageLinks) -> tuple[Mention, ...]:
    """Every entity that a message is tied to."""
    return (link.author, day_of(link.sent_at), *link.mentions)
