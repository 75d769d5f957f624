"""Fit what `routing.weights` reads beside the formula, and write ``routing/order.json``.

``python -m benchmarks.fit_order`` fits the weights of all columns on the labelled questions of our own demo room, and
on nothing else. What it writes is no start: the start stays the formula. It is the direction in which votes may lead
away from the formula more easily than in others (`routing.weights.precision`), as far as they speak for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.learning_curve import PRIOR, Asked, lessons_of
from benchmarks.pools import pools
from routing import weights
from routing.fusion import LEARNED, LEARNED_VERSION
from routing.weights import START

OUT: Final = Path(weights.__file__).with_name("order.json")
DIGITS: Final = 2
OF_THE_ROOM: Final = frozenset({"age", "place", "talk_size"})
"""Columns that say where in a room people asked about something, which holds for that room alone."""


def main() -> None:
    """Fits and writes."""
    given = pools("demo")
    asked = [Asked.of(pool) for pool in given or ()]
    held = np.array([name in OF_THE_ROOM for name in LEARNED])
    found = weights.direction(lessons_of(asked), PRIOR.weights, held) - START
    content = {
        "made by": "python -m benchmarks.fit_order",
        "from": f"{len(asked)} labelled questions of bot/demo",
        "version": LEARNED_VERSION,
        "direction": {name: round(float(amount), DIGITS) for name, amount in zip(LEARNED, found, strict=True)},
    }
    OUT.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(f"written {OUT.name}: {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
