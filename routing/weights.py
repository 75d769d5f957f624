"""What votes teach the fusion: the weights of its columns, at first those that ship, by kind of question.

A candidate j of a pool is the message that answers with probability p_j = softmax(T w·x)_j (McFadden's conditional
logit; T is `TEMPERATURE`). A vote tells where it lies, with noise: by a rating y it is among the first three shown with
likelihood y, elsewhere with 1 - y; by a pick it is the one that was picked, or with a tenth of the chance any. So each
vote has a posterior t_i over its pool, and the weights are fitted to these shares: generalised expectation and
maximisation (Dempster, Laird and Rubin 1977), `ROUNDS` rounds that always begin at the prior w0, each one Newton step
on::

    Σ_i v_i (log Σ_j exp(T w·x_ij) - T w·Σ_j t_ij x_ij)  +  ½ (w - w0)ᵀ Λ (w - w0)

which is strictly convex. Nothing is carried over from one time to the next, so the whole is a pure function of the
votes, and a vote taken back leaves nothing behind. How firmly Λ holds is chosen among `FIRMNESS` by votes that were
held out, so that a few votes lead along what our own rooms have taught and many go where they will. The start w0 is the
formula with half of what the labels of our own rooms would change of it (`START`). The same is done
again for each kind of question, from the common weights on and with a firmer hold. Nothing moves further than `BOUND`,
and nothing moves at all until votes that were held out speak for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from routing.fusion import FORMULA, LEARNED, UNITS
from routing.questions import Kind

Array: TypeAlias = NDArray[np.float64]

TEMPERATURE: Final = 0.5
"""What makes log-odds of a score."""

FIRMNESS: Final = (1000.0, 100.0, 12.0)
"""How firmly the start may be held across the directions that ship, against the sum over votes (squared weights)."""

ALONG: Final = 0.5
"""The spread of how far votes are expected to lead along each of `directions_shipped`, in its lengths."""

OF_KIND: Final = 2.0
"""What a kind of question differs by from all is held so many times as firmly."""

BOUND: Final = 2.0
"""No weight leaves that of the start by more."""

SHARP: Final = 0.5
"""The spread of the sharpness of scores, as a share of the start's."""

ROUNDS: Final = 12
"""Rounds from the prior on; twice as many change recall by less than a tenth of a point."""

SURE: Final = 1.5
LEAST: Final = 10
"""Votes in each half, at least, before the weights leave the start."""

MISPICKED: Final = 0.1
"""The chance that a pick means nothing."""

SHOWN: Final = 3
"""A rating speaks of so many of the first citations."""

