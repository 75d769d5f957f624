"""The learning benchmark on a small world whose best route is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.learning import (
    OURS,
    Curve,
    World,
    by_part,
    compare,
    leads,
    meets_the_bar,
    paired,
    policies,
    run,
    tables,
)
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
        assert found["greedy"][OURS][-1].difference > 0.1

    def test_ours_stays_close_to_rules_that_are_right(self) -> None:
        found = tables(compare(world("good"), DESIGN, Crowd(), CHECKPOINTS, 3))
        assert all(abs(point.difference) < 0.05 for rows in found.values() for point in rows[OURS])
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

    def test_alone_only_ours_and_the_rules_are_run(self) -> None:
        assert list(policies(world("good"), DESIGN, 0, alone=True)) == [OURS, "rules"]


def curve(*so_far: float) -> Curve:
    """A curve of two questions, both answered by the route that is best for the first."""
    two = np.zeros(2, dtype=np.int64)
    return Curve(np.array(so_far), np.array(so_far), np.array([0, 1]), two, np.zeros((len(so_far), 2), dtype=np.int64))


class TestBar:
    def test_a_point_below_the_rules_anywhere_is_a_miss(self) -> None:
        rules = [curve(0.5, 0.5)] * 2
        ours = [replace(one, so_far=np.array([0.5, 0.48])) for one in rules]
        missed = {"so far": {OURS: paired(ours, rules, lambda c: c.so_far)}}
        fine = {"so far": {OURS: paired(rules, rules, lambda c: c.so_far)}}
        assert (meets_the_bar(missed), meets_the_bar(fine)) == (False, True)


class TestLeads:
    def test_p_is_that_of_the_paired_t_test(self) -> None:
        found = leads({OURS: [curve(0.5), curve(0.6), curve(0.7)], "other": [curve(0.4), curve(0.4), curve(0.6)]})
        # differences 0.1, 0.2, 0.1: mean 0.1333, t = 4 on two degrees of freedom
        assert found["other"][0].difference == pytest.approx(0.4 / 3)
        assert found["other"][0].p == pytest.approx(0.0572, abs=1e-4)

    def test_a_tie_proves_nothing(self) -> None:
        assert leads({OURS: [curve(0.5)] * 3, "other": [curve(0.5)] * 3})["other"][0].p == 1.0


class TestKindsOfRooms:
    def test_ours_is_held_against_the_best_route_of_each_kind(self) -> None:
        outcomes = replace(world("good"), quality=np.eye(2), questions=("0", "1"), rooms=("a", "b"))
        mixed = World("mixed", outcomes, DESIGN, np.array(["chats", "documents"]))
        found = by_part(mixed, [curve(0.5)] * 2, (2,))
        assert {name: rows[0].difference for name, rows in found["so far"].items()} == {
            "chats, beside near": 0.0,
            "documents, beside far": -1.0,
        }
        assert found["greedy"]["documents, beside far"][0].mean == 0.0
