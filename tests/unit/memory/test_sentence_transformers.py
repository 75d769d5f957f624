"""What the embedder refuses, and that it can be mended while it runs. None of these gets as far as the model."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from memory.adapters.model_files import MINILM, find_model
from memory.adapters.sentence_transformers import STATES, SentenceTransformerEmbedder
from memory.errors import ModelMismatch, Unavailable


@pytest.fixture
async def embedder(tmp_path: Path) -> AsyncIterator[SentenceTransformerEmbedder]:
    """One on a folder that has everything but the right weights."""
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(find_model(MINILM) / name, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    made = SentenceTransformerEmbedder(tmp_path, threads=1)
    yield made
    await made.close()


class TestRefusals:
    async def test_other_weights_are_refused_at_load_and_at_use(self, embedder: SentenceTransformerEmbedder) -> None:
        with pytest.raises(ModelMismatch, match="sha256"):
            await embedder.load()
        with pytest.raises(ModelMismatch, match="sha256"):
            await embedder.embed(["question"])

    async def test_a_missing_model_is_refused_and_found_once_it_is_there(
        self, embedder: SentenceTransformerEmbedder, tmp_path: Path
    ) -> None:
        (tmp_path / "model.safetensors").unlink()
        with pytest.raises(Unavailable, match=r"has no model\.safetensors"):
            await embedder.load()
        (tmp_path / "model.safetensors").write_bytes(b"other weights")
        with pytest.raises(ModelMismatch, match="sha256"):
            await embedder.load()

    async def test_token_states_fitted_to_another_model_are_refused(self, tmp_path: Path) -> None:
        other = tmp_path / "states.npz"
        np.savez(other, centre=np.zeros(768, np.float32), axes=np.zeros((768, 96), np.float16))
        with pytest.raises(ModelMismatch, match="was fitted on 768 dimensions"):
            _ = SentenceTransformerEmbedder(states=other).state_dim

    async def test_a_closed_embedder_says_so(self, embedder: SentenceTransformerEmbedder) -> None:
        await embedder.close()
        with pytest.raises(Unavailable, match="was closed"):
            await embedder.embed(["question"])


class TestWithoutTheModel:
    async def test_nothing_needs_no_model(self, embedder: SentenceTransformerEmbedder) -> None:
        assert await embedder.embed([]) == []

    async def test_counting_needs_the_tokenizer_alone(self, embedder: SentenceTransformerEmbedder) -> None:
        assert embedder.count_tokens("two hives") == 3
        assert embedder.count_tokens_each(["two", "two hives"]) == [1, 3]

    def test_the_name_says_everything_that_stored_vectors_depend_on(self, tmp_path: Path) -> None:
        shipped = SentenceTransformerEmbedder()
        assert shipped.model.startswith("sentence-transformers/all-MiniLM-L6-v2@53aa51172d14/384+96@")
        assert (shipped.dim, shipped.state_dim) == (384, 96)
        refitted = tmp_path / "states.npz"
        with np.load(STATES) as file:
            np.savez(refitted, centre=file["centre"] + 1, axes=file["axes"])
        assert SentenceTransformerEmbedder(states=refitted).model != shipped.model

    def test_the_fitted_artefact_is_small(self) -> None:
        assert STATES.stat().st_size <= 200_000
