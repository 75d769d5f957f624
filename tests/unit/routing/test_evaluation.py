"""What another policy would have earned, read off a log whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from memory.errors import NotFound, Refused
from routing.evaluation import CLIP, FEWEST, Evaluation, evaluate, lead_sequence, lead_terms, route_target, rules_target
from routing.policies.named import POLICIES
from routing.replay import policy_target, target_named, targets
from routing.routes import CHAT, DOCUMENTS, KEYWORD, VECTOR
from tests.unit.routing.logs import SMALL, drawn_log, value

GOOD: Final = {CHAT: 0.5, VECTOR: 0.8, DOCUMENTS: 0.2}
LOGGED: Final = {CHAT: 0.7, VECTOR: 0.2, DOCUMENTS: 0.1}
TRUTH: Final = {route: value(GOOD, {route: 1.0}) for route in GOOD}


def judged(route: str, *, seed: int = 0, n: int = 600, logged: Mapping[str, float] = LOGGED) -> Evaluation:
    [found] = evaluate(drawn_log(GOOD, logged, n, seed=seed), {route: route_target(route)}, seed=seed)
    return found


class TestEstimates:
    @pytest.mark.parametrize("route", GOOD)
    def test_they_tell_the_truth_about_routes_that_were_seldom_taken(self, route: str) -> None:
        found = [judged(route, seed=seed) for seed in range(30)]
        for estimator in ("ips", "snips", "dr"):
            mean = np.mean([getattr(one, estimator).mean for one in found])
            assert mean == pytest.approx(TRUTH[route], abs=0.03), estimator

    def test_the_doubly_robust_one_is_right_where_the_model_alone_is_wrong(self) -> None:
        logs = [drawn_log(GOOD, LOGGED, 600, seed=seed) for seed in range(20)]
        row = SMALL.index[DOCUMENTS]
        model = np.mean([log.expected[:, row].mean() for log in logs])
        dr = np.mean([evaluate(log, {"documents": route_target(DOCUMENTS)})[0].dr.mean for log in logs])
        assert abs(model - TRUTH[DOCUMENTS]) > 0.04
        assert dr == pytest.approx(TRUTH[DOCUMENTS], abs=0.03)

    def test_each_interval_holds_the_truth_as_often_as_it_says(self) -> None:
        """95 % of 120 logs; a third of the width off, as by a wrong square root, would hold it in 80 %."""
        found = [judged(VECTOR, seed=seed, n=400) for seed in range(120)]
        for estimator in ("ips", "snips", "dr"):
            intervals = [getattr(one, estimator) for one in found]
            inside = np.mean([one.low <= TRUTH[VECTOR] <= one.high for one in intervals])
            assert 0.89 <= inside <= 0.99, estimator
            narrow = np.mean([abs(one.mean - TRUTH[VECTOR]) <= (one.high - one.low) / 3 for one in intervals])
            assert narrow < 0.89, estimator  # so an interval that is too narrow would be seen

    def test_the_interval_of_a_lead_holds_the_true_lead(self) -> None:
        lead = TRUTH[VECTOR] - TRUTH[CHAT]
        found = [judged(VECTOR, seed=seed, n=400) for seed in range(120)]
        for estimator in ("snips_lead", "lead"):
            inside = np.mean([getattr(one, estimator).low <= lead <= getattr(one, estimator).high for one in found])
            assert 0.89 <= inside <= 0.99, estimator

    def test_the_policy_that_decided_is_told_by_the_mean_of_its_rewards(self) -> None:
        log = drawn_log(GOOD, LOGGED, 300)
        [found] = evaluate(log, {"thompson": policy_target(POLICIES["thompson"])})
        mean = float((log.w * log.y).sum() / log.w.sum())
        assert found.ips.mean == pytest.approx(mean)
        assert found.snips.mean == pytest.approx(mean)

    def test_a_policy_does_not_lead_itself(self) -> None:
        [found] = evaluate(drawn_log(GOOD, LOGGED, 100), {"rules": rules_target})
        assert (found.lead.low, found.lead.mean, found.lead.high) == pytest.approx((0.0, 0.0, 0.0))

    def test_too_few_rewards_are_refused_with_their_number(self) -> None:
        with pytest.raises(Refused, match=f"Only 7 decisions have a vote, and judging a policy needs {FEWEST}"):
            judged(CHAT, n=7)


class TestWhatIsTold:
    def test_weights_above_the_clip_are_cut_and_counted(self) -> None:
        rare = {CHAT: 0.97, VECTOR: 0.03}
        found = judged(VECTOR, logged=rare)
        assert 1 / rare[VECTOR] > CLIP
        assert found.clipped == pytest.approx(0.03, abs=0.02)
        assert judged(CHAT, logged=rare).clipped == 0.0

    def test_what_the_log_never_tried_is_told(self) -> None:
        assert judged(KEYWORD).untried == 0.0  # keyword was down: the rules' route stands in
        log = drawn_log(GOOD, LOGGED, 200)
        [found] = evaluate(replace(log, offered=np.ones_like(log.offered)), {"keyword": route_target(KEYWORD)})
        assert found.untried == 1.0
        assert found.snips.mean == 0.0


class TestLearningPolicies:
    def test_nothing_is_judged_by_votes_that_came_after(self) -> None:
        log = drawn_log(GOOD, LOGGED, 200)
        half = len(log) // 2
        turned = tuple(replace(one, y=1 - one.y) if i >= half else one for i, one in enumerate(log.evidence))
        other = replace(log, evidence=turned)
        greedy = policy_target(POLICIES["greedy"])
        assert np.array_equal(log.expected[:half], other.expected[:half])
        assert np.array_equal(greedy(log)[:half], greedy(other)[:half])
        assert not np.array_equal(log.expected[half:], other.expected[half:])

    def test_a_learning_policy_finds_the_better_route_and_is_seen_to_lead(self) -> None:
        log = drawn_log(GOOD, LOGGED, 600)
        [found] = evaluate(log, {"greedy": policy_target(POLICIES["greedy"])})
        assert found.lead.low > 0

    def test_every_policy_that_changes_routes_can_be_judged_and_the_others_say_how(self) -> None:
        assert set(targets()) >= {name for name, policy in POLICIES.items() if policy.on_the_log}
        with pytest.raises(NotFound, match="weavebot experiment start thompson formula"):
            target_named("formula")
        with pytest.raises(NotFound, match="no policy or route 'nonsense'"):
            target_named("nonsense")


class TestTheSequence:
    def test_the_mean_of_its_terms_is_the_lead(self) -> None:
        log = drawn_log(GOOD, LOGGED, 2000)
        terms = lead_terms(log, route_target(VECTOR))
        assert float(terms.mean()) == pytest.approx(TRUTH[VECTOR] - TRUTH[CHAT], abs=0.06)

    def test_a_policy_that_is_worse_is_found_out(self) -> None:
        worse = lead_sequence(drawn_log(GOOD, {CHAT: 0.5, DOCUMENTS: 0.5}, 300), route_target(DOCUMENTS))
        assert worse.high < 0

    def test_one_that_is_alike_is_not(self) -> None:
        alike = {CHAT: 0.5, VECTOR: 0.5}
        for seed in range(10):
            log = drawn_log(alike, alike, 300, seed=seed)
            assert lead_sequence(log, route_target(VECTOR)).high > 0
