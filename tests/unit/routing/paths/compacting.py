"""Compacts a cache for ever: what the test of kill -9 kills. Each state that it writes holds one number everywhere."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from routing.paths.cache import Cache

PAIRS = 2_000


def main() -> None:
    """Adds one to every pair and compacts, again and again; says so before the first time."""
    cache = Cache.open(Path(sys.argv[1]))
    done = int(cache.stamp or b"0")
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    for number in count(done + 1):
        for pair in range(PAIRS):
            cache.add(f"who|message|hit>{pair}|stop", 1.0, 1.0)
        if not cache.compact(str(number).encode()):
            raise SystemExit("somebody else writes this file")


if __name__ == "__main__":
    main()
