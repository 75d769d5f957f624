"""Routes, decisions, votes and answers; all frozen."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from memory.models import Context, Hit


@dataclass(frozen=True, slots=True)
class Budget:
    """What a pattern may spend in each room: times that a source is asked, and milliseconds.

    No round begins for which the time would not last, a source that is still out when it is up is left, and the answer
    comes from what is there; only while nothing is there at all is it waited for. By default the time is longer than
    `memory.engine.PATIENCE`, so that a source that never answers is found to be down.
    """

    calls: int = 8
    ms: float = 10_000.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where and how to look: the arm of the bandit.

    ``cost`` is subtracted from the expected quality (0 … 0.1; one unit of quality is a good answer instead of none).
    ``prior`` is the reward expected before anybody has voted (0 … 1). ``version`` grows when a release changes what the
    route does; votes on an older version count less. ``on_request`` marks a route for one kind of question, which is
    taken only where the rules ask for it and never tried elsewhere.
    """

    name: str
    sources: tuple[str, ...]
    pattern: str
    fusion: str
    cost: float
    words: str
    prior: float = 0.6
    version: int = 1
    on_request: bool = False
    budget: Budget = Budget()


@dataclass(frozen=True, slots=True)
class Features:
    """A question in numbers: ``names`` and ``x`` are parallel, ``x`` is scaled to an expected squared norm of 1."""

    version: int
    names: tuple[str, ...]
    x: NDArray[np.float64]

    def as_mapping(self) -> dict[str, float]:
        """Name to value, for the log and for people."""
        return dict(zip(self.names, (float(v) for v in self.x), strict=True))


@dataclass(frozen=True, slots=True)
class Advice:
    """The route that the rules would take, and why, in sentences."""

    route: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contribution:
    """One term of the score gap between the route played and the runner-up. Terms sum to the gap (1e-9)."""

    feature: str
    amount: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A route chosen for one question, with everything that replaying or judging it needs."""

    route: str
    policy: str
    propensity: float
    propensities: Mapping[str, float]
    rule_route: str
    reasons: tuple[str, ...]
    features: Features
    epsilon: float
    seed: int
    explored: bool
    runner_up: str | None
    gap: float
    contributions: tuple[Contribution, ...]
    evidence: float  # standing vote weight behind the route played
    posterior: str  # hash of the learned state
    solicited: bool = False
    down: tuple[str, ...] = ()  # sources that were known to be down: routes that need them could not be chosen
    experiment: int | None = None  # the experiment that chose the policy
    arm_propensity: float | None = None  # how likely it was to choose this one
    unit: str | None = None  # what was assigned as one, as a keyed hash


class Emotion(enum.StrEnum):
    """What an emoji does."""

    RATING = "rating"
    PICK = "pick"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class Vote:
    """A person's standing rating of an answer, with what weighs it."""

    answer: int  # serial of the answer
    person: int
    emoji: str
    cast_at: datetime
    is_asker: bool
    solicited: bool = False


@dataclass(frozen=True, slots=True)
class Reward:
    """What the votes on one answer say together: ``y`` in [0, 1] with weight ``w`` in [0, 1]."""

    answer: int
    y: float
    w: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """One rated answer as a learner reads it: what was decided, on which features, and what the votes say."""

    answer: int  # serial of the answer; the posterior ages evidence by it
    route: str
    route_version: int
    followed_rules: bool  # the route was the one the rules had chosen
    x: NDArray[np.float64]  # Features.x of the decision
    y: float
    w: float
    person: int | None = None  # who asked; None: nobody in particular, or somebody forgotten


@dataclass(frozen=True, slots=True)
class Citation:
    """A message that proves the answer. ``quote`` is its best sentence."""

    hit: Hit
    message_id: str
    author: str
    sent_at: datetime
    text: str
    quote: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question got.

    ``confidence`` is the calibrated probability that one of the first three citations answers the question; ``reasons``
    say in short phrases what it rests on.
    """

    id: str
    serial: int
    question: str
    text: str
    confidence: float
    abstained: bool
    reasons: tuple[str, ...]
    citations: tuple[Citation, ...]
    decision: Decision
    context: Context | None
    ms: float
    thread: str | None = None  # the conversation that it was asked in
