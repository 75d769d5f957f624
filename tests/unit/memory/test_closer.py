"""The columns of a closer look, checked against what was put into the room."""

from __future__ import annotations

import math

import numpy as np
import pytest

from memory import closer
from memory.models import Query
from memory.ranking import features, names
from memory.room import DECAY, PAUSE, RoomView
from tests.unit.memory.arrays import DAY, question, row, unit

PEOPLE = names([(1, "Ana Lind"), (2, "Bo Berg")])


def of(view: RoomView, query: Query, name: str) -> dict[int, float]:
    """A column by serial, for all messages."""
    found = closer.described(view, query, features(view, query, view.serials))
    return dict(zip(found.serials.tolist(), found.features[name].tolist(), strict=True))


class TestWords:
    VIEW = RoomView.of([row(1, "a hive with bees"), row(2, "what else?"), row(3, "bees again"), row(4, "rain")])

    def test_cover_is_the_share_of_the_idf_that_a_message_holds(self) -> None:
        hive, bees = (math.log1p((4 - df + 0.5) / (df + 0.5)) for df in (1, 2))
        found = of(self.VIEW, question("hive bees"), "cover")
        assert found == pytest.approx({1: 1.0, 2: 0.0, 3: bees / (hive + bees), 4: 0.0})

    def test_near_cover_lends_to_the_neighbours(self) -> None:
        found = of(self.VIEW, question("hive"), "cover_near")
        assert found == pytest.approx({1: 1.0, 2: DECAY, 3: DECAY**2, 4: DECAY**3})

    def test_words_of_the_message_before_count_as_asked_where_it_asks(self) -> None:
        view = RoomView.of([row(1, "bees?"), row(2, "yes"), row(3, "bees"), row(4, "no")])
        asked = of(view, question("bees"), "words_asked")
        assert asked[2] > 0
        assert asked[4] == 0.0
        assert of(view, question("bees"), "words_before")[4] > 0


class TestMeaning:
    def test_the_neighbours_of_a_message_are_compared_too(self) -> None:
        view = RoomView.of([row(1, vectors=unit(1)), row(2, vectors=unit(0, 1)), row(3, vectors=unit(1, 1))])
        query = question("x", vector=unit(1))
        assert of(view, query, "d_before") == pytest.approx({1: 0.0, 2: 1.0, 3: 0.0}, abs=1e-3)
        assert of(view, query, "d_after") == pytest.approx({1: 0.0, 2: math.sqrt(0.5), 3: 0.0}, abs=1e-3)

    def test_tokens_are_met_in_the_message_itself_and_not_beside_it(self) -> None:
        view = RoomView.of([row(1, "a", vectors=unit(1), tokens=(5,)), row(2, "b", vectors=unit(1), tokens=(6,))])
        query = question("x", vector=unit(1), tokens=(5,))
        own, met = of(view, query, "mw_own"), of(view, query, "met")
        assert own[1] > own[2]
        assert (met[1], met[2]) == (1.0, 0.0)

    def test_without_an_embedding_meaning_is_missing_and_the_rest_is_there(self) -> None:
        view = RoomView.of([row(1, "bees"), row(2, "hives")])
        assert all(math.isnan(value) for value in of(view, question("bees"), "mw_own").values())
        assert of(view, question("bees"), "cover")[1] == 1.0

    def test_a_message_is_like_the_best_and_never_like_itself(self) -> None:
        rows = [row(i, vectors=unit(1, i / 10)) for i in range(1, 4)] + [row(4, vectors=unit(-1))]
        found = of(RoomView.of(rows), question("x", vector=unit(1)), "like_one")
        assert found[1] < 1.0
        assert found[1] > found[4]


class TestPeople:
    def test_signs_of_people_and_time(self) -> None:
        view = RoomView.of([row(1, "Ana came yesterday", author=2), row(2, "I came", author=1)])
        query = question("When did Ana come?", people=PEOPLE)
        assert of(view, query, "other") == {1: 1.0, 2: 0.0}
        assert of(view, query, "addressed") == {1: 1.0, 2: 0.0}
        assert of(view, query, "time") == {1: 1.0, 2: 0.0}
        assert of(view, query, "self_any") == {1: 0.0, 2: 1.0}


class TestConversations:
    def test_a_pause_begins_another(self) -> None:
        pause = 2 * PAUSE / DAY
        view = RoomView.of([row(1, "bees"), row(2, "yes", days=0.01), row(3, "no", days=pause)])
        assert view.conversations.tolist() == [0, 2]
        words = of(view, question("bees"), "talk_words")
        assert words[1] == words[2] > words[3]
        assert of(view, question("bees"), "place") == pytest.approx({1: 0.0, 2: math.log(2), 3: 0.0})


def test_no_candidates_have_all_columns_all_the_same() -> None:
    view = RoomView.of([])
    query = question("bees")
    found = closer.described(view, query, features(view, query, np.zeros(0, np.int64)))
    assert set(closer.COLUMNS) <= set(found.features)
    assert all(len(column) == 0 for column in found.features.values())


def test_every_column_has_words_and_every_rule_is_a_column() -> None:
    assert set(closer.COLUMNS) >= closer.RULES
    view = RoomView.of([row(1, "bees", vectors=unit(1), tokens=(5,))])
    query = question("bees", vector=unit(1), tokens=(5,))
    found = closer.described(view, query, features(view, query, view.serials))
    assert set(closer.COLUMNS) <= set(found.features)
