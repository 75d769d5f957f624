"""Learning rules on graphs small enough to solve."""

from __future__ import annotations

import numpy as np
import pytest

from routing.paths.abstract import GAMMA, HOP_COST
from routing.paths.qlearning import (
    RULES,
    STOPS,
    Graph,
    QLearner,
    averaging,
    backed_up,
    fading,
    path_return,
    tracking,
)

# 0 -> 1 or 2; each may stop; 2 may go on to 3
GRAPH = Graph(np.array([0, 0, 1, 2, 2, 3]), np.array([1, 2, STOPS, STOPS, 3, STOPS]))
REWARDS = np.array([0.0, 0.0, 0.4, 0.1, 0.0, 0.9])


def trained(rule: str, episodes: int, rewards: np.ndarray[tuple[int], np.dtype[np.float64]] = REWARDS) -> QLearner:
    learner = QLearner(GRAPH, rule=rule)
    chance = np.random.default_rng(3)
    for _ in range(episodes):
        path = learner.walk(chance, 0.2)
        learner.learn(path, float(rewards[path[-1]]))
    return learner


class TestBackup:
    def test_a_value_is_the_discounted_best_less_the_cost_of_a_hop(self) -> None:
        q = backed_up(GRAPH, REWARDS)
        assert q[4] == pytest.approx(GAMMA * 0.9 - HOP_COST)
        assert q[1] == pytest.approx(GAMMA * q[4] - HOP_COST)
        assert q[0] == pytest.approx(GAMMA * 0.4 - HOP_COST)

    def test_the_return_of_a_path_is_its_value(self) -> None:
        q = backed_up(GRAPH, REWARDS)
        assert path_return(1, 0.4) == pytest.approx(q[0])
        assert path_return(2, 0.9) == pytest.approx(q[1])
        assert path_return(0, 0.3) == 0.3


class TestRules:
    @pytest.mark.parametrize("rule", RULES)
    def test_each_finds_the_best_path(self, rule: str) -> None:
        learner = trained(rule, 200)
        assert learner.walk(np.random.default_rng(0), 0.0) == [1, 4, 5]

    def test_known_transitions_give_the_optimum_once_every_end_was_seen(self) -> None:
        learner = QLearner(GRAPH, trust=0)
        for path in ([0, 2], [1, 3], [1, 4, 5]):
            learner.learn(path, float(REWARDS[path[-1]]))
        assert learner.q == pytest.approx(backed_up(GRAPH, REWARDS), abs=1e-12)

    def test_what_was_not_tried_looks_best(self) -> None:
        learner = QLearner(GRAPH)
        learner.learn([0, 2], 0.9)
        assert learner.greedy(0) == 1

    def test_one_unlucky_try_does_not_end_the_trying(self) -> None:
        learner = QLearner(GRAPH)
        learner.learn([1, 4, 5], 0.0)
        assert learner.q[5] == pytest.approx(0.75)  # three rewards of 1 and one of 0

    def test_the_same_draws_learn_the_same(self) -> None:
        assert (trained("td", 50).q == trained("td", 50).q).all()


class TestStepSizes:
    def test_they_start_at_one_and_fall(self) -> None:
        for step in (fading, tracking, averaging):
            assert step(1) == 1.0
            assert step(2) < 1.0
        assert tracking(10_000) == 0.1
        assert fading(10_000) < 0.001
        assert averaging(4) == 0.25
