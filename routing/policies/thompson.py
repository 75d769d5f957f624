"""Thompson sampling over the menu, with the rules as its start, a safe set, and propensities that are true.

For a question the quality of the routes is drawn 1,000 times from the posterior, jointly, and each draw votes for the
route with the best quality minus cost (Thompson 1933; Agrawal and Goyal 2013). The shares of the draws, mixed with a
little uniform exploration, are the distribution that the route is then drawn from, so the logged propensity is exact::

    pi(a) = (1 - eps) P(a is best) + eps / |S|   for a in S, else 0

A policy may also ``lead`` with the route of the best expectation, or with that of the rules, instead of the draws; it
explores alike.

Only the safe set S may be played: healthy routes that, one standard deviation (of their difference to the best) up,
come within 0.05 of the best, and the one that the rules chose, at most four. So no propensity of a route that can be
played is below 0.0125, and the log can always tell how the rules alone would have done.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.errors import BadInput, Unavailable
from routing.models import Advice, Contribution, Decision, Features
from routing.policies.linear import Posterior

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

DRAWS: Final = 1000
BASE: Final = "base"
RULES: Final = "rules"
COST: Final = "cost"
PERSON: Final = "person"
"""Terms of a score gap that are no feature: the base quality, the rules' bonus, the cost, the asker's offset."""


class Lead(enum.StrEnum):
    """What a policy does when it does not explore."""

    DRAWS = "draws"  # the best route of a draw from the posterior
    BEST = "best"  # the route of the best expectation
    RULES = "rules"  # the route that the rules chose


@dataclass(frozen=True, slots=True)
class Chances:
    """How a question may be decided: rows are routes of the design.

    value: (routes,) expected quality minus cost. safe: rows of the routes that may be played. pi: (routes,) their
    propensities, else 0. leader: the row of the route that is no exploration.
    """

    value: Array
    safe: Rows
    pi: Array
    leader: int


@dataclass(frozen=True, slots=True)
class ThompsonPolicy:
    """Decides from a posterior. ``spread`` scales the posterior's standard deviation (v in the literature)."""

    posterior: Posterior
    epsilon: float = 0.05
    spread: float = 0.1
    margin: float = 0.05
    safe: int = 4
    name: str = "thompson"
    lead: Lead = Lead.DRAWS

    def decide(
        self,
        features: Features,
        advice: Advice,
        *,
        seed: int,
        healthy: Collection[str] | None = None,
        offset: Array | None = None,
    ) -> Decision:
        """A route for the question, with its exact propensity and the exact terms of its lead over the runner-up.

        ``offset`` (routes,) is what the asker's own votes add to the expected quality of each route. The same
        posterior, features, advice, seed, health and offset give the same decision. Raises BadInput when the features
        are of another version than the posterior's, Unavailable when no route is healthy.
        """
        design = self.posterior.design
        _check(features, self.posterior)
        rule = design.index[advice.route]
        rng = np.random.default_rng(seed)
        offered = _offered(self.posterior, rule, healthy)
        chances = self.chances(features.x, rule, offered, rng, offset)
        value, pi = chances.value, chances.pi
        played = int(chances.safe[_draw(rng, pi[chances.safe])])
        runner_up = _best(value, offered[offered != played])
        explored = played != chances.leader
        names = [route.name for route in design.routes]
        return Decision(
            route=names[played],
            policy=self.name,
            propensity=float(pi[played]),
            propensities={names[a]: float(pi[a]) for a in offered},
            rule_route=advice.route,
            reasons=_reasons(advice, names[played], explored=explored),
            features=features,
            epsilon=self.epsilon,
            seed=seed,
            explored=explored,
            runner_up=None if runner_up is None else names[runner_up],
            gap=0.0 if runner_up is None else float(value[played] - value[runner_up]),
            contributions=() if runner_up is None else self._terms(features, played, runner_up, rule, offset),
            evidence=self.posterior.evidence(played),
            posterior=self.posterior.digest,
        )

    def chances(
        self, x: Array, rule: int, offered: Rows, rng: np.random.Generator, offset: Array | None = None
    ) -> Chances:
        """The distribution that the route of a question is drawn from; ``offered`` are the rows of routes to take."""
        mean, covariance = self.posterior.expect(x, rule)
        value = mean - self.posterior.design.costs
        if offset is not None:
            value = value + offset
        spread = covariance * self.spread**2
        safe = self._safe_set(value, spread, offered, rule)
        leader = rule if self.lead is Lead.RULES else int(safe[0])  # the best comes first
        if self.lead is Lead.DRAWS:
            shares = _shares(rng, value[safe], spread[np.ix_(safe, safe)])
        else:
            shares = (safe == leader).astype(np.float64)
        pi = np.zeros(len(value))
        pi[safe] = (1 - self.epsilon) * shares + self.epsilon / len(safe)
        return Chances(value, safe, pi, leader)

    def _safe_set(self, value: Array, spread: Array, offered: Rows, rule: int) -> Rows:
        """Routes that may be played: the best, what the rules chose, then by optimism."""
        best = _best(value, offered)
        apart = np.diag(spread) + spread[best, best] - 2 * spread[best]
        hope = value + np.sqrt(np.maximum(apart, 0.0))
        good = [a for a in offered if a in (best, rule) or hope[a] >= value[best] - self.margin]
        order = sorted(good, key=lambda a: (a != best, a != rule, -hope[a]))
        return np.array(order[: self.safe], dtype=np.intp)

    def _terms(self, features: Features, a: int, b: int, rule: int, offset: Array | None) -> tuple[Contribution, ...]:
        """(mean_a - mean_b) x, term by term, with what rules, costs and asker add; exact zeros are left out."""
        posterior, costs = self.posterior, self.posterior.design.costs
        difference = posterior.mean[a] - posterior.mean[b]
        terms = [
            (BASE, difference[0]),
            *zip(features.names, difference[1:] * features.x, strict=True),
            (RULES, posterior.bonus * (int(a == rule) - int(b == rule))),
            (COST, costs[b] - costs[a]),
            (PERSON, 0.0 if offset is None else offset[a] - offset[b]),
        ]
        return tuple(Contribution(name, float(amount)) for name, amount in terms if amount != 0.0)


