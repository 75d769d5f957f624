"""The measures and weights behind the fitted confidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.asking import Place, bins, calibration_error, together
from benchmarks.fit_confidence import WEIGHTS, Sample, logistic, quantile, weights
from benchmarks.rooms import Message, Room
from routing.confidence import Logistic

START = datetime(2026, 1, 1, tzinfo=UTC)


def room(name: str, count: int, author: str = "Ana") -> Room:
    messages = [Message(f"m{i}", author, f"text {i}", START + timedelta(hours=i), None) for i in range(count)]
    return Room(name, tuple(messages), ())


def sample(source: str, kind: str, question: str, *, owned: bool = True) -> Sample:
    return Sample(source, kind, question, owned, hit=owned, brief=True, signals={"a": 1.0 if owned else 0.0})


class TestCalibrationError:
    def test_it_is_the_mean_gap_of_bins_of_equal_size(self) -> None:
        values = np.repeat([0.2, 0.8], 50)
        right = np.r_[np.arange(50) % 10 < 3, np.arange(50) % 10 < 6]  # 30 % and 60 % in each bin
        assert calibration_error(values, right) == pytest.approx(0.15)

    def test_a_true_forecast_has_none(self) -> None:
        assert calibration_error(np.full(100, 0.5), np.arange(100) % 2 == 0) == 0.0

    def test_the_bins_hold_every_value_once_lowest_first(self) -> None:
        values = np.random.default_rng(0).random(103)
        found = bins(values)
        assert sorted(np.concatenate(found).tolist()) == list(range(103))
        assert max(len(b) for b in found) - min(len(b) for b in found) == 1
        assert all(values[a].max() <= values[b].min() for a, b in pairwise(found))


class TestWeights:
    def test_a_kind_has_its_weight_however_many_cases_it_has(self) -> None:
        some = [sample("demo", "whole", "q1"), sample("demo", "part", "q1"), sample("demo", "part", "q2")]
        w = weights(some)
        assert w[0] / (w[1] + w[2]) == pytest.approx(WEIGHTS["whole"] / WEIGHTS["part"])

    def test_each_side_weighs_as_much_as_there_are_questions(self) -> None:
        some = [sample("demo", "whole", "q1"), *[sample("demo", "whole", "q1", owned=False)] * 5]
        w = weights(some)
        assert w.sum() == pytest.approx(2)
        assert w[0] == pytest.approx(w[1:].sum())


class TestFitting:
    def test_the_quantile_counts_weight_and_not_cases(self) -> None:
        assert quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 8.0, 1.0]), 0.5) == 1.0

    def test_what_is_fitted_reads_back_and_points_the_right_way(self) -> None:
        some = [sample("demo", "whole", f"q{i}", owned=i % 2 == 0) for i in range(40)]
        model = Logistic.read(logistic(some, ("a",), [s.owned for s in some]))
        assert model.probability({"a": 1.0}) > 0.8
        assert model.probability({"a": 0.0}) < 0.2

    def test_a_missing_signal_leaves_the_others_alone(self) -> None:
        some = [sample("demo", "whole", f"q{i}", owned=i % 2 == 0) for i in range(40)]
        some.append(replace(some[0], signals={"a": float("nan")}))
        fitted = logistic(some, ("a",), [s.owned for s in some])
        assert np.isfinite(fitted["signals"]["a"]["weight"])


class TestPlaces:
    def test_a_part_never_leaves_the_room(self) -> None:
        place = Place.of(room("one", 10))
        for start in (-5, 0, 7, 99):
            part = place.part(start, 4)
            assert len(part.messages) == 4
            assert set(part.messages) <= set(place.messages)

    def test_rooms_put_together_keep_their_messages_apart(self) -> None:
        both = together("both", [Place.of(room("one", 3)), Place.of(room("two", 2, "Bo"))])
        assert [m.id for m in both.messages] == ["one/m0", "one/m1", "one/m2", "two/m0", "two/m1"]
        assert both.authors == ("Ana", "Bo")

    def test_evidence_goes_with_what_stands_beside_it(self) -> None:
        left = Place.of(room("one", 6)).without(frozenset({"one/m2"}))
        assert [m.id for m in left.messages] == ["one/m0", "one/m4", "one/m5"]
