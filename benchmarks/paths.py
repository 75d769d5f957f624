"""Learning over paths: the values, what types of path find, and how long that takes.

    python -m benchmarks.paths                       all parts; some minutes
    python -m benchmarks.paths --parts values graphs

* ``values``: Q-learning on generated graphs, the acceptance test (`benchmarks.path_values`)
* ``graphs``: UMLS and Kinship on MINERVA's splits (`benchmarks.path_graphs`)
* ``rooms``: the HotpotQA room, five folds by question (`benchmarks.path_rooms`)
* ``latency``: typed walks at 100,000 messages (`benchmarks.path_latency`)
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import path_graphs, path_latency, path_rooms, path_values
from benchmarks.harness import Row, console, show, write

REWARDS: Final = ((1.0, 0.0), (0.2, 0.1), (0.02, 0.0))
"""Shares of the training triples that are rewarded, and of those that are wrong."""

BARS: Final[Mapping[str, tuple[float, float]]] = {"umls": (0.90, 0.80), "kinship": (0.80, 0.68)}
"""MRR with all rewards, and with a fifth of them of which a tenth is wrong."""

SEED: Final = 0


def values() -> tuple[dict[str, Sequence[Row]], bool]:
    """The acceptance test of Q-learning."""
    shares, near = path_values.measure()
    errors, close = path_values.convergence()
    show("greedy return over the optimum's after 1,000 episodes, 20 seeds", shares)
    show(f"largest error of a visited value after {path_values.CONVERGENCE:,} random episodes, steps n^-0.8", errors)
    return {"returns": shares, "errors": errors}, near and close


def graphs() -> tuple[dict[str, Sequence[Row]], bool]:
    """UMLS and Kinship."""
    found: dict[str, Sequence[Row]] = {}
    met = True
    for name, bars in BARS.items():
        graph = path_graphs.read(name)
        if graph is None:
            console.print(f"skipped: no {name} in the data folder")
            continue
        rows = [Row("personalised PageRank, no relations", _rank(graph, path_graphs.pagerank(graph)))]
        for (share, wrong), bar in zip(REWARDS, (*bars, 0.0), strict=True):
            triples = path_graphs.rewarded(graph, share, wrong, np.random.default_rng(SEED))
            linear, noisy = path_graphs.learned(graph, triples, np.random.default_rng(SEED))
            told = f"{len(triples):,} rewards" + (f", {wrong:.0%} wrong" if wrong else "")
            figures = _rank(graph, linear)
            met = met and figures["MRR"] >= bar
            rows += [Row(f"hit rates, {told}", _rank(graph, noisy)), Row(f"learned paths, {told}", figures)]
        show(f"{name}: tail queries, filtered", rows)
        found[name] = rows
    return found, met


def _rank(graph: path_graphs.Knowledge, scorer: path_graphs.Scorer) -> dict[str, float]:
    return path_graphs.figures(path_graphs.ranks(graph, scorer))


def rooms() -> tuple[dict[str, Sequence[Row]], bool]:
    """The HotpotQA room."""
    measured = asyncio.run(path_rooms.measure())
    if measured is None:
        return {}, True
    rows, met = measured
    show(f"HotpotQA room, {path_rooms.FOLDS} folds by question, {path_rooms.SPLITS} deals", rows)
    return {"hotpotqa": rows}, met


def latency() -> tuple[dict[str, Sequence[Row]], bool]:
    """Time of typed walks."""
    rows, met = asyncio.run(path_latency.measure())
    show("typed walks: twenty starts and the question's entities to twenty messages", rows)
    return {"latency": rows}, met


PARTS: Final[Mapping[str, Callable[[], tuple[dict[str, Sequence[Row]], bool]]]] = {
    "values": values,
    "graphs": graphs,
    "rooms": rooms,
    "latency": latency,
}


def main(parts: Sequence[str]) -> int:
    """Runs parts; 1 when one misses a bar."""
    results: dict[str, Any] = {}
    missed = []
    with threadpool_limits(limits=1):  # two threads of a busy machine wait for each other
        for part in parts:
            tables, met = PARTS[part]()
            results[part] = {name: {row.name: dict(row.figures) for row in rows} for name, rows in tables.items()}
            results[part]["bars met"] = met
            if not met:
                missed.append(part)
    write("paths", results)
    if missed:
        console.print(f"a bar is missed in: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    raise SystemExit(main(parser.parse_args().parts))
