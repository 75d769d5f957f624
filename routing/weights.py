"""What votes teach the fusion: the weights of its columns, at first the formula's, by kind of question.

A candidate j of a pool is the message that answers with probability p_j = softmax(T w·x)_j (McFadden's conditional
logit; T is `TEMPERATURE`). A vote tells where it lies, with noise: by a rating y it is among the first three shown with
likelihood y, elsewhere with 1 - y; by a pick it is the one that was picked, or with a tenth of the chance any. So each
vote has a posterior t_i over its pool, and the weights are fitted to these shares, by expectation and maximisation in
`ROUNDS` rounds that always begin at the prior w0 (Dempster, Laird and Rubin 1977)::

    w = argmin  Σ_i v_i (log Σ_j exp(T w·x_ij) - T w·Σ_j t_ij x_ij)  +  ½ (w - w0)ᵀ Λ (w - w0)

Each round is strictly convex: its minimum is one, whatever order votes came in and wherever the search starts, so the
whole is a pure function of the votes, and a vote taken back leaves nothing behind. The last step is done again for
each kind of question, from the common weights on and with a firmer hold. Nothing moves further than `BOUND`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from routing.fusion import FORMULA, LEARNED, UNITS
from routing.questions import Kind

Array: TypeAlias = NDArray[np.float64]

TEMPERATURE: Final = 0.5
"""What makes log-odds of a score."""

PRECISION: Final = 8.0
"""How firmly the formula is held, against the sum over votes; in squared weights."""

PRECISION_OF_KIND: Final = 24.0
"""The same for what a kind of question differs by from all."""

BOUND: Final = 1.5
"""No weight leaves the formula's by more."""

ROUNDS: Final = 3
MISPICKED: Final = 0.1
"""The chance that a pick means nothing."""

SHOWN: Final = 3
"""A rating speaks of so many of the first citations."""

_ENOUGH: Final = 1e-11  # of a Newton step, in weights
_MOST_STEPS: Final = 60
_SMALLEST_SHARE: Final = 1e-6  # of a step: less is rounding
_SLOPE: Final = 1e-4  # of the promised fall that a step must bring (Armijo)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One vote on a pool. x: (candidates, columns) as the fusion saw them, those shown first and in their order.

    said: (candidates,) the likelihood of the vote were the answer that candidate; only its proportions matter. weight:
    how far the voter is trusted, 1 for a known asker.
    """

    answer: int
    kind: Kind
    x: Array
    said: Array
    weight: float


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of `routing.fusion.LEARNED`; those of a kind where votes have taught some. ``lessons`` counts them."""

    common: Array
    by_kind: Mapping[Kind, Array] = field(default_factory=dict)
    lessons: int = 0
    digest: str = ""

    def of(self, kind: Kind) -> Array:
        """(columns,) the weights for a kind of question."""
        return self.by_kind.get(kind, self.common)


START: Final[Array] = np.array([FORMULA.get(name, 0.0) / UNITS.get(name, 1.0) for name in LEARNED])
"""The formula as weights."""

UNTAUGHT: Final = Weights(START, MappingProxyType({}))
"""Before any vote: the formula."""


def rated(answer: int, kind: Kind, x: Array, *, y: float, trust: float) -> Lesson | None:
    """What a rating says; None when it says nothing. ``y`` in [0, 1] is the answer's reward."""
    if trust <= 0 or len(x) <= SHOWN:
        return None
    return Lesson(answer, kind, x, np.where(np.arange(len(x)) < SHOWN, y, 1 - y), trust)


def picked(answer: int, kind: Kind, x: Array, place: int, trust: float) -> Lesson | None:
    """What the pick of the citation at ``place`` (0 first) says; None when no such citation stands."""
    if trust <= 0 or not 0 <= place < len(x) or len(x) <= 1:
        return None
    said = np.full(len(x), MISPICKED / len(x))
    said[place] += 1 - MISPICKED
    return Lesson(answer, kind, x, said, trust)


