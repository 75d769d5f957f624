"""Questions in numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.features import (
    AWAY,
    CLIP,
    COLUMNS,
    NAMES,
    SCALE,
    TEXT_NAMES,
    VERSION,
    Probe,
    Situation,
    away_in,
    brought_up,
    features,
    in_words,
    is_on,
)
from routing.models import Features
from routing.questions import read
from tests.unit.routing.asking import CHATTING, READING, numbers


class TestShape:
    def test_there_are_at_most_45_with_names_of_their_own(self) -> None:
        assert len(NAMES) == len(set(NAMES)) == len(COLUMNS) <= 45

    def test_names_and_numbers_are_parallel_and_versioned(self) -> None:
        row = numbers("Who inspected the hives?")
        assert row.names == NAMES
        assert row.x.shape == (len(NAMES),)
        assert row.version == VERSION

    def test_every_number_can_be_said_in_words(self) -> None:
        assert all(in_words(name, x) for name in NAMES for x in (-1.0, 1.0))

    def test_the_mean_squared_norm_of_ordinary_questions_is_about_one(self) -> None:
        asked = [
            "Who inspected the hives?",
            "When did Kwame move hive 4?",
            "What did Ana say about the wasps at night?",
        ]
        norms = [(numbers(question, probe).x ** 2).sum() for question in asked for probe in (CHATTING, READING)]
        assert 0.6 < float(np.mean(norms)) < 1.4


class TestReading:
    def test_the_kind_of_question_is_one_of_eight(self) -> None:
        row = numbers("When did we move the hives?").as_mapping()
        assert [name for name in NAMES if name.startswith("kind_") and row[name]] == ["kind_when"]

    def test_a_sign_that_is_off_is_exactly_nothing(self) -> None:
        row = numbers("Who inspected the hives?").as_mapping()
        assert row["temporal"] == row["code"] == row["previous_liked"] == 0.0

    def test_long_messages_and_short_ones_lie_on_either_side(self) -> None:
        assert is_on(numbers("Who?", READING), "mean_words")
        assert not is_on(numbers("Who?", CHATTING), "mean_words")
        assert in_words("mean_words", -0.1) != in_words("mean_words", 0.1)

    def test_the_route_before_is_told_by_its_sources(self) -> None:
        row = numbers("and who else?", previous_route="documents", previous_reward=0.2).as_mapping()
        assert row["previous_graph"] > 0
        assert row["previous_recent"] == 0
        assert row["previous_disliked"] > 0
        assert row["previous_liked"] == 0

    def test_a_route_that_is_gone_says_nothing(self) -> None:
        assert numbers("and who else?", previous_route="gone").as_mapping()["previous_vector"] == 0

    def test_the_hour_turns_in_a_day_and_the_week_in_seven(self) -> None:
        reading = read("who?")
        one = features(reading, CHATTING, Situation(datetime(2026, 3, 2, 0, 0, tzinfo=UTC))).as_mapping()
        noon = features(reading, CHATTING, Situation(datetime(2026, 3, 2, 12, 0, tzinfo=UTC))).as_mapping()
        after = features(reading, CHATTING, Situation(datetime(2026, 3, 9, 0, 0, tzinfo=UTC))).as_mapping()
        assert one == after
        assert one["hour_cos"] == pytest.approx(-noon["hour_cos"])


class TestWhatCameLater:
    def test_a_row_of_the_first_version_is_read_with_nothing_in_the_new_columns(self) -> None:
        now = numbers("Who has the key?", away=("graph",))
        assert now.names[-1] == AWAY
        first = Features(1, now.names[:-1], now.x[:-1])
        read_again = brought_up(first)
        assert read_again is not None
        assert (read_again.version, read_again.names) == (VERSION, now.names)
        assert read_again.x.tolist() == [*now.x[:-1].tolist(), 0.0]
        assert brought_up(now) is not None

    def test_what_cannot_be_read_any_more_is_nothing(self) -> None:
        now = numbers("Who has the key?")
        assert brought_up(Features(1, now.names, now.x)) is None
        assert brought_up(Features(VERSION + 1, now.names, now.x)) is None
        assert brought_up(Features(VERSION, tuple(reversed(now.names)), now.x)) is None

    @pytest.mark.parametrize(("away", "counted"), [((), 0), (("graph",), 1), (("a", "b", "c", "d"), 3)])
    def test_stores_that_are_away_are_counted_to_three(self, away: tuple[str, ...], counted: int) -> None:
        assert away_in(numbers("Who has the key?", away=away)) == counted
        assert away_in(numbers("Who has the key?", with_text=False, away=away)) == counted


class TestWithoutText:
    def test_columns_that_read_text_are_nothing_and_keep_their_places(self) -> None:
        question = 'Who said "more than 3" to Ana about BEE-12 today, and why?'
        row = numbers(question, with_text=False)
        assert row.names == NAMES
        assert not any(row.as_mapping()[name] for name in TEXT_NAMES)

    def test_the_words_of_the_question_change_nothing_but_its_length(self) -> None:
        one = numbers("Who fed hive three?", with_text=False)
        other = numbers("List `code` than today", with_text=False)
        assert np.array_equal(one.x, other.x)

    def test_metadata_stays_as_it_is(self) -> None:
        whole, bare = (
            numbers("Who fed the bees?").as_mapping(),
            numbers("Who fed the bees?", with_text=False).as_mapping(),
        )
        assert {k: v for k, v in whole.items() if k not in TEXT_NAMES} == {
            k: v for k, v in bare.items() if k not in TEXT_NAMES
        }


class TestBounds:
    @settings(deadline=None)
    @given(
        st.text(max_size=200),
        st.floats(allow_nan=True, allow_infinity=True),
        st.integers(0, 10**9),
        st.floats(allow_nan=True, allow_infinity=True),
    )
    def test_every_number_is_finite_and_clipped_whatever_the_probe_holds(
        self, text: str, top: float, messages: int, mean_words: float
    ) -> None:
        probe = replace(Probe(), top=top, gap=-top, messages=messages, degree=mean_words, mean_words=mean_words)
        row = features(read(text), probe, Situation(datetime(2026, 1, 1, tzinfo=UTC)))
        assert np.isfinite(row.x).all()
        assert float(np.abs(row.x).max()) <= CLIP * SCALE + 1e-12

    def test_the_same_question_gives_the_same_numbers(self) -> None:
        assert numbers("Who?").x.tobytes() == numbers("Who?").x.tobytes()
        assert not math.isnan(float(numbers("").x.sum()))
