"""Paths to messages in a room's graph, as labels and relations in words: shortest ones, and likeliest of a type.

Every edge has a message at one end, so a path of at most three steps is entity, message; or entity, message, message;
or entity, message, anything, message. That is two look-ups of neighbours from the message's side and one from the
entity's, which is quicker than a search in breadth: half of a room lies within two steps of a busy person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from math import exp, log, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rustworkx import PyDiGraph

from memory.graph import Relation
from memory.models import EntityKind, Mention, MessageLinks, Path, PathType
from memory.walks import AGAINST, Beside, Ties

_Nodes = NDArray[np.int64]
Beyond = Mapping[tuple[int, str], int]
"""By node and code of a relation, how many edges lead out of an excerpt: the ``attrs`` of its graph."""

_Way = tuple[float, tuple[int, ...]]  # the log of its chance, and its nodes

_RELATIONS: Final = {relation.code: relation for relation in Relation}
_BETWEEN: Final = tuple(
    prefix + relation.code for relation in (Relation.REPLIES_TO, Relation.FOLLOWS) for prefix in ("", AGAINST)
)
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Trail:
    """A path that was found: its nodes, and between each two the relation in words."""

    serial: int
    nodes: tuple[int, ...]
    relations: tuple[str, ...]
    score: float


def told(payloads: Callable[[int], Any], trail: Trail) -> Path:
    """The path in words; ``payloads`` gives what stands at a node."""
    steps = [_label(payloads(trail.nodes[0]))]
    for relation, node in zip(trail.relations, trail.nodes[1:], strict=True):
        steps += [relation, _label(payloads(node))]
    return Path(trail.serial, tuple(steps), trail.score)


def shortest_trails(
    graph: PyDiGraph[Any, Relation], serials: _Nodes, starts: Sequence[int], targets: Mapping[int, int]
) -> list[Trail]:
    """A shortest path of at most three steps to each target (serial: node) that has one; see the port `GraphIndex`.

    ``serials`` gives the serial of each node that is a message. What decides between paths does not depend on the
    numbers of nodes, so a graph that is built afresh gives the same ones.
    """
    search = _Search(graph, serials)
    found = ((serial, search.best(starts, node)) for serial, node in targets.items())
    return [search.trail(serial, nodes) for serial, nodes in found if nodes]


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps between messages that end in the targets: parallel lists."""

    targets: list[int] = field(default_factory=list)  # places among the targets
    serials: list[int] = field(default_factory=list)  # of the messages that the step starts from
    chances: list[float] = field(default_factory=list)

    def on(self, ties: Ties) -> Beside:
        """With the rows of a snapshot; what came after it is left out."""
        rows = ties.rows_of(np.array(self.serials, dtype=np.int64))
        there = rows >= 0
        return Beside(np.array(self.targets, dtype=np.int64)[there], rows[there], np.array(self.chances)[there])


def steps_between(graph: PyDiGraph[Any, Relation], serials: _Nodes, targets: Sequence[int]) -> dict[str, Steps]:
    """By the code of a relation between messages, the steps along or against it that end in one of the target nodes."""
    found: dict[str, Steps] = {}
    for place, target in enumerate(targets):
        for code in _BETWEEN:
            for start in _ends(graph, target, _turned(code)):
                steps = found.setdefault(code, Steps())
                steps.targets.append(place)
                steps.serials.append(int(serials[start]))
                steps.chances.append(1.0 / _fan(graph, start, code))
    return found


def likeliest_trail(
    graph: PyDiGraph[Any, Relation], serials: _Nodes, path: PathType, starts: Mapping[int, float], target: int
) -> Trail | None:
    """The likeliest path of a type from one of the starts (nodes to log weights) to a message; None when there is none.

    Dynamic programming over the steps (Viterbi): a node keeps the best way that leads to it. Ties go by the nodes'
    names, so a graph that is built afresh gives the same path.
    """
    search = _Search(graph, serials)
    best: dict[int, _Way] = {node: (score, (node,)) for node, score in starts.items() if node != target}
    for code in path[1:-1]:
        best = search.stepped(best, code, {target, *starts})
    last = path[-1]
    found = [
        (score - log(_fan(graph, node, last)), (*nodes, target))
        for node in _ends(graph, target, _turned(last))
        if node in best
        for score, nodes in (best[node],)
    ]
    if len(path) == 1 or not found:
        return None
    _, nodes = max(found, key=search.ordered)
    likely = exp(-sum(log(_fan(graph, node, code)) for node, code in zip(nodes, path[1:], strict=False)))
    return Trail(int(serials[target]), nodes, tuple(map(_words, path[1:])), sqrt(likely))


def _ends(graph: PyDiGraph[Any, Relation], node: int, code: str) -> list[int]:
    """The other ends of a node's edges of a relation, in the direction that its code says."""
    relation = _RELATIONS[code.removeprefix(AGAINST)]
    if code.startswith(AGAINST):
        return [start for start, _, kind in graph.in_edges(node) if kind is relation]
    return [end for _, end, kind in graph.out_edges(node) if kind is relation]


def _fan(graph: PyDiGraph[Any, Relation], node: int, code: str) -> int:
    """How many edges of a relation a node has; those that lead out of an excerpt count too."""
    beyond: Beyond = graph.attrs or {}
    return len(_ends(graph, node, code)) + beyond.get((node, code), 0)


def _words(code: str) -> str:
    """A step in words."""
    relation = _RELATIONS[code.removeprefix(AGAINST)]
    return relation.against if code.startswith(AGAINST) else relation.along


