"""The posterior over routes."""

from __future__ import annotations

import random
import timeit
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memory.errors import BadInput
from routing.features import NAMES
from routing.models import Evidence
from routing.policies.linear import DESIGN, Design, Posterior, Prior, kinship
from routing.routes import CHAT, DOCUMENTS, KEYWORD, MENU
from tests.unit.routing.asking import numbers
from tests.unit.routing.voting import QUESTIONS, evidence_lists, largest, rated

RULE = DESIGN.index[CHAT]
X = numbers(QUESTIONS[0]).x


def textbook(evidence: list[Evidence], n: int, design: Design = DESIGN) -> NDArray[np.float64]:
    """The posterior mean by the sums as they are written down, one whole feature vector a vote."""
    size = len(design.routes) * design.block
    precision = np.zeros((size + 1, size + 1))
    precision[:size, :size] = design.precision.transpose(0, 2, 1, 3).reshape(size, size)
    precision[size, size] = design.prior.base
    start = np.zeros(size + 1)
    start[: size : design.block] = [route.prior for route in design.routes]
    start[size] = design.prior.bonus
    target = precision @ start
    for one in evidence:
        f = np.zeros(size + 1)
        first = design.index[one.route] * design.block
        f[first : first + design.block] = np.append(1.0, one.x)
        f[size] = one.followed_rules
        weight = one.w / design.prior.vote * 0.5 ** ((n - one.answer) / design.prior.half_life)
        precision += weight * np.outer(f, f)
        target += weight * one.y * f
    return np.asarray(np.linalg.solve(precision, target))


class TestStart:
    def test_without_votes_each_route_has_its_prior_and_the_rules_their_bonus(self) -> None:
        mean, _ = Posterior.from_votes([], 0).expect(X, RULE)
        expected = np.array([route.prior for route in MENU])
        expected[RULE] += 0.15
        assert mean == pytest.approx(expected)

    def test_the_deviation_is_that_of_the_documented_precisions(self) -> None:
        _, covariance = Posterior.from_votes([], 0).expect(X, RULE)
        a = DESIGN.index[KEYWORD]
        prior = DESIGN.prior
        base, context = 1 / prior.shared + 1 / prior.base, 1 / prior.shared + 1 / prior.context
        assert covariance[a, a] == pytest.approx(base + X @ X * context)

    def test_kinship_is_a_covariance_with_ones_on_its_diagonal(self) -> None:
        kin = kinship(MENU)
        assert np.diag(kin) == pytest.approx(np.ones(len(MENU)))
        assert np.linalg.eigvalsh(kin).min() > 0
        assert kin[DESIGN.index[CHAT], DESIGN.index[DOCUMENTS]] > kin[DESIGN.index[CHAT], DESIGN.index[KEYWORD]]


class TestLearning:
    @settings(max_examples=25, deadline=None)
    @given(evidence_lists)
    def test_equals_the_sums_of_the_textbook(self, evidence: list[Evidence]) -> None:
        posterior = Posterior.from_votes(evidence, 400)
        ours = np.append(posterior.mean.ravel(), posterior.bonus)
        assert largest(ours - textbook(evidence, 400)) < 1e-8

    def test_a_dislike_lowers_the_route_and_a_like_raises_it(self) -> None:
        before = Posterior.from_votes([], 1).expect(X, RULE)[0]
        down = Posterior.from_votes([rated(1, y=0.19, w=0.29)], 1).expect(X, RULE)[0]
        up = Posterior.from_votes([rated(1, y=0.95, w=0.25)], 1).expect(X, RULE)[0]
        assert down[RULE] < before[RULE] < up[RULE]

    def test_the_first_vote_of_an_asker_moves_a_route_by_points(self) -> None:
        before = Posterior.from_votes([], 1).expect(X, RULE)[0][RULE]
        after = Posterior.from_votes([rated(1, y=0.19, w=0.29)], 1).expect(X, RULE)[0][RULE]
        assert before - after > 0.05

    def test_a_vote_says_more_about_the_route_than_about_its_kin_and_least_about_strangers(self) -> None:
        before = Posterior.from_votes([], 1).expect(X, RULE)[0]
        drop = before - Posterior.from_votes([rated(1, y=0.1)], 1).expect(X, RULE)[0]
        assert drop[RULE] > drop[DESIGN.index[DOCUMENTS]] > drop[DESIGN.index[KEYWORD]] > 0

    def test_it_learns_which_route_suits_which_question(self) -> None:
        when, who = numbers("When did Kwame move hive 4?"), numbers("Who inspected the hives?")
        evidence = [rated(i, KEYWORD, y=0.9, question="When did Kwame move hive 4?") for i in range(40)]
        evidence += [rated(100 + i, KEYWORD, y=0.1, question="Who inspected the hives?") for i in range(40)]
        posterior = Posterior.from_votes(evidence, 140)
        row = DESIGN.index[KEYWORD]
        assert posterior.expect(when.x, RULE)[0][row] > posterior.expect(who.x, RULE)[0][row] + 0.2

    def test_votes_narrow_what_is_uncertain(self) -> None:
        before = Posterior.from_votes([], 9).expect(X, RULE)[1][RULE, RULE]
        after = Posterior.from_votes([rated(i) for i in range(9)], 9).expect(X, RULE)[1][RULE, RULE]
        assert after < before

    def test_weightless_evidence_changes_nothing(self) -> None:
        assert Posterior.from_votes([rated(1, w=0.0)], 5).digest == Posterior.from_votes([], 5).digest


