"""Long texts are cut at sense, within the window, and in bounded time."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.extraction.chunks import MOST, chunks


def count(text: str) -> int:
    """Four letters a token, each word at least one; like word pieces it adds up over words."""
    return sum((len(word) + 3) // 4 for word in text.split())


STORY = " ".join(f"Sentence number {i} says something about hive {i}." for i in range(60))


class TestShortTexts:
    def test_a_text_that_fits_is_one_chunk(self) -> None:
        assert chunks("  Ana fed hive 4.\nBen watched. ", count) == ["Ana fed hive 4.\nBen watched."]

    @pytest.mark.parametrize("blank", ["", " ", "\n\t "])
    def test_a_blank_text_is_none(self, blank: str) -> None:
        assert chunks(blank, count) == []


class TestLongTexts:
    def test_chunks_end_with_sentences_and_fill_the_window(self) -> None:
        found = chunks(STORY, count, window=40, overlap=0)
        assert all(piece.endswith(".") and 20 < count(piece) <= 40 for piece in found[:-1])
        assert " ".join(found) == STORY

    def test_the_overlap_repeats_whole_sentences_of_the_chunk_before(self) -> None:
        found = chunks(STORY, count, window=40, overlap=15)
        for before, after in pairwise(found):
            shared = after[: after.index(".") + 1]
            assert before.endswith(shared)
            assert count(shared) <= 15

    def test_a_sentence_that_is_too_long_is_cut_between_words(self) -> None:
        words = [f"word{i}" for i in range(300)]
        found = chunks(" ".join(words), count, window=40, overlap=0)
        assert " ".join(found).split() == words
        assert all(count(piece) <= 40 for piece in found)

    def test_a_word_without_end_is_cut_where_the_window_is_full(self) -> None:
        found = chunks("x" * 1000, count, window=40, overlap=0)
        assert "".join(found) == "x" * 1000
        assert all(count(piece) <= 40 for piece in found)

    def test_letters_of_several_tokens_are_cut_smaller(self) -> None:
        found = chunks("🐝" * 100, lambda text: 4 * len(text), window=8, overlap=0)
        assert "".join(found) == "🐝" * len("".join(found))
        assert all(len(piece) <= 2 for piece in found)

    def test_what_lies_behind_the_last_chunk_is_left_out(self) -> None:
        assert len(chunks(STORY, count, window=4, overlap=0)) == MOST


class TestAnyText:
    @settings(max_examples=50, deadline=None)
    @given(st.text(max_size=150))
    def test_no_chunk_is_over_the_window_and_none_is_blank(self, text: str) -> None:
        found = chunks(text, count, window=12, overlap=4)
        assert all(count(piece) <= 12 and piece.strip() for piece in found)

    @pytest.mark.parametrize("text", ["word " * 200_000, "x" * 1_000_000, "Yes. " * 200_000, "\n" * 1_000_000])
    def test_a_megabyte_takes_no_long_time(self, text: str) -> None:
        before = time.process_time()
        assert len(chunks(text, count)) <= MOST
        assert time.process_time() - before < 2
