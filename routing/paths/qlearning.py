"""Q-learning on an abstract graph whose transitions are known: only the reward at the end of a path is learned.

Three rules learn from a finished path and its reward (Sutton and Barto 2018, chapters 6, 7 and 12):

* ``known``: the reward moves the value of its last pair; then every value is backed up over the whole graph,
  Q(s, a) = -0.02 + gamma max Q(s', ·).
* ``backward``: the path's own pairs are updated from its end to its start, each from the one behind it.
* ``td``: TD(lambda), its forward view: each pair moves towards a mean of its n-step returns.

Q starts at 1 where nothing is known (optimism in the face of uncertainty): what was not tried looks best. The start
counts as ``TRUST`` rewards, so that one unlucky try does not end the trying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from routing.paths.abstract import GAMMA, HOP_COST, MOST_STEPS

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
StepSize = Callable[[int], float]

OPTIMISM: Final = 1.0
TRUST: Final = 3
LAMBDA: Final = 0.9
STOPS: Final = -1
"""Where a pair leads that stops."""


def fading(n: int) -> float:
    """n^-0.8, n counting from 1: its sum diverges, the sum of its squares does not, so Q converges (Watkins 1992)."""
    return float(float(n) ** -0.8)


def tracking(n: int) -> float:
    """max(0.1, n^-0.8): a drift is followed, a noisy reward never settles quite."""
    return max(0.1, fading(n))


def averaging(n: int) -> float:
    """1/n: the estimate is the sum of the rewards over their number, which a removed reward can leave again."""
    return 1.0 / n


@dataclass(frozen=True, slots=True)
class Graph:
    """An abstract graph: parallel arrays over its (state, action) pairs.

    leaves: the state that a pair leaves. goes: the state that it leads to, or `STOPS`. depth: steps until each walk has
    stopped, at most.
    """

    leaves: Ints
    goes: Ints
    depth: int = MOST_STEPS + 1

    @property
    def states(self) -> int:
        """How many there are."""
        return int(self.leaves.max()) + 1

    @property
    def stops(self) -> NDArray[np.bool_]:
        """(pairs,) which ones stop."""
        return np.asarray(self.goes == STOPS)

    def of_state(self) -> list[Ints]:
        """The pairs of each state."""
        order = np.argsort(self.leaves, kind="stable")
        cuts = np.searchsorted(self.leaves[order], np.arange(1, self.states))
        return np.split(order, cuts)


def backed_up(graph: Graph, rewards: Array) -> Array:
    """(pairs,) the value of every pair when ``rewards`` (read at pairs that stop) are what stopping gives."""
    q = np.where(graph.stops, rewards, -np.inf)
    moves = np.flatnonzero(~graph.stops)
    for _ in range(graph.depth):
        value = np.full(graph.states, -np.inf)
        np.maximum.at(value, graph.leaves, q)
        q[moves] = GAMMA * value[graph.goes[moves]] - HOP_COST
    return q


class QLearner:
    """Values of the pairs of one graph, learned from finished paths by one of `RULES`."""

    def __init__(self, graph: Graph, *, rule: str = "known", step: StepSize = averaging, trust: int = TRUST) -> None:
        self.graph = graph
        self.q = backed_up(graph, np.full(len(graph.leaves), OPTIMISM))
        self.counts = np.zeros(len(graph.leaves), dtype=np.int64)
        self._trust = trust
        self._rule = RULES[rule]
        self._step = step
        self._pairs = graph.of_state()

    def greedy(self, state: int) -> int:
        """The best pair of a state; of equals the first."""
        pairs = self._pairs[state]
        return int(pairs[np.argmax(self.q[pairs])])

    def walk(self, chance: np.random.Generator, epsilon: float, start: int = 0) -> list[int]:
        """A path of pairs that ends with a stop: greedy, but each step with probability epsilon a random one."""
        path: list[int] = []
        state = start
        while state != STOPS:
            pairs = self._pairs[state]
            if chance.random() < epsilon:
                pair = int(chance.choice(pairs))
            else:
                best = pairs[self.q[pairs] >= self.q[pairs].max()]
                pair = int(best[chance.integers(len(best))])
            path.append(pair)
            state = int(self.graph.goes[pair])
        return path

    def learn(self, path: Sequence[int], reward: float) -> None:
        """One finished path and what it was worth, in [0, 1]."""
        self._rule(self, path, reward)

    def moved(self, pair: int, target: float) -> None:
        """One step of a pair's value towards a target."""
        self.counts[pair] += 1
        self.q[pair] += self._step(self._trust + int(self.counts[pair])) * (target - self.q[pair])

    def count(self, path: Sequence[int]) -> None:
        """Notes the visits of a path's relations; its last pair counts when it is moved."""
        self.counts[list(path[:-1])] += 1

    def back_up(self) -> None:
        """Every value from what stopping gives, over the whole graph."""
        self.q[:] = backed_up(self.graph, self.q)

    def best_of(self, state: int) -> float:
        """The value of a state."""
        return float(self.q[self._pairs[state]].max())


def _known(learner: QLearner, path: Sequence[int], reward: float) -> None:
    learner.count(path)
    learner.moved(path[-1], reward)
    learner.back_up()


def _backward(learner: QLearner, path: Sequence[int], reward: float) -> None:
    learner.moved(path[-1], reward)
    for pair in reversed(path[:-1]):
        learner.moved(pair, GAMMA * learner.best_of(int(learner.graph.goes[pair])) - HOP_COST)


def _td(learner: QLearner, path: Sequence[int], reward: float) -> None:
    behind = reward  # the lambda-return of the pair behind, from the end
    learner.moved(path[-1], reward)
    for pair in reversed(path[:-1]):
        best = learner.best_of(int(learner.graph.goes[pair]))
        behind = GAMMA * ((1.0 - LAMBDA) * best + LAMBDA * behind) - HOP_COST
        learner.moved(pair, behind)


RULES: Final[Mapping[str, Callable[[QLearner, Sequence[int], float], None]]] = {
    "known": _known,
    "backward": _backward,
    "td": _td,
}
"""By name."""


def path_return(steps: int, reward: float) -> float:
    """What a path of that many relations is worth at its start, discounted."""
    return sum(-HOP_COST * GAMMA**t for t in range(steps)) + GAMMA**steps * reward
