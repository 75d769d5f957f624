"""Random walks along types of paths: how likely the messages of a room are reached by each kind of connection.

A walk starts at messages that were found or at entities that a question names, takes at most three relations, and at
each step chooses evenly among the edges of that relation. A path that starts at a found message has taken a step
already: finding it. The types are those of the path-ranking algorithm (Lao, Mitchell and Cohen, EMNLP 2011), whose
features are these probabilities. A walk does not come back to the message that it has just left, nor to an entity that
it may have started at.

What each message is tied to (its author, what it mentions or is about, its day and session) lies in arrays; of ties
between messages (replies, neighbours in a session) only those of the messages asked for are given. A relation between
messages is therefore the last of a path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.graph import Incidence, Relation, softmax
from memory.growing import Growing
from memory.models import EntityKind, PathType, Serials

Chances = NDArray[np.float64]
Rows = NDArray[np.int64]

HIT: Final = "hit"
STARTS: Final[Mapping[EntityKind, str]] = {EntityKind.PERSON: "person", EntityKind.DATE: "date"}
"""How a path type names an entity that it starts at; anything else is a "name"."""

NAME: Final = "name"
AGAINST: Final = "~"
TIES: Final = (Relation.WROTE, Relation.MENTIONS, Relation.ABOUT, Relation.ON, Relation.IN_SESSION)
"""Relations between a message and something else; `Ties` keeps their places in this tuple."""

_PLACE: Final = {relation: place for place, relation in enumerate(TIES)}
_OVER: Final = (  # two messages meet where the one is tied to a node by the first relation, the other by the second
    *((relation, relation) for relation in TIES),
    (Relation.MENTIONS, Relation.ABOUT),
    (Relation.ABOUT, Relation.MENTIONS),
    (Relation.MENTIONS, Relation.WROTE),
    (Relation.WROTE, Relation.MENTIONS),
    (Relation.MENTIONS, Relation.ON),
    (Relation.ON, Relation.MENTIONS),
)


def leaving(relation: Relation) -> str:
    """The code of the step from a message to what a relation of `TIES` ties it to."""
    return AGAINST + relation.code if relation is Relation.WROTE else relation.code


def arriving(relation: Relation) -> str:
    """The code of the step back to the message."""
    return relation.code if relation is Relation.WROTE else AGAINST + relation.code


@dataclass(frozen=True)  # not slotted: the degrees are computed when they are first asked for
class Ties:
    """What each message is tied to and how; a snapshot that grows at its end."""

    incidence: Incidence  # here with every tie of a message, also those that one message alone has
    relations: Growing  # (ties,) uint8, parallel to the incidence's nodes: places in `TIES`
    beyond: Mapping[tuple[int, Relation], int] = field(default_factory=dict)  # in an excerpt: ties to what is outside

    @classmethod
    def empty(cls) -> Ties:
        """No message."""
        return cls(Incidence.empty(), Growing.of(np.zeros(0, np.uint8)))

    def appended(self, serials: Sequence[int], tied: Sequence[Sequence[tuple[int, Relation]]]) -> Ties:
        """With further messages, which must not be there yet, and the (node, relation) pairs of each."""
        kinds = [_PLACE[relation] for pairs in tied for _, relation in pairs]
        return Ties(
            self.incidence.appended(serials, [[node for node, _ in pairs] for pairs in tied]),
            self.relations.appended(np.array(kinds, dtype=np.uint8)),
        )

    def without(self, serials: Sequence[int]) -> Ties:
        """Without some messages, on storage of its own."""
        stays = ~np.isin(self.incidence.serials.array, np.array(serials, dtype=np.int64))
        lengths = np.diff(self.incidence.ends.array, prepend=0)
        return Ties(self.incidence.without(serials), Growing.of(self.relations.array[np.repeat(stays, lengths)]))

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        """(relations, nodes) how many messages each node is tied to by each relation of `TIES`."""
        nodes, relations = self.incidence.nodes.array, self.relations.array
        width = max(int(nodes.max(initial=-1)), *(node for node, _ in self.beyond), -1) + 1
        flat = np.bincount(relations.astype(np.int64) * width + nodes, minlength=len(TIES) * width)
        degrees = flat.reshape(len(TIES), width)
        for (node, relation), count in self.beyond.items():
            degrees[_PLACE[relation], node] += count
        return degrees

    def rows_of(self, serials: Sequence[int] | Serials) -> Rows:
        """The row of each message, -1 for those that are not there."""
        known, wanted = self.incidence.serials.array, np.asarray(serials, dtype=np.int64)
        if not len(known):
            return np.full(len(wanted), -1)
        sorter = None if (known[1:] > known[:-1]).all() else np.argsort(known)
        place = np.minimum(np.searchsorted(known, wanted, sorter=sorter), len(known) - 1)
        rows = place if sorter is None else sorter[place]
        return np.where(known[rows] == wanted, rows, -1)


@dataclass(frozen=True, slots=True)
class Beside:
    """Ties between messages that end in the targets: parallel arrays. ``chances`` is that of the step taken."""

    targets: Rows  # places among the targets
    rows: Rows  # rows of the messages that the step starts from
    chances: Chances


@dataclass(frozen=True, slots=True)
class Starts:
    """Where walks start: rows of found messages with their chances, nodes of entities by the name of their start."""

    hits: Mapping[int, float]
    entities: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, ties: Ties, scores: Mapping[int, float], entities: Mapping[str, Sequence[int]]) -> Starts:
        """Found messages by the softmax of their scores, as far as they are in the room."""
        rows = ties.rows_of(list(scores))
        there = {int(row): score for row, score in zip(rows, scores.values(), strict=True) if row >= 0}
        if not there:
            return cls({}, entities)
        shares = softmax(np.array(list(there.values())))
        return cls(dict(zip(there, shares.tolist(), strict=True)), entities)


def walk_types(ties: Ties, starts: Starts, targets: Rows, beside: Mapping[str, Beside]) -> dict[PathType, Chances]:
    """(targets,) the chance of each path type to end in each target; types that reach none of them are left out.

    Args:
        ties: The room.
        starts: Found messages and entities. Entities of one start share it evenly by how rare they are (idf).
        targets: Rows, each once.
        beside: By the code of a relation between messages, the steps that end in the targets.
    """
    walk = _Walk(ties, targets)
    found = {path: chances for path, chances in _all_types(walk, starts, beside) if chances.any()}
    return dict(sorted(found.items()))


def _all_types(walk: _Walk, starts: Starts, beside: Mapping[str, Beside]) -> Iterator[tuple[PathType, Chances]]:
    for path, at, left in _at_messages(walk, starts):
        if path != (HIT,):
            yield path, at[walk.targets]
        for code, steps in beside.items():
            arrived = np.zeros(len(walk.targets))
            np.add.at(arrived, steps.targets, at[steps.rows] * steps.chances)
            yield (*path, code), arrived
        for (out, back), arrived in walk.over(at, left):
            yield (*path, leaving(out), arriving(back)), arrived


def _at_messages(walk: _Walk, starts: Starts) -> Iterator[tuple[PathType, Chances, Sequence[int]]]:
    """The types that lead to a first message, with the chance of each row and the nodes that they started at."""
    if starts.hits:
        at = np.zeros(walk.count)
        at[list(starts.hits)] = list(starts.hits.values())
        yield (HIT,), at, ()
    for start, nodes in starts.entities.items():
        for relation, at in walk.from_nodes(nodes):
            yield (start, arriving(relation)), at, nodes


class _Walk:
    """The room's ties as one question's walks need them; what is looked up is kept."""

    def __init__(self, ties: Ties, targets: Rows) -> None:
        self.targets = targets
        self.count = ties.incidence.serials.size
        self.room = ties.incidence.room
        self._ends = ties.incidence.ends.array
        self._nodes = ties.incidence.nodes.array
        self._relations = ties.relations.array
        self._degrees = ties.degrees
        self._width = self._degrees.shape[1]
        self._rows, self._near = self._of_rows(targets)  # for each tie of a target its place, and where it lies
        self._ways: dict[Relation, tuple[Rows, Rows, Rows]] = {}
        self._both: dict[tuple[Relation, Relation], tuple[Rows, Rows]] = {}

    def degree(self, relation: Relation) -> NDArray[np.int64]:
        """(nodes,) how many messages each node is tied to by a relation."""
        return np.asarray(self._degrees[_PLACE[relation]])

    def from_nodes(self, nodes: Sequence[int]) -> Iterator[tuple[Relation, Chances]]:
        """From nodes, rarer ones likelier, one step back to the messages tied to them: by relation (rows,)."""
        start = np.zeros(self._width)
        for node in nodes:
            degree = int(self._degrees[:, node].sum())
            start[node] = np.log1p(self.room / max(degree, 1))
        if not start.any():
            return
        start /= start.sum()
        ties = np.flatnonzero(start[self._nodes] > 0)
        rows = np.searchsorted(self._ends, ties, side="right")
        for relation in TIES:
            some = self._relations[ties] == _PLACE[relation]
            if some.any():
                tied = self._nodes[ties[some]]
                at = np.zeros(self.count)
                np.add.at(at, rows[some], start[tied] / self.degree(relation)[tied])
                yield relation, at

    def over(self, at: Chances, left: Sequence[int]) -> Iterator[tuple[tuple[Relation, Relation], Chances]]:
        """From rows over a shared node that was not ``left`` before to the targets: by the two relations (targets,)."""
        rows = np.flatnonzero(at)
        places, ties = self._of_rows(rows)
        reached = {out: self._onward(at, rows, places, ties, out) for out in TIES}
        for nodes in reached.values():
            nodes[list(left)] = 0.0
        for out, back in _OVER:
            if reached[out].any():
                arrived = self._arrive(reached[out], back) - self._returned(at, out, back, left)
                yield (out, back), np.maximum(arrived, 0.0)

    def _onward(self, at: Chances, rows: Rows, places: Rows, ties: Rows, out: Relation) -> Chances:
        """(nodes,) one step from rows along a relation."""
        some = self._relations[ties] == _PLACE[out]
        if not some.any():
            return np.zeros(self._width)
        places, tied = places[some], self._nodes[ties[some]]
        width = np.bincount(places, minlength=len(rows))
        weights = at[rows[places]] / width[places]
        return np.bincount(tied, weights=weights, minlength=self._width).astype(np.float64, copy=False)

    def _arrive(self, reached: Chances, back: Relation) -> Chances:
        """(targets,) one step back from nodes to the targets."""
        places, tied, _ = self._way(back)
        weights = reached[tied] / self.degree(back)[tied]
        return np.bincount(places, weights=weights, minlength=len(self.targets)).astype(np.float64, copy=False)

    def _returned(self, at: Chances, out: Relation, back: Relation, left: Sequence[int]) -> Chances:
        """(targets,) what of it left that very message."""
        places, tied = self._twice(out, back)
        weights = at[self.targets[places]] / self._way(out)[2][places] / self.degree(back)[tied]
        weights[np.isin(tied, list(left))] = 0.0
        return np.bincount(places, weights=weights, minlength=len(self.targets)).astype(np.float64, copy=False)

    def _twice(self, out: Relation, back: Relation) -> tuple[Rows, Rows]:
        """Where a target is tied to one node by both relations: places and nodes."""
        if (out, back) not in self._both:
            width = max(self._width, 1)
            there, again = (places * width + tied for places, tied, _ in (self._way(out), self._way(back)))
            both = np.intersect1d(there, again, assume_unique=True)
            self._both[out, back] = both // width, both % width
        return self._both[out, back]

    def _way(self, relation: Relation) -> tuple[Rows, Rows, Rows]:
        """The targets' ties of a relation: places, nodes, and (targets,) how many each has."""
        if relation not in self._ways:
            some = self._relations[self._near] == _PLACE[relation]
            places = self._rows[some]
            width = np.bincount(places, minlength=len(self.targets))
            self._ways[relation] = places, self._nodes[self._near[some]], width
        return self._ways[relation]

    def _of_rows(self, rows: Rows) -> tuple[Rows, Rows]:
        """Every tie of some rows: the place of its row among them, and where the tie lies."""
        ends = self._ends[rows]
        begins = np.where(rows > 0, self._ends[rows - 1], 0)
        lengths = ends - begins
        places = np.repeat(np.arange(len(rows)), lengths)
        offsets = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return places, begins[places] + offsets
