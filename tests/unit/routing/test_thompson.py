"""Decisions: propensities that are true, a safe set, exact explanations."""

from __future__ import annotations

import timeit
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import BadInput, Unavailable
from routing.models import Advice, Decision, Evidence
from routing.policies.linear import DESIGN, Posterior
from routing.policies.thompson import BASE, COST, RULES, ThompsonPolicy
from routing.routes import CHAT, DOCUMENTS, KEYWORD, RECENT, VECTOR
from tests.unit.routing.asking import numbers
from tests.unit.routing.voting import QUESTIONS, ROUTES, evidence_lists, rated

WHO = numbers(QUESTIONS[0])
ADVICE = Advice(CHAT, ("This is a chat.",))


def after(*evidence: Evidence, n: int = 500) -> ThompsonPolicy:
    """The policy that has learned this."""
    return ThompsonPolicy(Posterior.from_votes(evidence, n))


DOUBTFUL = after(*(rated(i, y=0.4) for i in range(40)), *(rated(100 + i, VECTOR, y=0.6) for i in range(4)), n=104)


def decided(policy: ThompsonPolicy, seed: int = 0) -> Decision:
    """What it decides about who inspected the hives."""
    return policy.decide(WHO, ADVICE, seed=seed)


class TestStart:
    def test_before_any_vote_it_does_what_the_rules_do(self) -> None:
        assert {decided(after(), seed).route for seed in range(50)} == {CHAT}

    @pytest.mark.parametrize("route", ROUTES)
    def test_whatever_the_rules_say(self, route: str) -> None:
        assert after().decide(WHO, Advice(route, ()), seed=1).route == route


class TestPropensities:
    @settings(max_examples=30, deadline=None)
    @given(evidence_lists, st.integers(0, 2**32))
    def test_they_are_a_distribution_over_the_routes_offered(self, evidence: list[Evidence], seed: int) -> None:
        decision = decided(after(*evidence), seed)
        assert sum(decision.propensities.values()) == pytest.approx(1.0)
        assert set(decision.propensities) == set(ROUTES) - {RECENT}
        assert decision.propensity == decision.propensities[decision.route] > 0

    @settings(max_examples=30, deadline=None)
    @given(evidence_lists, st.integers(0, 2**32))
    def test_at_most_four_may_be_played_and_none_of_them_hardly_ever(self, evidence: list[Evidence], seed: int) -> None:
        playable = [p for p in decided(after(*evidence), seed).propensities.values() if p > 0]
        assert 1 <= len(playable) <= 4
        assert min(playable) >= 0.0125

    def test_routes_are_played_as_often_as_the_log_says(self) -> None:
        decisions = [decided(DOUBTFUL, seed) for seed in range(3000)]
        played = Counter(decision.route for decision in decisions)
        for route in ROUTES:
            claimed = float(np.mean([decision.propensities.get(route, 0.0) for decision in decisions]))
            error = 4 * np.sqrt(claimed * (1 - claimed) / len(decisions)) + 1e-9
            assert played[route] / len(decisions) == pytest.approx(claimed, abs=error)
        assert len(played) > 1

    def test_the_log_gives_an_unbiased_value_of_another_policy(self) -> None:
        decisions = [decided(DOUBTFUL, seed) for seed in range(3000)]
        worth = dict(zip(ROUTES, np.linspace(0.2, 0.9, len(ROUTES)), strict=True))
        estimate = np.mean([worth[d.route] * (d.route == CHAT) / d.propensity for d in decisions])
        assert float(estimate) == pytest.approx(worth[CHAT], abs=0.06)


class TestSafety:
    def test_what_the_rules_chose_may_always_be_played_so_that_the_log_can_judge_them(self) -> None:
        policy = after(*(rated(i, CHAT, y=0.0, w=1.0) for i in range(60)), n=60)
        assert all(decided(policy, seed).propensities[CHAT] >= 0.0125 for seed in range(20))

    def test_a_route_that_can_not_come_close_is_never_played(self) -> None:
        policy = after(*(rated(i, KEYWORD, y=0.0, w=1.0) for i in range(60)), n=60)
        assert all(decided(policy, seed).propensities[KEYWORD] == 0 for seed in range(20))

    def test_what_looks_best_may_always_be_played(self) -> None:
        best = decided(replace(DOUBTFUL, spread=0.0)).route
        assert all(decided(DOUBTFUL, seed).propensities[best] > 0 for seed in range(50))

    def test_a_route_on_request_is_only_taken_when_the_rules_ask_for_it(self) -> None:
        assert RECENT not in decided(DOUBTFUL).propensities
        assert DOUBTFUL.decide(WHO, Advice(RECENT, ()), seed=1).propensities[RECENT] > 0.5

    def test_a_route_that_is_down_is_not_offered(self) -> None:
        up = frozenset(ROUTES) - {CHAT}
        decision = DOUBTFUL.decide(WHO, Advice(DOCUMENTS, ()), seed=1, healthy=up)
        assert CHAT not in decision.propensities
        assert decision.route in up

    def test_the_advised_route_may_be_down(self) -> None:
        assert DOUBTFUL.decide(WHO, ADVICE, seed=1, healthy={KEYWORD}).route == KEYWORD

    def test_the_only_route_that_is_up_is_certain_and_has_no_rival(self) -> None:
        decision = DOUBTFUL.decide(WHO, ADVICE, seed=1, healthy={KEYWORD})
        assert (decision.propensity, decision.runner_up, decision.contributions) == (1.0, None, ())

    def test_with_everything_down_it_says_what_to_do(self) -> None:
        with pytest.raises(Unavailable, match="doctor"):
            DOUBTFUL.decide(WHO, ADVICE, seed=1, healthy=())

    def test_features_of_another_version_are_refused(self) -> None:
        with pytest.raises(BadInput, match="version 99"):
            DOUBTFUL.decide(replace(WHO, version=99), ADVICE, seed=1)


