"""What search by words needs of a text survives being stored."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory import lexicon
from memory.lexicon import Words
from memory.text import ends_with_question, speaks_of_self, terms


class TestPacking:
    @given(st.lists(st.text(max_size=60), max_size=5))
    def test_every_text_gives_its_own_terms_and_signs_back(self, texts: list[str]) -> None:
        words = lexicon.unpack([lexicon.pack(text) for text in texts])
        assert words.asks.tolist() == [ends_with_question(text) for text in texts]
        assert words.selves.tolist() == [speaks_of_self(text) for text in texts]
        assert words.terms.counts.tolist() == [len(terms(text)) for text in texts]
        assert words.terms.values.tolist() == [lexicon.number(term) for text in texts for term in terms(text)]

    def test_a_lone_surrogate_is_no_matter(self) -> None:
        assert lexicon.is_current(lexicon.pack("\ud83d bees"))

    def test_only_this_version_is_current(self) -> None:
        stored = lexicon.pack("Do my bees swarm?")
        assert lexicon.is_current(stored)
        assert not lexicon.is_current(bytes((lexicon.VERSION + 1,)) + stored[1:])
        assert not lexicon.is_current(None)

    def test_no_letter_is_kept(self) -> None:
        assert b"wilhelmina" not in lexicon.pack("Wilhelmina").lower()


class TestTaking:
    def test_some_of_the_texts_in_another_order(self) -> None:
        words = Words.of(["bees?", "my hive swarmed", ""]).take(np.array([2, 1, 0]))
        assert words.asks.tolist() == [False, False, True]
        assert words.selves.tolist() == [False, True, False]
        assert words.terms.counts.tolist() == [0, 2, 1]
