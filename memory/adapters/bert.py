"""The forward pass of a BERT encoder, written for throughput on few cores.

It gives what ``transformers.BertModel`` gives (cosine of the pooled vectors 0.9998 in bfloat16, 1.0000 in float32; a
test compares them) at 2.5 times its speed in bfloat16 and without the seconds that importing it costs:

* **Position-major layout**, (length, texts, hidden): queries, keys and values of all heads are views of the linear
  layers' outputs, so that attention is two batched matrix products without a single copy.
* **Softmax without rows**: ``exp(q·k)`` element by element, then ``(e @ v) / (e @ 1)``, with the values and the ones of
  padded positions zero. That needs no mask over the scores; row-wise kernels spend three times longer on odd lengths.
  Scores are clamped to ± 75, so that nothing can overflow or vanish; MiniLM's median maximum is 31, one text in a
  hundred passes 60, and the cosine to an exact softmax stays above 0.9999 even on texts made to pass 75.
* **Packed weights** and a GELU inside the matrix product, by the oneDNN operators that ``torch.compile`` emits too;
  where a build of torch lacks them, the plain operators give the same numbers.
* **Few shapes**: oneDNN compiles a kernel for each number of rows and keeps about 1 MB of it. Rows are filled up to a
  multiple of 32 (those of a short question to 16: 4.5 ms instead of 6.3), and 128 kernels are kept instead of 1,024:
  texts of every length cost 0.2 GB instead of 1.

This module imports torch; import it late.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from memory.adapters.word_pieces import Batch
from memory.errors import ModelMismatch

Weights: TypeAlias = Mapping[str, Tensor]
Norm: TypeAlias = tuple[Tensor, Tensor]

_CLAMP = 75.0
_PACKING_HINT = 512  # rows that the weight layout is chosen for; other counts run as well
_ROWS = 32  # the linear layers see multiples of it,
_FEW = 16  # or this many

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")  # kernels; read at the first product of a process


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT encoder, as its ``config.json`` names them."""

    hidden: int
    layers: int
    heads: int
    epsilon: float
    positions: int

    @classmethod
    def read(cls, config: Path) -> Shape:
        """Raises KeyError when a size is missing, ValueError when the model is not a BERT with GELU."""
        values = json.loads(config.read_text("utf-8"))
        if values.get("model_type") != "bert" or values.get("hidden_act") != "gelu":
            raise ValueError(f"{config} does not describe a BERT encoder with GELU")
        return cls(
            hidden=values["hidden_size"],
            layers=values["num_hidden_layers"],
            heads=values["num_attention_heads"],
            epsilon=values["layer_norm_eps"],
            positions=values["max_position_embeddings"],
        )


class Linear:
    """``x @ w.T + b``, optionally followed by GELU, with weights packed for oneDNN where that is possible."""

    def __init__(self, weight: Tensor, bias: Tensor, *, gelu: bool = False, pack: bool = True) -> None:
        self._weight = weight.contiguous()
        self._bias = bias.contiguous()
        self._gelu = gelu
        self._packed = pack and _can_pack(weight)
        if self._packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight, _PACKING_HINT)  # noqa: SLF001 - the operator's name

    def __call__(self, x: Tensor) -> Tensor:
        """(rows, in) -> (rows, out)."""
        if self._packed:
            after = "gelu" if self._gelu else "none"
            product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, after, [], "none")  # noqa: SLF001 - the operator's name
            return product
        product = functional.linear(x, self._weight, self._bias)
        return functional.gelu(product) if self._gelu else product


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer block."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    attention_norm: Norm
    widen: Linear
    narrow: Linear
    norm: Norm


