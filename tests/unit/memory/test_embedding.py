"""The embedder that callers share, and the forms in which embeddings are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.embedding import (
    BatchingEmbedder,
    EmbeddingCache,
    content_hash,
    pack_states,
    pack_vectors,
    unpack_codes,
    unpack_states,
    unpack_vectors,
)
from memory.errors import Unavailable
from memory.models import Embedding, Floats


def unit(rows: int, dim: int, seed: int = 0) -> Floats:
    """Random unit vectors."""
    drawn = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    rows_of_one: Floats = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return rows_of_one


def embedding(number: float, tokens: int = 2) -> Embedding:
    return Embedding(
        vectors=np.full((1, 8), number, np.float32),
        token_ids=np.zeros(tokens, np.uint16),
        states=np.zeros((tokens, 8), np.float32),
    )


class GatedEmbedder:
    """Answers a text with its length; each batch waits until the test lets it through."""

    model = "gated@1"
    dim = 8
    state_dim = 8

    def __init__(self, *, opened: bool = True) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        if opened:
            self.gate.set()

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        self.batches.append(list(texts))
        await self.gate.wait()
        if any(text.startswith("bad") for text in texts):
            raise Unavailable("the model cannot run now")
        return [embedding(len(text)) for text in texts]

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def words(self, token_ids: Sequence[int]) -> list[str]:
        return [str(i) for i in token_ids]


async def turns(count: int = 5) -> None:
    """Let the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


def lengths(embeddings: Sequence[Embedding]) -> list[int]:
    return [int(found.vectors[0, 0]) for found in embeddings]


class TestContentHash:
    def test_is_sixteen_bytes_of_the_text_alone(self) -> None:
        assert len(content_hash("hives")) == 16
        assert content_hash("hives") == content_hash("hi" + "ves")
        assert content_hash("hives") != content_hash("Hives")

    def test_stays_what_it_is_because_stored_rows_are_keyed_by_it(self) -> None:
        assert content_hash("").hex() == "cae66941d9efbd404e4d88758ea67670"

    def test_takes_a_lone_surrogate(self) -> None:
        assert content_hash("\ud800") != content_hash("?")


class TestPackedVectors:
    def test_keep_the_direction(self) -> None:
        vectors = unit(500, 384)
        back = unpack_vectors(pack_vectors(vectors), 384)
        cosine = (vectors * back).sum(1) / np.linalg.norm(back, axis=1)
        assert cosine.min() > 0.9999

    def test_take_four_bytes_and_one_a_dimension(self) -> None:
        assert len(pack_vectors(unit(3, 384))) == 3 * (4 + 384)

    def test_stand_one_after_the_other(self) -> None:
        vectors = unit(3, 16)
        joined = b"".join(pack_vectors(vectors[i : i + 1]) for i in range(3))
        assert joined == pack_vectors(vectors)

    def test_of_zero_are_zero(self) -> None:
        assert not unpack_vectors(pack_vectors(np.zeros((2, 16), np.float32)), 16).any()

    def test_of_none_are_none(self) -> None:
        assert unpack_vectors(pack_vectors(np.zeros((0, 16), np.float32)), 16).shape == (0, 16)

    def test_give_codes_and_scales_for_an_integer_search(self) -> None:
        vectors = unit(4, 16)
        codes, scales = unpack_codes(pack_vectors(vectors), 16)
        assert codes.dtype == np.int8
        assert np.abs(codes).max(1).tolist() == [127] * 4
        assert np.allclose(codes * scales[:, None], vectors, atol=float(scales.max()) / 2 + 1e-7)

    def test_refuse_a_torn_blob(self) -> None:
        with pytest.raises(ValueError, match="buffer size"):
            unpack_vectors(pack_vectors(unit(1, 16))[:-1], 16)

    @given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=8, max_size=8))
    def test_are_off_by_half_a_step_at_most(self, values: list[float]) -> None:
        vector = np.array([values], np.float32)
        back = unpack_vectors(pack_vectors(vector), 8)
        step = np.abs(vector).max() / 127
        assert np.abs(back - vector).max() <= step * 0.51


class TestPackedStates:
    def test_take_one_bit_a_dimension(self) -> None:
        assert pack_states(unit(5, 96)).shape == (5, 12)

    def test_keep_the_signs(self) -> None:
        states = unit(5, 96)
        assert np.array_equal(unpack_states(pack_states(states)) > 0, states > 0)

    def test_have_unit_length(self) -> None:
        assert np.allclose(np.linalg.norm(unpack_states(pack_states(unit(5, 96))), axis=1), 1)

    def test_of_no_token_are_empty(self) -> None:
        assert unpack_states(pack_states(np.zeros((0, 96), np.float32))).shape == (0, 96)


