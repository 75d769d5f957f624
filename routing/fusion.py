"""From columns to one order: each fusion is a pure function of `Candidates` that gives a score a message.

``formula`` adds standardised features with round weights (nothing is fitted). z standardises over the candidates of one
room: over a whole store rooms would compete by their size. ``terms`` takes a score apart again, for explanations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory.models import Candidates
from memory.ranking import standardised
from memory.room import DECAY, WINDOW

Scores: TypeAlias = NDArray[np.float64]
Fusion: TypeAlias = Callable[[Candidates], Scores]

FORMULA: Final[Mapping[str, float]] = {
    "bk": 1.0,
    "d": 1.0,
    "mw": 1.0,
    "spk": 1.5,
    "self": 0.5,
    "date": 10.0,
    "endq": -0.5,
    "aq": 0.3,
}
"""Weights of the features; a column that is missing adds nothing."""

AS_IT_IS: Final = frozenset({"spk", "self", "date"})
"""Features that are rules and not standardised: what they are worth must not depend on how many match."""

NEAR: Final = -0.5
"""What a message loses beside a better one, times `DECAY` to their distance: its neighbour has told most of it."""

SPACED: Final = 50
"""How many messages are taken in turn; those after them keep what the first fifty leave."""

RRF_K: Final = 60
"""Cormack, Clarke and Büttcher (SIGIR 2009)."""


def formula(candidates: Candidates) -> Scores:
    """The sum of the weighted features of `FORMULA`, less what is told beside a better message."""
    return _sum(_spaced(candidates, _weighted_columns(candidates)), len(candidates.serials))


def graph(candidates: Candidates) -> Scores:
    """The formula plus z(log ppr), where the graph has ranked: it pays where messages are documents."""
    return _sum(_spaced(candidates, _graph_columns(candidates)), len(candidates.serials))


def weighted(candidates: Candidates) -> Scores:
    """The sum of the sources' own standardised scores; a message that a source did not name gets its lowest."""
    said = {name: _filled(column) for name, column in candidates.features.items() if name.startswith("score:")}
    return _sum({name: standardised(column) for name, column in said.items()}, len(candidates.serials))


def rrf(candidates: Candidates) -> Scores:
    """Reciprocal rank fusion: the sum of 1 / (60 + rank) over the sources that named the message."""
    ranks = [column for name, column in candidates.features.items() if name.startswith("rank:")]
    total = np.zeros(len(candidates.serials))
    for rank in ranks:
        total += np.where(np.isnan(rank), 0.0, 1.0 / (RRF_K + np.nan_to_num(rank, nan=1.0)))
    return total


FUSIONS: Final[Mapping[str, Fusion]] = {"formula": formula, "graph": graph, "weighted": weighted, "rrf": rrf}
"""By the name that a route gives."""


def terms(candidates: Candidates, index: int, fusion: str = "formula") -> dict[str, float]:
    """What each feature adds to the score of one candidate under ``formula`` or ``graph``; sums to it exactly."""
    return {name: float(column[index]) for name, column in term_columns(candidates, fusion).items()}


def term_columns(candidates: Candidates, fusion: str = "formula") -> Mapping[str, Scores]:
    """What each feature adds to the scores of all candidates; under other fusions, what it would under the formula."""
    columns = _graph_columns(candidates) if fusion == "graph" else _weighted_columns(candidates)
    return _spaced(candidates, columns)


def order(scores: Scores) -> NDArray[np.int64]:
    """Places of the candidates, best first; ties stay in order of serial."""
    return np.argsort(-scores, kind="stable")


def _weighted_columns(candidates: Candidates) -> dict[str, Scores]:
    columns = {}
    for name, weight in FORMULA.items():
        column = candidates.features.get(name)
        if column is not None:
            columns[name] = weight * (np.nan_to_num(column) if name in AS_IT_IS else standardised(column))
    return columns


def _graph_columns(candidates: Candidates) -> dict[str, Scores]:
    columns = _weighted_columns(candidates)
    ranked = candidates.features.get("ppr")
    if ranked is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(ranked)
        columns["ppr"] = standardised(_filled(logs))
    return columns


def _spaced(candidates: Candidates, columns: Mapping[str, Scores]) -> dict[str, Scores]:
    """With the term ``near``: from the best down, each message that is taken lowers those around it.

    Taken messages keep their scores, so the final scores are in the order in which messages were taken.
    """
    rows = candidates.features.get("row")
    if rows is None:
        return dict(columns)
    near = np.zeros(len(rows))
    left = _sum(columns, len(rows))
    for _ in range(min(SPACED, len(rows))):
        best = int(np.argmax(left + near))
        left[best] = -np.inf
        gaps = np.abs(rows - rows[best])
        beside = np.isfinite(left) & (gaps <= WINDOW)
        near[beside] = np.minimum(near[beside], NEAR * DECAY ** gaps[beside])
    return {**columns, "near": near}


def _filled(column: Scores) -> Scores:
    """The lowest value that is there in place of a missing one."""
    there = np.isfinite(column)
    return np.where(there, column, column[there].min() if there.any() else 0.0)


def _sum(columns: Mapping[str, Scores], length: int) -> Scores:
    total = np.zeros(length)
    for column in columns.values():
        total += column
    return total
