"""Similarity decides who is considered, utility who comes first of those."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.paths.utility import BOUND, K_MAX, bonuses, kappa, pool_of, ranked

SCORES = st.lists(st.floats(-5, 5, allow_nan=False).map(lambda x: round(x, 3)), min_size=1, max_size=30)


def order(scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[int]:
    return [int(place) for place in np.argsort(-scores, kind="stable")]


class TestBonus:
    def test_without_votes_the_order_is_that_of_similarity(self) -> None:
        similarity = np.array([0.3, 2.0, 1.0, 1.5])
        pool = pool_of(similarity, 2)
        added = bonuses(np.array([5.0, -5.0, 9.0, 0.0]), np.zeros(4), np.array([1.0, 3.0, 2.0, 0.0]))
        assert (ranked(similarity, pool, added) == similarity).all()

    def test_evidence_counts_half_at_twenty_and_never_more_than_all(self) -> None:
        assert kappa(20.0) == pytest.approx(K_MAX / 2)
        assert kappa(0.0) == 0.0
        assert kappa(1e9) <= K_MAX

    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
    def test_the_bonus_saturates(self, utility: list[float]) -> None:
        added = bonuses(np.array(utility), np.full(len(utility), 1e9), np.zeros(len(utility)))
        assert (np.abs(added) <= BOUND + 1e-9).all()

    def test_longer_paths_are_worth_a_little_less(self) -> None:
        added = bonuses(np.zeros(2), np.full(2, 1e9), np.array([1.0, 3.0]))
        assert added[0] - added[1] == pytest.approx(0.1)

    def test_an_empty_pool_gets_none(self) -> None:
        assert len(bonuses(np.zeros(0), np.zeros(0), np.zeros(0))) == 0


class TestOrder:
    def test_utility_reorders_the_pool(self) -> None:
        similarity = np.array([2.0, 1.9, 1.0, 0.0])
        pool = pool_of(similarity, 1)
        assert pool.tolist() == [0, 1]
        assert order(ranked(similarity, pool, np.array([-0.1, 0.1]))) == [1, 0, 2, 3]

    def test_what_is_below_the_threshold_is_not_in_the_pool(self) -> None:
        assert pool_of(np.array([2.0, 1.9, 1.0]), 3, threshold=1.5).tolist() == [0, 1]

    @given(SCORES, st.integers(1, 10), st.data())
    def test_nothing_is_pulled_in_from_outside_the_pool(
        self, scores: list[float], asked: int, data: st.DataObject
    ) -> None:
        similarity = np.array(scores)
        pool = pool_of(similarity, asked)
        added = np.array(data.draw(st.lists(st.floats(-4, 4), min_size=len(pool), max_size=len(pool))))
        after = order(ranked(similarity, pool, added))
        assert set(after[: len(pool)]) == set(pool.tolist())
        assert after[len(pool) :] == [place for place in order(similarity) if place not in set(pool.tolist())]
        lifted = similarity[pool] + added
        best = order(lifted)
        if len(set(lifted.round(9))) == len(pool):
            assert after[: len(pool)] == pool[best].tolist()
