"""The graph of a room as mathematics: what its edges mean, and the random walk that ranks messages.

The walk goes back and forth between messages and what they share: entities, authors, and threads (a message and the
replies to it share one). Days, sessions and neighbourhood stay out of it: the windowed term frequencies know already
what stands close in time, and a room whose neighbours belong together would win twice.

From a message the walk goes to a node in proportion to its idf, from a node to any of its messages alike. What only one
message has leads nowhere and is left out. The walk restarts with probability 0.5, as in HippoRAG (Gutiérrez et al.,
NeurIPS 2024), at the seeds given.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from memory.growing import Growing

RESTART: Final = 0.5
"""Probability of starting anew at each step. Between 0.15 and 0.5 the order of the first ten hardly changes."""

SWEEPS: Final = 8
"""Rounds of the iteration. Each leaves at most (1 - RESTART)² of the error of the one before: 2e-5 after eight."""

SHARE: Final = 0.5
"""How much of the restarts goes to the entities of the question; the rest goes to the messages found so far."""


_TINY: Final = 1e-300


class Relation(enum.Enum):
    """A type of edge, with the words along it and against it."""

    WROTE = ("wrote", "written by")  # person to message
    MENTIONS = ("mentions", "mentioned in")  # message to entity
    ABOUT = ("is about", "subject of")  # message to the entity that it opens with, instead of MENTIONS
    REPLIES_TO = ("replies to", "answered by")  # message to message
    IN_SESSION = ("in", "holds")  # message to session
    ON = ("on", "day of")  # message to the day when it was sent
    FOLLOWS = ("follows", "followed by")  # message to the one before it in its session

    @property
    def along(self) -> str:
        """The words from its start to its end."""
        return self.value[0]

    @property
    def against(self) -> str:
        """The words from its end to its start."""
        return self.value[1]

    @property
    def code(self) -> str:
        """What stands for it in a `PathType`; against its direction with a tilde in front."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Incidence:
    """Which nodes each message is tied to, row by row; a snapshot that grows at its end (`memory.growing`)."""

    serials: Growing  # (rows,) int64, in order of arrival
    ends: Growing  # (rows,) int64, where the nodes of each row end in ``nodes``
    nodes: Growing  # (ties,) int32, each node at most once a row
    outside: int = 0  # messages of the room that are not among the rows: more than none in an excerpt
    beyond: Mapping[int, int] = field(default_factory=dict)  # by node, how many of those are tied to it

    @property
    def room(self) -> int:
        """How many messages the room holds."""
        return self.serials.size + self.outside

    @classmethod
    def empty(cls) -> Incidence:
        """No message."""
        serials, ends, nodes = (Growing.of(np.zeros(0, kind)) for kind in (np.int64, np.int64, np.int32))
        return cls(serials, ends, nodes)

    def appended(self, serials: Sequence[int], tied: Sequence[Collection[int]]) -> Incidence:
        """With further messages, which must not be there yet, and the nodes of each."""
        lengths = np.fromiter((len(nodes) for nodes in tied), np.int64, len(tied))
        return Incidence(
            self.serials.appended(np.array(serials, dtype=np.int64)),
            self.ends.appended(self.nodes.size + np.cumsum(lengths)),
            self.nodes.appended(np.fromiter((node for nodes in tied for node in nodes), np.int32, int(lengths.sum()))),
        )

    def without(self, serials: Sequence[int]) -> Incidence:
        """Without some messages, on storage of its own."""
        stays = ~np.isin(self.serials.array, np.array(serials, dtype=np.int64))
        lengths = np.diff(self.ends.array, prepend=0)
        return Incidence(
            Growing.of(self.serials.array[stays]),
            Growing.of(np.cumsum(lengths[stays])),
            Growing.of(self.nodes.array[np.repeat(stays, lengths)]),
        )


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positive weights that sum to 1, in proportion to the exponentials of the scores."""
    raised = np.exp(scores - scores.max())
    return np.asarray(raised / raised.sum())


def walk(incidence: Incidence, messages: Mapping[int, float], entities: Sequence[int]) -> NDArray[np.float64]:
    """(rows,) the probability of each message, personalised PageRank; sums to 1, or to 0 when no seed is there.

    Args:
        incidence: The room.
        messages: Serials to scores in standard deviations; their softmax is where the walk restarts.
        entities: Nodes of the question, weighted by their idf.

    Messages and nodes take turns in each sweep (Gauss-Seidel), which halves the sweeps that both at once would take.
    """
    count, nodes = incidence.serials.size, incidence.nodes.array
    degree = np.bincount(nodes, minlength=max((*entities, *incidence.beyond), default=-1) + 1)
    for node, more in incidence.beyond.items():
        degree[node] += more
    idf = np.where(degree > 0, np.log1p(incidence.room / np.maximum(degree, 1)), 0.0)
    at_messages, at_nodes = _restarts(incidence, messages, idf, entities)
    bounds = np.concatenate([[0], incidence.ends.array])
    ties = csr_array((np.ones(len(nodes)), nodes, bounds), shape=(count, len(degree)))
    leads = np.where(degree > 1, idf, 0.0)
    onward, back = _inverse(ties @ leads), _inverse(degree)
    here = at_messages
    for _ in range(SWEEPS):
        there = RESTART * at_nodes + (1 - RESTART) * leads * (ties.T @ (here * onward))
        here = RESTART * at_messages + (1 - RESTART) * (ties @ (there * back))
        here = here / max(here.sum() + there.sum(), _TINY)  # what is lost where nothing is shared goes back to all
    return np.asarray(here / max(here.sum(), _TINY))


def _restarts(
    incidence: Incidence, messages: Mapping[int, float], idf: NDArray[np.float64], entities: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the walk restarts: over the rows and over the nodes, together 1 (or 0 when nothing is there)."""
    at_messages, at_nodes = np.zeros(incidence.serials.size), np.zeros(len(idf))
    serials = incidence.serials.array
    rows = np.flatnonzero(np.isin(serials, np.array(list(messages), dtype=np.int64)))
    if len(rows):
        at_messages[rows] = softmax(np.array([messages[serial] for serial in serials[rows].tolist()]))
    for node in entities:
        at_nodes[node] = idf[node]
    if at_nodes.any():
        share = SHARE if len(rows) else 1.0
        at_nodes *= share / at_nodes.sum()
        at_messages *= 1 - share
    return at_messages, at_nodes


def _inverse(values: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(1.0, values, out=np.zeros(len(values)), where=values > 0)
