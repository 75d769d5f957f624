"""Texts to token ids, long ones to chunks, chunks to padded batches. The tokenizer is a small file that ships."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.adapters.model_files import MINILM, find_model
from memory.adapters.word_pieces import MAX_CHUNKS, WINDOW, Batch, WordPieces
from memory.errors import ModelMismatch


@cache
def pieces() -> WordPieces:
    return WordPieces(find_model(MINILM))


def tokenised(text: str) -> list[int]:
    (ids,) = pieces().ids([text])
    return ids


class TestIds:
    def test_are_those_of_the_vocabulary(self) -> None:
        assert pieces().words(tokenised("Two hives, one beekeeper")) == [
            "two",
            "hive",
            "##s",
            ",",
            "one",
            "bee",
            "##keeper",
        ]

    def test_have_no_special_tokens(self) -> None:
        assert tokenised("") == []

    def test_of_a_special_token_that_somebody_wrote_are_text(self) -> None:
        assert pieces().words(tokenised("[SEP]")) == ["[", "sep", "]"]

    def test_are_never_cut_short(self) -> None:
        assert pieces().count("bee " * 2_000) == 2_000

    def test_outside_the_vocabulary_are_unknown(self) -> None:
        assert pieces().words([10**6]) == ["[UNK]"]


class TestChunks:
    def test_of_nothing_are_none(self) -> None:
        assert pieces().chunks([]) == []

    def test_of_a_text_that_fits_are_one(self) -> None:
        ids = list(range(1_000, 1_000 + WINDOW))
        (chunk,) = pieces().chunks(ids)
        assert chunk.tolist() == ids

    def test_end_with_a_sentence(self) -> None:
        ids = tokenised("The hives stand in the orchard. " * 60)
        words = [pieces().words(chunk.tolist()) for chunk in pieces().chunks(ids)]
        assert len(words) > 1
        assert {one[-1] for one in words} == {"."}

    def test_without_a_sentence_end_never_begin_inside_a_word(self) -> None:
        ids = tokenised("beekeepers " * 300)
        assert all(pieces().words(chunk.tolist())[0] == "bee" for chunk in pieces().chunks(ids))

    def test_of_one_endless_word_are_full(self) -> None:
        inside = tokenised("beekeepers")[1]
        assert [len(chunk) for chunk in pieces().chunks([inside] * (WINDOW + 10))] == [WINDOW, 10]

    def test_stop_at_their_limit(self) -> None:
        found = pieces().chunks([1_012] * (WINDOW * (MAX_CHUNKS + 5)))
        assert len(found) == MAX_CHUNKS

    @given(st.lists(st.integers(999, 30_521), max_size=1_500))
    def test_lose_nothing_and_never_overflow(self, ids: list[int]) -> None:
        found = pieces().chunks(ids)
        assert all(0 < len(chunk) <= WINDOW for chunk in found)
        assert [i for chunk in found for i in chunk.tolist()] == ids


class TestBatch:
    def test_lays_texts_side_by_side_and_pads_below(self) -> None:
        batch = Batch.of(np.array([1, 2, 3, 4, 5]), np.array([3, 2]))
        assert batch.ids.tolist() == [[1, 4], [2, 5], [3, 0]]
        assert batch.real.tolist() == [[True, True], [True, True], [True, False]]

    def test_puts_the_special_tokens_around_each_chunk(self) -> None:
        batch = pieces().batch([tokenised("bee"), tokenised("two hives")])
        assert [pieces().words(column) for column in batch.ids.T.tolist()] == [
            ["[CLS]", "bee", "[SEP]", "[PAD]", "[PAD]"],
            ["[CLS]", "two", "hive", "##s", "[SEP]"],
        ]

    def test_finds_the_content_text_by_text(self) -> None:
        batch = pieces().batch([tokenised("bee"), tokenised("two hives")])
        assert pieces().words(batch.ids.reshape(-1)[batch.content_rows()].tolist()) == ["bee", "two", "hive", "##s"]


class TestDamagedTokenizers:
    def test_are_refused_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "tokenizer.json").write_text("{", "utf-8")
        with pytest.raises(ModelMismatch, match=r"tokenizer\.json is damaged"):
            WordPieces(tmp_path)

    def test_of_another_kind_of_model_are_refused(self, tmp_path: Path) -> None:
        values = json.loads((find_model(MINILM) / "tokenizer.json").read_text("utf-8"))
        values["added_tokens"] = []
        values["post_processor"] = None
        values["model"]["vocab"] = {"[UNK]": 0, "bee": 1}
        (tmp_path / "tokenizer.json").write_text(json.dumps(values), "utf-8")
        with pytest.raises(ModelMismatch, match=r"\[CLS\]"):
            WordPieces(tmp_path)
