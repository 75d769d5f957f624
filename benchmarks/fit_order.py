"""Fit what `routing.weights` reads beside the formula, and write ``routing/order.json``.

``python -m benchmarks.fit_order`` fits the weights of all columns on the labelled questions of our own rooms, and on
nothing else: once on the demo room, once on those of ``benchmarks/written``, once on both together. The last, as far as
`benchmarks.learning_curve.PART` of the way from the formula, is the start. The first two are directions in which votes
may lead away from it more easily than in others (`routing.weights.precision`), as far as they speak for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning_curve import PART, Asked, direction_of
from benchmarks.pools import pools
from routing import weights
from routing.fusion import LEARNED, LEARNED_VERSION

OUT: Final = Path(weights.__file__).with_name("order.json")
DIGITS: Final = 2
SETS: Final = ("demo", "written")


def main() -> None:
    """Fits and writes."""
    sets = {name: [Asked.of(pool) for pool in pools(name) or ()] for name in SETS}
    counts = {name: f"{len(asked)} labelled questions" for name, asked in sets.items()}
    directions = {name: _rounded(direction_of(asked)) for name, asked in sets.items()}
    together = direction_of([one for asked in sets.values() for one in asked])
    content = {
        "made by": "python -m benchmarks.fit_order",
        "from": counts,
        "version": LEARNED_VERSION,
        "start": _rounded(PART * together),
        "directions": directions,
    }
    OUT.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(f"written {OUT.name}: {OUT.stat().st_size:,} bytes")


def _rounded(weights: NDArray[np.float64]) -> dict[str, float]:
    return {column: round(float(amount), DIGITS) for column, amount in zip(LEARNED, weights, strict=True)}


if __name__ == "__main__":
    main()
