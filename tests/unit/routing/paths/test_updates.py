"""The batch update gives the same on NumPy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.paths.updates import UNIT, added, units

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def batch(pairs: int, updates: int, seed: int) -> tuple[np.ndarray, ...]:
    chance = np.random.default_rng(seed)
    start = [chance.integers(0, 2**20, pairs).astype(np.float32) * np.float32(UNIT) for _ in range(2)]
    places = chance.integers(0, pairs, updates)
    more = [chance.integers(-1024, 1025, updates).astype(np.float32) * np.float32(UNIT) for _ in range(2)]
    return (*start, places, *more)


class TestAdded:
    @pytest.mark.parametrize("device", DEVICES)
    def test_torch_gives_what_numpy_gives(self, device: str) -> None:
        sums, counts, places, more, many = batch(1_000, 20_000, 1)
        ours = (sums.copy(), counts.copy())
        theirs = (sums.copy(), counts.copy())
        added(*ours, places, more, many, device="numpy")
        added(*theirs, places, more, many, device=device)
        assert np.abs(ours[0] - theirs[0]).max() <= 1e-6
        assert np.abs(ours[1] - theirs[1]).max() <= 1e-6

    def test_a_place_may_repeat(self) -> None:
        sums, counts = np.zeros(3, np.float32), np.zeros(3, np.float32)
        added(sums, counts, np.array([1, 1, 2]), np.ones(3, np.float32), np.full(3, 2, np.float32))
        assert sums.tolist() == [0, 2, 1]
        assert counts.tolist() == [0, 4, 2]

    @settings(max_examples=30)
    @given(st.integers(0, 1000))
    def test_any_order_adds_up_to_the_same_and_what_is_taken_away_leaves_nothing(self, seed: int) -> None:
        sums, counts, places, more, many = batch(20, 300, seed)
        first = (sums.copy(), counts.copy())
        added(*first, places, more, many)
        mixed = np.random.default_rng(seed).permutation(len(places))
        second = (sums.copy(), counts.copy())
        for some in np.array_split(mixed, 7):
            added(*second, places[some], more[some], many[some])
        assert (first[0] == second[0]).all()
        assert (first[1] == second[1]).all()
        added(*first, places, -more, -many)
        assert (first[0] == sums).all()

    def test_a_weight_is_whole_units(self) -> None:
        assert units(1.0) == 1024
        assert units(0.25) * UNIT == 0.25
        assert units(-0.3) == -units(0.3)