def _turned(code: str) -> str:
    """The same edge in the other direction."""
    return code.removeprefix(AGAINST) if code.startswith(AGAINST) else AGAINST + code


def neighbours(graph: PyDiGraph[Any, Relation], node: int) -> _Nodes:
    """The nodes at the other ends of a node's edges, each once, whichever way the edge points."""
    after = np.asarray(graph.successor_indices(node), dtype=np.int64)
    before = np.asarray(graph.predecessor_indices(node), dtype=np.int64)
    return np.union1d(after, before)  # also for one side alone: a message may name the day that it was sent on


@dataclass(slots=True)
class _Search:
    """One search; remembers the neighbours that it has looked up."""

    graph: PyDiGraph[Any, Relation]
    serials: _Nodes
    _around: dict[int, _Nodes] = field(default_factory=dict)
    _shared: dict[tuple[int, int], _Nodes] = field(default_factory=dict)
    _beside: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    _outside: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """How many neighbours of a node lie outside of an excerpt."""
        for (node, _), count in (self.graph.attrs or {}).items():
            self._outside[node] += count

    def best(self, starts: Sequence[int], target: int) -> tuple[int, ...]:
        """The likeliest of the shortest paths, as nodes; empty when there is none."""
        for search in (self._one, self._two, self._three):
            paths = [path for start in starts for path in search(start, target)]
            if paths:
                return max(paths, key=lambda nodes: (self.probability(nodes), [self._name(node) for node in nodes]))
        return ()

    def probability(self, nodes: Sequence[int]) -> float:
        """The probability that a random walk from the first node takes exactly this path."""
        likely = 1.0
        for node in nodes[:-1]:
            likely /= len(self.around(node)) + self._outside.get(node, 0)
        return likely

    def trail(self, serial: int, nodes: Sequence[int]) -> Trail:
        """The path with its relations."""
        relations = tuple(self._relation(here, there) for here, there in pairwise(nodes))
        return Trail(serial, tuple(nodes), relations, sqrt(self.probability(nodes)))

    def stepped(self, best: Mapping[int, _Way], code: str, barred: Collection[int]) -> dict[int, _Way]:
        """The best ways one step further; none comes to what is barred."""
        found: dict[int, _Way] = {}
        for node, (score, nodes) in best.items():
            ends = _ends(self.graph, node, code)
            for end in ends:
                way = (score - log(_fan(self.graph, node, code)), (*nodes, end))
                if end not in barred and (end not in found or self.ordered(way) > self.ordered(found[end])):
                    found[end] = way
        return found

    def ordered(self, way: _Way) -> tuple[float, list[str]]:
        """What tells which of two ways is better."""
        score, nodes = way
        return round(score, _DIGITS), [self._name(node) for node in nodes]

    def around(self, node: int) -> _Nodes:
        """The neighbours of a node; looked up once."""
        if node not in self._around:
            self._around[node] = neighbours(self.graph, node)
        return self._around[node]

    def _one(self, start: int, target: int) -> Iterator[tuple[int, ...]]:
        if start in self.around(target):
            yield start, target

    def _two(self, start: int, target: int) -> Iterator[tuple[int, ...]]:
        """Over a message that the target replies to, follows, or is answered or followed by."""
        for between in self.around(target).tolist():
            if isinstance(self.graph[between], MessageLinks) and start in self.around(between):
                yield start, between, target

    def _three(self, start: int, target: int) -> Iterator[tuple[int, ...]]:
        """Over each neighbour of the target, and of the entity's messages beside it the one that arrived next to it."""
        for between in self.around(target).tolist():
            messages = self._messages_beside(start, between)
            messages = messages[messages != target]
            if len(messages):
                apart = self.serials[messages] - self.serials[target]
                nearest = np.argmin(2 * np.abs(apart) + (apart > 0))  # of two as near the earlier
                yield start, int(messages[nearest]), between, target

    def _messages_beside(self, start: int, other: int) -> _Nodes:
        """The messages that are neighbours of both."""
        pair = (start, other)
        if pair not in self._shared:
            if start not in self._beside:
                self._beside[start] = np.zeros(np.asarray(self.graph.node_indices()).max() + 1, dtype=np.bool_)
                self._beside[start][self.around(start)] = True
            near = self.around(other)
            self._shared[pair] = near[self._beside[start][near]]
        return self._shared[pair]

    def _relation(self, here: int, there: int) -> str:
        """The words of the edge between two neighbours, in the direction of the walk."""
        if self.graph.has_edge(here, there):
            return next(r for r in Relation if r in self.graph.get_all_edge_data(here, there)).along
        return next(r for r in Relation if r in self.graph.get_all_edge_data(there, here)).against

    def _name(self, node: int) -> str:
        """What tells a node from others, whatever its number."""
        payload = self.graph[node]
        match payload:
            case MessageLinks():
                return f"{payload.serial:020}"
            case Mention():
                return f"{payload.kind is EntityKind.PERSON} {payload.key}"
        return f"session {payload}"


def _label(payload: Any) -> str:
    """What people call a node."""
    match payload:
        case MessageLinks():
            return f"message of {_day_words(payload.sent_at.date())}"
        case Mention(kind=EntityKind.DATE):
            return _date_words(payload.key)
        case Mention(kind=EntityKind.PERSON, label=""):
            return f"person {payload.key}"
        case Mention():
            return payload.label
    return f"session {payload}"


def _day_words(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _date_words(key: str) -> str:
    """The key of a date in words: a day as 12 May 2026, anything wider as it is."""
    try:
        return _day_words(date.fromisoformat(key)) if len(key) == len("2026-05-12") else key
    except ValueError:
        return key
