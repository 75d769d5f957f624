"""Fit the centre and the axes of the token states and write ``memory/adapters/token_states.npz``.

The last hidden states of the content tokens of 4,000 QMSum turns (MIT licence) are centred, and their first 96
principal axes kept. Nothing else is used; the seed and the signs are fixed, so that a second run gives the same
file on the same processor::

    python -m benchmarks.fit_token_states ../shared/data/qmsum/qmsum-val.messages.jsonl

It prints the share of the variance that the axes hold.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from memory.adapters.bert import BertEncoder
from memory.adapters.model_files import MINILM, find_model, verify_model
from memory.adapters.sentence_transformers import STATES
from memory.adapters.word_pieces import WordPieces

DIMENSIONS = 96
TURNS = 4_000
BATCH = 16


def main() -> None:
    """Read, fit, write, and say how much variance is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("messages", type=Path, help="JSON lines with a text each")
    parser.add_argument("--out", type=Path, default=STATES)
    arguments = parser.parse_args()
    with arguments.messages.open(encoding="utf-8") as lines:
        texts = sorted({json.loads(line)["text"] for line in lines})
    chosen = random.Random(0).sample(texts, min(TURNS, len(texts)))  # noqa: S311 - a sample, no secret
    centre, covariance = moments(chosen)
    axes, kept = principal_axes(covariance)
    np.savez(arguments.out, centre=centre.astype(np.float32), axes=axes.astype(np.float16))
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes, {kept:.1%} of the variance in {DIMENSIONS} axes")


def moments(texts: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and covariance of the content tokens' last hidden states, computed in float32 and summed in float64."""
    folder = find_model(MINILM)
    verify_model(MINILM, folder)
    pieces = WordPieces(folder)
    encoder = BertEncoder.load(folder, device="cpu", dtype=torch.float32)
    chunks = sorted((chunk for ids in pieces.ids(texts) for chunk in pieces.chunks(ids)), key=len)
    count, total, square = 0, np.zeros(MINILM.dim), np.zeros((MINILM.dim, MINILM.dim))
    for start in range(0, len(chunks), BATCH):
        batch = pieces.batch(chunks[start : start + BATCH])
        hidden, _ = encoder.encode(batch)
        states = hidden.numpy()[batch.content_rows()].astype(np.float64)
        count += len(states)
        total += states.sum(0)
        square += states.T @ states
    centre = total / count
    return centre, square / count - np.outer(centre, centre)


def principal_axes(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Axes (dim, DIMENSIONS), widest first, the largest part of each positive; the share of the variance they hold."""
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :DIMENSIONS]
    signs = np.sign(axes[np.abs(axes).argmax(0), np.arange(DIMENSIONS)])
    return axes * signs, float(values[::-1][:DIMENSIONS].sum() / values.sum())


if __name__ == "__main__":
    main()
