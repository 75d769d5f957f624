"""Bandits of other libraries on the questions of `benchmarks.learning`: MABWiser's and Vowpal Wabbit's.

Each gets what a user of the library would give it: the features and a constant, a reward of 1 for 👍 and 0 for 👎 less
the cost of the route, the votes as they come. None of them can take a vote back, so a vote that was withdrawn stays.
Settings are the libraries' own, none was tuned. Run it by ``python -m benchmarks.learning --peers``.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Final

import numpy as np

from benchmarks.router_policies import Learner
from benchmarks.simulator import Array, Ints, Outcomes, Room

PACKAGES: Final = ("mabwiser==2.7.4", "vowpalwabbit==9.11.9")
_VW: Final = "--cb_explore_adf --squarecb --interactions QA --quiet --random_seed {seed}"


class News:
    """The votes that came since the last look: (question, route, reward less cost)."""

    def __init__(self, costs: Array) -> None:
        self._costs = costs
        self._seen: set[tuple[int, int]] = set()
        self.played: dict[int, tuple[int, int]] = {}

    def since(self, room: Room, t: int) -> list[tuple[int, int, int, float]]:
        """(answer, question, route, reward) of every vote that stands and is new."""
        found = []
        for vote in room.standing(t):
            key = vote.answer, vote.person
            if key not in self._seen:
                self._seen.add(key)
                question, route = self.played[vote.answer]
                found.append((vote.answer, question, route, float(vote.emoji == "👍") - float(self._costs[route])))
        return found


class MabWiser:
    """One of MABWiser's contextual policies."""

    def __init__(self, outcomes: Outcomes, costs: Array, seed: int, policy: Any) -> None:
        self._x = np.column_stack((np.ones(len(outcomes.x)), outcomes.x))
        self._news = News(costs)
        arms = list(range(len(costs)))
        self._mab = import_module("mabwiser.mab").MAB(arms, policy, seed=seed)
        # it refuses to predict before it was taught: one neutral observation an arm
        self._mab.fit(arms, [0.5] * len(arms), np.zeros((len(arms), self._x.shape[1])))

    def choose(self, t: int, question: int) -> int:
        """Its prediction."""
        route = int(self._mab.predict(self._x[question : question + 1]))
        self._news.played[t] = question, route
        return route

    def learn(self, room: Room, t: int) -> None:
        """Teaches it the new votes."""
        new = self._news.since(room, t)
        if new:
            _, questions, routes, rewards = zip(*new, strict=True)
            self._mab.partial_fit(list(routes), list(rewards), self._x[list(questions)])

    def greedy(self) -> Ints:
        """The arm that it expects most of."""
        expected = self._mab.predict_expectations(self._x)
        return np.array([max(one, key=one.get) for one in expected], dtype=np.int64)


class VowpalWabbit:
    """Vowpal Wabbit's contextual bandit with action features and SquareCB exploration."""

    def __init__(self, outcomes: Outcomes, costs: Array, seed: int) -> None:
        self._news = News(costs)
        self._rng = np.random.default_rng([seed, 4])
        self._chances: dict[int, float] = {}
        self._routes = outcomes.routes
        self._shared = [f"shared |Q {_features(row)}" for row in outcomes.x]
        self._vw = import_module("vowpalwabbit").Workspace(_VW.format(seed=seed))

    def choose(self, t: int, question: int) -> int:
        """Drawn from the distribution that it gives."""
        chances = np.array(self._vw.predict(self._example(question)))
        route = int(self._rng.choice(len(chances), p=chances / chances.sum()))
        self._chances[t] = float(chances[route])
        self._news.played[t] = question, route
        return route

    def learn(self, room: Room, t: int) -> None:
        """Teaches it the new votes as costs."""
        for answer, question, route, reward in self._news.since(room, t):
            self._vw.learn(self._example(question, route, f"0:{-reward:.4f}:{self._chances[answer]:.4f}"))

    def greedy(self) -> Ints:
        """The action with the largest share."""
        shares = [self._vw.predict(self._example(question)) for question in range(len(self._shared))]
        return np.array([int(np.argmax(one)) for one in shares], dtype=np.int64)

    def _example(self, question: int, route: int | None = None, label: str = "") -> list[str]:
        lines = [f"{label + ' ' if i == route else ''}|A {name}" for i, name in enumerate(self._routes)]
        return [self._shared[question], *lines]


def _features(row: Iterable[float]) -> str:
    return " ".join(f"f{i}:{value:.4f}" for i, value in enumerate(row) if value)


def peers(outcomes: Outcomes, costs: Array, seed: int) -> dict[str, Learner]:
    """All of them; inside their environment only."""
    kinds = import_module("mabwiser.mab").LearningPolicy
    found: dict[str, Learner] = {
        "MABWiser LinUCB": MabWiser(outcomes, costs, seed, kinds.LinUCB(alpha=1.0)),
        "MABWiser LinTS": MabWiser(outcomes, costs, seed, kinds.LinTS(alpha=0.1)),
        "Vowpal Wabbit": VowpalWabbit(outcomes, costs, seed),
    }
    return found