_FITTED: Final = Path(__file__).with_name("order.json")
_BLUNTEST: Final = 0.2
_HELD, _LOOSE = 1e9, 8.0  # precisions with which the direction is fitted
_HALVINGS: Final = 12
_SLOPE: Final = 1e-4  # of the promised fall that a step must bring (Armijo)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One vote on a pool. x: (candidates, columns) as the fusion saw them, those shown first and in their order.

    said: (candidates,) the likelihood of the vote were the answer that candidate; only its proportions matter. weight:
    how far the voter is trusted, 1 for a known asker. labels: it is no vote; all that ``said`` names answer, in equal
    parts.
    """

    answer: int
    kind: Kind
    x: Array
    said: Array
    weight: float
    labels: bool = False


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


PLAIN: Final[Array] = np.array([FORMULA.get(name, 0.0) / UNITS.get(name, 1.0) for name in LEARNED])
"""The formula as weights."""


@cache
def _fitted() -> Mapping[str, Any]:
    """What ``benchmarks.fit_order`` has written."""
    content: Mapping[str, Any] = json.loads(_FITTED.read_text("utf-8"))
    return content


def directions_shipped() -> Array:
    """(directions, columns) what labels of our own rooms would change of the formula, room by room."""
    return np.array([[one.get(name, 0.0) for name in LEARNED] for one in _fitted()["directions"].values()])


START: Final[Array] = PLAIN + np.array([_fitted()["start"].get(name, 0.0) for name in LEARNED])
"""The formula and a part of what all labels of our own rooms together would change of it: what votes start from."""

UNTAUGHT: Final = Weights(START, MappingProxyType({}))
"""Before any vote: the start."""


def precision(start: Array, firmness: float, directions: Array) -> Array:
    """(columns, columns) the prior precision: the inverse of I / firmness + `ALONG` ² Σ d dᵀ + `SHARP` ² s sᵀ.

    d are the directions, s the start: how sharply scores tell right from wrong is left to the votes. Columns past those
    of the product, which a benchmark may add, have none of d.
    """
    d = np.zeros((len(directions), len(start)))
    d[:, : len(LEARNED)] = ALONG * directions
    s = SHARP * start
    covariance: Array = np.eye(len(start)) / firmness + d.T @ d + np.outer(s, s)
    return np.asarray(np.linalg.inv(covariance), dtype=np.float64)


def direction(lessons: Sequence[Lesson], start: Array, held: NDArray[np.bool_]) -> Array:
    """The weights that lessons teach without a direction known before, as what ships is fitted; some are held."""
    return _bounded(_Book(lessons).taught(start, np.diag(np.where(held, _HELD, _LOOSE))), start)


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


def learn(lessons: Sequence[Lesson], *, start: Array = START, directions: Array | None = None) -> Weights:
    """The weights that the lessons teach; the ``start``, as long as they do not speak for others.

    They do when each half of the answers is better foretold by what the other half teaches than by the start, by more
    than `SURE` standard errors of the mean gain in log-likelihood. Of the firmnesses with which they do, the one that
    foretells best is taken. ``directions`` (k, columns) are those that ship, if not given.
    """
    book = _Book(sorted(lessons, key=_order)) if lessons else None
    along = directions_shipped() if directions is None else directions
    firmness = None if book is None else _firmness(book, start, along)
    if book is None or firmness is None:
        return Weights(start, lessons=len(lessons))
    common, by_kind = _taught(book, start, firmness, along)
    common, by_kind = _bounded(common, start), {kind: _bounded(found, start) for kind, found in by_kind.items()}
    return Weights(common, MappingProxyType(by_kind), len(book.rows), _digest(common, by_kind))


def _taught(book: _Book, start: Array, firmness: float, directions: Array) -> tuple[Array, dict[Kind, Array]]:
    """The common weights, and from them on those of each kind of question."""
    common = book.taught(start, precision(start, firmness, directions))
    hold = OF_KIND * firmness * np.eye(len(start))
    return common, {kind: some.taught(common, hold, rounds=2) for kind, some in book.by_kind()}


def _firmness(book: _Book, start: Array, directions: Array) -> float | None:
    """The firmness with which halves of the answers foretell each other best; None when with none they surely do."""
    parts = [[row for row in book.rows if row.answer % 2 == half] for half in (0, 1)]
    if min(len(part) for part in parts) < LEAST:
        return None
    one, other = (_Book(part) for part in parts)
    best, most = None, 0.0
    for firmness in FIRMNESS:
        found = [_taught(half, start, firmness, directions) for half in (one, other)]
        gains = np.concatenate([_gain(found[0], other, start), _gain(found[1], one, start)])
        mean = float(gains.mean())
        if mean > max(most, SURE * float(gains.std(ddof=1)) / np.sqrt(len(gains))):
            best, most = firmness, mean
    return best


def _gain(taught: tuple[Array, Mapping[Kind, Array]], tested: _Book, start: Array) -> Array:
    """(tested lessons,) how much better they are foretold by what was taught than by the start as sharp."""
    common, by_kind = taught
    gains = []
    for kind, some in tested.by_kind():
        found = by_kind.get(kind, common)
        gains.append(some.log_likelihood(found) - some.log_likelihood(start * _sharpness(found, start)))
    return np.concatenate(gains)


def _sharpness(found: Array, start: Array) -> float:
    return max(float(found @ start) / float(start @ start), _BLUNTEST)


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
        self._labels = np.repeat([row.labels for row in rows], sizes)

    def by_kind(self) -> Iterator[tuple[Kind, _Book]]:
        """The lessons of each kind of question apart."""
        for kind in sorted({row.kind for row in self.rows}):
            yield kind, _Book([row for row in self.rows if row.kind is kind])

    def taught(self, prior: Array, hold: Array, rounds: int = ROUNDS) -> Array:
        """The weights after some rounds from the prior mean on."""
        w = prior
        for _ in range(rounds):
            w = self._step(w, prior, hold)
        return w

    def log_likelihood(self, w: Array) -> Array:
        """(lessons,) the log of the likelihood of each vote, times its weight."""
        _, chance = self._chances(w)
        return np.asarray(self._weight * np.log(np.add.reduceat(chance * self._said, self._starts)))

    def _step(self, w: Array, prior: Array, hold: Array) -> Array:
        """The posterior shares under ``w``, then a Newton step to the minimum that they have, halved till it falls."""
        x, weight, owner = self._x, self._weight, self._owner
        log_total, chance = self._chances(w)
        joint = np.where(self._labels, self._said, chance * self._said)
        share = joint / np.add.reduceat(joint, self._starts)[owner]
        wanted = (weight[owner] * share) @ x
        mass = weight[owner] * chance
        gradient = mass @ x - wanted + hold @ (w - prior)
        means = np.add.reduceat(chance[:, None] * x, self._starts)
        curve = (mass[:, None] * x).T @ x - (weight[:, None] * means).T @ means + hold
        step = np.linalg.solve(curve, gradient)

        def loss(at: Array, total: Array) -> float:
            return float(weight @ total - wanted @ at + 0.5 * (at - prior) @ hold @ (at - prior))

        before, promised = loss(w, log_total), float(gradient @ step)
        for _ in range(_HALVINGS):
            after = w - step
            if loss(after, self._chances(after)[0]) <= before - _SLOPE * promised:
                return after
            step, promised = step / 2, promised / 2
        return w

    def _chances(self, w: Array) -> tuple[Array, Array]:
        """The log of the sum of exponentials a lesson, and the softmax of each candidate."""
        score = self._x @ w
        top = np.maximum.reduceat(score, self._starts)
        raised = np.exp(score - top[self._owner])
        total = np.add.reduceat(raised, self._starts)
        return top + np.log(total), raised / total[self._owner]


def _bounded(found: Array, start: Array) -> Array:
    """As sharp as the start (orders do not change by it, but spacing would), and not further from it than the bound."""
    return start + np.clip(found / _sharpness(found, start) - start, -BOUND, BOUND)


def _order(row: Lesson) -> tuple[int, str, int, float, bytes]:
    """One order for every arrival: floating-point sums then agree to the last bit."""
    return (row.answer, row.kind, len(row.x), row.weight, row.said.tobytes())


def _digest(common: Array, by_kind: Mapping[Kind, Array]) -> str:
    """16 hexadecimal digits that name the weights, to six places."""
    state = hashlib.sha256(np.round(common, 6).tobytes())
    for kind, found in by_kind.items():
        state.update(kind.encode() + np.round(found, 6).tobytes())
    return state.hexdigest()[:16]
