"""Arrays that grow while older snapshots of them are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from memory.growing import Growing, Ragged


class TestGrowing:
    def test_an_older_snapshot_stays_what_it_was(self) -> None:
        old = Growing.of(np.array([1, 2]))
        new = old.appended(np.array([3])).appended(np.array([4]))
        assert old.array.tolist() == [1, 2]
        assert new.array.tolist() == [1, 2, 3, 4]

    def test_growing_in_turn_copies_seldom(self) -> None:
        grown = Growing.of(np.zeros(0, np.int64))
        buffers = set()
        for i in range(10_000):
            grown = grown.appended(np.array([i]))
            buffers.add(id(grown.buffer))
        assert grown.array.tolist() == list(range(10_000))
        assert len(buffers) < 30

    def test_two_ways_on_from_one_snapshot_do_not_meet(self) -> None:
        start = Growing.of(np.array([1])).appended(np.array([2]))
        left, right = start.appended(np.array([3])), start.appended(np.array([4]))
        assert (left.array.tolist(), right.array.tolist()) == ([1, 2, 3], [1, 2, 4])

    def test_many_threads_growing_one_snapshot_each_get_their_own(self) -> None:
        start = Growing.of(np.array([0])).appended(np.array([0]))
        with ThreadPoolExecutor(8) as pool:
            grown = list(pool.map(lambda i: start.appended(np.array([i])), range(200)))
        assert [int(one.array[-1]) for one in grown] == list(range(200))

    def test_rows_of_a_matrix_grow_too(self) -> None:
        grown = Growing.of(np.ones((1, 3), np.float32)).appended(np.full((2, 3), 2, np.float32))
        assert grown.array.shape == (3, 3)
        assert grown.array.dtype == np.float32
        assert grown.nbytes == 36

    def test_other_values_are_set_in_a_copy(self) -> None:
        old = Growing.of(np.array([1, 2, 3]))
        assert old.with_values(np.array([1]), 9).array.tolist() == [1, 9, 3]
        assert old.array.tolist() == [1, 2, 3]

    def test_erasing_reaches_every_snapshot(self) -> None:
        old = Growing.of(np.array([1, 2])).appended(np.array([3]))
        new = old.appended(np.array([4]))
        new.erase(np.array([0, 3]))
        assert old.array.tolist() == [0, 2, 3]
        assert new.array.tolist() == [0, 2, 3, 0]


class TestRagged:
    def test_ranges_are_taken_in_another_order_and_missing_ones_are_empty(self) -> None:
        kept = Ragged.of([np.array([1, 2]), np.array([], np.int64), np.array([3])], np.zeros(0, np.int64))
        taken = kept.take(np.array([2, -1, 0, 0, 1]))
        assert taken.values.tolist() == [3, 1, 2, 1, 2]
        assert taken.counts.tolist() == [1, 0, 2, 2, 0]

    def test_rows_of_a_matrix_are_values_too(self) -> None:
        kept = Ragged.of([np.eye(2), np.ones((1, 2))], np.zeros((0, 2)))
        assert kept.take(np.array([1])).values.tolist() == [[1, 1]]

    def test_nothing_joined_is_empty_and_gives_empty_ranges(self) -> None:
        none = Ragged.joined([], np.zeros((0, 4)))
        assert len(none) == 0
        taken = none.take(np.array([-1, -1]))
        assert (taken.values.shape, taken.counts.tolist()) == ((0, 4), [0, 0])

    def test_several_are_joined(self) -> None:
        one, two = (Ragged.of([np.full(n, n)], np.zeros(0, np.int64)) for n in (1, 2))
        assert Ragged.joined([one, two], np.zeros(0, np.int64)).values.tolist() == [1, 2, 2]
