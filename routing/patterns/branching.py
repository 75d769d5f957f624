"""Patterns that try several ways side by side: beam, and Monte Carlo over sampled mixes of sources."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.graph import softmax
from memory.models import Candidates, Nominations
from routing.fusion import CHANCE, FORMULA, UNITS, Scores, columns, learned
from routing.patterns.run import FIRST, Run
from routing.patterns.trace import Act, Ended

WIDTH: Final = 2
"""Sources that a beam takes further."""

SAMPLES: Final = 64
KEPT: Final = 0.5
"""The chance of a source to be in a sample."""

JITTER: Final = 0.5
"""Spread of the logarithm of a sampled weight: most are between half and twice what they are without."""

SHARP: Final = 0.5
"""What a unit of score is worth in log-odds, as where votes are learned from (learning.md)."""

_FORMULA: Final = np.array([weight / UNITS.get(name, 1.0) for name, weight in FORMULA.items()])


async def beam(run: Run) -> Candidates:
    """Every source at once; the best `WIDTH` of them, by how good their first ten are, go one step deeper.

    Each asks again with what its own best evidence has taught.
    """
    said = await run.ask(*run.sources)
    pool = await run.described(said)
    began = run.timer()
    ahead = _ahead(pool, said, run.weights)[:WIDTH]
    run.note(Act.CHOOSE, len(ahead), began)
    if not ahead or not run.goes_on(len(ahead)):
        return pool
    deeper = await asyncio.gather(*(_deeper(run, one) for one in ahead))
    found = [nominations for some in deeper for nominations in some]
    if not found:
        run.end(Ended.NOTHING_NEW)
        return pool
    return await run.described([*found, *said])


async def _deeper(run: Run, said: Nominations) -> list[Nominations]:
    """What a source says to the question with what its own best messages have taught."""
    more = await run.learn(run.query, said.serials[:FIRST].tolist())
    if not more:
        return []
    return await run.ask(said.source, query=await run.engine.expanded(run.query, more))


def _ahead(pool: Candidates, said: Sequence[Nominations], weights: Scores | None) -> list[Nominations]:
    """Sources that nominated anything, by the mean score of their first ten, best first."""
    scores = dict(zip(pool.serials.tolist(), learned(pool, weights).tolist(), strict=True))
    firsts = [[scores[serial] for serial in one.serials[:FIRST].tolist() if serial in scores] for one in said]
    worth = [float(np.mean(first)) if first else -np.inf for first in firsts]
    return [said[i] for i in np.argsort(-np.array(worth), kind="stable") if np.isfinite(worth[i])]


async def monte_carlo(run: Run) -> Candidates:
    """Samples of what might matter: a random mix of the sources, weighed at random around the run's weights.

    The candidates carry the column `routing.fusion.CHANCE`: the mean over the samples of the probability that each is
    the answer (a linear opinion pool; Stone 1961). The same seed draws the same samples.
    """
    said = await run.ask(*run.sources)
    pool = await run.described(said)
    began = run.timer()
    chance = await asyncio.to_thread(_sampled, pool, said, run.weights, np.random.default_rng([run.seed, run.room]))
    run.note(Act.SAMPLE, min(SAMPLES, 2 ** len(said) - 1) if said else 0, began)
    return replace(pool, features={**pool.features, CHANCE: chance})


def _sampled(
    pool: Candidates, said: Sequence[Nominations], around: Scores | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(candidates,) probabilities that sum to 1, or to 0 when there are none."""
    weights = _FORMULA if around is None else around
    weighed = columns(pool)[:, : len(weights)] * weights
    from_source = np.array([np.isin(pool.serials, one.serials) for one in said])
    total = np.zeros(len(pool.serials))
    for _ in range(SAMPLES if len(said) and len(total) else 0):
        kept = rng.random(len(said)) < KEPT
        kept[rng.integers(len(said))] = True
        rows = np.flatnonzero(from_source[kept].any(axis=0))
        scores = weighed[rows] @ np.exp(JITTER * rng.standard_normal(len(weights)))
        if len(rows):
            total[rows] += softmax(SHARP * scores) / SAMPLES
    return total
