"""Does Q-learning over paths come near the optimum? Generated layered graphs, three hops, rewards certain and noisy.

The acceptance test: with at most 240 reachable pairs, the greedy policy's return is at least 0.99 of the optimum of
value iteration (certain rewards) and 0.97 (Bernoulli rewards, the 95 % interval over 20 seeds above it) within 1,000
episodes; and with steps of n^-0.8 the largest error of a value that was visited falls under 0.05. Larger graphs are
shown beside: 1,000 noisy episodes are not enough for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Row, interval
from routing.paths.qlearning import (
    STOPS,
    TRUST,
    Graph,
    QLearner,
    StepSize,
    averaging,
    backed_up,
    fading,
    path_return,
    tracking,
)

EPISODES: Final = 1_000
EPSILON: Final = 0.1
SEEDS: Final = 20
HOPS: Final = 3
SIZES: Final[Mapping[int, tuple[int, int]]] = {60: (6, 3), 120: (10, 4), 240: (20, 4), 960: (42, 10)}
"""Reachable pairs, about, to the states of a layer and the relations of a state."""

ACCEPTED: Final = 240
CERTAIN_BAR: Final = 0.99
NOISY_BAR: Final = 0.97
ERROR_BAR: Final = 0.05
CONVERGENCE: Final = 400_000
"""Random episodes of the convergence test: at 240 pairs a stop is then reached some 5,000 times."""


@dataclass(frozen=True, slots=True)
class World:
    """A graph, and what stopping at each pair that stops is worth on average."""

    graph: Graph
    rewards: NDArray[np.float64]

    @classmethod
    def layered(cls, pairs: int, seed: int) -> World:
        """A random one: a start, then layers; each state leads to some of the next layer, and may stop."""
        width, relations = SIZES[pairs]
        chance = np.random.default_rng(seed)
        layers = [np.array([0]), *(1 + width * hop + np.arange(width) for hop in range(HOPS))]
        found = [(0, int(state)) for state in layers[1]]
        for hop in range(1, HOPS + 1):
            for state in layers[hop].tolist():
                if hop < HOPS:
                    found += [(state, int(s)) for s in chance.choice(layers[hop + 1], relations, replace=False)]
                found.append((state, STOPS))
        leaves, goes = np.array(found).T
        graph = _reachable(Graph(leaves, goes))
        return cls(graph, np.where(graph.stops, chance.random(len(graph.leaves)), 0.0))

    @property
    def values(self) -> NDArray[np.float64]:
        """Q of the best policy."""
        return backed_up(self.graph, self.rewards)


def _reachable(graph: Graph) -> Graph:
    """Without what no walk from the start comes to, states numbered anew."""
    there = {0}
    for _ in range(graph.depth):
        there |= set(graph.goes[np.isin(graph.leaves, list(there))].tolist()) - {STOPS}
    number = {state: i for i, state in enumerate(sorted(there))} | {STOPS: STOPS}
    kept = np.isin(graph.leaves, list(there))
    return Graph(
        np.array([number[s] for s in graph.leaves[kept].tolist()]),
        np.array([number[s] for s in graph.goes[kept].tolist()]),
    )


def share_of_best(world: World, seed: int, *, noisy: bool, rule: str, step: StepSize, trust: int) -> float:
    """The return of the greedy policy after the episodes, over the optimum's."""
    learner = QLearner(world.graph, rule=rule, step=step, trust=trust)
    chance = np.random.default_rng(1_000 + seed)
    for _ in range(EPISODES):
        path = learner.walk(chance, EPSILON)
        learner.learn(path, _reward(world, path[-1], chance, noisy=noisy))
    greedy = learner.walk(chance, 0.0)
    best = float(world.values[world.graph.leaves == 0].max())
    return path_return(len(greedy) - 1, float(world.rewards[greedy[-1]])) / best


