"""What each type of path is worth: a log-linear model of whether a message that was cited is evidence.

The log-odds that a cited message e is evidence for a question of kind c are::

    a + b s(e) + sum_p (w_p + w_cp) sqrt(P_p(e))

s is its similarity (the fused score without paths), P_p(e) how likely a walk of type p ends in it. Adding up beats the
best path alone: evidence lies where several paths meet. The weights are those of the largest posterior under normal
priors; the prior mean of w_p is what counting says of the type by itself, its Q (`prior_of`), and that of w_cp is 0, so
that a kind of question with little evidence does what all do. The worth of paths in units of similarity is the sum over
b. The problem is convex and solved by Newton's method: a pure function of the items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.models import PathType
from routing.paths.abstract import ANY
from routing.paths.utility import SD

Array = NDArray[np.float64]

PRECISION: Final = 0.3
PRECISION_OF_A_KIND: Final = 3.0
"""How firmly the weights of one kind of question stay with those of all."""

PRECISION_OF_SIMILARITY: Final = 0.1
RARE: Final = 2
"""A type among fewer items than this has no weight."""

MOST_TYPES: Final = 100
"""Types that have a weight, the most frequent first."""

LEAST_SLOPE: Final = 0.1
PRIOR_SCALE: Final = 0.1
_ROUNDS: Final = 50
_CLOSE: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Item:
    """A cited message: the kind of question, its walks and similarity, and what votes say: y in [0, 1], weight w."""

    cluster: str
    chances: Mapping[PathType, float]
    similarity: float
    y: float
    w: float


@dataclass(frozen=True, slots=True)
class PathWeights:
    """What types of path are worth, in units of similarity: by kind of question (or `ANY`) and type."""

    worth: Mapping[tuple[str, PathType], float] = field(default_factory=dict)

    def terms(self, cluster: str, chances: Mapping[PathType, float]) -> dict[PathType, float]:
        """What each type adds for a message."""
        return {
            path: (self.worth.get((ANY, path), 0.0) + self.worth.get((cluster, path), 0.0)) * float(np.sqrt(chance))
            for path, chance in chances.items()
        }


def fitted(items: Sequence[Item], prior: Mapping[PathType, float]) -> PathWeights:
    """The weights that items of weight above 0 give; none when all say the same."""
    told = [item for item in items if item.w > 0]
    if not told or len({item.y > 0.5 for item in told}) == 1:  # noqa: PLR2004 - liked or not
        return PathWeights()
    columns = _columns(told)
    design, precision, mean = _problem(told, columns, prior)
    y, w = np.array([item.y for item in told]), np.array([item.w for item in told])
    found = solved(design, y, w, precision, mean)
    slope = max(float(found[1]), LEAST_SLOPE)
    return PathWeights({column: float(value) / slope for column, value in zip(columns, found[2:], strict=True)})


def _columns(items: Sequence[Item]) -> list[tuple[str, PathType]]:
    """The types that are frequent enough, over all questions and by kind."""
    everywhere = Counter(path for item in items for path in item.chances)
    by_kind = Counter((item.cluster, path) for item in items for path in item.chances)
    kinds = {item.cluster for item in items}
    often = sorted(everywhere, key=lambda path: (-everywhere[path], path))[:MOST_TYPES]
    paths = sorted(path for path in often if everywhere[path] >= RARE)
    least = 10 * RARE
    return [
        *((ANY, path) for path in paths),
        *((kind, path) for kind in sorted(kinds) for path in paths if len(kinds) > 1 and by_kind[kind, path] >= least),
    ]


def _problem(
    items: Sequence[Item], columns: Sequence[tuple[str, PathType]], prior: Mapping[PathType, float]
) -> tuple[Array, Array, Array]:
    """The design (items, 2 + columns) with the precisions and means of its weights."""
    place: dict[PathType, list[tuple[int, str]]] = {}
    for i, (kind, path) in enumerate(columns):
        place.setdefault(path, []).append((i + 2, kind))
    design = np.zeros((len(items), len(columns) + 2))
    for row, item in enumerate(items):
        design[row, :2] = 1.0, item.similarity
        for path, chance in item.chances.items():
            for column, kind in place.get(path, ()):
                if kind in {ANY, item.cluster}:
                    design[row, column] = np.sqrt(chance)
    of_kinds = [PRECISION if kind == ANY else PRECISION_OF_A_KIND for kind, _ in columns]
    means = [prior.get(path, 0.0) if kind == ANY else 0.0 for kind, path in columns]
    return design, np.array([1e-3, PRECISION_OF_SIMILARITY, *of_kinds]), np.array([0.0, 1.0, *means])


def solved(design: Array, y: Array, w: Array, precision: Array, mean: Array) -> Array:
    """The weights of the largest posterior, by Newton's method with halved steps."""

    def loss(at: Array) -> float:
        z = design @ at
        return float(w @ (np.logaddexp(0.0, z) - y * z) + 0.5 * precision @ (at - mean) ** 2)

    at, here = mean.copy(), loss(mean)
    for _ in range(_ROUNDS):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ at, -40, 40)))
        gradient = design.T @ (w * (p - y)) + precision * (at - mean)
        curvature = (design * (w * p * (1.0 - p))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        scale = 1.0
        while (there := loss(at - scale * step)) > here and scale > _CLOSE:
            scale /= 2
        if here - there < _CLOSE:
            return at
        at, here = at - scale * step, there
    return at


def prior_of(expected: Mapping[PathType, float], usual: float) -> dict[PathType, float]:
    """Prior means from what stopping at the end of each type gives, beside what stopping anywhere gives."""
    return {path: PRIOR_SCALE * (value - usual) / SD for path, value in expected.items()}
