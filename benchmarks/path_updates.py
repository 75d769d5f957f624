"""From how many updates in a batch does torch, and a GPU, beat NumPy? Path values, 1 million pairs.

    python -m benchmarks.path_updates

The result of each is compared with NumPy's first: equal to 1e-6. Without a GPU its column is missing, and the
break-even size in `routing.paths.updates` stays the guess that it says it is.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
import torch

from benchmarks.harness import Row, show, write
from routing.paths.updates import UNIT, Floats, Ints, added

PAIRS: Final = 1_000_000
SIZES: Final = (1, 100, 10_000, 100_000, 1_000_000, 10_000_000)
REPEATS: Final = 7
EQUAL: Final = 1e-6


def devices() -> list[str]:
    """What there is."""
    return ["numpy", "cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def batch(size: int) -> tuple[Ints, Floats, Floats]:
    """Places, rewards and weights; whole units, as the product has them."""
    chance = np.random.default_rng(size)
    values = (chance.integers(0, 1025, size).astype(np.float32) * np.float32(UNIT) for _ in range(2))
    return chance.integers(0, PAIRS, size), *values  # type: ignore[return-value]


def milliseconds(size: int, device: str) -> float:
    """The median time of one batch; raises ValueError when its result is not NumPy's."""
    places, more, many = batch(size)
    right = [np.zeros(PAIRS, np.float32) for _ in range(2)]
    added(right[0], right[1], places, more, many, device="numpy")
    found = [np.zeros(PAIRS, np.float32) for _ in range(2)]
    added(found[0], found[1], places, more, many, device=device)
    if max(float(np.abs(a - b).max()) for a, b in zip(right, found, strict=True)) > EQUAL:
        raise ValueError(f"{device} adds otherwise than NumPy")
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        added(found[0], found[1], places, more, many, device=device)
        spent.append((time.perf_counter() - began) * 1000)
    return float(np.median(spent))


def main() -> None:
    """The table."""
    figures = {size: {device: milliseconds(size, device) for device in devices()} for size in SIZES}
    rows = [
        Row(f"{size:,} updates", {f"{device} ms": ms for device, ms in row.items()}) for size, row in figures.items()
    ]
    faster = next((size for size, row in figures.items() if row.get("cuda", np.inf) < row["numpy"]), None)
    gpu = "no GPU here" if "cuda" not in devices() else f"the GPU is faster from {faster or 'no size measured'} on"
    show(f"batch updates of {PAIRS:,} path values", rows, note=f"equal to {EQUAL:g}; {gpu}")
    write("path_updates", {"milliseconds": {f"{size}": row for size, row in figures.items()}, "gpu": gpu})


if __name__ == "__main__":
    main()