class TestReplay:
    def test_the_same_seed_on_the_same_state_decides_alike(self) -> None:
        one, other = decided(DOUBTFUL, 7), decided(DOUBTFUL, 7)
        assert (one.route, one.propensities, one.posterior) == (other.route, other.propensities, other.posterior)

    def test_other_seeds_decide_otherwise_at_times(self) -> None:
        assert len({decided(DOUBTFUL, seed).route for seed in range(100)}) > 1

    def test_the_log_names_the_state_the_rules_and_the_evidence(self) -> None:
        decision = decided(DOUBTFUL)
        assert decision.posterior == DOUBTFUL.posterior.digest
        assert (decision.rule_route, decision.epsilon) == (CHAT, 0.05)
        assert decision.evidence == DOUBTFUL.posterior.evidence(DESIGN.index[decision.route])


class TestReasons:
    def test_on_the_rules_route_they_are_the_rules_reasons(self) -> None:
        assert decided(after()).reasons == ADVICE.reasons

    def test_on_another_it_says_whether_votes_or_curiosity_led_there(self) -> None:
        others = [d for seed in range(100) if (d := decided(DOUBTFUL, seed)).route != CHAT]
        assert {d.explored for d in others} == {True, False}
        assert all(("trying" in d.reasons[0]) == d.explored for d in others)
        assert all("rather than for chat" in d.reasons[0] for d in others if not d.explored)


class TestExplanation:
    @settings(max_examples=30, deadline=None)
    @given(evidence_lists, st.integers(0, 2**32))
    def test_the_terms_sum_to_the_lead_over_the_runner_up(self, evidence: list[Evidence], seed: int) -> None:
        decision = decided(after(*evidence), seed)
        assert sum(term.amount for term in decision.contributions) == pytest.approx(decision.gap, abs=1e-9)

    @settings(max_examples=30, deadline=None)
    @given(evidence_lists, st.integers(0, 2**32))
    def test_the_lead_is_the_difference_of_what_is_expected_less_the_costs(
        self, evidence: list[Evidence], seed: int
    ) -> None:
        policy = after(*evidence)
        decision = decided(policy, seed)
        value = policy.posterior.expect(WHO.x, DESIGN.index[CHAT])[0] - DESIGN.costs
        assert decision.runner_up is not None
        a, b = DESIGN.index[decision.route], DESIGN.index[decision.runner_up]
        assert decision.gap == pytest.approx(value[a] - value[b], abs=1e-9)
        assert value[b] == max(value[DESIGN.index[name]] for name in decision.propensities if name != decision.route)

    def test_zeroing_a_feature_changes_the_gap_by_exactly_its_term(self) -> None:
        decision = decided(DOUBTFUL)
        assert decision.runner_up is not None
        a, b = DESIGN.index[decision.route], DESIGN.index[decision.runner_up]
        for term in decision.contributions:
            if term.feature in {BASE, RULES, COST}:
                continue
            x = WHO.x.copy()
            x[WHO.names.index(term.feature)] = 0.0
            value = DOUBTFUL.posterior.expect(x, DESIGN.index[CHAT])[0] - DESIGN.costs
            assert decision.gap - (value[a] - value[b]) == pytest.approx(term.amount, abs=1e-9)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32))
    def test_it_explored_exactly_when_what_was_drawn_is_not_what_looked_best(self, seed: int) -> None:
        decision = decided(DOUBTFUL, seed)
        assert decision.explored == (decision.gap < 0)

    def test_both_happen(self) -> None:
        assert {decided(DOUBTFUL, seed).explored for seed in range(100)} == {True, False}


class TestSpeed:
    def test_a_decision_with_its_propensities_takes_a_fraction_of_a_millisecond(self) -> None:
        best = min(timeit.repeat(lambda: decided(DOUBTFUL), number=50, repeat=5)) / 50
        assert best < 0.002  # 0.1 ms on an idle core
