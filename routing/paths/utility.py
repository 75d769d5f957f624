"""Similarity and utility in one order: first a pool by similarity, then a bounded bonus inside it.

As in MemRL (2026), relevance decides who is considered and utility who comes first of those::

    score(e) = s(e) + kappa(n_e) / K_MAX · (clip(U(e) - mean over the pool, ± BOUND) - 0.05 hops(e))
    kappa(n) = K_MAX n / (n + 20)

s is the fused score, a sum of standardised features. U is what the paths into e are worth in units of s. K_MAX / SD,
the largest bonus, is what a utility of 1 instead of 0 is worth when one standard deviation of utility (0.15) is worth
K_MAX standard deviations of similarity. n is the evidence behind the paths: with none there is no bonus, and the order
is that of similarity.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

K_MAX: Final = 0.5
HALF_WAY: Final = 20.0
"""Evidence (rewarded citations) at which the bonus has half of its weight."""

SD: Final = 0.15
BOUND: Final = K_MAX / SD
HOPS: Final = 0.05
POOL: Final = 2
"""The pool is this many times what is asked for."""

_APART: Final = 1e-9


def kappa(evidence: Array | float) -> Array:
    """How far the utility of paths counts, in [0, K_MAX)."""
    n = np.asarray(evidence, dtype=np.float64)
    return np.asarray(K_MAX * n / (n + HALF_WAY))


def bonuses(utility: Array, evidence: Array, hops: Array) -> Array:
    """(pool,) what is added to the similarity of each item of a pool."""
    if not len(utility):
        return np.zeros(0)
    worth = np.clip(utility - utility.mean(), -BOUND, BOUND)
    return np.asarray(kappa(evidence) / K_MAX * (worth - HOPS * hops))


def pool_of(similarity: Array, asked: int, threshold: float = -np.inf) -> NDArray[np.int64]:
    """The places of the best ``POOL * asked`` items at or above the threshold of relevance, best first."""
    best = np.argsort(-similarity, kind="stable")[: POOL * asked]
    return best[similarity[best] >= threshold]


def ranked(similarity: Array, pool: NDArray[np.int64], added: Array) -> Array:
    """(items,) scores of which the order is: the pool by similarity and bonus, then the rest by similarity.

    An item of the pool does not fall below one outside: what utility may change is the order within.
    """
    scores = similarity.astype(np.float64, copy=True)
    inside = np.zeros(len(scores), dtype=np.bool_)
    inside[pool] = True
    lifted = scores[pool] + added
    floor = scores[~inside].max(initial=-np.inf)
    if len(pool) and np.isfinite(floor) and lifted.min() <= floor:
        place = np.argsort(np.argsort(lifted, kind="stable"), kind="stable")
        lifted = np.maximum(lifted, floor + _APART * (1 + place))
    scores[pool] = lifted
    return scores
