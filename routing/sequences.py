"""Confidence sequences: bounds on a mean that hold at all times at once, so that one may look as often as one likes.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central limit
theory and asymptotic confidence sequences", Annals of Statistics 2024, theorem 2.2 and, for one side, its appendix)::

    mean_t ± sd_t sqrt( (2 (t rho² + 1) / (t² rho²)) log( sqrt(t rho² + 1) / alpha ) )           two sides
    mean_t ± sd_t sqrt( (2 (t rho² + 1) / (t² rho²)) log( 1 + sqrt(t rho² + 1) / (2 alpha) ) )   one side

It holds for terms of any size, where an empirical Bernstein sequence (Waudby-Smith and Ramdas 2024) needs their bound:
an importance weight of 20 would make that one five times as wide at 500 terms. It asks for a start of some terms
(`START`), before which nothing is claimed. The variance is that of the terms, or what is known of it beforehand where
that is more.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from routing.intervals import Interval

Array = NDArray[np.float64]

ALPHA: Final = 0.05
START: Final = 100
"""Terms before which no bound is claimed: the theorem is about many."""
TIGHTEST: Final = 500
"""The number of terms at which the sequence is tightest."""


def two_sided(terms: Array, noise: Array | None = None, alpha: float = ALPHA) -> Interval:
    """Mean of the terms with an interval that holds, with chance 1 - alpha, at every number of terms at once.

    ``noise`` (n,) is the variance that each term is known to have before it is seen. Where weights are large and rare
    the terms seen so far may hold none of them and look calm: then the noise counts.
    """
    return _around(terms, noise, _width(len(terms), alpha, sides=2))


def one_sided(terms: Array, noise: Array | None = None, alpha: float = ALPHA) -> Interval:
    """As `two_sided`, but each bound holds with chance 1 - alpha by itself, not both together."""
    return _around(terms, noise, _width(len(terms), alpha, sides=1))


def smallest_effect(spread: float, terms: int, alpha: float = ALPHA) -> float:
    """The least mean that a sequence over so many terms of that standard deviation tells from 0, half of the time."""
    return spread * _width(terms, alpha, sides=2)


def _around(terms: Array, noise: Array | None, width: float) -> Interval:
    if len(terms) < START:
        return Interval(float(terms.mean()) if len(terms) else 0.0, -math.inf, math.inf)
    variance = float(terms.var()) if noise is None else max(float(terms.var()), float(noise.mean()))
    mean, half = float(terms.mean()), math.sqrt(variance) * width
    return Interval(mean, mean - half, mean + half)


def _width(t: int, alpha: float, *, sides: int) -> float:
    """The half-width for a standard deviation of 1."""
    if t < 1:
        return math.inf
    # rho² that is nearly tightest at TIGHTEST, by the approximation in the appendix of the paper
    level = alpha if sides == 2 else 2 * alpha  # noqa: PLR2004 - two sides
    rho2 = (-2 * math.log(level) + math.log(-2 * math.log(level) + 1)) / TIGHTEST
    grown = t * rho2 + 1
    tail = math.log(math.sqrt(grown) / alpha) if sides == 2 else math.log1p(math.sqrt(grown) / (2 * alpha))  # noqa: PLR2004
    return math.sqrt(2 * grown / (t * t * rho2) * tail)