class TestEmbeddingCache:
    size = 1 * 8 * 4 + 2 * 2 + 2 * 8 * 4

    def test_gives_what_was_put(self) -> None:
        cache = EmbeddingCache(1_000)
        cache.put(b"a", embedding(1))
        found = cache.get(b"a")
        assert found is not None
        assert lengths([found]) == [1]
        assert cache.get(b"b") is None

    def test_lets_go_of_the_one_unused_longest(self) -> None:
        cache = EmbeddingCache(2 * self.size)
        cache.put(b"a", embedding(1))
        cache.put(b"b", embedding(2))
        cache.get(b"a")
        cache.put(b"c", embedding(3))
        assert [cache.get(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
        assert cache.size == 2 * self.size

    def test_replaces_without_counting_twice(self) -> None:
        cache = EmbeddingCache(1_000)
        cache.put(b"a", embedding(1))
        cache.put(b"a", embedding(2))
        assert (len(cache), cache.size) == (1, self.size)

    def test_never_keeps_one_larger_than_the_limit(self) -> None:
        cache = EmbeddingCache(self.size)
        cache.put(b"a", embedding(1))
        cache.put(b"a", embedding(1, tokens=100))
        assert (len(cache), cache.size) == (0, 0)

    def test_holds_no_row_of_a_larger_array(self) -> None:
        batch = np.ones((1_000, 8), np.float32)
        cache = EmbeddingCache(1_000)
        cache.put(b"a", Embedding(batch[:1], np.zeros(1, np.uint16), batch[1:2]))
        batch[:] = 2
        found = cache.get(b"a")
        assert found is not None
        assert found.vectors.base is None
        assert lengths([found]) == [1]

    def test_hands_out_what_nobody_can_change(self) -> None:
        cache = EmbeddingCache(1_000)
        cache.put(b"a", embedding(1))
        found = cache.get(b"a")
        assert found is not None
        with pytest.raises(ValueError, match="read-only"):
            found.vectors[0] = 0

    def test_drops_and_does_not_mind_the_unknown(self) -> None:
        cache = EmbeddingCache(1_000)
        cache.put(b"a", embedding(1))
        cache.drop([b"a", b"b"])
        assert (len(cache), cache.size) == (0, 0)


class TestSharedBatches:
    async def test_results_come_in_the_order_of_the_texts(self) -> None:
        embedder = BatchingEmbedder(GatedEmbedder())
        assert lengths(await embedder.embed(["ccc", "a", "bb", "a"])) == [3, 1, 2, 1]

    async def test_nothing_asked_is_nothing_computed(self) -> None:
        inner = GatedEmbedder()
        assert await BatchingEmbedder(inner).embed([]) == []
        assert inner.batches == []

    async def test_callers_of_one_turn_share_a_batch(self) -> None:
        inner = GatedEmbedder()
        embedder = BatchingEmbedder(inner)
        found = await asyncio.gather(embedder.embed(["a"]), embedder.embed(["bb", "ccc"]))
        assert inner.batches == [["a", "bb", "ccc"]]
        assert [lengths(one) for one in found] == [[1], [2, 3]]

    async def test_callers_gather_while_the_lanes_are_busy(self) -> None:
        inner = GatedEmbedder(opened=False)
        embedder = BatchingEmbedder(inner, lanes=1)
        calls = [asyncio.create_task(embedder.embed(["first"]))]
        await turns()
        for text in ("a", "bb", "ccc"):
            calls.append(asyncio.create_task(embedder.embed([text])))
            await turns()
        assert inner.batches == [["first"]]
        inner.gate.set()
        await asyncio.gather(*calls)
        assert inner.batches == [["first"], ["a", "bb", "ccc"]]

    async def test_a_batch_has_a_limit(self) -> None:
        inner = GatedEmbedder()
        embedder = BatchingEmbedder(inner, batch=2, lanes=1)
        await asyncio.gather(*(embedder.embed(["x" * i]) for i in range(1, 6)))
        assert [len(batch) for batch in inner.batches] == [2, 2, 1]

    async def test_a_large_call_waits_for_no_lane(self) -> None:
        inner = GatedEmbedder(opened=False)
        embedder = BatchingEmbedder(inner, lanes=1, alone=3)
        small = asyncio.create_task(embedder.embed(["small"]))
        await turns()
        large = asyncio.create_task(embedder.embed(["a", "bb", "ccc"]))
        await turns()
        assert inner.batches == [["small"], ["a", "bb", "ccc"]]
        inner.gate.set()
        assert lengths((await small) + (await large)) == [5, 1, 2, 3]

    async def test_a_text_on_its_way_is_not_computed_again(self) -> None:
        inner = GatedEmbedder(opened=False)
        embedder = BatchingEmbedder(inner)
        calls = [asyncio.create_task(embedder.embed(["same"])) for _ in range(3)]
        await turns()
        calls.append(asyncio.create_task(embedder.embed(["same", "other"])))
        await turns()
        inner.gate.set()
        await asyncio.gather(*calls)
        assert inner.batches == [["same"], ["other"]]

    async def test_the_rest_is_what_the_inner_embedder_says(self) -> None:
        embedder = BatchingEmbedder(GatedEmbedder())
        assert (embedder.model, embedder.dim, embedder.state_dim) == ("gated@1", 8, 8)
        assert embedder.count_tokens("a b c") == 3
        assert embedder.words([7]) == ["7"]


class TestCachedTexts:
    async def test_are_not_computed_again(self) -> None:
        inner = GatedEmbedder()
        embedder = BatchingEmbedder(inner)
        await embedder.embed(["question"])
        assert lengths(await embedder.embed(["question", "new"])) == [8, 3]
        assert inner.batches == [["question"], ["new"]]

    async def test_are_not_pushed_out_by_an_import(self) -> None:
        inner = GatedEmbedder()
        embedder = BatchingEmbedder(inner, alone=3)
        await embedder.embed(["a", "bb", "ccc"])
        await embedder.embed(["a"])
        assert inner.batches == [["a", "bb", "ccc"], ["a"]]

    async def test_are_computed_again_once_forgotten(self) -> None:
        inner = GatedEmbedder()
        embedder = BatchingEmbedder(inner)
        await embedder.embed(["secret", "kept"])
        embedder.forget([content_hash("secret")])
        await embedder.embed(["secret", "kept"])
        assert inner.batches == [["secret", "kept"], ["secret"]]

    async def test_are_dropped_with_their_message(self) -> None:
        inner = GatedEmbedder()
        embedder = BatchingEmbedder(inner)
        await embedder.embed(["secret"])
        await embedder.drop(1, [7], [content_hash("secret")])
        await embedder.drop_person(1)
        await embedder.embed(["secret"])
        assert len(inner.batches) == 2

    async def test_are_not_kept_when_forgotten_on_their_way(self) -> None:
        inner = GatedEmbedder(opened=False)
        embedder = BatchingEmbedder(inner)
        call = asyncio.create_task(embedder.embed(["secret"]))
        await turns()
        embedder.forget([content_hash("secret")])
        inner.gate.set()
        assert lengths(await call) == [6]
        await embedder.embed(["secret"])
        assert len(inner.batches) == 2


class TestFailures:
    async def test_a_failing_batch_fails_its_callers_alone(self) -> None:
        embedder = BatchingEmbedder(GatedEmbedder(), batch=1)
        good, bad = await asyncio.gather(embedder.embed(["good"]), embedder.embed(["bad"]), return_exceptions=True)
        assert isinstance(bad, Unavailable)
        assert not isinstance(good, BaseException)

    async def test_a_failed_text_is_tried_again(self) -> None:
        inner = GatedEmbedder()
        embedder = BatchingEmbedder(inner)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await embedder.embed(["bad"])
        assert len(inner.batches) == 2

    async def test_lanes_are_free_again_after_failures(self) -> None:
        embedder = BatchingEmbedder(GatedEmbedder(), lanes=1)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await embedder.embed(["bad"])
        assert lengths(await embedder.embed(["good"])) == [4]

    async def test_an_inner_embedder_that_is_cancelled_cancels_its_callers(self) -> None:
        inner = GatedEmbedder(opened=False)
        embedder = BatchingEmbedder(inner)
        call = asyncio.create_task(embedder.embed(["a"]))
        await turns()
        (running,) = embedder._running
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


class TestCancelledCallers:
    async def test_take_their_texts_back_when_these_have_not_begun(self) -> None:
        inner = GatedEmbedder(opened=False)
        embedder = BatchingEmbedder(inner, lanes=1)
        first = asyncio.create_task(embedder.embed(["first"]))
        await turns()
        second = asyncio.create_task(embedder.embed(["second"]))
        await turns()
        second.cancel()
        await turns()
        inner.gate.set()
        await first
        await turns()
        assert inner.batches == [["first"]]
        assert lengths(await embedder.embed(["second"])) == [6]

    async def test_do_not_take_a_text_from_another_caller(self) -> None:
        inner = GatedEmbedder(opened=False)
        embedder = BatchingEmbedder(inner)
        first, second = (asyncio.create_task(embedder.embed(["same"])) for _ in range(2))
        await turns()
        first.cancel()
        inner.gate.set()
        assert lengths(await second) == [4]

    async def test_leave_nothing_behind(self) -> None:
        inner = GatedEmbedder(opened=False)
        embedder = BatchingEmbedder(inner)
        call = asyncio.create_task(embedder.embed(["bad"]))
        await turns()
        call.cancel()
        inner.gate.set()
        await turns()
        assert (embedder._flights, embedder._queue, embedder._running, embedder._busy) == ({}, [], set(), 0)
