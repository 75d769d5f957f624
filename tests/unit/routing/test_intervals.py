"""Means with their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.intervals import change, mean_reward

pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=50)


class TestMeanReward:
    def test_without_votes_hardly_anything_is_known(self) -> None:
        interval = mean_reward([])
        assert interval.mean == 0.5
        assert interval.high - interval.low > 0.95

    def test_the_mean_is_weighted(self) -> None:
        assert mean_reward([(1.0, 0.3), (0.0, 0.1)]).mean == pytest.approx(0.75)

    def test_votes_without_weight_are_no_votes(self) -> None:
        assert mean_reward([(1.0, 0.5), (0.0, 0.0)]) == mean_reward([(1.0, 0.5)])

    def test_more_votes_narrow_it(self) -> None:
        few, many = mean_reward([(0.8, 0.3)] * 5), mean_reward([(0.8, 0.3)] * 500)
        assert many.high - many.low < (few.high - few.low) / 4

    def test_it_is_the_known_interval_of_jeffreys(self) -> None:
        interval = mean_reward([(1.0, 1.0)] * 8 + [(0.0, 1.0)] * 2)
        assert interval.low == pytest.approx(0.4971, abs=1e-3)
        assert interval.high == pytest.approx(0.9557, abs=1e-3)

    @settings(deadline=None)
    @given(pairs)
    def test_it_holds_the_mean_and_stays_in_range(self, votes: list[tuple[float, float]]) -> None:
        interval = mean_reward(votes)
        assert 0 <= interval.low <= interval.mean <= interval.high <= 1

    def test_it_covers_the_truth_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(1)
        inside = 0
        for _ in range(400):
            interval = mean_reward([(float(y), 1.0) for y in rng.random(30) < 0.7])
            inside += interval.low <= 0.7 <= interval.high
        assert 0.92 < inside / 400 < 0.98


class TestChange:
    def test_it_is_the_difference_with_room_on_both_sides(self) -> None:
        before, now = mean_reward([(0.5, 1.0)] * 30), mean_reward([(0.9, 1.0)] * 30)
        moved = change(before, now)
        assert moved.mean == pytest.approx(0.4)
        assert moved.low < 0.4 < moved.high

    def test_a_large_change_is_told_from_chance_and_a_small_one_is_not(self) -> None:
        before = mean_reward([(0.2, 1.0)] * 100)
        assert change(before, mean_reward([(0.8, 1.0)] * 100)).low > 0
        assert change(before, mean_reward([(0.25, 1.0)] * 100)).low < 0
