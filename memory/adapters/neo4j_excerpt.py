"""What one question read from Neo4j, as a graph that can be asked: with pseudonyms; labels come from SQL afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np

from memory.adapters.graph_paths import Beyond, Trail, told
from memory.adapters.graph_view import GraphView, day_of
from memory.columns import instant
from memory.graph import Incidence, Relation
from memory.models import EntityKind, Mention, MessageLinks, Path, PathType
from memory.walks import AGAINST, TIES, Ties, arriving

PERSON: Final = "person "
"""In front of a person's key in Neo4j: people and things have one kind of node there."""

_SHARED: Final = (Relation.WROTE, Relation.MENTIONS, Relation.ABOUT)
"""Ties that the random walk goes along (`memory.graph`)."""

Pseudonym: TypeAlias = Callable[[Mention], Mention]
"""A mention with what stands for its key instead of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message as the statements of `memory.adapters.neo4j_cypher` give it."""

    serial: int
    at: int
    session: int | None
    reply: int | None
    author: str
    mentions: list[str]
    about: list[str]
    follows: list[int]
    followed: int
    replies: bool
    replied: int


class Excerpt(GraphView):
    """A part of a room: some messages with all their ties, and how many ties each node has to the rest of the room."""

    def __init__(self, rows: Iterable[Sequence[Any]], nodes: Iterable[Sequence[Any]], messages: int) -> None:
        """``nodes`` are keys with their numbers of ties in the order of `TIES`; ``messages`` those of the room."""
        super().__init__()
        found = sorted((Row(*row) for row in rows), key=lambda row: row.serial)
        self._sessions: dict[int, int] = {}
        self._parents: dict[int, int] = {}  # messages outside that somebody here replies to
        self._codes: Counter[tuple[int, str]] = Counter()  # by node and code, how many ends lie here
        self._fans: dict[tuple[int, str], int] = {}  # by node and code, how many there are in the room
        links = [_link(row) for row in found]
        for link in links:
            self._messages[link.serial] = self._graph.add_node(link)
        pairs = [self._pairs(row, link) for row, link in zip(found, links, strict=True)]
        shared = [self._tie(row, tied) for row, tied in zip(found, pairs, strict=True)]
        for key, *fans in nodes:
            self._count(self._node_of_key(key), fans)
        beyond = {at: more for at, fan in self._fans.items() if (more := fan - self._codes[at]) > 0}
        self._graph.attrs = beyond
        self._number()
        self._snapshot([link.serial for link in links], pairs, shared, messages, beyond)

    # -- building -----------------------------------------------------------------------------------------------------

    def _pairs(self, row: Row, link: MessageLinks) -> list[tuple[int, Relation]]:
        """What a message is tied to, each node once by each relation; its edges are drawn."""
        pairs = [(self._entity(link.author), Relation.WROTE)]
        pairs += sorted((self._entity(_thing(key)), Relation.MENTIONS) for key in row.mentions)
        pairs += [(self._entity(_thing(key)), Relation.ABOUT) for key in row.about]
        pairs.append((self._entity(day_of(link.sent_at)), Relation.ON))
        if row.session is not None:
            node = self._sessions.get(row.session)
            if node is None:
                node = self._sessions[row.session] = self._graph.add_node(row.session)
            pairs.append((node, Relation.IN_SESSION))
        return pairs

    def _tie(self, row: Row, pairs: Sequence[tuple[int, Relation]]) -> set[int]:
        """Draws a message's edges; gives the nodes that the random walk shares."""
        node = self._messages[row.serial]
        for end, relation in pairs:
            self._draw(*((end, node) if relation is Relation.WROTE else (node, end)), relation)
        shared = {end for end, relation in pairs if relation in _SHARED} | {node}
        for before in row.follows:
            if before in self._messages:
                self._draw(node, self._messages[before], Relation.FOLLOWS)
        self._fans[node, Relation.FOLLOWS.code] = len(row.follows)
        self._fans[node, AGAINST + Relation.FOLLOWS.code] = row.followed
        self._fans[node, AGAINST + Relation.REPLIES_TO.code] = row.replied
        if row.replies and row.reply is not None:
            self._fans[node, Relation.REPLIES_TO.code] = 1
            parent = self._messages.get(row.reply)
            if parent is None:
                parent = self._parents.setdefault(row.reply, -1 - len(self._parents))
            else:
                self._draw(node, parent, Relation.REPLIES_TO)
            shared.add(parent)
        return shared

    def _draw(self, start: int, end: int, relation: Relation) -> None:
        self._graph.add_edge(start, end, relation)
        self._codes[start, relation.code] += 1
        self._codes[end, AGAINST + relation.code] += 1

    def _entity(self, mention: Mention) -> int:
        table = self._table(mention)
        node = table.get(mention.key)
        if node is None:
            node = table[mention.key] = self._graph.add_node(mention)
        return node

    def _node_of_key(self, key: str | int) -> int | None:
        return self._sessions.get(key) if isinstance(key, int) else self._node_of(_thing(key))

    def _count(self, node: int | None, fans: Sequence[int]) -> None:
        if node is None:
            return
        for relation, fan in zip(TIES, fans, strict=True):
            self._fans[node, arriving(relation)] = fan

    def _number(self) -> None:
        self._serials = np.zeros(self._graph.num_nodes(), dtype=np.int64)
        for serial, node in self._messages.items():
            self._serials[node] = serial

    def _snapshot(
        self,
        serials: Sequence[int],
        pairs: Sequence[Sequence[tuple[int, Relation]]],
        shared: Sequence[set[int]],
        messages: int,
        beyond: Beyond,
    ) -> None:
        """The arrays that walks run on. A parent that is not here gets a number behind those of the graph's nodes."""
        count = self._graph.num_nodes()
        placed = [{node if node >= 0 else count - 1 - node for node in nodes} for nodes in shared]
        outside = max(messages - len(serials), 0)
        threads: dict[int, int] = {count - 1 - number: 1 for number in self._parents.values()}
        replied = AGAINST + Relation.REPLIES_TO.code
        arrivals = {arriving(relation) for relation in _SHARED}
        for (node, code), more in beyond.items():
            if code == replied or code in arrivals:
                threads[node] = threads.get(node, 0) + more
        incidence = replace(Incidence.empty().appended(serials, placed), outside=outside, beyond=threads)
        ties = Ties.empty().appended(serials, pairs)
        by_relation = {arriving(relation): relation for relation in TIES}
        self._incidence = incidence
        self._ties = replace(
            ties,
            incidence=replace(ties.incidence, outside=outside),
            beyond={(node, by_relation[code]): more for (node, code), more in beyond.items() if code in by_relation},
        )

    # -- paths with labels --------------------------------------------------------------------------------------------

    def trails(self, start: Sequence[Mention], serials: Sequence[int]) -> list[Trail]:
        """Shortest paths, not told yet; see the port's ``paths``."""
        with self._lock:
            return self._trails(start, serials)

    def trail(
        self, path: PathType, messages: Mapping[int, float], entities: Sequence[Mention], serial: int
    ) -> list[Trail]:
        """The likeliest path of a type, if any, not told yet; see the port's ``trace``."""
        with self._lock:
            found = self._trail(path, messages, entities, serial)
        return [] if found is None else [found]

    def on(self, trails: Iterable[Trail]) -> list[int]:
        """The serials of the messages that paths lead over."""
        nodes = {node for trail in trails for node in trail.nodes}
        return [serial for serial, node in self._messages.items() if node in nodes]

    def tell(self, trails: Iterable[Trail], links: Iterable[MessageLinks], pseudonym: Pseudonym) -> list[Path]:
        """The paths in words, with the labels of what the messages on them name; without one a path is not told."""
        payloads = {node: self._graph[node] for node in (*self._messages.values(), *self._sessions.values())}
        for link in links:
            for mention in (link.author, *link.mentions, day_of(link.sent_at)):
                node = self._node_of(pseudonym(mention))
                if node is not None:
                    payloads.setdefault(node, mention)
        return [told(payloads.__getitem__, trail) for trail in trails if payloads.keys() >= set(trail.nodes)]


def _thing(key: str) -> Mention:
    """What a key in Neo4j stands for, without a label."""
    if key.startswith(PERSON):
        return Mention(EntityKind.PERSON, key.removeprefix(PERSON), "")
    return Mention(EntityKind.NAME, key, "")


def _link(row: Row) -> MessageLinks:
    return MessageLinks(row.serial, _thing(row.author), instant(row.at), row.reply, row.session)
