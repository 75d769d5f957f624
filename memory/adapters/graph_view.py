"""A room, or an excerpt of one, as a graph that can be asked: ranks, paths and walks, wherever its rows came from.

`memory.adapters.graph` keeps whole rooms in it, `memory.adapters.neo4j` the neighbourhood that one question reads. In
an excerpt each node knows how many ties it has to what lies outside, so degrees are those of the whole room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rustworkx import PyDiGraph

from memory.adapters.graph_paths import Trail, likeliest_trail, neighbours, shortest_trails, steps_between, told
from memory.graph import Incidence, Relation, walk
from memory.models import EntityKind, Mention, Nominations, Path, PathType, Walks
from memory.walks import HIT, NAME, STARTS, Starts, Ties, walk_types

_DIGITS: Final = 9
"""Decimals of a score: equal messages tie whatever the order in which their sums were added."""


class GraphView:
    """What can be asked of a graph. Every public method takes the lock; walks run on a snapshot without it.

    Payloads of nodes: a `Mention` (people, entities, days), a `MessageLinks`, or the id of a session.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._clear()

    def _clear(self) -> None:
        self._graph: PyDiGraph[Any, Relation] = PyDiGraph()
        self._incidence = Incidence.empty()
        self._ties = Ties.empty()
        self._people: dict[str, int] = {}  # key to node
        self._things: dict[str, int] = {}  # names, topics, codes, links and days: one node a key, whatever the kind
        self._messages: dict[int, int] = {}  # serial to node
        self._serials = np.zeros(0, dtype=np.int64)  # node to serial, where the node is a message

    def rank(self, messages: Mapping[int, float], entities: Sequence[Mention], limit: int) -> Nominations:
        """Personalised PageRank on the room as it is when the call begins."""
        with self._lock:
            incidence = self._incidence
            nodes = [node for mention in entities if (node := self._node_of(mention)) is not None]
        probability = walk(incidence, messages, sorted(set(nodes)))
        scores = np.round(1.0 + incidence.room * probability, _DIGITS)
        rows = np.flatnonzero(scores >= _bound(scores, limit))
        serials = incidence.serials.array[rows]
        best = np.lexsort((-serials, -scores[rows]))[: max(limit, 0)]
        return Nominations("graph", serials[best], scores[rows[best]])

    def known(self, mentions: Sequence[Mention]) -> list[tuple[Mention, int]]:
        """Counts each message once, also when it names its own author or its own day."""
        with self._lock:
            found = [(mention, self._node_of(mention)) for mention in mentions]
            return [(mention, len(neighbours(self._graph, node))) for mention, node in found if node is not None]

    def paths(self, start: Sequence[Mention], serials: Sequence[int]) -> list[Path]:
        """Searches from the entities that are there to the messages that are there."""
        with self._lock:
            return [told(self._graph.__getitem__, trail) for trail in self._trails(start, serials)]

    def _trails(self, start: Sequence[Mention], serials: Sequence[int]) -> list[Trail]:
        starts = {node: None for mention in start if (node := self._node_of(mention)) is not None}
        targets = {serial: self._messages[serial] for serial in serials if serial in self._messages}
        return shortest_trails(self._graph, self._serials, list(starts), targets)

    def walks(self, messages: Mapping[int, float], entities: Sequence[Mention], serials: Sequence[int]) -> Walks:
        """Typed walks on the room as it is when the call begins."""
        with self._lock:
            ties = self._ties
            named = self._starts(entities)
            there = np.array([serial for serial in serials if serial in self._messages], dtype=np.int64)
            between = steps_between(self._graph, self._serials, [self._messages[s] for s in there.tolist()])
        beside = {code: steps.on(ties) for code, steps in between.items()}
        chances = walk_types(ties, Starts.of(ties, messages, named), ties.rows_of(there), beside)
        return Walks(there, chances)

    def trace(
        self, path: PathType, messages: Mapping[int, float], entities: Sequence[Mention], serial: int
    ) -> Path | None:
        """Starts where `walks` does."""
        with self._lock:
            trail = self._trail(path, messages, entities, serial)
            return None if trail is None else told(self._graph.__getitem__, trail)

    def _trail(
        self, path: PathType, messages: Mapping[int, float], entities: Sequence[Mention], serial: int
    ) -> Trail | None:
        target = self._messages.get(serial)
        if target is None:
            return None
        hits = {self._messages[s]: score for s, score in messages.items() if s in self._messages}
        starts = hits if path[0] == HIT else dict.fromkeys(self._starts(entities).get(path[0], ()), 0.0)
        return likeliest_trail(self._graph, self._serials, path, starts, target)

    def _starts(self, entities: Sequence[Mention]) -> dict[str, list[int]]:
        """The nodes of the entities that are there, each once, by what a path type calls their start."""
        found: dict[str, list[int]] = {}
        for mention in entities:
            node = self._node_of(mention)
            nodes = found.setdefault(STARTS.get(mention.kind, NAME), [])
            if node is not None and node not in nodes:
                nodes.append(node)
        return found

    def _table(self, mention: Mention) -> dict[str, int]:
        return self._people if mention.kind is EntityKind.PERSON else self._things

    def _node_of(self, mention: Mention) -> int | None:
        return self._table(mention).get(mention.key)


def day_of(moment: datetime) -> Mention:
    """The day of a moment as an entity."""
    return _day_of(moment.date())


@lru_cache(maxsize=4096)
def _day_of(day: date) -> Mention:
    key = day.isoformat()
    return Mention(EntityKind.DATE, key, key)


def _bound(scores: NDArray[np.float64], limit: int) -> float:
    """What the best ``limit`` have at least and who was never reached has not: sorting those alone spares the rest."""
    reached = float(np.nextafter(1.0, 2.0))
    place = len(scores) - limit
    return max(float(np.partition(scores, place)[place]), reached) if 0 <= place < len(scores) else reached
