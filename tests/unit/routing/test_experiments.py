"""Experiments by thread: who gets what, and what may be concluded."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from routing.experiments import SHARE, Experiment, Outcome, result
from routing.sequences import START

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
TRIED = Experiment(7, "thompson", "greedy", b"k" * 16, NOON, None)


def outcomes(units: int, *, lead: float = 0.0, seed: int = 0, each: int = 3) -> list[Outcome]:
    """Answers of units that agree among themselves; the second policy is better by ``lead``."""
    rng = np.random.default_rng(seed)
    found = []
    for unit in range(units):
        second, mood = bool(rng.random() < SHARE), rng.normal(0, 0.15)
        for _ in range(1 + rng.poisson(each - 1)):
            good = rng.random() < np.clip(0.6 + mood + lead * second, 0, 1)
            found.append(Outcome(str(unit), second, 0.78 if good else 0.2, 0.25 if good else 0.28))
    return found


class TestAssignment:
    def test_a_thread_keeps_its_policy(self) -> None:
        first = TRIED.assign(1, "$thread", 3, NOON)
        later = TRIED.assign(1, "$thread", 9, NOON + timedelta(days=3))
        assert first == later
        assert (first.experiment, first.propensity) == (7, SHARE)

    def test_outside_threads_somebodys_day_is_one(self) -> None:
        assert TRIED.assign(1, None, 3, NOON) == TRIED.assign(1, None, 3, NOON + timedelta(hours=11))
        units = {TRIED.assign(1, None, person, NOON + timedelta(days=day)).unit for person in (3, 4) for day in (0, 1)}
        assert len(units) == 4

    def test_each_policy_gets_half(self) -> None:
        given = [TRIED.assign(1, f"${i}", None, NOON).policy for i in range(2000)]
        assert 900 < given.count("greedy") < 1100
        assert set(given) == {"greedy", "thompson"}

    def test_without_the_key_nobody_knows(self) -> None:
        other = Experiment(8, "thompson", "greedy", b"l" * 16, NOON, None)
        given = [[one.assign(1, f"${i}", None, NOON).policy for i in range(400)] for one in (TRIED, other)]
        same = sum(first == second for first, second in zip(*given, strict=True))
        assert 150 < same < 250

    def test_the_unit_says_nothing_about_its_thread(self) -> None:
        assert len(TRIED.assign(1, "$thread", None, NOON).unit) == 16


class TestWhatIsShown:
    def test_a_better_policy_is_found(self) -> None:
        shown = result(outcomes(600, lead=0.2))
        assert shown.lead.low > 0
        assert shown.lead.mean == pytest.approx(shown.means[1] - shown.means[0], abs=0.03)

    def test_looking_after_every_thread_raises_no_more_false_alarms_than_promised(self) -> None:
        alarms = 0
        for seed in range(100):
            rows = outcomes(300, seed=seed)
            looks = (result(rows[:t]).lead for t in range(300, len(rows), 60))
            alarms += any(not one.low <= 0 <= one.high for one in looks)
        assert alarms <= 5

    def test_the_first_interval_waits(self) -> None:
        shown = result(outcomes(START // 2))
        assert shown.lead.low == -math.inf
        assert shown.detectable == math.inf
        assert 0 < shown.at_twice < 1

    def test_before_any_vote_it_says_so(self) -> None:
        shown = result([])
        assert (shown.units, shown.answers) == (0, (0, 0))

    def test_what_it_can_see_is_what_it_needs(self) -> None:
        shown = result(outcomes(600))
        assert shown.detectable == pytest.approx(shown.lead.high - shown.lead.mean)
        assert shown.at_twice < shown.detectable