def learn(lessons: Sequence[Lesson], before: Weights | None = None, *, start: Array = START) -> Weights:
    """The weights that the lessons teach. ``before`` only speeds the search up; ``start`` is the prior mean."""
    if not lessons:
        return Weights(start, MappingProxyType({}))
    book = _Book(sorted(lessons, key=_order))
    common = start
    for turn in range(ROUNDS):
        share = book.shares(common)
        common = book.minimum(share, start, PRECISION, common if turn or before is None else before.common)
    by_kind = {}
    for kind in sorted({row.kind for row in book.rows}):
        some = _Book([row for row in book.rows if row.kind is kind])
        found = some.minimum(some.shares(common), common, PRECISION_OF_KIND, common)
        by_kind[kind] = _bounded(found, start)
    common = _bounded(common, start)
    return Weights(common, MappingProxyType(by_kind), len(book.rows), _digest(common, by_kind))


class _Book:
    """Lessons one below the other."""

    def __init__(self, rows: Sequence[Lesson]) -> None:
        sizes = [len(row.x) for row in rows]
        self.rows = rows
        self._x = TEMPERATURE * np.concatenate([row.x for row in rows])
        self._starts = np.cumsum([0, *sizes])[:-1]
        self._owner = np.repeat(np.arange(len(rows)), sizes)
        self._weight = np.array([row.weight for row in rows])
        self._said = np.concatenate([row.said for row in rows])

    def shares(self, w: Array) -> Array:
        """(candidates,) the posterior of each to be the answer, given what was said; sums to 1 a lesson."""
        _, chance = self._chances(w)
        joint = chance * self._said
        return joint / np.add.reduceat(joint, self._starts)[self._owner]

    def minimum(self, share: Array, centre: Array, precision: float, start: Array) -> Array:
        """The minimiser of the penalised loss, by Newton's method with halved steps; to about 1e-11 in each weight."""
        x, weight, owner = self._x, self._weight, self._owner
        wanted = (weight[owner] * share) @ x

        def loss(w: Array) -> tuple[float, Array]:
            log_total, chance = self._chances(w)
            apart = w - centre
            return float(weight @ log_total - wanted @ w + 0.5 * precision * apart @ apart), chance

        w = start.copy()
        value, chance = loss(w)
        for _ in range(_MOST_STEPS):
            mass = weight[owner] * chance
            gradient = mass @ x - wanted + precision * (w - centre)
            means = np.add.reduceat(chance[:, None] * x, self._starts)
            curve = (mass[:, None] * x).T @ x - (weight[:, None] * means).T @ means + precision * np.eye(len(w))
            step = np.linalg.solve(curve, gradient)
            size = 1.0
            while size > _SMALLEST_SHARE:
                after, chances = loss(w - size * step)
                small = np.abs(size * step).max() < _ENOUGH
                if small or after <= value - _SLOPE * size * float(gradient @ step):
                    break
                size /= 2
            else:
                return w
            w, value, chance = w - size * step, after, chances
            if small:
                break
        return w

    def _chances(self, w: Array) -> tuple[Array, Array]:
        """The log of the sum of exponentials a lesson, and the softmax of each candidate."""
        score = self._x @ w
        top = np.maximum.reduceat(score, self._starts)
        raised = np.exp(score - top[self._owner])
        total = np.add.reduceat(raised, self._starts)
        return top + np.log(total), raised / total[self._owner]


def _bounded(found: Array, start: Array) -> Array:
    return start + np.clip(found - start, -BOUND, BOUND)


def _order(row: Lesson) -> tuple[int, str, int, float, bytes]:
    """One order for every arrival: floating-point sums then agree to the last bit."""
    return (row.answer, row.kind, len(row.x), row.weight, row.said.tobytes())


def _digest(common: Array, by_kind: Mapping[Kind, Array]) -> str:
    """16 hexadecimal digits that name the weights, to six places."""
    state = hashlib.sha256(np.round(common, 6).tobytes())
    for kind, found in by_kind.items():
        state.update(kind.encode() + np.round(found, 6).tobytes())
    return state.hexdigest()[:16]