def largest_error(world: World, seed: int, *, noisy: bool) -> float:
    """The largest |Q - Q*| over the pairs that random walks visited, with steps of n^-0.8.

    The walks are drawn at once: where they go does not depend on what is learned, so one backup at the end is enough.
    """
    learner = QLearner(world.graph, step=fading, trust=0)
    chance = np.random.default_rng(2_000 + seed)
    for pair in _random_stops(world.graph, chance):
        learner.moved(pair, _reward(world, pair, chance, noisy=noisy))
    learner.back_up()
    below = world.graph.goes[~world.graph.stops]
    visited = learner.counts > 0
    visited[~world.graph.stops] = np.isin(below, world.graph.leaves[visited])  # what led to a visited stop
    return float(np.abs(learner.q - world.values)[visited].max())


def _random_stops(graph: Graph, chance: np.random.Generator) -> list[int]:
    """Where `CONVERGENCE` walks that take every pair of a state alike come to stop."""
    order = np.argsort(graph.leaves, kind="stable")
    begins = np.searchsorted(graph.leaves[order], np.arange(graph.states + 1))
    state, stopped = np.zeros(CONVERGENCE, dtype=np.int64), np.full(CONVERGENCE, -1)
    for _ in range(graph.depth):
        on = np.flatnonzero(stopped < 0)
        width = begins[state[on] + 1] - begins[state[on]]
        pair = order[begins[state[on]] + np.floor(chance.random(len(on)) * width).astype(np.int64)]
        ends = graph.goes[pair] == STOPS
        stopped[on[ends]] = pair[ends]
        state[on[~ends]] = graph.goes[pair[~ends]]
    return [int(pair) for pair in stopped]


def _reward(world: World, pair: int, chance: np.random.Generator, *, noisy: bool) -> float:
    mean = float(world.rewards[pair])
    return float(chance.random() < mean) if noisy else mean


METHODS: Final[Mapping[str, tuple[str, StepSize, int]]] = {
    "known transitions, 1/n, start counts 3 (the product)": ("known", averaging, TRUST),
    "known transitions, n^-0.8, start counts 3": ("known", fading, TRUST),
    "known transitions, max(0.1, n^-0.8), start counts 3": ("known", tracking, TRUST),
    "known transitions, max(0.1, n^-0.8)": ("known", tracking, 0),
    "backward, max(0.1, n^-0.8), start counts 3": ("backward", tracking, TRUST),
    "TD(0.9), max(0.1, n^-0.8), start counts 3": ("td", tracking, TRUST),
}


def measure() -> tuple[list[Row], bool]:
    """A row a method and size, and whether the product's method meets the bars."""
    rows, met = [], True
    for pairs in SIZES:
        worlds = [World.layered(pairs, seed) for seed in range(SEEDS)]
        size = np.mean([len(world.graph.leaves) for world in worlds])
        for place, (name, (rule, step, trust)) in enumerate(METHODS.items()):
            cells = {}
            for noisy, bar in ((False, CERTAIN_BAR), (True, NOISY_BAR)):
                shares = [
                    share_of_best(world, seed, noisy=noisy, rule=rule, step=step, trust=trust)
                    for seed, world in enumerate(worlds)
                ]
                mean, low, high = interval(shares)
                cells["noisy" if noisy else "certain"] = f"{mean:.3f} [{low:.3f}, {high:.3f}]"
                met = met and (place > 0 or pairs > ACCEPTED or low >= bar)
            rows.append(Row(f"{size:.0f} pairs: {name}", cells))
    return rows, met


def convergence() -> tuple[list[Row], bool]:
    """The largest error after many random episodes, and whether it is under its bar."""
    rows, met = [], True
    for pairs in (60, ACCEPTED):
        worlds = [World.layered(pairs, seed) for seed in range(SEEDS // 4)]
        for noisy in (False, True):
            errors = [largest_error(world, seed, noisy=noisy) for seed, world in enumerate(worlds)]
            met = met and max(errors) < ERROR_BAR
            name = f"{pairs} pairs, {'noisy' if noisy else 'certain'} rewards"
            rows.append(Row(name, {"mean": float(np.mean(errors)), "worst": max(errors)}))
    return rows, met