def _reasons(advice: Advice, played: str, *, explored: bool) -> tuple[str, ...]:
    """The rules' reasons for their own route; for another, that it is a try or that votes led there."""
    if played == advice.route:
        return advice.reasons
    if explored:
        return (f"I am trying this route to learn how it does; {advice.route} looked better.",)
    return (f"Votes on earlier answers speak for this route rather than for {advice.route}.",)


def _check(features: Features, posterior: Posterior) -> None:
    design = posterior.design
    if features.version != design.features_version or features.x.shape != (design.columns,):
        raise BadInput(
            f"Features of version {features.version} do not fit what was learned on version {design.features_version}; "
            "compute the learned state again from the votes."
        )


def _offered(posterior: Posterior, rule: int, healthy: Collection[str] | None) -> Rows:
    """Routes that are up; those on request only where the rules ask for them."""
    routes = posterior.design.routes
    up = [i for i, route in enumerate(routes) if healthy is None or route.name in healthy]
    rows = [i for i in up if i == rule or not routes[i].on_request]
    if not rows:
        raise Unavailable("No route can be taken now: every source is down; `weavebot doctor` says which and why.")
    return np.array(rows, dtype=np.intp)


def _best(value: Array, among: Rows) -> int | None:
    return int(among[np.argmax(value[among])]) if len(among) else None


def _shares(rng: np.random.Generator, value: Array, covariance: Array) -> Array:
    """The share of joint draws in which each route is the best."""
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(value)))
    draws = value + rng.standard_normal((DRAWS, len(value))) @ root.T
    return np.bincount(draws.argmax(axis=1), minlength=len(value)) / DRAWS


def _draw(rng: np.random.Generator, chances: Array) -> int:
    """A row by its chance."""
    return min(int(np.searchsorted(np.cumsum(chances), rng.random(), side="right")), len(chances) - 1)
