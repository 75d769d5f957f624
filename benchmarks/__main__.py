"""Runs the benchmarks one after the other, each in a process of its own: ``make bench``."""

from __future__ import annotations

import subprocess
import sys

from rich.console import Console

ALL = (
    "retrieval",
    "confidence",
    "outcomes",
    "learning",
    "learning_curve",
    "order_labels",
    "router_targets",
    "router_changes",
    "off_policy",
    "paths",
    "path_updates",
    "patterns",
    "followups",
    "latency",
    "cache",
    "ingest",
)


def main() -> int:
    """All of them, or those that are named; the status is that of the first that failed."""
    status = 0
    for name in sys.argv[1:] or ALL:
        Console().rule(name)
        ended = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
        status = status or ended.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
