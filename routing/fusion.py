"""From columns to one order: each fusion is a pure function of `Candidates` that gives a score a message.

``formula`` adds standardised features with round weights (nothing is fitted). ``learned`` adds more columns with the
weights that votes have taught (`routing.weights`); before any vote it is the formula. z standardises over the
candidates of one room: over a whole store rooms would compete by their size. ``terms`` takes a score apart again, for
explanations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory import closer
from memory.models import Candidates
from memory.ranking import standardised
from memory.room import DECAY, WINDOW

Scores: TypeAlias = NDArray[np.float64]


class Fusion(Protocol):
    """One way to make a list of the columns. ``weights``: what votes taught, in the order of `LEARNED`, or None."""

    def __call__(self, candidates: Candidates, weights: Scores | None = None) -> Scores:
        """(candidates,) scores, higher is better."""


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

LEARNED: Final[tuple[str, ...]] = (*FORMULA, *closer.COLUMNS)
"""The columns that the learned fusion weighs."""

LEARNED_VERSION: Final = 1
"""Grows with any change of `LEARNED` or of what a column means; votes on older columns teach nothing any more."""

UNITS: Final[Mapping[str, float]] = {"date": 5.0}
"""What a column is multiplied by for learning, so that a weight of about 1 is worth much in each of them."""

AS_IT_IS: Final = frozenset({"spk", "self", "date"}) | closer.RULES
"""Features that are rules and not standardised: what they are worth must not depend on how many match."""

NEAR: Final = -0.5
"""What a message loses beside a better one, times `DECAY` to their distance: its neighbour has told most of it."""

SPACED: Final = 50
"""How many messages are taken in turn; those after them keep what the first fifty leave."""

CHANCE: Final = "chance"
"""The column in which sampling leaves how likely each candidate is the answer; the candidates sum to 1."""

TAUGHT: Final = frozenset({"learned", "probable", "ensemble"})
"""The fusions that what votes taught moves."""

RRF_K: Final = 60
"""Cormack, Clarke and Büttcher (SIGIR 2009)."""

_LEAST: Final = 1e-6  # of an even draw: what was never sampled stands behind what was


def formula(candidates: Candidates, weights: Scores | None = None) -> Scores:
    """The sum of the weighted features of `FORMULA`, less what is told beside a better message."""
    del weights
    return _sum(_spaced(candidates, _weighted_columns(candidates)), len(candidates.serials))


def learned(candidates: Candidates, weights: Scores | None = None) -> Scores:
    """The sum of the columns of `LEARNED` with the weights given, spaced likewise; the formula without any."""
    return _sum(_spaced(candidates, _learned_columns(candidates, weights)), len(candidates.serials))


def graph(candidates: Candidates, weights: Scores | None = None) -> Scores:
    """The formula plus z(log ppr), where the graph has ranked: it pays where messages are documents."""
    del weights
    return _sum(_spaced(candidates, _graph_columns(candidates)), len(candidates.serials))


def weighted(candidates: Candidates, weights: Scores | None = None) -> Scores:
    """The sum of the sources' own standardised scores; a message that a source did not name gets its lowest."""
    del weights
    said = {name: _filled(column) for name, column in candidates.features.items() if name.startswith("score:")}
    return _sum({name: standardised(column) for name, column in said.items()}, len(candidates.serials))


def borda(candidates: Candidates, weights: Scores | None = None) -> Scores:
    """Borda's count: a source gives its first n points, the next n - 1, …, 0 to those that it did not name."""
    del weights
    total = np.zeros(len(candidates.serials))
    for rank in _ranks(candidates):
        total += np.nan_to_num(np.count_nonzero(np.isfinite(rank)) + 1 - rank)
    return total


def rrf(candidates: Candidates, weights: Scores | None = None) -> Scores:
    """Reciprocal rank fusion: the sum of 1 / (60 + rank) over the sources that named the message."""
    del weights
    total = np.zeros(len(candidates.serials))
    for rank in _ranks(candidates):
        total += np.where(np.isnan(rank), 0.0, 1.0 / (RRF_K + np.nan_to_num(rank, nan=1.0)))
    return total


def probable(candidates: Candidates, weights: Scores | None = None) -> Scores:
    """Probabilistic fusion: the log-odds of `CHANCE` over an even draw; ``learned`` where nothing was sampled."""
    chance = candidates.features.get(CHANCE)
    if chance is None:
        return learned(candidates, weights)
    even = 1.0 / max(1, len(chance))
    return np.asarray(np.log(np.maximum(chance, _LEAST * even) / even))


def ensemble(candidates: Candidates, weights: Scores | None = None) -> Scores:
    """The mean of the standardised scores of ``learned``, ``weighted``, ``borda`` and ``rrf``: a vote of fusions."""
    scores = [standardised(fuse(candidates, weights)) for fuse in (learned, weighted, borda, rrf)]
    return np.asarray(np.mean(scores, axis=0))


FUSIONS: Final[Mapping[str, Fusion]] = {
    "formula": formula,
    "learned": learned,
    "graph": graph,
    "weighted": weighted,
    "borda": borda,
    "rrf": rrf,
    "probable": probable,
    "ensemble": ensemble,
}
"""By the name that a route gives."""


def terms(
    candidates: Candidates, index: int, fusion: str = "formula", weights: Scores | None = None
) -> dict[str, float]:
    """What each feature adds to the score of one candidate under a fusion that adds columns; sums to it exactly."""
    return {name: float(column[index]) for name, column in term_columns(candidates, fusion, weights).items()}


def term_columns(
    candidates: Candidates, fusion: str = "formula", weights: Scores | None = None
) -> Mapping[str, Scores]:
    """What each feature adds to the scores of all candidates; under others what it would under the formula."""
    if fusion == "graph":
        return _spaced(candidates, _graph_columns(candidates))
    if fusion in TAUGHT:
        return _spaced(candidates, _learned_columns(candidates, weights))
    return _spaced(candidates, _weighted_columns(candidates))


def columns(candidates: Candidates) -> Scores:
    """(candidates, len(LEARNED)) what the learned fusion weighs: rules as they are, measures standardised, gaps 0."""
    found = np.zeros((len(candidates.serials), len(LEARNED)))
    for i, name in enumerate(LEARNED):
        column = candidates.features.get(name)
        if column is not None:
            found[:, i] = np.nan_to_num(column) if name in AS_IT_IS else standardised(column)
            found[:, i] *= UNITS.get(name, 1.0)
    return found


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


def _learned_columns(candidates: Candidates, weights: Scores | None) -> dict[str, Scores]:
    if weights is None:
        return _weighted_columns(candidates)
    found = columns(candidates) * weights
    return {name: found[:, i] for i, name in enumerate(LEARNED) if weights[i] != 0.0 and name in candidates.features}


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


def _ranks(candidates: Candidates) -> list[Scores]:
    return [column for name, column in candidates.features.items() if name.startswith("rank:")]


def _filled(column: Scores) -> Scores:
    """The lowest value that is there in place of a missing one."""
    there = np.isfinite(column)
    return np.where(there, column, column[there].min() if there.any() else 0.0)


def _sum(columns: Mapping[str, Scores], length: int) -> Scores:
    total = np.zeros(length)
    for column in columns.values():
        total += column
    return total