class BertEncoder:
    """Token ids to last hidden states and mean-pooled unit vectors. Thread-safe: a forward pass changes nothing.

    Packing takes longer than a few batches do: an encoder that is needed once goes without.
    """

    def __init__(
        self, weights: Weights, shape: Shape, *, dtype: torch.dtype, device: str = "cpu", pack: bool = True
    ) -> None:
        self._shape = shape
        self._pack = pack
        self._dtype = dtype
        self._device = torch.device(device)
        kept = {name.removeprefix("bert."): tensor for name, tensor in weights.items()}
        with torch.inference_mode():
            place = "embeddings."
            self._words = self._put(kept[place + "word_embeddings.weight"])
            kinds = kept[place + "token_type_embeddings.weight"][0]
            self._positions = self._put(kept[place + "position_embeddings.weight"] + kinds)[:, None]
            self._norm = self._put_norm(kept, place + "LayerNorm")
            self._layers = [self._put_layer(kept, f"encoder.layer.{i}.") for i in range(shape.layers)]

    @classmethod
    def load(
        cls,
        folder: Path,
        probes: Sequence[Batch] = (),
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        least_cosine: float = 0.998,
    ) -> BertEncoder:
        """The encoder in a folder.

        ``device`` None takes CUDA when there is one. ``dtype`` None takes bfloat16 where the processor computes it and
        the cosine of its vectors to those of float32 is at least ``least_cosine`` on every text of ``probes``.
        Raises ModelMismatch when the folder holds something else.
        """
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        _compute_in_one_thread(device)
        probed = dtype is None and bool(probes) and has_bfloat16(device)
        try:
            shape = Shape.read(folder / "config.json")
            weights = load_file(folder / "model.safetensors")
            exact = cls(weights, shape, dtype=dtype or torch.float32, device=device, pack=not probed)
        except (KeyError, ValueError, SafetensorError) as error:
            raise ModelMismatch(
                f"The model in {folder} is no BERT encoder with GELU: configure one that is."
            ) from error
        if not probed:
            return exact
        quick = cls(weights, shape, dtype=torch.bfloat16, device=device)
        cosines = ((exact.encode(probe)[1] * quick.encode(probe)[1]).sum(-1) for probe in probes)
        if all(float(cosine.min()) >= least_cosine for cosine in cosines):
            return quick
        return cls(weights, shape, dtype=torch.float32, device=device)

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        return self._device.type

    @property
    def dtype(self) -> torch.dtype:
        """What the matrix products are computed in."""
        return self._dtype

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Hidden states (length · texts, hidden), position-major; unit vectors (texts, hidden), float32, on the CPU."""
        _compute_in_one_thread(self.device)
        with torch.inference_mode():
            real = torch.from_numpy(batch.real).to(self._device)
            mask = real.to(self._dtype)
            states = self._forward(torch.from_numpy(batch.ids).to(self._device), mask, padded=not batch.real.all())
            return states, self._pool(states, mask).cpu()

    def _forward(self, ids: Tensor, mask: Tensor, *, padded: bool) -> Tensor:
        length, texts = ids.shape
        x = self._words[ids] + self._positions[:length]
        x = self._normalise(x.view(length * texts, self._shape.hidden), self._norm)
        x = functional.pad(x, (0, 0, 0, -len(x) % (_FEW if len(x) <= _FEW else _ROWS)))
        rows = mask.reshape(-1, 1) if padded else None
        ones = mask.t().repeat_interleave(self._shape.heads, 0).unsqueeze(-1)
        for layer in self._layers:
            attended = layer.output(self._attend(layer, x, rows, ones))
            x = self._normalise(attended.add_(x), layer.attention_norm)
            x = self._normalise(layer.narrow(layer.widen(x)).add_(x), layer.norm)
        return x[: length * texts]

    def _attend(self, layer: Layer, x: Tensor, rows: Tensor | None, ones: Tensor) -> Tensor:
        texts_heads, length, _ = ones.shape
        real = length * texts_heads // self._shape.heads
        projected = (layer.query(x)[:real], layer.key(x)[:real], layer.value(x)[:real])
        if rows is not None:
            projected[2].mul_(rows)
        query, key, value = (t.view(length, texts_heads, -1).transpose(0, 1) for t in projected)
        weight = torch.bmm(query, key.transpose(1, 2)).clamp_(-_CLAMP, _CLAMP).exp_()
        mixed = torch.bmm(weight, value).div_(torch.bmm(weight, ones))
        attended = torch.empty_like(x)
        attended[real:].zero_()
        attended[:real].view(length, texts_heads, -1).copy_(mixed.transpose(0, 1))
        return attended

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        length, texts = mask.shape
        by_text = states.view(length, texts, -1).transpose(0, 1)
        summed = torch.bmm(mask.t().unsqueeze(1), by_text).squeeze(1)
        return functional.normalize(summed.float(), dim=-1)

    def _normalise(self, x: Tensor, norm: Norm) -> Tensor:
        return functional.layer_norm(x, (self._shape.hidden,), *norm, eps=self._shape.epsilon)

    def _put(self, tensor: Tensor) -> Tensor:
        return tensor.to(device=self._device, dtype=self._dtype)

    def _put_norm(self, weights: Weights, name: str) -> Norm:
        return self._put(weights[f"{name}.weight"]), self._put(weights[f"{name}.bias"])

    def _put_linear(self, weights: Weights, name: str, *, gelu: bool = False, scale: float = 1.0) -> Linear:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return Linear(self._put(weight * scale), self._put(bias * scale), gelu=gelu, pack=self._pack)

    def _put_layer(self, weights: Weights, place: str) -> Layer:
        attention = place + "attention."
        scale = (self._shape.hidden // self._shape.heads) ** -0.5
        return Layer(
            query=self._put_linear(weights, attention + "self.query", scale=scale),
            key=self._put_linear(weights, attention + "self.key"),
            value=self._put_linear(weights, attention + "self.value"),
            output=self._put_linear(weights, attention + "output.dense"),
            attention_norm=self._put_norm(weights, attention + "output.LayerNorm"),
            widen=self._put_linear(weights, place + "intermediate.dense", gelu=True),
            narrow=self._put_linear(weights, place + "output.dense"),
            norm=self._put_norm(weights, place + "output.LayerNorm"),
        )


class Projection:
    """Centres and projects hidden states to a few dimensions, unit length: ``normalise((h - centre) @ axes)``."""

    def __init__(self, centre: NDArray[np.float32], axes: NDArray[np.float32], encoder: BertEncoder) -> None:
        weight, bias = torch.from_numpy(axes.T), torch.from_numpy(-centre @ axes)
        self._linear = Linear(*(t.to(device=encoder.device, dtype=encoder.dtype) for t in (weight, bias)))

    def __call__(self, states: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Those rows of (tokens, hidden) -> (rows, dimensions) float32, on the CPU."""
        with torch.inference_mode():
            chosen = states[torch.from_numpy(rows).to(states.device)]
            return functional.normalize(self._linear(chosen).float(), dim=-1).cpu()


def has_bfloat16(device: str) -> bool:
    """Whether a device multiplies bfloat16 in hardware; emulated it would be slower than float32."""
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _compute_in_one_thread(device: str) -> None:
    """For the calling thread: the callers are as many as the cores."""
    if device == "cpu" and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _can_pack(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and hasattr(torch.ops.mkldnn, "_linear_pointwise")