class TestUnlearning:
    @settings(max_examples=30, deadline=None)
    @given(evidence_lists, evidence_lists, st.randoms(use_true_random=False))
    def test_any_order_ends_as_the_standing_votes_alone(
        self, kept: list[Evidence], gone: list[Evidence], shuffle: random.Random
    ) -> None:
        taken_back = {one.answer for one in gone}
        standing = [one for one in kept if one.answer not in taken_back]
        Posterior.from_votes([*kept, *gone], 400)
        arrived = list(standing)
        shuffle.shuffle(arrived)
        one, other = Posterior.from_votes(arrived, 400), Posterior.from_votes(standing, 400)
        assert largest(one.mean - other.mean) < 1e-8
        assert one.digest == other.digest


class TestAgeing:
    def test_a_vote_is_worth_half_after_the_half_life(self) -> None:
        late = Posterior.from_votes([rated(0)], 2500)
        assert late.evidence(RULE) == pytest.approx(0.5 * Posterior.from_votes([rated(0)], 0).evidence(RULE))

    def test_everything_returns_to_the_start(self) -> None:
        aged = Posterior.from_votes([rated(i, y=0.0) for i in range(50)], 10**6)
        assert largest(aged.mean - Posterior.from_votes([], 0).mean) < 1e-8

    @settings(max_examples=15, deadline=None)
    @given(evidence_lists)
    def test_going_on_equals_computing_anew(self, evidence: list[Evidence]) -> None:
        gone_on, anew = Posterior.from_votes(evidence, 400).at(900), Posterior.from_votes(evidence, 900)
        assert largest(gone_on.mean - anew.mean) < 1e-8
        assert largest(gone_on.covariance - anew.covariance) < 1e-8

    def test_going_back_is_refused(self) -> None:
        with pytest.raises(BadInput, match="from the votes"):
            Posterior.from_votes([], 10).at(9)


class TestReleases:
    def test_a_vote_on_the_version_before_counts_three_tenths(self) -> None:
        newer = replace(DESIGN, routes=tuple(replace(route, version=route.version + 1) for route in MENU))
        old, new = Posterior.from_votes([rated(1)], 1, newer), Posterior.from_votes([rated(1)], 1)
        assert old.evidence(RULE) == pytest.approx(0.3 * new.evidence(RULE))

    def test_a_vote_on_a_route_that_is_gone_is_left_out(self) -> None:
        assert Posterior.from_votes([rated(1, "gone")], 1).digest == Posterior.from_votes([], 1).digest

    def test_features_of_another_shape_are_refused(self) -> None:
        odd = replace(rated(1), x=np.ones(3))
        with pytest.raises(BadInput, match="other features"):
            Posterior.from_votes([odd], 1)


class TestSnapshots:
    def test_a_snapshot_comes_back_as_it_was(self) -> None:
        posterior = Posterior.from_votes([rated(i, y=0.3) for i in range(20)], 30)
        again = Posterior.from_bytes(posterior.to_bytes())
        assert again.digest == posterior.digest
        assert np.array_equal(again.mean, posterior.mean)

    def test_equal_states_give_equal_bytes_and_other_states_others(self) -> None:
        one, same, other = (Posterior.from_votes([rated(1)], n) for n in (2, 2, 3))
        assert one.to_bytes() == same.to_bytes()
        assert (one.digest == same.digest, one.digest == other.digest) == (True, False)

    @pytest.mark.parametrize("damage", [b"", b"nothing", b"PK\x03\x04broken"])
    def test_a_damaged_one_is_refused(self, damage: bytes) -> None:
        with pytest.raises(BadInput, match="damaged"):
            Posterior.from_bytes(damage)

    def test_a_truncated_one_is_refused(self) -> None:
        whole = Posterior.from_votes([], 0).to_bytes()
        with pytest.raises(BadInput, match="damaged"):
            Posterior.from_bytes(whole[: len(whole) // 2])

    @pytest.mark.parametrize(
        "design",
        [
            Design(MENU[:6], len(NAMES)),
            Design(MENU, 7),
            Design(MENU, len(NAMES), Prior(context=1.0)),
            Design(MENU, len(NAMES), features_version=99),
        ],
    )
    def test_one_of_another_design_is_refused(self, design: Design) -> None:
        with pytest.raises(BadInput, match="other routes or features"):
            Posterior.from_bytes(Posterior.from_votes([], 0).to_bytes(), design)

    def test_it_is_below_a_megabyte(self) -> None:
        assert len(Posterior.from_votes([rated(i) for i in range(50)], 50).to_bytes()) < 1_000_000


class TestSpeed:
    def test_two_thousand_votes_are_learned_in_a_moment(self) -> None:
        evidence = [rated(i) for i in range(2000)]
        best = min(timeit.repeat(lambda: Posterior.from_votes(evidence, 2000), number=1, repeat=3))
        assert best < 0.25  # 6 ms on an idle core
