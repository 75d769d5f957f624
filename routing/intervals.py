"""The mean reward of a route with its 95 % interval, and its change.

A reward y with weight w is w y of a success and w (1 - y) of a failure: the mean has the Beta posterior of Jeffreys'
prior, whose central interval covers well from a handful of votes on (Brown, Cai and DasGupta 2001). Differences use
the intervals of their parts (MOVER; Zou and Donner 2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from scipy.special import betaincinv

JEFFREYS: Final = 0.5
TAIL: Final = 0.025


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval."""

    mean: float
    low: float
    high: float


def mean_reward(rewards: Iterable[tuple[float, float]]) -> Interval:
    """The weighted mean of (y, w) with its interval; without any weight one half, and hardly any knowledge."""
    pairs = [(y, w) for y, w in rewards if w > 0]
    good = math.fsum(y * w for y, w in pairs)
    bad = math.fsum((1 - y) * w for y, w in pairs)
    a, b = good + JEFFREYS, bad + JEFFREYS
    mean = good / (good + bad) if good + bad > 0 else 0.5
    low, high = (float(betaincinv(a, b, tail)) for tail in (TAIL, 1 - TAIL))
    return Interval(mean, min(low, mean), max(high, mean))


def change(before: Interval, now: Interval) -> Interval:
    """How far a mean has moved, with the interval of the difference of two independent means."""
    moved = now.mean - before.mean
    down = math.hypot(now.mean - now.low, before.high - before.mean)
    up = math.hypot(now.high - now.mean, before.mean - before.low)
    return Interval(moved, moved - down, moved + up)
