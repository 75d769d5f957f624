"""Paths of one question: how likely each type leads to the best hits, what that is worth, and a path told in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory import ranking
from memory.engine import Engine
from memory.models import Candidates, Hit, Path, PathType, Query, Walks
from memory.sources import SEEDS
from routing import questions
from routing.models import Route
from routing.paths.abstract import cluster_of, column_of
from routing.paths.evidence import SIMILARITY, chances_of
from routing.paths.learner import PathModel
from routing.paths.utility import bonuses, pool_of, ranked

Array = NDArray[np.float64]
Pool = tuple[Candidates, Array]
"""The candidates of a room and their fused scores."""

BONUS: Final = "paths"
"""The feature that holds what paths added to a hit's score."""

GRAPH: Final = "graph"
"""Routes that search this source are ranked by paths too; on the others paths are only noted."""

TOLD: Final = 3
"""Types that are tried before a citation is told without a path."""

SHOWN: Final = 3
"""Citations whose paths are told."""


async def with_paths(
    engine: Engine, query: Query, pool: Pool, route: Route, model: PathModel, *, ranks: bool = True
) -> Pool:
    """The best hits with a column for each type of path that leads to them, and their order by what those are worth.

    Only the order within the best 2k hits may change, k being what was asked for; unless paths rank, none does.
    """
    candidates, scores = pool
    best = pool_of(scores, query.limit)
    serials = candidates.serials[best]
    walks = await engine.walks(query, candidates.room, _found(candidates), serials.tolist())
    if walks is None:
        return pool
    columns = _columns(candidates, best, walks)
    features = {**candidates.features, SIMILARITY: scores, **columns}
    if not ranks or GRAPH not in route.sources or not model.total:
        return replace(candidates, features=features), scores
    added = worth(model, cluster_of(questions.read(query.text, query.people)), chances_in(columns, best))
    lifted = ranked(scores, best, added)
    return replace(candidates, features={**features, BONUS: lifted - scores}), lifted


def worth(model: PathModel, cluster: str, chances: Sequence[Mapping[PathType, float]]) -> Array:
    """(pool,) the bonus of each hit of a pool, from how likely each type of path leads to it."""
    utility = np.array([sum(model.weights.terms(cluster, one).values()) for one in chances])
    evidence = np.array([_mean(one, model.evidence) if one else model.total for one in chances])
    hops = np.array([_mean(one, {path: len(path) - 1.0 for path in one}) for one in chances])
    return bonuses(utility, evidence, hops)


def chances_in(columns: Mapping[str, Array], places: NDArray[np.int64]) -> list[dict[PathType, float]]:
    """By candidate, how likely each type of path leads to it."""
    return [chances_of({name: float(column[place]) for name, column in columns.items()}) for place in places]


async def told(engine: Engine, query: Query, hit: Hit, others: Sequence[Hit], model: PathModel) -> Path | None:
    """The path that spoke most for a hit, as it stands in the graph now; None where none can be told.

    ``others`` are the citations beside it, from which a path may start.
    """
    chances = chances_of(hit.features)
    terms = model.weights.terms(cluster_of(questions.read(query.text, query.people)), chances)
    found = {other.serial: other.features.get(SIMILARITY, other.score) for other in others if other.room == hit.room}
    for path in sorted(chances, key=lambda path: (-terms[path], -chances[path], path))[:TOLD]:
        traced = await engine.trace(query, hit.room, path, found, hit.serial)
        if traced is not None:
            return traced
    return None


async def lines(engine: Engine, query: Query, cited: Sequence[Hit], model: PathModel) -> list[str]:
    """For the first citations that paths lead to, the path that spoke most for each, a sentence each."""
    found = []
    for number, hit in enumerate(cited[:SHOWN], 1):
        others = [other for other in cited if other.serial != hit.serial]
        path = await told(engine, query, hit, others, model)
        if path is not None:
            found.append(f"A path to {number}: {in_words(path)}.")
    return found


def in_words(path: Path) -> str:
    """A path on one line, each relation between a dash and an arrow."""
    nodes, relations = path.steps[::2], path.steps[1::2]
    return nodes[0] + "".join(f" \u2013{relation}→ {node}" for relation, node in zip(relations, nodes[1:], strict=True))


def _found(candidates: Candidates) -> dict[int, float]:
    """The messages that walks start from: those that the graph source's own walk starts from."""
    scores = ranking.first_look(candidates.features) + ranking.standardised(candidates.features["mw"])
    best = np.argsort(-scores, kind="stable")[:SEEDS]
    return {int(candidates.serials[place]): float(scores[place]) for place in best}


def _columns(candidates: Candidates, best: NDArray[np.int64], walks: Walks) -> dict[str, Array]:
    place = {int(candidates.serials[i]): int(i) for i in best}
    rows = np.array([place[serial] for serial in walks.serials.tolist()], dtype=np.int64)
    columns = {}
    for path, chances in walks.chances.items():
        column = np.full(len(candidates.serials), np.nan)
        column[rows] = np.where(chances > 0, chances, np.nan)
        columns[column_of(path)] = column
    return columns


def _mean(chances: Mapping[PathType, float], values: Mapping[PathType, float]) -> float:
    """The mean of the types' values, weighted by how likely each is; 0 without any."""
    whole = sum(chances.values())
    return sum(chance * values.get(path, 0.0) for path, chance in chances.items()) / whole if whole else 0.0
