"""Products of many half-precision vectors with one: what a search of a whole room spends most of its time on.

Reading the vectors from main memory is what takes the time, so they are held in float16: 2^-11 of a value is lost, less
than the int8 codes that SQL keeps have lost before. NumPy multiplies float16 one by one; torch does it in vector
registers and adds up in float32 (100,000 of 384 in one thread: 4.7 ms; NumPy in float32 in two 7.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from memory.models import Floats, Halves

_FEW: Final = 4096
"""Vectors up to which NumPy converts and multiplies in no time, and torch need not be there."""


def products(vectors: Halves, direction: Floats) -> Floats:
    """(n, dim) float16 times (dim,) float32 -> (n,) float32; for unit vectors their cosines.

    To 1e-4 of up to `_FEW` vectors; of more to 3e-4, as torch rounds each product to float16 in the end.
    """
    if len(vectors) <= _FEW:
        return vectors.astype(np.float32) @ direction
    import torch  # noqa: PLC0415 - 1 s, unless the model is loaded, which it is when there is something to search

    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)  # of this thread; a team of its own would wait by spinning while others work
    with torch.inference_mode():
        found = torch.mv(torch.from_numpy(vectors), torch.from_numpy(direction).half())
        return found.float().numpy()
