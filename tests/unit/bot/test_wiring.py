"""What the settings name is what is wired, and a wrong model is refused with what would be right."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.app import App
from bot.settings import load
from bot.wiring import open_app
from memory.adapters.model_files import MINILM, find_model
from memory.errors import ModelMismatch, Unavailable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model, in a folder that a test may spoil."""
    made = tmp_path / "model"
    made.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (made / name).symlink_to(find_model(MINILM) / name)
    return made


@asynccontextmanager
async def wired(data: Path, model: Path) -> AsyncIterator[App]:
    """The bot with a model folder that stands in its settings file."""
    config = data / "weavebot.toml"
    config.write_text(f"model_folder = {json.dumps(str(model))}\n", "utf-8")
    app = await open_app(load(config, data=data))
    try:
        yield app
    finally:
        await app.close()


class TestModelFolder:
    async def test_the_model_of_the_settings_embeds(self, tmp_path: Path, folder: Path) -> None:
        async with wired(tmp_path, folder) as app:
            [found] = await app.embedder.embed(["Where are the hives?"])
        assert found.vectors.shape == (1, MINILM.dim)

    async def test_a_folder_without_weights_is_refused(self, tmp_path: Path, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        async with wired(tmp_path, folder) as app:
            with pytest.raises(Unavailable, match=r"has no model\.safetensors: set model_folder to one that holds"):
                await app.embedder.embed(["Where are the hives?"])

    async def test_other_weights_are_refused(self, tmp_path: Path, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").write_bytes(b"other weights")
        async with wired(tmp_path, folder) as app:
            with pytest.raises(ModelMismatch, match=r"have sha256 .* or set model_folder to the folder"):
                await app.embedder.embed(["Where are the hives?"])

    async def test_another_dimension_is_refused(self, tmp_path: Path, folder: Path) -> None:
        (folder / "config.json").unlink()
        (folder / "config.json").write_text('{"hidden_size": 768}', "utf-8")
        async with wired(tmp_path, folder) as app:
            with pytest.raises(ModelMismatch, match="vectors of 768 dimensions where 384 are stored"):
                await app.embedder.embed(["Where are the hives?"])
