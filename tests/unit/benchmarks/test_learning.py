"""The learning benchmark on a small world whose best route is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.learning import Curve, compare, meets_the_bar, paired, policies, run, tables
from benchmarks.simulator import Crowd, Outcomes, stream
from routing.models import Route
from routing.policies.linear import Design

ROUTES = (Route("near", ("a",), "p", "f", 0.0, ""), Route("far", ("b",), "q", "g", 0.0, ""))
DESIGN = Design(ROUTES, 2, features_version=1)
CHECKPOINTS = (50, 600)


def world(advice: str) -> Outcomes:
    """Half of the questions need one route, half the other; the features tell which."""
    rng = np.random.default_rng(0)
    kind = np.arange(60) % 2
    proven = rng.random((60, 2)) < np.where(np.arange(2) == kind[:, None], 0.9, 0.3)
    return Outcomes(
        rooms=("room",) * 60,
        questions=tuple(str(i) for i in range(60)),
        routes=("near", "far"),
        quality=proven.astype(np.float64),
        proven=proven,
        x=np.column_stack((kind, 1 - kind)).astype(np.float64),
        advised=kind if advice == "good" else np.zeros(60, dtype=np.int64),
        features_version=1,
    )


class TestProtocol:
    def test_ours_learns_past_rules_that_are_half_wrong(self) -> None:
        found = tables(compare(world("poor"), DESIGN, Crowd(rate=0.5), CHECKPOINTS, 3))
        assert found["greedy"]["ours (Thompson from the rules)"][-1].difference > 0.1

    def test_ours_stays_close_to_rules_that_are_right(self) -> None:
        found = tables(compare(world("good"), DESIGN, Crowd(), CHECKPOINTS, 3))
        ours = "ours (Thompson from the rules)"
        assert all(abs(point.difference) < 0.05 for rows in found.values() for point in rows[ours])
        assert found["so far"]["Beta-Thompson"][-1].difference < -0.2

    def test_the_rules_differ_from_themselves_by_nothing(self) -> None:
        found = tables(compare(world("good"), DESIGN, Crowd(), CHECKPOINTS, 2))
        assert all(point.difference == point.low == point.high == 0 for point in found["so far"]["rules"])

    def test_every_policy_meets_the_same_questions(self) -> None:
        outcomes = world("good")
        coins = stream(Crowd(), questions=60, routes=2, length=600, seed=0)
        some = policies(outcomes, DESIGN, 0)
        assert len(some) == 6
        fixed = run(some["best fixed (near)"], outcomes, DESIGN.costs, coins, CHECKPOINTS)
        assert fixed.so_far[-1] == pytest.approx(outcomes.quality[coins.question, 0].mean())


class TestBar:
    def test_a_point_below_the_rules_anywhere_is_a_miss(self) -> None:
        rules = [Curve(np.array([0.5, 0.5]), np.array([0.5, 0.5]))] * 2
        ours = [replace(curve, so_far=np.array([0.5, 0.48])) for curve in rules]
        missed = {"so far": {"ours (Thompson from the rules)": paired(ours, rules, lambda c: c.so_far)}}
        fine = {"so far": {"ours (Thompson from the rules)": paired(rules, rules, lambda c: c.so_far)}}
        assert (meets_the_bar(missed), meets_the_bar(fine)) == (False, True)
