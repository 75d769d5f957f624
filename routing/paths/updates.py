"""The batch update of counts and sums, behind one function: NumPy, or torch on a GPU where that is quicker.

Sums and counts are kept in units of 1/1024 (`UNIT`), whole numbers of them, so that no order of adding matters and what
is taken away leaves nothing: float32 holds them exactly up to 2^24 units, 16,384 rewards on one pair.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

UNIT: Final = 1.0 / 1024
GPU_FROM: Final = 1_000_000
"""Updates in one batch from which a GPU is used: a guess until `benchmarks.path_updates` has run on one."""

_SPARSE: Final = 8
"""A batch of less than an eighth of the pairs is added in place; a larger one by one pass over all of them."""


def units(value: float) -> int:
    """A weight in whole units, rounded."""
    return round(value / UNIT)


def added(sums: Floats, counts: Floats, places: Ints, more: Floats, many: Floats, *, device: str = "auto") -> None:
    """Adds ``more[i]`` to ``sums[places[i]]`` and ``many[i]`` to ``counts[places[i]]``, in place; places may repeat.

    sums and counts are (pairs,), the rest (updates,). device: "numpy", "cpu" or "cuda" (both torch), or "auto".
    """
    chosen = _device(len(places)) if device == "auto" else device
    if chosen == "numpy":
        for array, values in ((sums, more), (counts, many)):
            if len(places) * _SPARSE < len(array):
                np.add.at(array, places, values)
            else:
                array[:] += np.bincount(places, weights=values, minlength=len(array)).astype(np.float32)
        return
    import torch  # noqa: PLC0415 - 1 s, and most processes never need it here

    index = torch.from_numpy(places).to(chosen)
    for array, values in ((sums, more), (counts, many)):
        there = torch.from_numpy(array).to(chosen)
        there.index_add_(0, index, torch.from_numpy(values).to(chosen))
        array[:] = there.cpu().numpy()


def _device(updates: int) -> str:
    return "cuda" if updates >= GPU_FROM and _has_gpu() else "numpy"


@cache
def _has_gpu() -> bool:
    import torch  # noqa: PLC0415 - as above

    return torch.cuda.is_available()
