"""From a route to ranked hits: run the pattern in each room of the scope, fuse, merge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory.engine import Engine
from memory.models import Candidates, Hit, Query
from memory.ranking import FEATURES
from routing import fusion
from routing.models import Route
from routing.patterns import PATTERNS

RANKED = 200
"""Hits that are kept of one question: the citations and what may go into the context."""
_WORTH_SAYING = 0.25  # of a standardised score: less of a term does not explain a hit
_REASONS = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What one route found: hits of all rooms, best first, and per room the pool with its fused scores."""

    hits: tuple[Hit, ...]
    pools: Mapping[int, tuple[Candidates, NDArray[np.float64]]]


async def find(engine: Engine, query: Query, route: Route) -> Found:
    """Runs a route over every room of the scope.

    Scores are standardised within a room, so hits of several rooms compete by how far they stand out in their own.
    """
    pattern = PATTERNS[route.pattern]
    pools = await asyncio.gather(*(pattern(engine, query, room, route.sources) for room in query.scope.rooms))
    return await asyncio.to_thread(_merge, pools, route.fusion)


def _merge(pools: Sequence[Candidates], name: str) -> Found:
    hits: list[Hit] = []
    scored: dict[int, tuple[Candidates, NDArray[np.float64]]] = {}
    for candidates in pools:
        scores = fusion.FUSIONS[name](candidates)
        scored[candidates.room] = (candidates, scores)
        best = fusion.order(scores)[:RANKED]
        hits += [_hit(candidates, int(i), float(scores[i])) for i in best]
    hits.sort(key=lambda hit: -hit.score)
    return Found(tuple(hits[:RANKED]), scored)


def _hit(candidates: Candidates, index: int, score: float) -> Hit:
    features = {name: float(column[index]) for name, column in candidates.features.items()}
    return Hit(int(candidates.serials[index]), candidates.room, score, features)


def why(found: Found, hit: Hit, fusion_name: str) -> tuple[str, ...]:
    """What spoke most for a hit, in words, strongest first."""
    candidates, _ = found.pools[hit.room]
    [index] = np.flatnonzero(candidates.serials == hit.serial)
    terms = fusion.terms(candidates, int(index), fusion_name)
    words = {**FEATURES, "ppr": "it shares names with the best matches"}
    strongest = sorted((name for name in terms if terms[name] > _WORTH_SAYING), key=lambda name: -terms[name])
    return tuple(words[name] for name in strongest[:_REASONS] if name in words)
