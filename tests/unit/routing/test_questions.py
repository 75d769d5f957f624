"""What a question asks."""

from __future__ import annotations

import time

import pytest

from routing.questions import Kind, kind_of, read


class TestKind:
    @pytest.mark.parametrize(
        ("question", "kind"),
        [
            ("Who inspected the hives last Tuesday?", Kind.WHO),
            ("Whose smoker is that", Kind.WHO),
            ("When did we move the hives?", Kind.WHEN),
            ("What day is the next inspection?", Kind.WHEN),
            ("since when do we feed syrup", Kind.WHEN),
            ("Where is the spare smoker?", Kind.WHERE),
            ("Why did we move the hives?", Kind.WHY),
            ("How come hive 4 is empty?", Kind.WHY),
            ("How do I light the smoker?", Kind.HOW),
            ("What did Kwame say about the wasps?", Kind.WHAT),
            ("What did James say?", Kind.WHAT),
            ("What business is Kwame in?", Kind.WHAT),
            ("Which books has Priya read?", Kind.LIST),
            ("How many frames are in hive 3?", Kind.LIST),
            ("List the things to buy", Kind.LIST),
            ("Summarize the discussion.", Kind.LIST),
            ("Is the queen in hive 4 marked?", Kind.YES_NO),
            ("Didn't Ana bring the jars?", Kind.YES_NO),
            ("and who brought them?", Kind.WHO),
            ("hive 4", Kind.OTHER),
            ("", Kind.OTHER),
        ],
    )
    def test_is_read_from_the_words(self, question: str, kind: Kind) -> None:
        assert kind_of(question) is kind


class TestSigns:
    def test_a_time_is_noticed(self) -> None:
        assert read("Who inspected the hives last Tuesday?").temporal
        assert not read("Who inspected the hives?").temporal

    def test_a_comparison_is_noticed(self) -> None:
        assert read("Is hive 3 stronger than hive 4?").comparison
        assert not read("Is hive 3 strong?").comparison

    @pytest.mark.parametrize(
        "question", ["what's new?", "Anything new?", "did I miss something", "the latest on wasps"]
    )
    def test_asking_for_the_newest_is_noticed(self, question: str) -> None:
        assert read(question).newest

    @pytest.mark.parametrize(
        "question", ["status of BEE-12", "who wrote load_rooms()?", "why does hives.py fail", "`x`"]
    )
    def test_code_and_tickets_are_noticed(self, question: str) -> None:
        assert read(question).code

    def test_ordinary_words_are_no_code(self) -> None:
        assert not read("Who brought the smoker to the allotment?").code

    def test_a_quotation_is_noticed_and_an_apostrophe_is_none(self) -> None:
        assert read('where did "swarm season" start').quoted
        assert not read("where is Ana's jar").quoted

    def test_hops_count_what_leads_from_fact_to_fact(self) -> None:
        assert read("What is the name of the person who bought Ana's hive?").hops == 3
        assert read("What's up with it?").hops == 0

    def test_names_of_the_rooms_people_are_listed_once_in_order(self) -> None:
        reading = read("Did Priya tell Kwame that Priya is away?", {"kwame", "priya", "ana"})
        assert reading.named == ("priya", "kwame")

    def test_other_capitalised_words_are_counted_and_the_first_word_is_not(self) -> None:
        reading = read("Has Kwame been to Lisbon and Porto?", {"kwame"})
        assert reading.proper == 2

    def test_the_command_before_a_question_is_no_part_of_it(self) -> None:
        assert read("!weave ask who is Ana?") == read("who is Ana?")

    def test_content_words_leave_function_words_out(self) -> None:
        assert (read("what's new?").words, read("what's new?").content) == (2, 1)


class TestFollowUp:
    @pytest.mark.parametrize("question", ["and who brought them?", "What about Kwame?", "but why?", "where is it?"])
    def test_it_begins_with_and_or_points_back(self, question: str) -> None:
        assert read(question, {"kwame"}).follow_up

    @pytest.mark.parametrize("question", ["Who is Ana?", "Did Kwame bring it?", "Where are the hives at the orchard?"])
    def test_a_question_that_stands_alone_is_none(self, question: str) -> None:
        assert not read(question, {"kwame", "ana"}).follow_up


class TestOddInput:
    @pytest.mark.parametrize(
        "text", ["", "\x00\x1b[2J", "\ud800", "🐝" * 50, "؟ אבג \u202e", "'; DROP TABLE answers;--"]
    )
    def test_any_text_has_a_reading(self, text: str) -> None:
        assert read(text).words >= 0

    @pytest.mark.parametrize("piece", ["a", "'s ", "Aa ", "which ", '"', "`", "_a", "A1-"])
    def test_a_megabyte_is_read_at_once(self, piece: str) -> None:
        began = time.perf_counter()
        read(piece * (1_000_000 // len(piece)))
        assert time.perf_counter() - began < 0.25
