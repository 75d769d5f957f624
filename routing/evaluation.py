"""What another policy would have earned on the decisions that were logged (off-policy evaluation).

A logged decision tells the features x, the route a that was played, its true propensity p(a|x), and, when people voted
on its answer, a reward y with weight w (`routing.rewards`). The value of a policy pi is the mean reward of rated
answers had pi chosen, E_pi[w y] / E_pi[w]; costs are not subtracted. With
rho = min(pi(a|x) / p(a|x), 20), three estimates of it::

    IPS     sum rho w y / sum w                                                   Horvitz and Thompson 1952
    SNIPS   sum rho w y / sum rho w                                               Swaminathan and Joachims 2015
    DR      mean m_pi + sum rho w (y - m_a) / sum rho w                           Thomas and Brunskill 2016 (WDR)

m is the expected reward by the product's own linear model and m_pi its mean under pi; the correction is normalised by
its weights, as in SNIPS, because weights that are cut would leave too little of it. The model, and policies that learn,
see at each answer only votes on answers before it: nobody is judged by votes that taught them.
Intervals are those of the bootstrap by answer (1,000 draws, percentiles); that of DR is widened to the side, and by as
much, as cutting the weights moved it. The model alone is never an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory.errors import Refused
from routing import sequences
from routing.intervals import Interval
from routing.models import Evidence
from routing.policies.linear import Design, Posterior

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

CLIP: Final = 20.0
"""The largest importance weight; what lies above is cut, and how often is told."""
FEWEST: Final = 30
"""Rewarded decisions below which nothing is said about a policy."""
DRAWS: Final = 1000
BLOCKS: Final = 32
"""How often, at most, the model is learned anew along the log."""
SHORTEST: Final = 16
"""Rewarded decisions between two such times, at least."""
_AT_ONCE: Final = 100


@dataclass(frozen=True, eq=False)
class Log:
    """Rewarded decisions in the order of answers; the rows of all arrays are decisions.

    evidence: what was decided and earned. rules: (n,) the rules' route. pi: (n, routes) the propensities that it was
    drawn with. offered: (n, routes) the routes that were up. seeds: of the draws. policies: who decided. whole, places:
    of a part, the log that it is of and where its rows stand there.
    """

    design: Design
    evidence: tuple[Evidence, ...]
    rules: Rows
    pi: Array
    offered: NDArray[np.bool_]
    seeds: tuple[int, ...]
    policies: tuple[str, ...]
    whole: Log | None = None
    places: Rows | None = None

    def part(self, places: Rows) -> Log:
        """Some of its decisions, to be judged by themselves; what was learned at each is what the whole log taught."""
        some = places.tolist()
        return Log(
            design=self.design,
            evidence=tuple(self.evidence[i] for i in some),
            rules=self.rules[places],
            pi=self.pi[places],
            offered=self.offered[places],
            seeds=tuple(self.seeds[i] for i in some),
            policies=tuple(self.policies[i] for i in some),
            whole=self,
            places=places,
        )

    def __len__(self) -> int:
        """How many."""
        return len(self.evidence)

    @cached_property
    def played(self) -> Rows:
        """(n,) the route that was played."""
        return np.array([self.design.index[one.route] for one in self.evidence], dtype=np.intp)

    @cached_property
    def x(self) -> Array:
        """(n, columns) features."""
        return np.array([one.x for one in self.evidence]).reshape(len(self), self.design.columns)

    @cached_property
    def y(self) -> Array:
        """(n,) rewards."""
        return np.array([one.y for one in self.evidence])

    @cached_property
    def w(self) -> Array:
        """(n,) their weights."""
        return np.array([one.w for one in self.evidence])

    @cached_property
    def propensity(self) -> Array:
        """(n,) of the route that was played."""
        return np.asarray(self.pi[np.arange(len(self)), self.played])

    def blocks(self) -> Iterator[slice]:
        """Stretches of the log; what is learned for one is learned from the rows before it."""
        step = max(SHORTEST, math.ceil(len(self) / BLOCKS))
        for start in range(0, len(self), step):
            yield slice(start, min(start + step, len(self)))

    def taught(self, block: slice, design: Design | None = None) -> Posterior:
        """What the rows before a block teach, as it stands at the block's first answer (the last one's, at the end)."""
        at = self.evidence[min(block.start, len(self) - 1)].answer
        return Posterior.from_votes(self.evidence[: block.start], at, self.design if design is None else design)

    @cached_property
    def learned(self) -> Posterior:
        """What the whole log teaches in the end."""
        log = self.whole or self
        return log.taught(slice(len(log), len(log)))

    @cached_property
    def expected(self) -> Array:
        """(n, routes) rewards that the model expects, each row by the rows of the blocks before its own."""
        if self.whole is not None:
            return np.asarray(self.whole.expected[self.places])
        return np.concatenate([self.taught(block).means(self.x[block], self.rules[block]) for block in self.blocks()])


Target: TypeAlias = Callable[[Log], Array]
"""A policy that is to be judged: (n, routes), what it would do at each decision of a log."""


def rules_target(log: Log) -> Array:
    """The rules alone."""
    return _one_hot(log.rules, log)


def route_target(route: str) -> Target:
    """Always the same route; the rules' where it is down."""

    def target(log: Log) -> Array:
        row = log.design.index[route]
        return _one_hot(np.where(log.offered[:, row], row, log.rules), log)

    return target


