"""Terms, sentences and questions of any text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.text import MAX_TERM, ends_with_question, normalise, sentences, speaks_of_self, stem, terms, words


class TestWords:
    def test_they_are_lower_case_and_without_possessive_endings(self) -> None:
        assert words("Caroline's Hives and Anna\u2019s") == ["caroline", "hives", "and", "anna"]

    def test_contractions_leave_their_verb_or_nothing(self) -> None:
        assert words("I don't, you won't; they've I'll") == ["i", "do", "you", "they", "i"]

    def test_won_is_not_taken_for_a_contraction(self) -> None:
        assert terms("We won't stop: she won the cup") == ["stop", "win", "cup"]

    def test_accents_and_compatibility_letters_do_not_matter(self) -> None:
        assert words("Caf\u00e9 na\u00efve Stra\u00dfe \ufb01ne") == ["cafe", "naive", "strasse", "fine"]

    def test_marks_that_are_part_of_a_letter_stay(self) -> None:
        assert words("\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902") == [
            "\u0939\u093f\u0928\u094d\u0926\u0940",
            "\u092e\u0947\u0902",
        ]

    def test_a_sign_of_a_script_without_spaces_is_a_word(self) -> None:
        assert words("\u4e2d\u6587 ok") == ["\u4e2d", "\u6587", "ok"]

    def test_right_to_left_marks_and_emoji_are_no_letters(self) -> None:
        assert words("\u202e\u05e9\u05dc\u05d5\u05dd\u202c \U0001f44d\U0001f3fd") == ["\u05e9\u05dc\u05d5\u05dd"]

    def test_an_endless_word_is_cut(self) -> None:
        assert words("x" * 1000) == ["x" * MAX_TERM]


class TestTerms:
    def test_function_and_question_words_are_left_out(self) -> None:
        assert terms("When did you go to the river?") == ["go", "river"]

    def test_repetitions_stay(self) -> None:
        assert terms("bees, bees!") == ["bee", "bee"]

    def test_a_question_and_its_answer_share_terms(self) -> None:
        assert set(terms("When did Ana paint the hives?")) <= set(terms("Ana was painting a hive yesterday"))


class TestStem:
    @pytest.mark.parametrize(
        "forms",
        [
            ("camp", "camps", "camped", "camping"),
            ("stop", "stops", "stopped", "stopping"),
            ("hive", "hives"),
            ("try", "tries", "tried", "trying"),
            ("go", "went", "gone", "going"),
            ("buy", "bought"),
            ("child", "children"),
            ("write", "wrote", "written", "writing"),
        ],
    )
    def test_the_forms_of_a_word_meet(self, forms: tuple[str, ...]) -> None:
        assert len({stem(form) for form in forms}) == 1

    @pytest.mark.parametrize("word", ["bus", "gas", "class", "red", "sing", "thing", "is"])
    def test_a_short_word_that_only_looks_inflected_stays(self, word: str) -> None:
        assert stem(word) == word

    @given(st.text(max_size=30))
    def test_it_is_never_longer_than_a_known_base(self, word: str) -> None:
        assert len(stem(word)) <= max(len(word), 10)


class TestSentences:
    def test_they_end_at_marks_and_line_breaks(self) -> None:
        assert sentences("We met. Really?! Yes\u2026 ok\nnext line") == [
            "We met.",
            "Really?!",
            "Yes\u2026",
            "ok",
            "next line",
        ]

    def test_abbreviations_and_initials_do_not_end_one(self) -> None:
        assert sentences("Dr. Smith met J. Doe, e.g. here. Then left.") == [
            "Dr. Smith met J. Doe, e.g. here.",
            "Then left.",
        ]

    def test_closing_quotes_belong_to_their_sentence(self) -> None:
        assert sentences('"Go." She went.') == ['"Go."', "She went."]

    def test_nothing_gives_nothing(self) -> None:
        assert sentences(" \n ") == []

    @given(st.text(max_size=300))
    def test_no_letter_is_lost(self, text: str) -> None:
        assert "".join("".join(sentences(text)).split()) == "".join(text.split())


class TestQuestions:
    @pytest.mark.parametrize("text", ["Who?", "Who? \U0001f914", 'She said "who?"', "\uff1f", "\u0645\u0646\u061f"])
    def test_a_question_mark_at_the_end_asks(self, text: str) -> None:
        assert ends_with_question(text)

    @pytest.mark.parametrize("text", ["", "Who? Me.", "no"])
    def test_anything_after_it_does_not(self, text: str) -> None:
        assert not ends_with_question(text)


class TestFirstPerson:
    @pytest.mark.parametrize("text", ["I went", "that is My hive", "we did", "i'm in", "tell us"])
    def test_it_is_heard(self, text: str) -> None:
        assert speaks_of_self(text)

    @pytest.mark.parametrize("text", ["you went", "insects, i.e. bees", "Immy came", ""])
    def test_other_words_are_not(self, text: str) -> None:
        assert not speaks_of_self(text)


class TestNormalForm:
    def test_controls_and_hidden_marks_go_and_line_breaks_stay(self) -> None:
        assert normalise("a\x00b\u202ec\u200b\ufeff\nd\te") == "abc\nd\te"

    def test_plain_text_is_returned_as_it_is(self) -> None:
        text = "Plain text."
        assert normalise(text) is text

    def test_a_lone_surrogate_is_dropped(self) -> None:
        assert normalise("a\ud800b").encode() == b"ab"

    @given(st.text(max_size=100))
    def test_it_is_stable(self, text: str) -> None:
        assert normalise(normalise(text)) == normalise(text)


class TestAnyInput:
    @given(st.text(max_size=300))
    def test_nothing_raises(self, text: str) -> None:
        assert all(term and len(term) <= MAX_TERM for term in terms(text))
        assert isinstance(ends_with_question(text), bool)

    @pytest.mark.parametrize("piece", ["x", "\u00e9", "a ", "'s", "n't", "? ", "\u202e", ".", "\n", '!"', "a.b"])
    def test_a_megabyte_takes_linear_time(self, piece: str) -> None:
        def spent(length: int) -> float:
            text = piece * (length // len(piece))
            started = time.thread_time()  # of this thread's own work: what else the machine does is no matter
            for work in (terms, sentences, ends_with_question, normalise, speaks_of_self):
                work(text)
            return time.thread_time() - started

        assert spent(1_000_000) < 60 * spent(100_000)  # ten times the text; quadratic would be a hundred times the work

    def test_a_message_of_fifteen_words_takes_microseconds(self) -> None:
        text = "I went to the support group yesterday and it was so powerful, thanks for asking me!"
        started = time.perf_counter()
        for _ in range(2000):
            terms(text)
        assert (time.perf_counter() - started) / 2000 < 150e-6  # 5 µs when nothing else runs
