"""Bounds that hold however often one looks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from routing.intervals import Interval
from routing.sequences import START, Array, one_sided, smallest_effect, two_sided


def looked_at(terms: Array) -> list[Interval]:
    """The interval after every tenth term."""
    return [two_sided(terms[:t]) for t in range(START, len(terms), 10)]


class TestPeeking:
    def test_looking_all_the_time_raises_no_more_false_alarms_than_promised(self) -> None:
        alarms = 0
        for seed in range(300):
            terms = np.random.default_rng(seed).standard_normal(1000)
            alarms += any(not one.low <= 0 <= one.high for one in looked_at(terms))
        assert alarms <= 0.05 * 300

    def test_an_interval_for_one_look_would_raise_many(self) -> None:
        alarms = 0
        for seed in range(100):
            terms = np.random.default_rng(seed).standard_normal(1000)
            times = np.arange(START, len(terms), 10)
            means = terms.cumsum()[times - 1] / times
            alarms += bool((np.abs(means) > 1.96 / np.sqrt(times)).any())
        assert alarms > 20

    def test_a_difference_is_found(self) -> None:
        terms = np.random.default_rng(0).standard_normal(500) + 0.4
        assert two_sided(terms).low > 0
        assert one_sided(-terms).high < 0

    def test_large_weights_that_are_rare_raise_few_false_alarms_when_their_chance_is_known(self) -> None:
        alarms = {"known": 0, "not known": 0}
        for seed in range(100):
            rng = np.random.default_rng(seed)
            weight = np.where(rng.random(600) < 0.05, 19.0, -1.0)
            reward = (rng.random(600) < 0.3).astype(np.float64)
            terms, noise = weight * reward, (0.05 * 19.0**2 + 0.95) * reward
            times = range(START, 600, 10)
            alarms["known"] += any(one_sided(terms[:t], noise[:t]).high < 0 for t in times)
            alarms["not known"] += any(one_sided(terms[:t]).high < 0 for t in times)
        assert alarms["known"] <= 5
        assert alarms["not known"] > 15

    def test_one_side_is_tighter_than_two(self) -> None:
        terms = np.random.default_rng(0).standard_normal(500)
        assert two_sided(terms).low < one_sided(terms).low

    def test_before_the_start_nothing_is_claimed(self) -> None:
        early = two_sided(np.ones(START - 1))
        assert (early.mean, early.low, early.high) == (1.0, -math.inf, math.inf)
        assert two_sided(np.zeros(0)).low == -math.inf


class TestTheSmallestEffect:
    def test_it_is_the_half_width_of_the_interval(self) -> None:
        terms = np.random.default_rng(0).standard_normal(400)
        found = two_sided(terms)
        assert smallest_effect(float(terms.std()), 400) == pytest.approx(found.high - found.mean)

    def test_more_terms_see_less(self) -> None:
        assert smallest_effect(1.0, 2000) < smallest_effect(1.0, 500) / 1.5
