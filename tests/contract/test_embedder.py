"""The embedders: the model's own, the one that shares batches, the words that tests use."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

from memory.adapters.sentence_transformers import SentenceTransformerEmbedder
from memory.adapters.word_pieces import MAX_CHUNKS, WINDOW
from memory.embedding import BatchingEmbedder
from memory.ports import Embedder
from tests.contract.embedder import TEXTS, EmbedderContract, cosine
from tests.doubles import WordEmbedder


@cache
def loaded() -> SentenceTransformerEmbedder:
    """One for all tests; it ends its threads when the process does."""
    return SentenceTransformerEmbedder()


class TestWordEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return WordEmbedder()


@pytest.mark.model
class TestBatchingEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return BatchingEmbedder(loaded())


@pytest.mark.model
class TestSentenceTransformerEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> SentenceTransformerEmbedder:
        return loaded()

    async def test_words_have_their_pieces(self, embedder: SentenceTransformerEmbedder) -> None:
        (found,) = await embedder.embed(["Beekeepers swarm"])
        assert embedder.words(found.token_ids.tolist()) == ["bee", "##keepers", "swarm"]

    async def test_a_question_is_closest_to_its_answer(self, embedder: SentenceTransformerEmbedder) -> None:
        question, answer, other = await embedder.embed(
            ["Who moved the hives?", "Tamar carried hive 4 and hive 5 to the orchard.", "The honey labels are printed."]
        )
        assert cosine(question, answer) > cosine(question, other) + 0.2

    async def test_the_states_of_a_word_lie_closer_to_each_other_than_to_another_words(
        self, embedder: SentenceTransformerEmbedder
    ) -> None:
        one, two = await embedder.embed(["the queen flew away", "we saw the queen"])
        queen, flew, same = one.states[1], one.states[2], two.states[3]
        assert queen @ same > queen @ flew + 0.2

    async def test_a_long_text_has_one_vector_a_chunk(self, embedder: SentenceTransformerEmbedder) -> None:
        text = "The hives stand in the orchard behind the mill. " * 60
        (found,) = await embedder.embed([text])
        tokens = embedder.count_tokens(text)
        assert len(found.vectors) == -(-tokens // WINDOW)
        assert len(found.states) == len(found.token_ids) == tokens

    async def test_a_text_of_a_megabyte_costs_no_more_than_its_first_chunks(
        self, embedder: SentenceTransformerEmbedder
    ) -> None:
        (found,) = await embedder.embed(["the hives stand here " * 50_000])
        assert len(found.vectors) == MAX_CHUNKS
        assert MAX_CHUNKS * (WINDOW - 3) <= len(found.states) == len(found.token_ids) <= MAX_CHUNKS * WINDOW

    async def test_counting_many_is_counting_each(self, embedder: SentenceTransformerEmbedder) -> None:
        assert embedder.count_tokens_each(TEXTS) == [embedder.count_tokens(text) for text in TEXTS]

    async def test_a_question_overtakes_an_import(self, embedder: SentenceTransformerEmbedder) -> None:
        done: list[str] = []

        async def embed(name: str, texts: list[str]) -> None:
            await embedder.embed(texts)
            done.append(name)

        long = asyncio.create_task(embed("import", [f"{i} {TEXTS[2]}" for i in range(400)]))
        await asyncio.sleep(0)  # the import is queued first
        await asyncio.gather(long, *(embed("question", [text]) for text in TEXTS))
        assert done[-1] == "import"

    async def test_the_event_loop_keeps_turning(self, embedder: SentenceTransformerEmbedder) -> None:
        work = asyncio.create_task(embedder.embed([f"{i} {TEXTS[2]}" for i in range(200)]))
        turns = 0
        while not work.done():
            await asyncio.sleep(0)
            turns += 1
        await work
        assert turns > 10

    async def test_a_cancelled_call_stops_computing(self, embedder: SentenceTransformerEmbedder) -> None:
        work = asyncio.create_task(embedder.embed([f"{i} {TEXTS[2]}" for i in range(2_000)]))
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        (found,) = await embedder.embed([TEXTS[0]])
        assert found.vectors.any()
