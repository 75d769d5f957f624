"""The forward pass against a plain one, written the long way, and against the library's."""

from __future__ import annotations

import json
from math import erf
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from memory.adapters.bert import BertEncoder, Projection, Shape, has_bfloat16
from memory.adapters.model_files import MINILM, find_model
from memory.adapters.word_pieces import Batch, WordPieces
from memory.errors import ModelMismatch

SHAPE = Shape(hidden=32, layers=2, heads=4, epsilon=1e-12, positions=40)
WIDE, VOCABULARY = 64, 50
Array = NDArray[np.float64]


def weights(scale: float = 0.3) -> dict[str, torch.Tensor]:
    """A BERT of random numbers."""
    generator = torch.Generator().manual_seed(7)
    sizes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, SHAPE.hidden),
        "embeddings.position_embeddings.weight": (SHAPE.positions, SHAPE.hidden),
        "embeddings.token_type_embeddings.weight": (2, SHAPE.hidden),
    }
    square, norms = (SHAPE.hidden, SHAPE.hidden), ["embeddings.LayerNorm"]
    for i in range(SHAPE.layers):
        place = f"encoder.layer.{i}."
        linears: dict[str, tuple[int, ...]] = dict.fromkeys(
            (f"attention.{name}" for name in ("self.query", "self.key", "self.value")), square
        )
        linears["attention.output.dense"] = square
        linears["intermediate.dense"] = (WIDE, SHAPE.hidden)
        linears["output.dense"] = (SHAPE.hidden, WIDE)
        for name, size in linears.items():
            sizes[f"{place}{name}.weight"] = size
            sizes[f"{place}{name}.bias"] = size[:1]
        norms += [f"{place}attention.output.LayerNorm", f"{place}output.LayerNorm"]
    made = {name: torch.randn(size, generator=generator) * scale for name, size in sizes.items()}
    for name in norms:
        made[f"{name}.weight"] = 1 + torch.randn(SHAPE.hidden, generator=generator) * 0.1
        made[f"{name}.bias"] = torch.randn(SHAPE.hidden, generator=generator) * 0.1
    return made


