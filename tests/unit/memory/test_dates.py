"""Dates in text, resolved against the moment of writing: Wednesday, 15 May 2024."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.extraction.dates import Grain, spans

ANCHOR = datetime(2024, 5, 15, 12, tzinfo=UTC)


def found(text: str, anchor: datetime = ANCHOR) -> list[tuple[str, str, Grain]]:
    return [(span.start.isoformat(), span.end.isoformat(), span.grain) for span in spans(text, anchor)]


class TestAbsoluteDates:
    @pytest.mark.parametrize(
        ("text", "day"),
        [
            ("met on 2023-05-03.", "2023-05-03"),
            ("at 2023-05-03T10:00", "2023-05-03"),
            ("May 3, 2023", "2023-05-03"),
            ("May 3rd 2023", "2023-05-03"),
            ("3 May, 2023", "2023-05-03"),
            ("the 3rd of May 2023", "2023-05-03"),
            ("Sept. 9, 2023", "2023-09-09"),
            ("5/6/2023", "2023-05-06"),
            ("25/6/2023", "2023-06-25"),
            ("3.5.2023", "2023-05-03"),
            ("29 Feb 2024", "2024-02-29"),
        ],
    )
    def test_a_day_is_read_in_every_usual_form(self, text: str, day: str) -> None:
        assert found(text) == [(day, day, "day")]

    @pytest.mark.parametrize("text", ["in January 2023", "January, 2023", "early Jan 2023", "January of 2023"])
    def test_a_month_with_its_year_is_the_whole_month(self, text: str) -> None:
        assert found(text) == [("2023-01-01", "2023-01-31", "month")]

    def test_a_year_after_a_preposition_is_the_whole_year(self) -> None:
        assert found("we moved in 2022") == [("2022-01-01", "2022-12-31", "year")]
        assert found("the boat in 1990s style") == []

    def test_a_day_that_does_not_exist_is_not_given(self) -> None:
        assert found("31/31/2023") == []
        assert found("31 June 2023") == [("2023-06-01", "2023-06-30", "month")]

    @pytest.mark.parametrize(
        ("text", "day"),
        [
            ("am 12. März 2024", "2024-03-12"),
            ("el 3 de mayo de 2023", "2023-05-03"),
            ("le 4 juillet 2023", "2023-07-04"),
        ],
    )
    def test_a_month_in_another_language_is_understood_with_its_year(self, text: str, day: str) -> None:
        assert found(text) == [(day, day, "day")]

    def test_something_like_a_foreign_month_is_not_one(self) -> None:
        assert found("12 junipers 2023") == []

    def test_the_text_is_given_as_it_was_written(self) -> None:
        [span] = spans("We met on May 3, 2023!", ANCHOR)
        assert span.text == "May 3, 2023"


class TestDatesWithoutTheirYear:
    @pytest.mark.parametrize(
        ("text", "day"),
        [("on 12 May", "2024-05-12"), ("on 12 October", "2023-10-12"), ("on 1 September", "2023-09-01")],
    )
    def test_a_day_is_the_last_one(self, text: str, day: str) -> None:
        assert found(text) == [(day, day, "day")]

    @pytest.mark.parametrize(("text", "day"), [("on 20 May", "2024-05-20"), ("on 1 July", "2024-07-01")])
    def test_a_day_whose_last_one_is_long_ago_is_the_next_one(self, text: str, day: str) -> None:
        assert found(text) == [(day, day, "day")]

    def test_a_month_is_the_last_one(self) -> None:
        assert found("in March") == [("2024-03-01", "2024-03-31", "month")]
        assert found("December was cold") == [("2023-12-01", "2023-12-31", "month")]

    def test_last_and_next_move_a_month_by_the_year(self) -> None:
        assert found("last May") == [("2023-05-01", "2023-05-31", "month")]
        assert found("last March") == [("2024-03-01", "2024-03-31", "month")]
        assert found("next March") == [("2025-03-01", "2025-03-31", "month")]

    @pytest.mark.parametrize(
        "text", ["I may go", "3 may fail", "may 3 people come", "marching in", "Jan said hi", "at 3:30"]
    )
    def test_words_that_only_look_like_dates_are_none(self, text: str) -> None:
        assert found(text) == []

    def test_a_capital_makes_may_a_month(self) -> None:
        assert found("3 May") == [("2024-05-03", "2024-05-03", "day")]


class TestRelativeDates:
    @pytest.mark.parametrize(
        ("text", "day"),
        [
            ("yesterday", "2024-05-14"),
            ("last night", "2024-05-14"),
            ("today", "2024-05-15"),
            ("this morning", "2024-05-15"),
            ("tomorrow", "2024-05-16"),
            ("the day before yesterday", "2024-05-13"),
            ("the day after tomorrow", "2024-05-17"),
            ("three days ago", "2024-05-12"),
            ("in 2 days", "2024-05-17"),
            ("a couple of days ago", "2024-05-13"),
            ("last Tuesday", "2024-05-14"),
            ("last Wednesday", "2024-05-08"),
            ("on Sunday", "2024-05-12"),
            ("this Friday", "2024-05-17"),
            ("this past Friday", "2024-05-10"),
            ("next Friday", "2024-05-24"),
        ],
    )
    def test_a_day_is_counted_from_the_anchor(self, text: str, day: str) -> None:
        assert found(text) == [(day, day, "day")]

    @pytest.mark.parametrize(
        ("text", "start", "end", "grain"),
        [
            ("last week", "2024-05-06", "2024-05-12", "week"),
            ("this week", "2024-05-13", "2024-05-19", "week"),
            ("next week", "2024-05-20", "2024-05-26", "week"),
            ("last weekend", "2024-05-11", "2024-05-12", "day"),
            ("three weeks ago", "2024-04-21", "2024-04-27", "week"),
            ("in a week", "2024-05-19", "2024-05-25", "week"),
            ("the past week", "2024-05-08", "2024-05-15", "week"),
            ("in the last two weeks", "2024-05-01", "2024-05-15", "week"),
            ("the past few days", "2024-05-12", "2024-05-15", "day"),
            ("this month", "2024-05-01", "2024-05-31", "month"),
            ("five months ago", "2023-12-01", "2023-12-31", "month"),
            ("last year", "2023-01-01", "2023-12-31", "year"),
            ("two years ago", "2022-01-01", "2022-12-31", "year"),
        ],
    )
    def test_weeks_months_and_years_are_spans(self, text: str, start: str, end: str, grain: Grain) -> None:
        assert found(text) == [(start, end, grain)]

    def test_last_tuesday_in_a_question_is_a_day(self) -> None:
        assert found("Who inspected the hives last Tuesday?") == [("2024-05-14", "2024-05-14", "day")]

    def test_the_anchor_decides(self) -> None:
        assert found("yesterday", datetime(2023, 3, 1, tzinfo=UTC)) == [("2023-02-28", "2023-02-28", "day")]

    def test_a_day_before_the_calendar_begins_is_not_given(self) -> None:
        assert found("999 years ago", datetime(500, 1, 1, tzinfo=UTC)) == []
        assert found("yesterday", datetime(1, 1, 1, tzinfo=UTC)) == []


class TestDatesThatLeanOnOthers:
    @pytest.mark.parametrize(
        ("text", "start", "end", "grain"),
        [
            ("the week before 4 July 2023", "2023-06-27", "2023-07-03", "week"),
            ("the week after 4 July 2023", "2023-07-05", "2023-07-11", "week"),
            ("the week of 4 July 2023", "2023-07-03", "2023-07-09", "week"),
            ("two weeks before 4 July 2023", "2023-06-19", "2023-06-25", "week"),
            ("two days before 4 July 2023", "2023-07-02", "2023-07-02", "day"),
            ("the Friday before 15 July 2023", "2023-07-14", "2023-07-14", "day"),
            ("the Friday after 15 July 2023", "2023-07-21", "2023-07-21", "day"),
            ("the weekend before 4 July 2023", "2023-07-01", "2023-07-02", "day"),
            ("the weekend after 4 July 2023", "2023-07-08", "2023-07-09", "day"),
            ("the weekend of 17 June 2023", "2023-06-17", "2023-06-18", "day"),
            ("the month before 4 July 2023", "2023-06-01", "2023-06-30", "month"),
            ("the day of 4 July 2023", "2023-07-04", "2023-07-04", "day"),
        ],
    )
    def test_before_after_and_of_move_a_date(self, text: str, start: str, end: str, grain: Grain) -> None:
        assert found(text) == [(start, end, grain)]

    @pytest.mark.parametrize(
        "text",
        [
            "between August 11 and August 15 2023",
            "August 11 to August 15, 2023",
            "August 11-15, 2023",
            "from 11 to 15 August 2023",
        ],
    )
    def test_a_range_is_one_span(self, text: str) -> None:
        assert found(text) == [("2023-08-11", "2023-08-15", "day")]

    def test_two_days_stay_two_and_share_the_year(self) -> None:
        assert found("on May 3 and May 5, 2023") == [
            ("2023-05-03", "2023-05-03", "day"),
            ("2023-05-05", "2023-05-05", "day"),
        ]

    def test_a_leap_day_keeps_its_own_year_in_a_range(self) -> None:
        assert found("29 February and 3 March 2023")[-1] == ("2023-03-03", "2023-03-03", "day")

    def test_dates_come_in_order_without_overlaps(self) -> None:
        assert [day for day, _, _ in found("yesterday, 3 May 2023 and last week")] == [
            "2024-05-14",
            "2023-05-03",
            "2024-05-06",
        ]


class TestAnyInput:
    @given(st.text(max_size=200))
    @settings(max_examples=200, deadline=None)
    def test_nothing_raises(self, text: str) -> None:
        for span in spans(text, ANCHOR):
            assert span.start <= span.end

    @given(
        st.lists(
            st.sampled_from(
                "the last next 3 31 2023 12 may march june 0000 9999-12-31 week day before after between and".split()
            ),
            max_size=12,
        )
    )
    @settings(max_examples=300, deadline=None)
    def test_nothing_made_of_date_words_raises(self, words: list[str]) -> None:
        for span in spans(" ".join(words), ANCHOR):
            assert span.start <= span.end

    @pytest.mark.parametrize(
        "piece", ["1", "last ", "3 may ", "the week before ", "12/", "between 3 May and ", "5 mai 20"]
    )
    def test_a_megabyte_takes_no_longer_than_its_beginning(self, piece: str) -> None:
        started = time.perf_counter()
        assert len(spans(piece * (1_000_000 // len(piece)), ANCHOR)) <= 32
        assert time.perf_counter() - started < 1.0

    def test_letters_that_grow_in_lower_case_do_not_shift_the_text(self) -> None:
        [span] = spans("İİİ 3 May 2023", ANCHOR)
        assert (span.start, span.text) == (date(2023, 5, 3), "3 may 2023")

    def test_a_message_without_a_date_costs_microseconds(self) -> None:
        texts = ["I went to the support group and it was so powerful, what did you do there?"] * 2000
        started = time.perf_counter()
        assert not any(spans(text, ANCHOR) for text in texts)
        assert (time.perf_counter() - started) / len(texts) < 50e-6  # 2 µs when nothing else runs
