"""What every `Embedder` promises; each adapter's test inherits it and gives a fixture ``embedder``."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from memory.models import Embedding
from memory.ports import Embedder

TEXTS = (
    "Who inspected the hives last Tuesday?",
    "ok",
    "The second extractor costs 840 euros, and the spring flow starts in two weeks; let us decide on Friday.",
    "We moved hive 4 to the orchard.",
)
STRANGE = {
    "empty": "",
    "blank": " \t\n ",
    "control characters": "\x00\x01\x07",
    "emoji": "🐝🐝👍🏽",
    "right to left": "\u202b\u0634\u0643\u0631\u0627 \u0639\u0633\u0644\u202c",
    "lone surrogate": "hive \ud800 four",
    "one endless word": "x" * 5_000,
    "special tokens": "[CLS] what [SEP] [MASK] [PAD]",
    "binary": "".join(chr(i) for i in range(256)) * 4,
}


def cosine(a: Embedding, b: Embedding) -> float:
    """Of the first vectors."""
    return float(a.vectors[0] @ b.vectors[0])


class EmbedderContract:
    """Inherit, and give ``embedder``."""

    async def test_vectors_have_unit_length_and_the_dimension_promised(self, embedder: Embedder) -> None:
        for found in await embedder.embed(TEXTS):
            assert found.vectors.shape == (1, embedder.dim)
            assert found.vectors.dtype == np.float32
            assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)

    async def test_states_are_one_a_token_and_have_unit_length(self, embedder: Embedder) -> None:
        for text, found in zip(TEXTS, await embedder.embed(TEXTS), strict=True):
            tokens = embedder.count_tokens(text)
            assert found.token_ids.shape == (tokens,)
            assert found.token_ids.dtype == np.uint16
            assert found.states.shape == (tokens, embedder.state_dim)
            assert found.states.dtype == np.float32
            assert np.allclose(np.linalg.norm(found.states, axis=1), 1, atol=1e-4)

    async def test_results_come_in_order(self, embedder: Embedder) -> None:
        together = await embedder.embed(TEXTS)
        for text, found in zip(TEXTS, together, strict=True):
            (alone,) = await embedder.embed([text])
            assert cosine(alone, found) > 0.999

    async def test_texts_of_a_batch_never_mix(self, embedder: Embedder) -> None:
        (alone,) = await embedder.embed([TEXTS[1]])
        beside = (await embedder.embed(["hive " * 100, TEXTS[1], "Nothing of this is anybody's business."]))[1]
        assert cosine(alone, beside) > 0.999
        assert np.array_equal(alone.token_ids, beside.token_ids)
        assert (alone.states * beside.states).sum(1).min() > 0.99

    async def test_concurrent_callers_get_their_own(self, embedder: Embedder) -> None:
        expected = await embedder.embed(TEXTS)
        found = await asyncio.gather(*(embedder.embed([text]) for text in TEXTS * 5))
        for i, (one,) in enumerate(found):
            assert cosine(one, expected[i % len(TEXTS)]) > 0.999

    async def test_nothing_gives_nothing(self, embedder: Embedder) -> None:
        assert await embedder.embed([]) == []

    async def test_a_text_of_no_token_gives_a_zero_vector(self, embedder: Embedder) -> None:
        (found,) = await embedder.embed([""])
        assert found.vectors.shape == (1, embedder.dim)
        assert not found.vectors.any()
        assert found.token_ids.shape == (0,)
        assert found.states.shape == (0, embedder.state_dim)

    @pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
    async def test_strange_texts_are_texts(self, embedder: Embedder, text: str) -> None:
        (found,) = await embedder.embed([text])
        lengths = np.linalg.norm(found.vectors, axis=1)
        assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))
        assert np.isfinite(found.states).all()
        assert len(found.states) == len(found.token_ids) == embedder.count_tokens(text)

    async def test_words_are_those_of_the_text(self, embedder: Embedder) -> None:
        (found,) = await embedder.embed([TEXTS[3]])
        assert len(embedder.words(found.token_ids.tolist())) == embedder.count_tokens(TEXTS[3])

    async def test_counting_is_never_cut_short(self, embedder: Embedder) -> None:
        assert embedder.count_tokens("hive " * 3_000) == 3_000

    async def test_the_model_has_a_name(self, embedder: Embedder) -> None:
        assert embedder.model
        assert embedder.state_dim % 8 == 0
