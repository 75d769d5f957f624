"""Fit what `routing.weights` reads beside the formula, and write ``routing/order.json``.

``python -m benchmarks.fit_order`` fits the weights of all columns on the labelled questions of our own rooms, and on
nothing else: once on the demo room, once on those of ``benchmarks/written``. What it writes is no start: the start
stays the formula. They are directions in which votes may lead away from the formula more easily than in others
(`routing.weights.precision`), as far as they speak for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from benchmarks.learning_curve import Asked, direction_of
from benchmarks.pools import pools
from routing import weights
from routing.fusion import LEARNED, LEARNED_VERSION

OUT: Final = Path(weights.__file__).with_name("order.json")
DIGITS: Final = 2
SETS: Final = ("demo", "written")


def main() -> None:
    """Fits and writes."""
    directions, counts = {}, {}
    for name in SETS:
        asked = [Asked.of(pool) for pool in pools(name) or ()]
        found = direction_of(asked)
        counts[name] = f"{len(asked)} labelled questions"
        directions[name] = {column: round(float(amount), DIGITS) for column, amount in zip(LEARNED, found, strict=True)}
    content = {
        "made by": "python -m benchmarks.fit_order",
        "from": counts,
        "version": LEARNED_VERSION,
        "directions": directions,
    }
    OUT.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(f"written {OUT.name}: {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
