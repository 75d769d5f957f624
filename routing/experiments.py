"""Two policies tried on the same team: half of the threads get one, half the other, and one may look at any time.

What is assigned as one is a thread, or, outside threads, what somebody asks in a room in a day: a question and its
follow-ups are decided alike. The assignment is a keyed hash, so it needs no memory and nobody can foresee it; its
chance (one half) is logged with the decision, beside the true propensity of the route given the policy.

With s_u = +1 where unit u got the second policy and -1 where it got the first, each with chance 1/2, and y, w the
rewards and weights of its answers, the terms of the difference of the mean rewards (second minus first) are::

    z_u = 2 s_u sum_{i in u} w_i (y_i - c_u) / W

c_u is the mean reward of all units before u (known before u was assigned, so that it only takes variance away) and W
the mean weight of a unit. `routing.sequences` bounds the mean of z at all times at once, so that peeking is legal.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from routing import sequences
from routing.intervals import Interval

Array = NDArray[np.float64]

SHARE: Final = 0.5
"""The chance of either policy."""
_UNIT: Final = 8
_PRIOR: Final = 0.6
"""What the first unit's reward is compared with: a route's expected reward before anybody has voted."""
_USUAL: Final = 0.3
"""The standard deviation of the reward of an answer, before there are any."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Two policies and the key of the hash that assigns them."""

    id: int
    first: str
    second: str
    key: bytes
    started_at: datetime
    ended_at: datetime | None

    @property
    def words(self) -> str:
        """Both names."""
        return f"{self.first} against {self.second}"

    def assign(self, room: int, thread: str | None, asker: int | None, asked_at: datetime) -> Assignment:
        """The policy of a question; all questions of a thread, or of somebody's day in a room, get the same."""
        day = asked_at.astimezone(UTC).date().isoformat()
        unit = f"{room}\0thread\0{thread}" if thread is not None else f"{room}\0{asker}\0{day}"
        digest = hashlib.blake2b(unit.encode("utf-8", "surrogatepass"), key=self.key, digest_size=2 * _UNIT).digest()
        second = int.from_bytes(digest[:_UNIT], "big") / 2 ** (8 * _UNIT) < SHARE
        return Assignment(self.id, self.second if second else self.first, SHARE, digest[_UNIT:].hex())


@dataclass(frozen=True, slots=True)
class Assignment:
    """The policy that an experiment chose, with its chance, for a unit (16 hexadecimal digits of a keyed hash)."""

    experiment: int
    policy: str
    propensity: float
    unit: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A rewarded answer of an experiment: its unit, whether the second policy decided, reward and weight."""

    unit: str
    second: bool
    y: float
    w: float


@dataclass(frozen=True, slots=True)
class Result:
    """What an experiment has shown.

    answers and means are those of the first and the second policy (0.5 without answers). lead: second minus first with
    its 95 % sequence. detectable: the least difference that so many units would show; at_twice: twice as many.
    """

    units: int
    answers: tuple[int, int]
    means: tuple[float, float]
    lead: Interval
    detectable: float
    at_twice: float


def result(outcomes: Sequence[Outcome]) -> Result:
    """Reads an experiment off its rewarded answers, in the order in which they were asked."""
    terms = lead_terms(outcomes)
    units = len(terms)
    spread = float(terms.std()) if units > 1 else 2 * _USUAL
    arms = [[one for one in outcomes if one.second is second] for second in (False, True)]
    first, second = (_mean([(one.y, one.w) for one in arm]) for arm in arms)
    return Result(
        units=units,
        answers=(len(arms[0]), len(arms[1])),
        means=(first, second),
        lead=sequences.two_sided(terms),
        detectable=detectable(units, spread),
        at_twice=detectable(2 * max(units, sequences.START), spread),
    )


def lead_terms(outcomes: Sequence[Outcome]) -> Array:
    """(units,) terms whose mean estimates the second policy's mean reward minus the first's."""
    units: dict[str, list[Outcome]] = {}
    for one in outcomes:
        units.setdefault(one.unit, []).append(one)
    if not units:
        return np.zeros(0)
    weight = sum(one.w for one in outcomes) / len(units)
    earned, weighed = _PRIOR, 1.0
    terms = []
    for some in units.values():
        centre = earned / weighed
        sign = 1.0 if some[0].second else -1.0
        terms.append(sign / SHARE * sum(one.w * (one.y - centre) for one in some) / weight)
        earned += sum(one.w * one.y for one in some)
        weighed += sum(one.w for one in some)
    return np.array(terms)


def detectable(units: int, spread: float = 2 * _USUAL) -> float:
    """The least difference of mean rewards that so many units show half of the time; infinite before `START`."""
    return sequences.smallest_effect(spread, units) if units >= sequences.START else math.inf


def _mean(rewards: Sequence[tuple[float, float]]) -> float:
    weight = math.fsum(w for _, w in rewards)
    return math.fsum(y * w for y, w in rewards) / weight if weight else 0.5
