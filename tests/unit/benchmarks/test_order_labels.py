"""Rankers beside the product's learner: taught on other rooms only, and able to see what a sum of columns cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.learning_curve import Asked
from benchmarks.order_labels import Judged, Ranker, folds, net, together, trees
from benchmarks.pools import Pool
from memory.models import Candidates
from memory.ranking import standardised
from routing.fusion import FORMULA
from routing.questions import Kind

TOKENS = 1_990
"""A message that leaves no room for another in a context of 2,000."""


def question(seed: int, room: str = "room", candidates: int = 30) -> Asked:
    """The answer is what stands out most in the first column, upwards or downwards: no weight of it finds both."""
    x = np.random.default_rng(seed).standard_normal((candidates, 3))
    answer = np.arange(candidates) == np.argmax(np.abs(x[:, 0]))
    return Asked(room, "single_hop", Kind.WHAT, x, answer, np.arange(0.0, 20.0 * candidates, 20.0), 1)


def judged(room: str, seed: int) -> Judged:
    """A question with a pool of two messages."""
    columns = {name: np.array([1.0, 0.0]) for name in FORMULA} | {"row": np.array([0.0, 30.0])}
    pool = Pool(
        room=room,
        question=f"{room}-{seed}",
        text="?",
        category="single_hop",
        kind=Kind.WHAT,
        candidates=Candidates(1, np.array([1, 2]), columns),
        evidence=np.array([True, False]),
        labelled=2,
        tokens=np.array([TOKENS, 10]),
        days=np.array([1, 2]),
        heading=5,
    )
    return Judged.of(pool)


class TestFolds:
    @pytest.mark.parametrize("rooms", [3, 12])
    def test_nothing_is_measured_that_was_taught_and_everything_is_measured_once(self, rooms: int) -> None:
        given = [judged(f"room {i}", seed) for i in range(rooms) for seed in range(2)]
        seen: list[str] = []
        for taught, measured in folds(given):
            assert not {one.asked.room for one in taught} & {one.asked.room for one in measured}
            seen += [one.pool.question for one in measured]
        assert sorted(seen) == sorted(one.pool.question for one in given)

    def test_a_single_room_is_halved(self) -> None:
        given = [judged("room", seed) for seed in range(5)]
        parts = [({one.pool.question for one in a}, {one.pool.question for one in b}) for a, b in folds(given)]
        assert [(len(a & b), len(a | b)) for a, b in parts] == [(0, 5), (0, 5)]


class TestMeasures:
    def test_what_does_not_fit_a_context_is_not_found_in_it(self) -> None:
        one = judged("room", 0)
        assert one.measured(np.array([1.0, 0.0])) == (0.5, 1.0, 0.5)
        other = replace(one, asked=replace(one.asked, evidence=np.array([False, True])))
        other = replace(other, pool=replace(one.pool, evidence=np.array([False, True])))
        assert other.measured(np.array([1.0, 0.0])) == (0.5, 1.0, 0.0)


class TestRankers:
    @pytest.mark.parametrize("ranker", [net, trees])
    def test_they_see_what_a_sum_cannot(self, ranker: Ranker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("benchmarks.order_labels.NETS", 1)
        taught, asked = [question(i) for i in range(200)], [question(i) for i in range(200, 260)]
        known, linear = ([0.1 * one.x[:, 1] for one in some] for some in (taught, asked))
        scores = ranker(taught, asked, known, linear)

        def first(some: list[np.ndarray]) -> float:
            return float(np.mean([one.evidence[np.argmax(score)] for one, score in zip(asked, some, strict=True)]))

        assert first(scores) > first(linear) + 0.2

    def test_together_each_counts_alike_and_the_spread_is_the_linear_ones(self) -> None:
        linear, other = np.array([3.0, 0.0, 0.0]), np.array([0.0, 0.0, 100.0])
        [mean] = together([[linear], [other]], [linear])
        assert mean == pytest.approx(linear.std() * (standardised(linear) + standardised(other)) / 2)
