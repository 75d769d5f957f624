"""The policies that the learning benchmark compares: ours as it ships, and four to beat."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulator import Array, Ints, Outcomes, Room
from routing.models import Advice, Decision, Evidence, Features
from routing.policies.linear import Design, Posterior
from routing.policies.thompson import ThompsonPolicy
from routing.rewards import Standing, weighed


def _columns(values: NDArray[np.intp] | Ints) -> Ints:
    return np.asarray(values, dtype=np.int64)


class Learner(Protocol):
    """Chooses a route for one question after another."""

    def choose(self, t: int, question: int) -> int:
        """The route, as a column of the outcomes."""

    def learn(self, room: Room, t: int) -> None:
        """Looks at the votes that stand when question ``t`` comes."""

    def greedy(self) -> Ints:
        """What it would do now on every question if it did not explore: (questions,) columns."""


class Ours:
    """The product: rewards, posterior and Thompson sampling as they ship, on a benchmark's questions."""

    def __init__(self, outcomes: Outcomes, design: Design, seed: int, policy: ThompsonPolicy | None = None) -> None:
        self._outcomes = outcomes
        self._design = design
        self._seed = seed
        self._policy = policy or ThompsonPolicy(Posterior.from_votes([], 0, design))
        names = tuple(f"x{i}" for i in range(design.columns))
        self._features = [Features(design.features_version, names, x) for x in outcomes.x]
        self._advice = [Advice(outcomes.routes[route], ()) for route in outcomes.advised]
        self._played: dict[int, tuple[str, int]] = {}

    def choose(self, t: int, question: int) -> int:
        """Decides as the product does."""
        return self._design.index[self.decide(t, question).route]

    def decide(self, t: int, question: int) -> Decision:
        """The whole decision."""
        seed = self._seed * 1_000_003 + t
        decision = self._policy.decide(self._features[question], self._advice[question], seed=seed)
        self._played[t] = (decision.route, question)
        return decision

    def learn(self, room: Room, t: int) -> None:
        """Everything anew from the standing votes."""
        policy = self._policy
        posterior = Posterior.from_votes(self.evidence(room, t), t, self._design)
        self._policy = ThompsonPolicy(posterior, policy.epsilon, policy.spread, policy.margin, policy.safe)

    def evidence(self, room: Room, t: int) -> list[Evidence]:
        """What the votes that stand at question ``t`` say of its answers, in their order."""
        votes = list(room.standing(t))
        standing = Standing({answer: route for answer, (route, _) in self._played.items()}, room.asked(t))
        return [self._evidence(one.answer, one.y, one.w) for one in weighed(votes, standing) if one.w > 0]

    def greedy(self) -> Ints:
        """The best mean of quality minus cost."""
        posterior = self._policy.posterior
        value = posterior.mean[:, 0] - self._design.costs + self._outcomes.x @ posterior.mean[:, 1:].T
        advised = np.arange(len(value)), self._outcomes.advised
        asked_for = value[advised] + posterior.bonus
        value[:, [route.on_request for route in self._design.routes]] = -np.inf
        value[advised] = asked_for
        return _columns(value.argmax(axis=1))

    def _evidence(self, answer: int, y: float, w: float) -> Evidence:
        route, question = self._played[answer]
        followed = route == self._outcomes.routes[self._outcomes.advised[question]]
        version = self._design.routes[self._design.index[route]].version
        return Evidence(answer, route, version, followed, self._outcomes.x[question], y, w)


class Rules:
    """What the rules say."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._advised = outcomes.advised

    def choose(self, t: int, question: int) -> int:
        """The advised route."""
        del t
        return int(self._advised[question])

    def learn(self, room: Room, t: int) -> None:
        """Nothing."""

    def greedy(self) -> Ints:
        """The advised routes."""
        return self._advised


class Fixed:
    """One route for everything."""

    def __init__(self, outcomes: Outcomes, route: int) -> None:
        self._outcomes = outcomes
        self._route = route

    def choose(self, t: int, question: int) -> int:
        """Always the same."""
        del t, question
        return self._route

    def learn(self, room: Room, t: int) -> None:
        """Nothing."""

    def greedy(self) -> Ints:
        """Always the same."""
        return np.full(len(self._outcomes.questions), self._route)


class Uniform:
    """Any route, evenly."""

    def __init__(self, outcomes: Outcomes, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self._shape = outcomes.quality.shape

    def choose(self, t: int, question: int) -> int:
        """A throw of the dice."""
        del t, question
        return int(self._rng.integers(self._shape[1]))

    def learn(self, room: Room, t: int) -> None:
        """Nothing."""

    def greedy(self) -> Ints:
        """Another throw for each question."""
        return self._rng.integers(self._shape[1], size=self._shape[:1])


class LinUcb:
    """Disjoint LinUCB (Li et al. 2010) from nothing: ridge regression a route, and a bonus for what is unsure."""

    def __init__(self, outcomes: Outcomes, costs: Array, alpha: float = 1.0) -> None:
        self._x = np.column_stack((np.ones(len(outcomes.x)), outcomes.x))
        self._costs = costs
        self._alpha = alpha
        self._played: dict[int, tuple[int, int]] = {}
        shape = (len(costs), self._x.shape[1])
        self._inverse: Array = np.tile(np.eye(shape[1]), (shape[0], 1, 1))
        self._mean: Array = np.zeros(shape)

    def choose(self, t: int, question: int) -> int:
        """The largest upper bound less cost."""
        x = self._x[question]
        bonus = np.sqrt(np.maximum(np.einsum("i,aij,j->a", x, self._inverse, x), 0.0))
        route = int((self._mean @ x + self._alpha * bonus - self._costs).argmax())
        self._played[t] = route, question
        return route

    def learn(self, room: Room, t: int) -> None:
        """Everything anew from the standing votes."""
        gram = np.tile(np.eye(self._x.shape[1]), (len(self._costs), 1, 1))
        moments = np.zeros(self._mean.shape)
        for vote in room.standing(t):
            route, question = self._played[vote.answer]
            x = self._x[question]
            gram[route] += np.outer(x, x)
            moments[route] += (vote.emoji == "👍") * x
        self._inverse = np.asarray(np.linalg.inv(gram), dtype=np.float64)
        self._mean = np.einsum("aij,aj->ai", self._inverse, moments)

    def greedy(self) -> Ints:
        """The best mean less cost."""
        return _columns((self._x @ self._mean.T - self._costs).argmax(axis=1))


class BetaThompson:
    """Thompson sampling without context: a Beta posterior a route, from thumbs up and down, costs subtracted."""

    def __init__(self, outcomes: Outcomes, costs: Array, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 2])
        self._costs = costs
        self._questions = len(outcomes.questions)
        self._good = np.ones(len(costs))
        self._bad = np.ones(len(costs))
        self._played: dict[int, int] = {}

    def choose(self, t: int, question: int) -> int:
        """The best of one draw a route."""
        del question
        self._played[t] = int((self._rng.beta(self._good, self._bad) - self._costs).argmax())
        return self._played[t]

    def learn(self, room: Room, t: int) -> None:
        """Counts the standing votes."""
        self._good, self._bad = np.ones(len(self._costs)), np.ones(len(self._costs))
        for vote in room.standing(t):
            (self._good if vote.emoji == "👍" else self._bad)[self._played[vote.answer]] += 1

    def greedy(self) -> Ints:
        """The route with the best mean."""
        return np.full(self._questions, int((self._good / (self._good + self._bad) - self._costs).argmax()))
