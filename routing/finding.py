"""From a route to ranked hits: run the pattern in each room of the scope, fuse, merge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory import closer
from memory.engine import Engine
from memory.models import Candidates, Hit, Query
from memory.ranking import FEATURES
from routing import fusion
from routing.models import Route
from routing.paths.finding import BONUS, GRAPH, Pool, with_paths
from routing.paths.learner import PathModel
from routing.patterns import PATTERNS
from routing.patterns.run import Run
from routing.patterns.trace import Trace
from routing.pool_book import DEPTH, KeptPool
from routing.questions import kind_of
from routing.weights import UNTAUGHT, Weights

RANKED = 200
"""Hits that are kept of one question: the citations and what may go into the context."""
_WORTH_SAYING = 0.25  # of a standardised score: less of a term does not explain a hit
_REASONS = 3
_WORDS = {
    **FEATURES,
    **closer.COLUMNS,
    "ppr": "it shares names with the best matches",
    BONUS: "paths to it led to liked answers before",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What one route found: hits of all rooms, best first, and per room the pool with its fused scores.

    ``missing`` are the route's sources that did not answer, or were not asked because they are known to be down.
    ``traces`` say what the pattern did in each room, in the order of the scope.
    """

    hits: tuple[Hit, ...]
    pools: Mapping[int, tuple[Candidates, NDArray[np.float64]]]
    missing: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing was left out for want of an answer or of time."""
        return not self.missing and all(trace.whole for trace in self.traces)


@dataclass(frozen=True, slots=True)
class Taught:
    """What votes have taught: ``weights`` of the learned fusion, ``paths`` in the graph (None: not wanted).

    Unless ``ranks``, paths are only noted, to learn from.
    """

    weights: Weights = UNTAUGHT
    paths: PathModel | None = None
    ranks: bool = True

    @property
    def version(self) -> tuple[str, str, bool]:
        """Another one whenever anything of it may rank otherwise."""
        return self.weights.digest, "" if self.paths is None else self.paths.version, self.ranks


UNTOLD: Final = Taught()
"""Nothing was taught, and paths are not wanted."""


async def find(
    engine: Engine,
    query: Query,
    route: Route,
    without: Collection[str] = (),
    taught: Taught = UNTOLD,
    *,
    seed: int = 0,
    timer: Callable[[], float] = time.perf_counter,
) -> Found:
    """Runs a route over every room of the scope; ``without`` sources that are down, unless it has no others.

    Scores are standardised within a room, so hits of several rooms compete by how far they stand out in their own. A
    pattern that samples does so by the ``seed``; ``timer`` gives the seconds that its budget is measured in.
    """
    pattern = PATTERNS[route.pattern]
    asked = tuple(source for source in route.sources if source not in without) or route.sources
    weights = taught.weights.of(kind_of(query.text))
    order = weights if route.fusion in fusion.TAUGHT else None
    runs = [Run(engine, query, room, asked, route.budget, seed, timer, order) for room in query.scope.rooms]
    pools = await asyncio.gather(*(pattern(run) for run in runs))
    missing = {source for source in route.sources if source not in asked}.union(*(pool.missing for pool in pools))
    scored = await asyncio.to_thread(_scored, pools, route.fusion, weights)
    if taught.paths is not None and GRAPH not in {*without, *missing}:
        walked = (with_paths(engine, query, one, route, taught.paths, ranks=taught.ranks) for one in scored)
        scored = list(await asyncio.gather(*walked))
    traces = tuple(run.trace for run in runs)
    return replace(await asyncio.to_thread(_merge, scored), missing=tuple(sorted(missing)), traces=traces)


def _scored(pools: Sequence[Candidates], name: str, weights: NDArray[np.float64]) -> list[Pool]:
    return [(candidates, fusion.FUSIONS[name](candidates, weights)) for candidates in pools]


def _merge(pools: Sequence[Pool]) -> Found:
    hits: list[Hit] = []
    scored: dict[int, Pool] = {}
    for candidates, scores in pools:
        scored[candidates.room] = (candidates, scores)
        best = fusion.order(scores)[:RANKED]
        hits += _hits(candidates, best, scores[best])
    hits.sort(key=lambda hit: -hit.score)
    return Found(tuple(hits[:RANKED]), scored)


def _hits(candidates: Candidates, best: NDArray[np.int64], scores: NDArray[np.float64]) -> list[Hit]:
    names = tuple(candidates.features)
    table = (
        np.stack([candidates.features[name][best] for name in names], axis=1).tolist() if names else [[]] * len(best)
    )
    serials = candidates.serials[best].tolist()
    return [
        Hit(serial, candidates.room, score, dict(zip(names, row, strict=True)))
        for serial, score, row in zip(serials, scores.tolist(), table, strict=True)
    ]


def kept(found: Found, hits: Sequence[Hit], question: str) -> KeptPool:
    """What the learner needs to know of an answer: the columns of its first hits, each within its own room."""
    first = hits[:DEPTH]
    columns = {room: fusion.columns(found.pools[room][0]) for room in {hit.room for hit in first}}
    rows = [columns[hit.room][_place(found.pools[hit.room][0], hit)] for hit in first]
    x = np.array(rows) if rows else np.zeros((0, len(fusion.LEARNED)))
    return KeptPool(kind_of(question), np.array([hit.serial for hit in first], dtype=np.int64), x)


def explained(found: Found, hits: Sequence[Hit], fusion_name: str, weights: NDArray[np.float64]) -> list[Hit]:
    """The hits with what spoke most for each, in words, strongest first."""
    columns = {room: _terms(pool, fusion_name, weights) for room, (pool, _) in found.pools.items()}
    return [replace(hit, why=_why(found.pools[hit.room][0], columns[hit.room], hit)) for hit in hits]


def _terms(pool: Candidates, fusion_name: str, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What each feature adds, the bonus of paths included."""
    bonus = pool.features.get(BONUS)
    return {**fusion.term_columns(pool, fusion_name, weights), **({} if bonus is None else {BONUS: bonus})}


def _why(pool: Candidates, columns: Mapping[str, NDArray[np.float64]], hit: Hit) -> tuple[str, ...]:
    index = _place(pool, hit)
    terms = {name: float(column[index]) for name, column in columns.items() if column[index] > _WORTH_SAYING}
    strongest = sorted(terms, key=lambda name: -terms[name])[:_REASONS]
    return tuple(_WORDS[name] for name in strongest if name in _WORDS)


def _place(pool: Candidates, hit: Hit) -> int:
    return int(np.flatnonzero(pool.serials == hit.serial)[0])
