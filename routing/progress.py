"""What a team's votes have taught, as series to draw: rewards over time, routes, confidence against votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from routing.evaluation import Log, rules_target, value_terms
from routing.intervals import Interval, mean_reward
from routing.learner import LIKED

Array = NDArray[np.float64]

POINTS: Final = 200
"""Points of a curve at most."""
FIRST: Final = 10
"""Rated answers before the first of them."""
BINS: Final = 5
"""Of confidence, evenly wide."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A mean after so many rated answers, with its 95 % interval at each point by itself; parallel tuples."""

    name: str
    answers: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RouteProgress:
    """A route: what its rated answers earned, and what is expected of it on the questions that were asked."""

    route: str
    rated: int
    earned: Interval
    expected: Interval


@dataclass(frozen=True, slots=True)
class Bin:
    """Rated answers of about the same confidence: their mean confidence and the share that was liked."""

    answers: int
    confidence: float
    liked: Interval


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything that a picture of the learning shows."""

    rated: int
    decided: Curve
    rules: Curve
    routes: tuple[RouteProgress, ...]
    calibration: tuple[Bin, ...]


def progress(log: Log, confidence: Sequence[float]) -> Progress:
    """Reads the series off a log; ``confidence`` is that of each of its answers, in [0, 1]."""
    return Progress(
        rated=len(log),
        decided=_curve("what decided", log.y, log.w),
        rules=_curve("the rules alone (DR)", value_terms(log, rules_target), np.ones(len(log))),
        routes=_routes(log),
        calibration=_calibration(np.array(confidence), log.y),
    )


def _curve(name: str, terms: Array, weights: Array) -> Curve:
    """Weighted running means; the interval is the normal one of a ratio of means (the delta method)."""
    n = len(terms)
    at = np.unique(np.linspace(min(FIRST, n), n, POINTS).astype(int)) if n else np.zeros(0, dtype=int)
    total = weights.cumsum()[at - 1]
    mean = (weights * terms).cumsum()[at - 1] / total
    squares = (weights**2 * terms**2).cumsum()[at - 1]
    cross, weight = (weights**2 * terms).cumsum()[at - 1], (weights**2).cumsum()[at - 1]
    half = 1.96 * np.sqrt(np.maximum(squares - 2 * mean * cross + mean**2 * weight, 0.0)) / total
    return Curve(name, *(tuple(column.tolist()) for column in (at, mean, mean - half, mean + half)))


def _routes(log: Log) -> tuple[RouteProgress, ...]:
    """In the order of the menu; routes that no rated answer took are left out."""
    if not len(log):
        return ()
    posterior = log.learned
    mean, centre = posterior.means(log.x, log.rules).mean(axis=0), log.x.mean(axis=0)
    followed = np.bincount(log.rules, minlength=len(mean)) / len(log)
    inputs = np.append(1.0, centre)
    found = []
    for row, route in enumerate(log.design.routes):
        taken = log.played == row
        if taken.any():
            variance = float(inputs @ posterior.covariance[row, row] @ inputs)
            variance += followed[row] ** 2 * posterior.bonus_variance
            variance += 2 * followed[row] * float(posterior.bonus_covariance[row] @ inputs)
            half = 1.96 * float(np.sqrt(max(variance, 0.0)))
            earned = mean_reward(zip(log.y[taken].tolist(), log.w[taken].tolist(), strict=True))
            expected = Interval(float(mean[row]), float(mean[row]) - half, float(mean[row]) + half)
            found.append(RouteProgress(route.name, int(taken.sum()), earned, expected))
    return tuple(found)


def _calibration(confidence: Array, y: Array) -> tuple[Bin, ...]:
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    found = []
    for number in range(BINS):
        here = which == number
        if here.any():
            liked = mean_reward((float(reward > LIKED), 1.0) for reward in y[here])
            found.append(Bin(int(here.sum()), float(confidence[here].mean()), liked))
    return tuple(found)
