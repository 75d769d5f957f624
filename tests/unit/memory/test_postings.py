"""The inverted index of a room."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from memory import postings as module
from memory.postings import Postings, documents_of


def held(index: Postings, term: str) -> dict[int, int]:
    rows, counts = index.find(term)
    assert len(set(rows.tolist())) == len(rows)
    return dict(zip(rows.tolist(), counts.tolist(), strict=True))


def extended(index: Postings, rows: Sequence[int], documents: Sequence[Sequence[str]]) -> Postings:
    return index.extended(np.array(rows), documents_of(documents))


class TestFinding:
    def test_rows_and_counts_of_a_term_are_given(self) -> None:
        index = Postings.of([["bee", "hive", "bee"], [], ["hive"]])
        assert held(index, "bee") == {0: 2}
        assert held(index, "hive") == {0: 1, 2: 1}

    def test_an_unknown_term_has_none(self) -> None:
        assert held(Postings.of([["bee"]]), "wasp") == {}
        assert held(Postings.of([]), "wasp") == {}

    def test_an_endless_repetition_is_counted_up_to_the_limit(self) -> None:
        assert held(Postings.of([["bee"] * 70_000]), "bee") == {0: 65_535}


class TestGrowing:
    def test_an_older_snapshot_does_not_see_newer_rows(self) -> None:
        old = Postings.of([["bee"]])
        new = extended(old, [1], [["bee", "wasp"]])
        assert held(old, "bee") == {0: 1}
        assert held(old, "wasp") == {}
        assert held(new, "bee") == {0: 1, 1: 1}
        assert held(new, "wasp") == {1: 1}

    @pytest.mark.parametrize("rows", [10, 20_000])
    def test_a_long_tail_is_merged_and_nothing_changes(self, rows: int) -> None:
        index = Postings.of([["bee", "hive"]])
        for start in range(1, rows, 5_000):
            numbers = range(start, min(start + 5_000, rows))
            index = extended(index, numbers, [["bee", f"w{n}"] for n in numbers])
        assert len(held(index, "bee")) == rows
        assert held(index, f"w{rows - 1}") == {rows - 1: 1}
        assert index.tail.rows.size <= max(module._SMALLEST_TAIL, len(index.rows) // module._TAIL_SHARE)
        assert len(held(index.merged(), "bee")) == rows

    def test_one_message_does_not_rebuild_the_index(self) -> None:
        index = Postings.of([[f"w{n}", "bee"] for n in range(20_000)]).merged()
        grown = [index]
        for n in range(100):
            grown.append(extended(grown[-1], [20_000 + n], [["bee"]]))
        assert all(new.rows is old.rows for old, new in pairwise(grown))
        assert len(held(grown[-1], "bee")) == 20_100


class TestRemoving:
    def test_the_rows_are_gone_from_the_new_snapshot(self) -> None:
        old = extended(Postings.of([["bee", "hive"], ["bee"], ["hive"]]), [3], [["bee"]])
        new = old.without(np.array([1, 3]))
        assert held(new, "bee") == {0: 1}
        assert held(old, "bee") == {0: 1, 1: 1, 3: 1}

    def test_a_term_that_nothing_holds_any_more_is_forgotten(self) -> None:
        index = Postings.of([["secret", "bee"], ["bee"]]).without(np.array([0]))
        assert "secret" not in index.vocabulary
        assert "bee" in index.vocabulary
        assert len(index.vocabulary) == 1

    def test_a_forgotten_term_can_come_back(self) -> None:
        index = extended(Postings.of([["secret"], ["bee"]]).without(np.array([0])), [0], [["secret", "new"]])
        assert held(index, "secret") == {0: 1}
        assert held(index, "new") == {0: 1}
        assert held(index, "bee") == {1: 1}

    def test_memory_is_estimated(self) -> None:
        small, large = Postings.of([["a"]]), Postings.of([[f"w{n}"] for n in range(1000)])
        assert 0 < small.nbytes < large.nbytes