def uniform_target(log: Log) -> Array:
    """Every route that is up, evenly."""
    return np.asarray(log.offered / log.offered.sum(axis=1, keepdims=True), dtype=np.float64)


def _one_hot(rows: Rows, log: Log) -> Array:
    out = np.zeros(log.pi.shape)
    out[np.arange(len(log)), rows] = 1.0
    return out


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the log says about a policy, with 95 % intervals; ``lead`` is DR minus the DR of what it is compared with.

    clipped: share of the decisions whose weight was cut. untried: share of what the policy would do that the log could
    not have taken; there DR rests on the model alone, and IPS and SNIPS count nothing. effective: the number of
    decisions that would tell as much, had the policy itself decided (Kish 1965).
    """

    policy: str
    decisions: int
    effective: float
    ips: Interval
    snips: Interval
    dr: Interval
    snips_lead: Interval
    lead: Interval
    clipped: float
    untried: float


def evaluate(
    log: Log, policies: Mapping[str, Target], against: Target = rules_target, *, seed: int = 0
) -> tuple[Evaluation, ...]:
    """Judges policies on a log, with one bootstrap for all.

    Raises Refused, with the numbers, when too few decisions were rewarded.
    """
    enough(len(log))
    some = [_weighed(log, target(log)) for target in (*policies.values(), against)]
    found = _bootstrap(np.column_stack([one.sums for one in some]), _estimates, seed)
    return tuple(
        _evaluation(name, log, ours, found[5 * k : 5 * k + 5], some[-1].moved)
        for k, (name, ours) in enumerate(zip(policies, some, strict=False))
    )


def _evaluation(name: str, log: Log, ours: _Weighed, found: Sequence[Interval], base_moved: float) -> Evaluation:
    weight = ours.rho * log.w
    return Evaluation(
        policy=name,
        decisions=len(log),
        effective=float(weight.sum() ** 2 / max((weight**2).sum(), 1e-12)),
        ips=found[0],
        snips=found[1],
        dr=_widened(found[2], ours.moved),
        snips_lead=found[3],
        lead=_widened(found[4], ours.moved - base_moved),
        clipped=float(ours.clipped.mean()),
        untried=ours.untried,
    )


def _widened(interval: Interval, by: float) -> Interval:
    return Interval(interval.mean, interval.low + min(by, 0.0), interval.high + max(by, 0.0))


def enough(rewarded: int, weightless: int = 0) -> None:
    """Raises Refused when so many rewarded decisions cannot judge a policy; ``weightless`` have votes of no weight."""
    if rewarded < FEWEST:
        have = "decision has" if rewarded == 1 else "decisions have"
        if weightless:
            raise Refused(
                f"Only {rewarded} {have} votes that weigh something ({weightless} more have votes that cancel, or that "
                f"are past the newest 20 or so of one person on a route), and judging a policy needs {FEWEST}; it "
                "takes votes of more people."
            )
        raise Refused(
            f"Only {rewarded} {have} a vote, and judging a policy needs {FEWEST}; ask, react with 👍 or 👎, and try "
            "again."
        )


def lead_terms(log: Log, target: Target, against: Target = rules_target) -> Array:
    """(n,) terms whose mean estimates DR(target) - DR(against), one a decision: what a sequence of bounds is made of.

    (m_pi - m_0) + (rho_pi - rho_0) (w / W) (y - m_a), the linear part of the difference.
    """
    pi, base = target(log), against(log)
    ours, theirs = _weighed(log, pi), _weighed(log, base)
    residual = log.w / log.w.mean() * (log.y - log.expected[np.arange(len(log)), log.played])
    return np.asarray(((pi - base) * log.expected).sum(axis=1) + (ours.rho - theirs.rho) * residual)


def lead_noise(log: Log, target: Target, against: Target = rules_target) -> Array:
    """(n,) variances that the terms of `lead_terms` have by the draw of the route: s² sum_a p_a (rho_pi - rho_0)².

    s² is the mean square of the weighted residuals. It is known from the propensities, also where a large weight was
    never drawn yet.
    """
    residual = log.w / log.w.mean() * (log.y - log.expected[np.arange(len(log)), log.played])
    apart = _weights(log, target(log)) - _weights(log, against(log))
    return np.asarray(float((residual**2).mean()) * (log.pi * apart**2).sum(axis=1))


def _weights(log: Log, pi: Array) -> Array:
    """(n, routes) weights, cut; 0 where the log could not go."""
    return np.minimum(np.divide(pi, log.pi, out=np.zeros_like(pi), where=log.pi > 0), CLIP)


def value_terms(log: Log, target: Target) -> Array:
    """(n,) terms whose mean estimates DR(target), one a decision."""
    pi = target(log)
    residual = log.w / log.w.mean() * (log.y - log.expected[np.arange(len(log)), log.played])
    return np.asarray((pi * log.expected).sum(axis=1) + _weighed(log, pi).rho * residual)


def lead_sequence(log: Log, target: Target, against: Target = rules_target) -> Interval:
    """DR(target) - DR(against) with one-sided 95 % bounds, which hold however often one looks at a log that grows."""
    if not len(log):
        return sequences.one_sided(np.zeros(0))
    return sequences.one_sided(lead_terms(log, target, against), lead_noise(log, target, against))


@dataclass(frozen=True, slots=True, eq=False)
class _Weighed:
    """The weights of a target, and (n, 5) what is summed: rho w y, w, rho w, m_pi, rho w (y - m).

    moved: DR with whole weights minus DR with weights that were cut.
    """

    rho: Array
    clipped: NDArray[np.bool_]
    untried: float
    sums: Array
    moved: float


def _weighed(log: Log, pi: Array) -> _Weighed:
    rows = np.arange(len(log))
    raw = pi[rows, log.played] / log.propensity
    rho = np.minimum(raw, CLIP)
    m, weight = log.expected, rho * log.w
    model, residual = (pi * m).sum(axis=1), log.y - m[rows, log.played]
    sums = np.column_stack((weight * log.y, log.w, weight, model, weight * residual))
    whole = raw * log.w
    moved = np.sum(whole * residual) / max(whole.sum(), 1e-12) - np.sum(weight * residual) / max(weight.sum(), 1e-12)
    return _Weighed(rho, raw > CLIP, float((pi * (log.pi <= 0)).sum(axis=1).mean()), sums, float(moved))


def _estimates(sums: Array) -> Array:
    """(draws, 5 (k + 1)) mean terms to (draws, 5 k).

    For each of k policies IPS, SNIPS, DR, and how far its SNIPS and DR are above those of the last one.
    """
    each = [_three(some) for some in np.split(sums, sums.shape[1] // 5, axis=1)]
    return np.column_stack([part for one in each[:-1] for part in (one, (one - each[-1])[:, 1:])])


def _three(sums: Array) -> Array:
    """IPS, SNIPS and DR from the mean terms of one policy."""
    earned, weight, weighed, model, residual = sums.T
    known = np.maximum(weighed, 1e-12)
    return np.column_stack((earned / weight, earned / known, model + residual / known))


def _bootstrap(terms: Array, of: Callable[[Array], Array], seed: int) -> Sequence[Interval]:
    """Values of the mean terms with their percentile intervals, drawing answers with replacement (Efron 1979)."""
    n = len(terms)
    rng = np.random.default_rng(seed)
    even = np.full(n, 1.0 / n)
    drawn = np.concatenate([of(rng.multinomial(n, even, size=_AT_ONCE) @ terms / n) for _ in range(0, DRAWS, _AT_ONCE)])
    [value] = of(terms.mean(axis=0, keepdims=True))
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    return [Interval(float(v), float(a), float(b)) for v, a, b in zip(value, low, high, strict=True)]
