"""The random walk over a room, against the linear algebra that it approximates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memory.graph import RESTART, SHARE, Incidence, Relation, softmax, walk


def room(*tied: Sequence[int]) -> Incidence:
    """Messages 1, 2, … with the nodes of each."""
    return Incidence.empty().appended(range(1, len(tied) + 1), tied)


def solved(
    tied: Sequence[Sequence[int]], messages: Mapping[int, float], entities: Sequence[int]
) -> NDArray[np.float64]:
    """Solves p = r s + (1 - r) P p by elimination, for rooms in which every message shares something."""
    n, width = len(tied), 1 + max(node for nodes in tied for node in nodes)
    ties = np.zeros((n, width))
    for row, nodes in enumerate(tied):
        ties[row, list(nodes)] = 1
    degree = ties.sum(0)
    idf = np.log1p(n / np.maximum(degree, 1)) * (degree > 0)
    outward = ties * idf * (degree > 1)
    step = np.zeros((n + width, n + width))
    step[n:, :n] = (outward / outward.sum(1, keepdims=True)).T
    step[:n, n:] = ties / np.maximum(degree, 1)
    start = np.zeros(n + width)
    raised = {serial: np.exp(score) for serial, score in messages.items()}
    for serial, weight in raised.items():
        start[serial - 1] = weight / sum(raised.values()) * (1 - SHARE if entities else 1)
    for node in entities:
        start[n + node] = idf[node] / idf[list(entities)].sum() * (SHARE if messages else 1)
    found = np.linalg.solve(np.eye(n + width) - (1 - RESTART) * step, RESTART * start)[:n]
    return np.asarray(found / found.sum())


ROOM = ((0, 1), (0, 2), (1, 2, 3), (3, 4), (4, 0), (4,))


class TestWalk:
    @pytest.mark.parametrize(
        ("messages", "entities"),
        [({1: 0.0}, []), ({1: 2.0, 4: 1.0}, []), ({}, [3]), ({}, [0, 3]), ({6: 0.5, 2: -1.0}, [1, 4])],
    )
    def test_it_reaches_the_fixed_point(self, messages: dict[int, float], entities: list[int]) -> None:
        assert walk(room(*ROOM), messages, entities) == pytest.approx(solved(ROOM, messages, entities), abs=1e-5)

    def test_a_node_of_one_message_leads_to_it_but_nowhere_from_it(self) -> None:
        alone = walk(room((0, 1), (0,)), {1: 0.0}, [])
        assert alone == pytest.approx(walk(room((0,), (0,)), {1: 0.0}, []), abs=1e-12)
        assert np.argmax(walk(room((0, 1), (0,)), {}, [1])) == 0

    def test_a_message_that_shares_nothing_keeps_what_it_has(self) -> None:
        assert walk(room((0,), (1,)), {1: 0.0}, []).tolist() == [1.0, 0.0]

    def test_what_cannot_be_reached_has_nothing(self) -> None:
        assert walk(room((0,), (0,), (1,), (1,)), {1: 0.0}, [])[2:].tolist() == [0.0, 0.0]

    @pytest.mark.parametrize("entities", [[], [5]])
    def test_without_a_seed_there_is_no_walk(self, entities: list[int]) -> None:
        assert not walk(room((0,), (0,)), {9: 1.0}, entities).any()
        assert not len(walk(Incidence.empty(), {9: 1.0}, entities))

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.sets(st.integers(0, 12), max_size=5), min_size=1, max_size=20),
        st.dictionaries(st.integers(1, 25), st.floats(-50, 50), max_size=6),
        st.lists(st.integers(0, 15), unique=True, max_size=4),
    )
    def test_it_is_a_probability_or_nothing(
        self, tied: list[set[int]], messages: dict[int, float], entities: list[int]
    ) -> None:
        found = walk(room(*map(sorted, tied)), messages, entities)
        assert found.shape == (len(tied),)
        assert (found >= 0).all()
        assert found.sum() == pytest.approx(1) or not found.any()


class TestSoftmax:
    def test_it_sums_to_one_and_only_differences_matter(self) -> None:
        weights = softmax(np.array([1000.0, 999.0]))
        assert weights.sum() == pytest.approx(1)
        assert weights == pytest.approx(softmax(np.array([1.0, 0.0])))


class TestIncidence:
    def test_rows_come_in_order_of_arrival(self) -> None:
        grown = room((0, 1), ()).appended([7], [(2,)])
        assert grown.serials.array.tolist() == [1, 2, 7]
        assert grown.ends.array.tolist() == [2, 2, 3]
        assert grown.nodes.array.tolist() == [0, 1, 2]

    def test_taking_out_leaves_the_others_and_older_snapshots(self) -> None:
        before = room((0, 1), (), (2, 3), (4,))
        after = before.without([1, 3, 99])
        assert after.serials.array.tolist() == [2, 4]
        assert after.ends.array.tolist() == [0, 1]
        assert after.nodes.array.tolist() == [4]
        assert before.nodes.array.tolist() == [0, 1, 2, 3, 4]

    def test_nothing_appended_is_nothing_changed(self) -> None:
        assert room((0,)).appended([], []).nodes.array.tolist() == [0]


class TestRelations:
    def test_each_reads_both_ways(self) -> None:
        words = [word for relation in Relation for word in (relation.along, relation.against)]
        assert len(set(words)) == len(words) == 2 * len(Relation)
