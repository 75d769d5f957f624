"""What types of path are worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routing.paths.abstract import ANY
from routing.paths.weights import Item, PathWeights, fitted, prior_of

GOOD, BAD, OTHER = ("hit", "mentions", "~about"), ("hit", "on", "~on"), ("name", "~mentions")


def items(count: int, cluster: str = "who", *, turned: bool = False) -> list[Item]:
    """Items in which GOOD leads to evidence and BAD does not, or the other way round."""
    chance = np.random.default_rng(5)
    found = []
    for _ in range(count):
        good = bool(chance.random() < 0.5)
        path = GOOD if good != turned else BAD
        found.append(Item(cluster, {path: float(chance.uniform(0.1, 0.5))}, float(chance.normal()), float(good), 1.0))
    return found


class TestFit:
    def test_what_led_to_evidence_is_worth_more(self) -> None:
        weights = fitted(items(100), {})
        assert weights.worth[ANY, GOOD] > 1
        assert weights.worth[ANY, BAD] < -1

    def test_without_votes_or_without_contrast_nothing_is_worth_anything(self) -> None:
        assert fitted([], {}) == PathWeights()
        assert fitted([replace(item, y=1.0) for item in items(20)], {}) == PathWeights()
        assert fitted([replace(item, w=0.0) for item in items(20)], {}) == PathWeights()

    def test_the_order_of_the_items_means_nothing(self) -> None:
        some = items(60)
        one, other = fitted(some, {}), fitted(some[::-1], {})
        assert one.worth == pytest.approx(other.worth, abs=1e-6)

    def test_little_evidence_stays_near_the_prior_mean(self) -> None:
        weights = fitted([replace(item, w=1e-6) for item in items(40)], {GOOD: 3.0, BAD: -1.0})
        assert weights.worth[ANY, GOOD] == pytest.approx(3.0, abs=0.01)
        assert weights.worth[ANY, BAD] == pytest.approx(-1.0, abs=0.01)

    def test_a_kind_of_question_may_differ(self) -> None:
        weights = fitted(items(200) + items(200, "when", turned=True), {})
        who, when = (weights.terms(kind, {GOOD: 0.2, BAD: 0.2}) for kind in ("who", "when"))
        assert who[GOOD] > who[BAD]
        assert when[BAD] > when[GOOD]

    def test_a_kind_that_nobody_asked_does_what_all_do(self) -> None:
        weights = fitted(items(100), {})
        assert weights.terms("why", {GOOD: 0.25}) == {GOOD: weights.worth[ANY, GOOD] * 0.5}

    def test_a_type_that_was_seen_once_has_no_weight(self) -> None:
        rare = Item("who", {OTHER: 0.5}, 0.0, 1.0, 1.0)
        assert (ANY, OTHER) not in fitted([*items(50), rare], {}).worth


class TestPrior:
    def test_a_type_better_than_usual_starts_above_zero(self) -> None:
        prior = prior_of({GOOD: 0.9, BAD: 0.1, OTHER: 0.5}, 0.5)
        assert prior[GOOD] > 0 > prior[BAD]
        assert prior[OTHER] == 0.0
