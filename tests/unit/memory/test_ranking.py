"""Nominations and features, checked against sums done by hand."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from memory import ranking
from memory.models import Candidates, Nominations, Serials
from memory.ranking import CLOSER_LOOK, FEATURES, cut_names, features, named_people, names, standardised, with_sources
from memory.room import DECAY, WINDOW, RoomView, smoothed
from tests.unit.memory.arrays import NOON, question, row, states, unit

HALF = 1e-3
"""What a cosine may be off by: vectors are held in half precision."""

PEOPLE = names([(1, "Ana Lind"), (2, "Bo Berg (Treasurer)"), (3, "Will Lind")])


def of(candidates: Candidates, name: str) -> dict[int, float]:
    """A column by serial."""
    return dict(zip(candidates.serials.tolist(), candidates.features[name].tolist(), strict=True))


def some(*serials: int) -> Serials:
    return np.array(serials, np.int64)


class TestNames:
    def test_full_names_and_parts_that_name_one_person_count(self) -> None:
        assert PEOPLE == {"ana lind": 1, "ana": 1, "bo berg": 2, "berg": 2, "will lind": 3, "will": 3}

    def test_a_nameless_person_has_none(self) -> None:
        assert names([(1, "\U0001f41d"), (2, "")]) == {}

    def test_names_are_cut_with_their_possessive_ending(self) -> None:
        assert cut_names("Where did Ana's sister meet Bo Berg?", PEOPLE) == "Where did sister meet ?"

    def test_a_question_of_nothing_but_a_name_stays_whole(self) -> None:
        assert cut_names("Who is Ana?", PEOPLE) == "Who is Ana?"

    def test_only_whole_words_are_names(self) -> None:
        assert cut_names("Which banana did he eat?", PEOPLE) == "Which banana did he eat?"

    def test_the_people_named_are_known_whatever_the_case(self) -> None:
        assert named_people("what did ANA LIND tell bo berg?", PEOPLE) == {1, 2}

    def test_the_longest_name_wins(self) -> None:
        assert named_people("What did Will Lind say?", PEOPLE) == {3}

    def test_a_name_that_is_also_a_function_word_needs_its_capital(self) -> None:
        assert named_people("will it rain?", PEOPLE) == frozenset()
        assert named_people("Will it rain?", PEOPLE) == frozenset()
        assert named_people("When did Will come?", PEOPLE) == {3}

    def test_nobody_is_named_where_nobody_is_known(self) -> None:
        assert named_people("Ana?", {}) == frozenset()


class TestKeyword:
    def test_the_score_is_bm25_with_the_window_inside_the_frequency(self) -> None:
        view = RoomView.of([row(1, "bees"), row(2, "hives hives"), row(3, "wasps honey bees")])
        found = ranking.keyword(view, question("bees?"), 10)
        lengths = [1 + 2 * DECAY + 3 * DECAY**2, DECAY + 2 + 3 * DECAY, DECAY**2 + 2 * DECAY + 3]
        frequencies = [1 + DECAY**2, 2 * DECAY, 1 + DECAY**2]
        idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
        mean = sum(lengths) / 3
        expected = {
            serial: idf * tf * 2.2 / (tf + 1.2 * (0.4 + 0.6 * length / mean))
            for serial, tf, length in zip((1, 2, 3), frequencies, lengths, strict=True)
        }
        scores = dict(zip(found.serials.tolist(), found.scores.tolist(), strict=True))
        assert scores == pytest.approx(expected)
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)

    def test_a_message_out_of_reach_is_not_named(self) -> None:
        view = RoomView.of([row(1, "bees"), *(row(i, "hives") for i in range(2, 20))])
        assert set(ranking.keyword(view, question("bees"), 50).serials.tolist()) == set(range(1, WINDOW + 2))

    @pytest.mark.parametrize("every", [2, 97])
    def test_a_common_term_and_a_rare_one_are_smoothed_alike(self, every: int) -> None:
        counts = np.array([(i % 3 + 1) * (i % every == 0) for i in range(300)])
        view = RoomView.of([row(i + 1, "bees " * int(count) + "hives") for i, count in enumerate(counts)])
        found = ranking.windowed_bm25(view, {"bee": 1.0})
        frequency = smoothed(counts.astype(np.float64))
        length = smoothed(counts + 1.0)
        idf = math.log(1 + (300 - np.count_nonzero(counts) + 0.5) / (np.count_nonzero(counts) + 0.5))
        by_hand = idf * frequency * 2.2 / (frequency + 1.2 * (0.4 + 0.6 * length / length.mean()))
        assert found.tolist() == pytest.approx(by_hand.tolist())

    def test_the_limit_keeps_the_best_and_the_newer_of_equals(self) -> None:
        view = RoomView.of([row(i, "bees") for i in range(1, 30)])
        found = ranking.keyword(view, question("bees"), 3)
        every = ranking.keyword(view, question("bees"), 100)
        assert found.serials.tolist() == every.serials.tolist()[:3]
        assert ranking.recent(RoomView.of([row(1), row(2)]), question("x"), 1).serials.tolist() == [2]

    def test_a_removed_message_is_never_named(self) -> None:
        view = RoomView.of([row(1, "bees"), row(2, "bees"), row(3, "hives")]).updated([], [2])
        assert 2 not in ranking.keyword(view, question("bees"), 10).serials

    def test_names_of_people_are_no_keywords(self) -> None:
        view = RoomView.of([row(1, "hello ana"), *(row(i) for i in range(2, 9)), row(9, "bees")])
        found = ranking.keyword(view, question("Does Ana keep bees?", people=PEOPLE), 10)
        assert found.serials[0] == 9
        assert 1 not in found.serials

    def test_nothing_asked_finds_nothing(self) -> None:
        view = RoomView.of([row(1, "bees")])
        assert len(ranking.keyword(view, question("\U0001f41d"), 10).serials) == 0
        assert len(ranking.keyword(RoomView.of([]), question("bees"), 10).serials) == 0


class TestVector:
    def test_a_message_scores_its_best_chunk(self) -> None:
        view = RoomView.of([row(1, vectors=unit(1, 1)), row(2, vectors=np.stack([unit(0, 1), unit(1)])), row(3)])
        found = ranking.vector(view, question("x", vector=unit(1)), 10)
        assert found.serials.tolist() == [2, 1]
        assert found.scores.tolist() == pytest.approx([1.0, math.sqrt(0.5)], abs=HALF)

    def test_without_an_embedding_of_the_question_or_the_room_nothing_is_named(self) -> None:
        assert len(ranking.vector(RoomView.of([row(1, vectors=unit(1))]), question("x"), 10).serials) == 0
        assert len(ranking.vector(RoomView.of([row(1)]), question("x", vector=unit(1)), 10).serials) == 0
        zero = question("x", vector=np.zeros(8, np.float32))
        assert len(ranking.vector(RoomView.of([row(1, vectors=unit(1))]), zero, 10).serials) == 0

    def test_a_replaced_vector_no_longer_counts(self) -> None:
        view = RoomView.of([row(1, "a", vectors=unit(1)), row(2, "b", vectors=unit(-1, 0.1))])
        view = view.updated([row(1, "a", vectors=unit(0, -1))])
        query = question("x", vector=unit(1))
        found = ranking.vector(view, query, 10)
        scores = dict(zip(found.serials.tolist(), found.scores.tolist(), strict=True))
        assert scores == pytest.approx({1: 0.0, 2: float(unit(-1, 0.1)[0])}, abs=HALF)
        assert of(features(view, query, some(1, 2)), "d") == pytest.approx(scores, abs=HALF)

    def test_a_long_question_asks_with_the_mean_of_its_chunks(self) -> None:
        view = RoomView.of([row(1, vectors=unit(1, 1))])
        found = ranking.vector(view, question("x", vector=np.stack([unit(1), unit(0, 1)])), 10)
        assert found.scores.tolist() == pytest.approx([1.0], abs=HALF)


class TestDates:
    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ("on 15 May 2024", {1: 1.0, 2: 0.8, 3: 0.4, 4: 1 / 3, 5: 0.0, 6: 0.0}),
            ("in May 2024", {1: 1 / 3, 2: 1 / 3, 3: 1 / 3, 4: 1 / 3, 5: 0.0, 6: 0.0}),
            ("in 2024", {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.1, 6: 0.0}),
            ("this week", {1: 1.0, 2: 1.0, 3: 1.0, 4: 0.4, 5: 0.0, 6: 0.0}),
            ("what?", {1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 0.0, 6: 0.0}),
        ],
    )
    def test_a_message_sent_then_matches_by_degrees(self, asked: str, expected: dict[int, float]) -> None:
        days = (0, 1, 3, 7, 30, 300)
        view = RoomView.of([row(i, days=days[i - 1]) for i in range(1, 7)])
        assert of(features(view, question(f"What happened {asked}"), some(*range(1, 7))), "date") == pytest.approx(
            expected
        )

    def test_last_tuesday_is_counted_from_the_moment_of_asking(self) -> None:
        view = RoomView.of([row(1, days=-8), row(2, days=-1), row(3, days=0)])
        found = ranking.dated(view, question("Who was there last Tuesday?"), 10)
        assert found.serials[0] == 2
        later = question("Who was there last Tuesday?", asked_at=NOON - timedelta(days=7))
        assert ranking.dated(view, later, 10).serials[0] == 1

    def test_the_ends_of_the_calendar_do_no_harm(self) -> None:
        view = RoomView.of([row(1)])
        assert len(ranking.dated(view, question("0001-01-01 or 9999-12-31?"), 10).serials) == 0


class TestRecency:
    def test_the_newest_come_first(self) -> None:
        view = RoomView.of([row(1, days=-1), row(2, days=-7), row(3, days=0)])
        found = ranking.recent(view, question("x"), 10)
        assert found.serials.tolist() == [3, 1, 2]
        assert found.scores.tolist() == pytest.approx([1, 1 / 2, 1 / 8])


class TestFeatures:
    def test_every_feature_of_the_table_is_a_column(self) -> None:
        view = RoomView.of([row(i, "bees", vectors=unit(1), tokens=(5,)) for i in (1, 2, 3)])
        found = features(view, question("bees", vector=unit(1), tokens=(5,)), some(3, 1))
        assert set(found.features) == {*FEATURES, "row"}
        assert all(len(column) == 2 and np.isfinite(column).all() for column in found.features.values())
        assert (found.room, found.serials.tolist()) == (7, [1, 3])

    def test_unknown_doubled_and_removed_serials_are_left_out(self) -> None:
        view = RoomView.of([row(1, "bees"), row(2, "bees")]).updated([], [2])
        assert features(view, question("bees"), some(1, 1, 2, 99)).serials.tolist() == [1]
        assert len(features(RoomView.of([]), question("bees"), some(1)).serials) == 0

    def test_what_is_not_embedded_yet_has_no_meaning_but_keywords(self) -> None:
        view = RoomView.of([row(1, "bees"), row(2, "bees", vectors=unit(1), tokens=(5,))])
        found = features(view, question("bees", vector=unit(1), tokens=(5,)), some(1, 2))
        assert math.isnan(of(found, "d")[1])
        assert math.isnan(of(found, "mw")[1])
        assert of(found, "bk")[1] > 0

    def test_a_question_without_an_embedding_has_no_meaning_either(self) -> None:
        view = RoomView.of([row(1, "bees", vectors=unit(1), tokens=(5,))])
        found = features(view, question("bees"), some(1))
        assert math.isnan(of(found, "d")[1])
        assert math.isnan(of(found, "mw")[1])

    def test_plain_bm25_knows_no_neighbours(self) -> None:
        view = RoomView.of([row(1, "bees"), row(2, "hives")])
        assert ranking.bm25(view, ranking.query_terms(question("bees"))).tolist() == pytest.approx(
            [math.log(1 + 1.5 / 1.5), 0.0]
        )

    def test_the_author_named_counts_as_much_as_naming_one_tells(self) -> None:
        rows = [row(i, "I know" if i < 3 else "it is known", author=i % 2 + 1) for i in range(1, 5)]
        found = features(RoomView.of(rows), question("What does Ana know?", people=PEOPLE), some(1, 2, 3, 4))
        assert of(found, "spk") == pytest.approx({1: 0.0, 2: 1.0, 3: 0.0, 4: 1.0})
        assert of(found, "self") == {1: 0.0, 2: 1.0, 3: 0.0, 4: 0.0}

    def test_in_a_crowd_naming_one_counts_up_to_two_bits(self) -> None:
        view = RoomView.of([row(i, author=i) for i in range(1, 20)])
        assert of(features(view, question("Ana?", people=PEOPLE), some(1)), "spk") == {1: 2.0}

    def test_a_message_that_asks_and_one_that_answers_are_told(self) -> None:
        rows = [row(1, "bees?", vectors=unit(1)), row(2, "yes", vectors=unit(0, 1)), row(3, "no", vectors=unit(0, 1))]
        found = features(RoomView.of(rows), question("bees", vector=unit(1, 1)), some(1, 2, 3))
        assert of(found, "endq") == {1: 1.0, 2: 0.0, 3: 0.0}
        assert of(found, "aq") == pytest.approx({1: 0.0, 2: math.sqrt(0.5), 3: 0.0})

    def test_a_reply_answers_what_it_replies_to(self) -> None:
        rows = [row(1, "bees?", vectors=unit(1)), row(2, "hm", vectors=unit(1)), row(3, "yes", reply_to=1)]
        found = features(RoomView.of(rows), question("bees", vector=unit(1)), some(3))
        assert of(found, "aq") == pytest.approx({3: 1.0})

    def test_the_room_is_the_one_given_or_the_only_one_in_scope(self) -> None:
        assert features(RoomView.of([row(1)]), question("x"), some(1), room=42).room == 42


class TestMaxSimilarity:
    def test_a_message_that_holds_the_tokens_meets_the_question(self) -> None:
        view = RoomView.of([row(1, tokens=(5, 6)), *(row(i, tokens=(90 + i,)) for i in range(2, 12))])
        found = ranking.max_similarity(view, question("x", vector=unit(1), tokens=(5, 6)).embedding, np.array([0, 10]))
        assert found[0] == pytest.approx(1.0)
        assert found[1] < 0.5

    def test_a_neighbour_lends_its_tokens_with_decay(self) -> None:
        view = RoomView.of([row(1, tokens=(5,)), row(2, tokens=(7,)), *(row(i, tokens=(8,)) for i in range(3, 9))])
        own = np.maximum(states(7) @ states(5).T, 0).item() ** 2
        found = ranking.max_similarity(view, question("x", vector=unit(1), tokens=(5,)).embedding, np.array([0, 1]))
        assert found.tolist() == pytest.approx([1.0, max(DECAY, own)])

    def test_a_rare_token_weighs_more(self) -> None:
        rows = [row(1, tokens=(5,)), *(row(i, tokens=(6,)) for i in range(2, 30))]
        embedding = question("x", vector=unit(1), tokens=(5, 6)).embedding
        rare, common = ranking.max_similarity(RoomView.of(rows), embedding, np.array([0, 20]))
        assert rare > common

    def test_only_the_best_at_first_sight_are_looked_at_closely(self) -> None:
        rows = [row(i, "bees" if i == 3 else "", vectors=unit(1), tokens=(5,)) for i in range(1, CLOSER_LOOK + 51)]
        every = np.arange(1, CLOSER_LOOK + 51)
        found = features(RoomView.of(rows), question("bees", vector=unit(1), tokens=(5,)), every).features["mw"]
        assert np.count_nonzero(np.isfinite(found)) == CLOSER_LOOK
        assert np.isfinite(found[:8]).all()

    def test_states_of_another_width_are_not_compared(self) -> None:
        view = RoomView.of([row(1, vectors=unit(1))])
        embedding = question("x", vector=unit(1), tokens=(5,)).embedding
        assert np.isnan(ranking.max_similarity(view, embedding, np.array([0]))).all()


class TestStandardising:
    def test_it_is_the_z_score_of_what_is_there(self) -> None:
        found = standardised(np.array([1.0, 3.0, np.nan]))
        assert found.tolist() == pytest.approx([-1.0, 1.0, 0.0])

    def test_equal_missing_or_no_values_say_nothing(self) -> None:
        assert standardised(np.array([2.0, 2.0])).tolist() == [0.0, 0.0]
        assert standardised(np.array([np.nan])).tolist() == [0.0]
        assert standardised(np.zeros(0)).tolist() == []


class TestSources:
    def test_ranks_and_scores_stand_beside_the_features(self) -> None:
        view = RoomView.of([row(i, "bees") for i in (1, 2, 3)])
        base = features(view, question("bees"), some(1, 2, 3))
        said = [
            Nominations("keyword", some(3, 1, 77), np.array([2.0, 1.0, 0.5])),
            Nominations("graph", some(2), np.array([1.5])),
        ]
        found = with_sources(base, said)
        assert of(found, "rank:keyword") == pytest.approx({1: 2.0, 2: math.nan, 3: 1.0}, nan_ok=True)
        assert of(found, "score:keyword") == pytest.approx({1: 1.0, 2: math.nan, 3: 2.0}, nan_ok=True)
        assert of(found, "ppr") == pytest.approx({1: math.nan, 2: 1.5, 3: math.nan}, nan_ok=True)
        assert "rank:keyword" not in base.features
