"""Does another way of running the same sources find more? Each pattern beside feed-forward and parallel.

Every question is asked with every pattern over the same sources (vector, keyword, graph) and the same fusion, the one
that the rules take in such a room: the graph's where messages are documents, else the learned one with the start that
ships (``--fusion formula`` for the formula instead); Monte Carlo has its own.
recall@10 is compared question by question; brackets hold 95 % intervals by 10,000 paired resamples. Milliseconds are
those of finding alone, the question being prepared, and no pattern is hurried; *CPU* is what the process itself worked,
whatever else the machine did.

The second part asks in rooms of 10,000 and 100,000 messages, made as in the latency benchmark, within the time that the
routes have.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import ASKED_AT, Row, console, fresh_app, load, show, write
from benchmarks.latency import fill, questions
from benchmarks.path_rooms import bootstrap
from benchmarks.rooms import Room, rooms
from bot.app import App
from memory.models import Query, Scope
from routing import finding
from routing.models import Budget, Route
from routing.patterns import PATTERNS
from routing.routes import BY_NAME

SETS: Final = ("locomo", "hotpotqa", "qmsum", "demo")
SIZES: Final = (10_000, 100_000)
SOURCES: Final = ("vector", "keyword", "graph")
BUDGETS: Final = {route.pattern: route.budget for route in BY_NAME.values() if route.on_request}
ASKED: Final = 60
"""Questions of a timed room."""

K: Final = 10
BESIDE: Final = ("feed-forward", "parallel")
LIMITS: Final = {"feed-forward": 200.0, "recursive": 1_000.0}
"""p95 that a pattern must stay under at the largest size, in ms."""

_UNHURRIED: Final = 60_000.0
"""Milliseconds where recall is measured: what is found must not hang on what else the machine does."""

Array = NDArray[np.float64]


@dataclass(slots=True)
class Tried:
    """What came of one pattern, question by question."""

    recall: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Means and percentiles."""
        (p50, p95), busy = np.percentile(self.ms, (50, 95)), float(np.percentile(self.cpu, 95))
        found = {"recall@10": 100 * float(np.mean(self.recall))} if self.recall else {}
        return {
            **found,
            "calls": float(np.mean(self.calls)),
            "p50 ms": float(p50),
            "p95 ms": float(p95),
            "CPU p95": busy,
        }


def route_of(pattern: str, fusion: str, ms: float | None = None) -> Route:
    """The same sources, run by a pattern; within ``ms`` instead of what its route allows."""
    own = "probable" if pattern == "Monte Carlo" else fusion
    budget = BUDGETS.get(pattern, Budget())
    budget = budget if ms is None else replace(budget, ms=ms)
    return Route(pattern, SOURCES, pattern, own, cost=0.0, words=pattern, budget=budget)


async def found_by(app: App, query: Query, route: Route, tried: Tried) -> list[str]:
    """The ids of the first ten that a route finds; what it took is noted."""
    began, busy = time.perf_counter(), time.process_time()
    found = await finding.find(app.engine, query, route, seed=1)
    tried.ms.append((time.perf_counter() - began) * 1000)
    tried.cpu.append((time.process_time() - busy) * 1000)
    tried.calls.append(sum(trace.calls for trace in found.traces))
    first = [hit.serial for hit in found.hits[:K]]
    said = await app.engine.read(first)
    return [said[serial].external_id for serial in first]


async def measure(app: App, room: Room, fusion: str, tried: Mapping[str, Tried]) -> None:
    """Asks a room's answerable questions with every pattern."""
    kept = await load(app, room)
    scope = Scope(app.tenant, (kept.id,))
    at = max(ASKED_AT, *(message.sent_at for message in room.messages))
    for question in room.questions:
        if question.evidence:
            query = await app.engine.prepare(question.text, scope, at, K)
            for pattern in PATTERNS:
                ids = await found_by(app, query, route_of(pattern, fusion, _UNHURRIED), tried[pattern])
                tried[pattern].recall.append(len(question.evidence & set(ids)) / len(question.evidence))


def report(name: str, tried: Mapping[str, Tried]) -> dict[str, Any]:
    """Prints a set's table and gives its figures."""
    rows: list[Row] = []
    figures: dict[str, dict[str, Any]] = {}
    for pattern, one in tried.items():
        figures[pattern] = {**one.figures(), "n": len(one.recall)}
        gains: dict[str, float | str] = {}
        for other in BESIDE:
            if pattern != other:
                gain = np.array(one.recall) - np.array(tried[other].recall)
                low, high = bootstrap(gain)
                figures[pattern][f"over {other}"] = [100 * float(gain.mean()), 100 * low, 100 * high]
                gains[f"over {other}"] = f"{100 * gain.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
        rows.append(Row(pattern, {**one.figures(), **gains}))
    show(f"{name}: {len(tried['parallel'].recall)} questions", rows)
    return figures


async def recalls(sets: Sequence[str], most: int, fusion: str = "learned") -> dict[str, Any]:
    """The first part; at most so many rooms of a set, fused so where messages are no documents."""
    results = {}
    for name in sets:
        given = rooms(name)
        if given is None:
            continue
        tried: Mapping[str, Tried] = defaultdict(Tried)
        for room in given[:most]:
            console.print(f"{name}: {room.name}, {len(room.messages):,} messages")
            async with fresh_app() as app:
                await measure(app, room, "graph" if name == "hotpotqa" else fusion, tried)
        results[name] = report(name, tried)
    return results


async def latencies(sizes: Sequence[int]) -> dict[str, Any]:
    """The second part."""
    results: dict[str, Any] = {}
    for size in sizes:
        async with fresh_app() as app:
            room = await fill(app, size)
            scope = Scope(app.tenant, (room.id,))
            tried = {pattern: Tried() for pattern in PATTERNS}
            for number, text in enumerate(questions(ASKED + 1)):
                query = await app.engine.prepare(text, scope, ASKED_AT, K)
                for pattern in PATTERNS:
                    one = tried[pattern] if number else Tried()  # the first one loads the room
                    await found_by(app, query, route_of(pattern, "learned"), one)
        results[f"{size}"] = {pattern: one.figures() for pattern, one in tried.items()}
        show(f"{size:,} messages in the room", [Row(name, one) for name, one in results[f"{size}"].items()])
    last = results[f"{sizes[-1]}"]
    results["met"] = {name: last[name]["p95 ms"] < limit for name, limit in LIMITS.items()}
    return results


async def main(sets: Sequence[str], sizes: Sequence[int], most: int, fusion: str) -> None:
    """Both parts."""
    results: dict[str, Any] = {}
    if sets:
        results["recall"] = await recalls(sets, most, fusion)
    if sizes:
        results["latency"] = await latencies(sizes)
    write("patterns" if sets and sizes else f"patterns-{'-'.join(sets or map(str, sizes))}", results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--most", type=int, default=12, help="rooms of a set")
    parser.add_argument("--fusion", choices=("learned", "formula"), default="learned")
    given = parser.parse_args()
    asyncio.run(main(given.sets, given.sizes, given.most, given.fusion))
