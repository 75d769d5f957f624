"""The benchmark of evaluation knows the truth that it compares with; the spammer of the other one is held to 300."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.off_policy import World, estimates, judged
from benchmarks.router_targets import SPAM, SPAMMER, SpammedRoom, decisions, revision
from benchmarks.simulator import Crowd, stream
from routing.evaluation import rules_target
from tests.unit.benchmarks.test_learning import DESIGN, world

WORLD = World(replace(world("good"), x=np.random.default_rng(1).standard_normal((60, 2))), DESIGN)


class TestOffPolicy:
    def test_the_truth_of_what_was_logged_is_the_mean_of_its_rewards(self) -> None:
        pi = WORLD.explored(0.4)
        log = WORLD.log(pi, 20_000, np.random.default_rng(0))
        assert float((log.w * log.y).sum() / log.w.sum()) == pytest.approx(WORLD.truth(pi), abs=0.01)

    def test_targets_on_a_log_are_the_chances_whose_truth_is_known(self) -> None:
        log = WORLD.log(WORLD.explored(0.4), 50, np.random.default_rng(0))
        assert set(judged(WORLD)) == {"rules", "uniform", "near", "far", "greedy"}
        assert np.array_equal(judged(WORLD)["rules"][0](log), rules_target(log))
        assert judged(WORLD)["greedy"][0](log).sum(axis=1).tolist() == [1.0] * 50

    def test_each_estimator_gets_bias_error_and_coverage(self) -> None:
        [rules, *_] = estimates(WORLD, 0.2, 100, 3)
        assert rules.name == "rules"
        assert {"IPS bias", "SNIPS rmse", "DR %", "cut %"} <= set(rules.figures)


class TestRouterTargets:
    def test_the_spammer_votes_down_the_victim_300_times_at_most(self) -> None:
        coins = stream(Crowd(), questions=60, routes=2, length=2000, seed=0)
        room = SpammedRoom(coins, WORLD.table, [], 1, [])
        for t in range(2000):
            room.answer(t, t % 2)
        spam = [vote for vote in room.standing(2000) if vote.person == SPAMMER]
        assert len(spam) == SPAM
        assert {vote.answer % 2 for vote in spam} == {1}

    def test_explanations_and_revision_are_exact(self) -> None:
        *_, terms = decisions()
        assert float(str(terms.figures["reached"])) < 1e-9
        assert float(str(revision(3).figures["reached"])) < 1e-8
