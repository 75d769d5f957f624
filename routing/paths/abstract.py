"""States and actions of path learning, stated so that they repeat: no node of any room is in them.

A state is (c, tau, rho, t): the cluster of the question, the type of the node that the walk is at, the signature of the
path so far, its length. An action is a relation with its direction, or STOP. Which state follows is known and certain;
which node inside a relation is taken is left to similarity. The reward comes at STOP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from memory.models import PathType
from routing.questions import Kind, Reading

STOP: Final = "stop"
MOST_STEPS: Final = 3
GAMMA: Final = 0.9
HOP_COST: Final = 0.02
"""What each relation taken costs; a reward is at most 1."""

PREFIX: Final = "path:"
"""Of the columns and features that hold how likely walks of a type end in a message."""

ANY: Final = "any"
"""The cluster of every question: what is learned of one kind of question starts from what is learned of all."""

_NODE_AFTER: Final = {
    "~wrote": "person",
    "mentions": "entity",
    "about": "entity",
    "on": "date",
    "in_session": "session",
}


class State(NamedTuple):
    """Where a walk stands."""

    cluster: str
    node: str
    walked: PathType  # its start, then the relations taken

    @property
    def step(self) -> int:
        """How many relations were taken."""
        return len(self.walked) - 1


class Pair(NamedTuple):
    """A state and what is done in it."""

    state: State
    action: str

    @property
    def text(self) -> str:
        """The whole tuple in words: what a key stands for."""
        return "|".join((self.state.cluster, self.state.node, ">".join(self.state.walked), self.action))

    @property
    def key(self) -> int:
        """64 bits that stand for it."""
        return key_of(self.text)


def key_of(text: str) -> int:
    """The 64-bit key of a pair's text (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def cluster_of(reading: Reading) -> str:
    """One of 18 kinds of question: the sort of answer asked for, and whether one fact leads to another."""
    return f"{reading.kind}{'+' if reading.hops or reading.comparison else ''}"


CLUSTERS: Final = tuple(f"{kind}{more}" for kind in Kind for more in ("", "+"))


def pairs_of(cluster: str, path: PathType) -> Iterator[Pair]:
    """The pairs along a path: its relations, then STOP."""
    node = path[0]
    for place in range(1, len(path)):
        yield Pair(State(cluster, node, path[:place]), path[place])
        node = _NODE_AFTER.get(path[place], "message")
    yield Pair(State(cluster, node, path), STOP)


def ending(cluster: str, path: PathType) -> Pair:
    """The last pair of a path: to stop where it ends. That is where its rewards are counted."""
    *_, last = pairs_of(cluster, path)
    return last


def column_of(path: PathType) -> str:
    """The feature's name of a path type."""
    return PREFIX + ">".join(path)


def path_of(column: str) -> PathType:
    """The path type of a feature's name."""
    return tuple(column.removeprefix(PREFIX).split(">"))
