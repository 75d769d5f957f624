"""What votes say about paths, and that taking it back leaves nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.models import Reward
from routing.paths.abstract import ANY
from routing.paths.evidence import SKIPPED, Cited, Tally, chances_of, items_of, tallied
from routing.paths.updates import UNIT
from routing.paths.weights import Item

ABOUT, ON = ("hit", "mentions", "~about"), ("hit", "on", "~on")
ITEMS = st.builds(
    Item,
    cluster=st.sampled_from(["who", "when+"]),
    chances=st.dictionaries(st.sampled_from([ABOUT, ON, ("name", "~mentions")]), st.floats(1e-6, 1.0), min_size=1),
    similarity=st.floats(-3, 3),
    y=st.floats(0, 1),
    w=st.floats(0, 1),
)


def cited(*ranks: int, answer: int = 1) -> list[Cited]:
    return [Cited(answer, rank, "who", 1.0 / rank, {ABOUT: 0.5}) for rank in ranks]


class TestCredit:
    def test_a_rating_is_shared_by_the_citations_the_first_most(self) -> None:
        items = items_of(cited(1, 2, 3), {1: Reward(1, 0.9, 0.25)}, {})
        assert [item.y for item in items.values()] == [0.9] * 3
        weights = [item.w for item in items.values()]
        assert sum(weights) == pytest.approx(1.0)  # a plain thumb is one observation
        assert weights[0] == pytest.approx(2 * weights[1])

    def test_a_pick_is_evidence_and_what_was_skipped_for_it_is_not(self) -> None:
        items = items_of(cited(1, 2, 3), {}, {1: {2: 1}})
        assert {rank: (item.y, item.w) for (_, rank), item in items.items()} == {1: (0.0, SKIPPED), 2: (1.0, 1.0)}

    def test_a_pick_does_not_replace_the_rating_of_what_stands_below(self) -> None:
        items = items_of(cited(1, 2), {1: Reward(1, 0.9, 0.25)}, {1: {1: 2}})
        assert items[1, 1].y == 1.0
        assert items[1, 2].y == 0.9

    def test_votes_that_say_nothing_and_citations_without_a_path_give_nothing(self) -> None:
        assert items_of(cited(1), {1: Reward(1, 0.5, 0.0)}, {}) == {}
        assert items_of([Cited(1, 1, "who", 1.0, {})], {1: Reward(1, 0.9, 0.25)}, {}) == {}

    def test_a_citation_is_divided_among_its_types_as_likely_as_they_are(self) -> None:
        tally = tallied([Item("who", {ABOUT: 0.3, ON: 0.1}, 0.0, 1.0, 1.0)])
        assert tally.of(ANY, ABOUT) == tally.of("who", ABOUT) == (0.75, 0.75)
        assert tally.of("who", ON) == (0.25, 0.25)
        assert tally.of("when", ON) == (0.0, 0.0)

    def test_only_paths_are_read_from_features(self) -> None:
        features = {"path:hit>on>~on": 0.2, "path:hit>follows": 0.0, "bk": 2.0, "similarity": 1.0}
        assert chances_of(features) == {("hit", "on", "~on"): 0.2}


class TestTakingBack:
    @given(st.lists(ITEMS, max_size=8), st.lists(ITEMS, max_size=8), st.randoms(use_true_random=False))
    def test_any_interleaving_ends_in_what_stands(self, stay: list[Item], go: list[Item], chance: object) -> None:
        steps = [(item, 1) for item in stay] + [(item, sign) for item in go for sign in (1, -1)]
        chance.shuffle(steps)  # type: ignore[attr-defined]
        tally = Tally()
        for item, sign in steps:
            tally.add(item, sign)
        fresh = tallied(stay)
        for text in tally.by_pair.keys() | fresh.by_pair.keys():
            for live, rebuilt in zip(tally.by_pair.get(text, (0, 0)), fresh.by_pair.get(text, (0, 0)), strict=True):
                assert abs(live - rebuilt) * UNIT <= 1e-8
        assert tally.digest == fresh.digest