def plain(tensors: dict[str, torch.Tensor], ids: list[int]) -> Array:
    """Last hidden states of one text, as the paper has it (Devlin et al. 2019), in float64."""
    w = {name: tensor.double().numpy() for name, tensor in tensors.items()}

    def linear(x: Array, name: str) -> Array:
        return np.asarray(x @ w[f"{name}.weight"].T + w[f"{name}.bias"])

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt(x.var(-1, keepdims=True) + SHAPE.epsilon)
        return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])

    places = w["embeddings.position_embeddings.weight"][: len(ids)] + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(w["embeddings.word_embeddings.weight"][ids] + places, "embeddings.LayerNorm")
    for i in range(SHAPE.layers):
        place = f"encoder.layer.{i}."
        q, k, v = (
            linear(x, f"{place}attention.self.{name}").reshape(len(ids), SHAPE.heads, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        score = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(SHAPE.hidden / SHAPE.heads))
        mixed = ((score / score.sum(-1, keepdims=True)) @ v).transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(x + linear(mixed, f"{place}attention.output.dense"), f"{place}attention.output.LayerNorm")
        wide = linear(x, f"{place}intermediate.dense")
        wide = wide * (1 + np.vectorize(erf)(wide / np.sqrt(2))) / 2
        x = norm(x + linear(wide, f"{place}output.dense"), f"{place}output.LayerNorm")
    return x


def batch(*texts: list[int]) -> Batch:
    return Batch.of(np.concatenate([np.array(text) for text in texts]), np.array([len(text) for text in texts]))


TEXTS = ([1, 7, 3], [4, 9, 9, 2, 11, 30, 2], [5])


class TestForwardPass:
    def test_gives_the_states_of_the_plain_one_whatever_the_padding(self) -> None:
        states, _ = BertEncoder(weights(), SHAPE, dtype=torch.float32).encode(batch(*TEXTS))
        by_text = states.view(7, 3, SHAPE.hidden).transpose(0, 1).numpy()
        for i, text in enumerate(TEXTS):
            assert np.allclose(by_text[i, : len(text)], plain(weights(), text), atol=1e-4)

    def test_pools_by_the_mean_to_unit_length(self) -> None:
        _, vectors = BertEncoder(weights(), SHAPE, dtype=torch.float32).encode(batch(*TEXTS))
        for i, text in enumerate(TEXTS):
            mean = plain(weights(), text).mean(0)
            assert np.allclose(vectors[i].numpy(), mean / np.linalg.norm(mean), atol=1e-5)

    def test_is_close_in_bfloat16(self) -> None:
        _, vectors = BertEncoder(weights(), SHAPE, dtype=torch.bfloat16).encode(batch(*TEXTS))
        for i, text in enumerate(TEXTS):
            mean = plain(weights(), text).mean(0)
            assert vectors[i].numpy() @ mean / np.linalg.norm(mean) > 0.998

    def test_stays_finite_when_scores_explode(self) -> None:
        states, vectors = BertEncoder(weights(scale=30.0), SHAPE, dtype=torch.bfloat16).encode(batch(*TEXTS))
        assert torch.isfinite(states).all()
        assert torch.isfinite(vectors).all()

    def test_leaves_torch_with_one_thread_because_the_callers_are_many(self) -> None:
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(2)
            BertEncoder(weights(), SHAPE, dtype=torch.float32).encode(batch([1]))
            assert torch.get_num_threads() == 1
        finally:
            torch.set_num_threads(before)


class TestProjection:
    def test_centres_projects_and_normalises_the_rows_asked_for(self) -> None:
        encoder = BertEncoder(weights(), SHAPE, dtype=torch.float32)
        states, _ = encoder.encode(batch(*TEXTS))
        random = np.random.default_rng(0)
        centre = random.standard_normal(32).astype(np.float32)
        axes = random.standard_normal((32, 8)).astype(np.float32)
        found = Projection(centre, axes, encoder)(states, np.array([5, 0]))
        expected = (states.numpy()[[5, 0]] - centre) @ axes
        assert np.allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def bfloat16_cosines(folder: Path, probe: Batch) -> torch.Tensor:
    """Of each text: the cosine between its vectors in the two types."""
    exact, quick = (BertEncoder.load(folder, device="cpu", dtype=t) for t in (torch.float32, torch.bfloat16))
    return (exact.encode(probe)[1] * quick.encode(probe)[1]).sum(-1)


class TestLoading:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """That BERT as files."""
        save_file({f"bert.{name}": tensor for name, tensor in weights().items()}, tmp_path / "model.safetensors")
        values = {
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": SHAPE.hidden,
            "num_hidden_layers": SHAPE.layers,
            "num_attention_heads": SHAPE.heads,
            "layer_norm_eps": SHAPE.epsilon,
            "max_position_embeddings": SHAPE.positions,
        }
        (tmp_path / "config.json").write_text(json.dumps(values), "utf-8")
        return tmp_path

    def test_reads_sizes_and_weights(self, folder: Path) -> None:
        encoder = BertEncoder.load(folder, device="cpu")
        assert (encoder.dtype, encoder.device) == (torch.float32, "cpu")
        states, _ = encoder.encode(batch(TEXTS[0]))
        assert np.allclose(states, plain(weights(), TEXTS[0]), atol=1e-4)

    def test_takes_bfloat16_where_the_processor_has_it(self, folder: Path) -> None:
        encoder = BertEncoder.load(folder, [batch(*TEXTS)], device="cpu")
        assert encoder.dtype == (torch.bfloat16 if has_bfloat16("cpu") else torch.float32)

    def test_keeps_float32_where_bfloat16_would_change_the_vectors(self, folder: Path) -> None:
        demanding = BertEncoder.load(folder, [batch(*TEXTS)], device="cpu", least_cosine=1.001)
        assert demanding.dtype == torch.float32

    def test_one_text_among_the_probes_is_enough_to_keep_float32(self, folder: Path) -> None:
        probes = [batch(TEXTS[0]), batch(TEXTS[1])]
        worst, best = sorted(float(c) for probe in probes for c in bfloat16_cosines(folder, probe))
        assert worst < best
        between = (worst + best) / 2
        assert BertEncoder.load(folder, probes, device="cpu", least_cosine=between).dtype == torch.float32

    def test_refuses_a_torn_file(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"torn")
        with pytest.raises(ModelMismatch, match="is no BERT encoder"):
            BertEncoder.load(folder)

    def test_refuses_weights_that_lack_a_layer(self, folder: Path) -> None:
        some = {name: tensor for name, tensor in weights().items() if "layer.1" not in name}
        save_file(some, folder / "model.safetensors")
        with pytest.raises(ModelMismatch, match="is no BERT encoder"):
            BertEncoder.load(folder)

    def test_refuses_another_kind_of_model(self, folder: Path) -> None:
        (folder / "config.json").write_text('{"model_type": "t5"}', "utf-8")
        with pytest.raises(ModelMismatch, match="is no BERT encoder"):
            BertEncoder.load(folder)


class TestRows:
    def test_rows_that_fill_up_a_batch_change_no_state(self) -> None:
        encoder = BertEncoder(weights(), SHAPE, dtype=torch.float32)
        for texts in (1, 5, 8, 9):  # of four tokens: 4, 20, 32 and 36 rows
            same = batch(*[TEXTS[1][:4]] * texts)
            states, vectors = encoder.encode(same)
            assert states.shape == (4 * texts, SHAPE.hidden)
            assert np.allclose(states.view(4, texts, -1)[:, -1], plain(weights(), TEXTS[1][:4]), atol=1e-4)
            assert np.allclose(vectors[0], vectors[-1], atol=1e-6)


@pytest.mark.model
class TestTheRealModel:
    texts = (
        "Who inspected the hives last Tuesday?",
        "ok 👍",
        "Dariusz found three queen cells in hive 4, so he split it and moved half to the orchard by the mill.",
    )

    @pytest.mark.filterwarnings("ignore")  # the library's own
    def test_agrees_with_the_library(self) -> None:
        from transformers.models.bert.modeling_bert import BertModel  # noqa: PLC0415 - seconds for this test alone

        folder = find_model(MINILM)
        pieces = WordPieces(folder)
        ours = {dtype: BertEncoder.load(folder, device="cpu", dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
        library = BertModel.from_pretrained(folder, dtype=torch.float32)
        for text in self.texts:
            one = pieces.batch(pieces.ids([text]))
            vectors = {dtype: encoder.encode(one)[1][0] for dtype, encoder in ours.items()}
            with torch.inference_mode():
                mean = library(torch.from_numpy(one.ids.T.copy())).last_hidden_state[0].mean(0)
            expected = torch.nn.functional.normalize(mean, dim=0)
            assert float(vectors[torch.float32] @ expected) > 0.99999
            assert float(vectors[torch.bfloat16] @ expected) > 0.998
