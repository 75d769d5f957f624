"""Does the router see through moods, and does it follow when a route gets worse?

    python -m benchmarks.router_changes

Moods: four routes whose answers are right in 55, 65, 75 and 70 of 100 cases, and people who vote so unevenly that the
best of them looks worst: it gets 46 thumbs up of 100, the second 85. One answer in twenty asks for a vote, of whoever
was given it, and 60 % answer. The rules know nothing: they advise any route. Ours learns from all votes, as the product
does; *naive* takes the votes that came unasked as they are.

A shift: on the public routing labels the best route's answers get worse from one day on: 40 % of its right ones turn
wrong. 500 votes on later answers after that, the greedy value is held against that of a learner which has known nothing
else for as long.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import public_routes
from benchmarks.harness import Row, interval, show, write
from benchmarks.learning import REFRESH
from benchmarks.router_policies import Ours
from benchmarks.simulator import MONDAY, Crowd, Outcomes, Room, Stream, stream
from routing.models import Evidence, Route, Vote
from routing.policies.linear import Design
from routing.rewards import Standing, rewards

Array = NDArray[np.float64]

SEEDS: Final = 10
RIGHT: Final = (0.55, 0.65, 0.75, 0.70)
UNASKED: Final = ((0.10, 0.22), (0.08, 0.25), (0.35, 0.10), (0.15, 0.20))
"""How likely a vote is, by route: on a wrong answer and on a right one."""
ASKED_FOR: Final = 0.05
ANSWERS: Final = 0.6
MOODY: Final = 10_000
QUESTIONS: Final = 4_000

SHIFT: Final = 5_000
WORSE: Final = 0.4
VOTES: Final = 500
LONGEST: Final = 12_000

_NAMES: Final = ("one", "two", "three", "four")
ROUTES: Final = tuple(Route(name, (name,), name, name, 0.0, "", prior=0.6) for name in _NAMES)


@dataclass(slots=True)
class AskingRoom(Room):
    """A room in which some answers ask for a vote: ``coins.errs`` and the chances as ever, the rest drawn here."""

    asks: NDArray[np.bool_]
    answers: NDArray[np.bool_]

    @classmethod
    def of(cls, coins: Stream, outcomes: Outcomes, seed: int) -> AskingRoom:
        """A room before the first question."""
        rng = np.random.default_rng([seed, 3])
        asks, answers = rng.random((2, len(coins))) < np.array([[ASKED_FOR], [ANSWERS]])
        return cls(coins, outcomes, [], asks, answers)

    def answer(self, t: int, route: int) -> None:
        """Whoever is asked for a vote gives it whatever their mood is, or none."""
        if not self.asks[t]:
            Room.answer(self, t, route)
        elif self.answers[t]:
            coins = self.coins
            proven = bool(self.outcomes.proven[coins.question[t], route])
            emoji = "👍" if proven != coins.errs[t] else "👎"
            day = MONDAY + timedelta(days=float(coins.comes[t]) / coins.a_day)
            vote = Vote(t, int(coins.asker[t]), emoji, day, is_asker=True, solicited=True)
            self._votes.append((int(coins.comes[t]), int(coins.goes[t]), vote))


class Naive(Ours):
    """The same learner, which believes that whoever votes unasked speaks for all."""

    def evidence(self, room: Room, t: int) -> list[Evidence]:
        """Of the votes that came unasked, as they are."""
        votes = [vote for vote in room.standing(t) if not vote.solicited]
        standing = Standing({answer: route for answer, (route, _) in self._played.items()}, room.asked(t))
        return [self._evidence(one.answer, one.y, one.w) for one in rewards(votes, standing) if one.w > 0]


def moody(seed: int) -> tuple[Outcomes, Design, Stream]:
    """One seed's questions, and people who vote by their mood."""
    rng = np.random.default_rng([seed, 4])
    proven = rng.random((QUESTIONS, len(ROUTES))) < RIGHT
    outcomes = Outcomes(
        rooms=("made up",) * QUESTIONS,
        questions=tuple(str(i) for i in range(QUESTIONS)),
        routes=_NAMES,
        quality=proven.astype(np.float64),
        proven=proven,
        x=np.zeros((QUESTIONS, 1)),
        advised=rng.integers(0, len(ROUTES), QUESTIONS),
        features_version=1,
    )
    coins = stream(Crowd(wrong=0.0), questions=QUESTIONS, routes=len(ROUTES), length=MOODY, seed=seed)
    return outcomes, Design(ROUTES, 1, features_version=1), replace(coins, chance=np.array(UNASKED))


def mood_of(seed: int, learner: type[Ours]) -> tuple[float, float]:
    """The share of right answers so far, and of answers by the best route among the last thousand."""
    outcomes, design, coins = moody(seed)
    policy, room = learner(outcomes, design, seed), AskingRoom.of(coins, outcomes, seed)
    played = np.zeros(MOODY, dtype=np.int64)
    for t in range(MOODY):
        if t % REFRESH == 0:
            policy.learn(room, t)
        played[t] = policy.choose(t, int(coins.question[t]))
        room.answer(t, int(played[t]))
    best = int(np.argmax(RIGHT))
    return float(outcomes.quality[coins.question, played].mean()), float((played[-1000:] == best).mean())


def moods(seeds: int) -> list[Row]:
    """Ours beside the naive learner."""
    found = {name: np.array([mood_of(i, kind) for i in range(seeds)]) for name, kind in (("", Ours), ("naive ", Naive))}
    wanted = {"": "≥ 0.70", "naive ": "0.65"}
    return [
        Row(
            f"{name or 'ours '}where moods vote",
            {
                "target": wanted[name],
                "reached": _told(table[:, 0]),
                "by the best route in the end": f"{table[:, 1].mean():.0%}",
            },
        )
        for name, table in found.items()
    ]


@dataclass(slots=True)
class ShiftingRoom(Room):
    """A room whose answers are ``after`` from `SHIFT` on."""

    after: Outcomes

    def answer(self, t: int, route: int) -> None:
        """As ever before the shift."""
        if t >= SHIFT:
            self.outcomes = self.after
        Room.answer(self, t, route)


def worse(outcomes: Outcomes, route: int, seed: int) -> Outcomes:
    """The same questions, of which a route gets `WORSE` of those wrong that it got right."""
    fails = np.random.default_rng([seed, 5]).random(len(outcomes.questions)) < WORSE
    quality, proven = outcomes.quality.copy(), outcomes.proven.copy()
    quality[fails, route], proven[fails, route] = 0.0, False
    return replace(outcomes, quality=quality, proven=proven)


def followed(policy: Ours, room: Room, begin: int, end: int) -> int:
    """Streams questions through a policy until ``end`` or until `VOTES` votes on answers since `SHIFT` stand."""
    for t in range(begin, end):
        if t % REFRESH == 0:
            policy.learn(room, t)
            if sum(vote.answer >= SHIFT for vote in room.standing(t)) >= VOTES:
                return t
        room.answer(t, policy.choose(t, int(room.coins.question[t])))
    policy.learn(room, end)
    return end


def shift_of(seed: int) -> tuple[float, float, float]:
    """The greedy value, all in the world after the shift: at the shift, `VOTES` votes later, and learned afresh."""
    before, design = public_routes.outcomes()
    after = worse(before, int((before.quality - design.costs).mean(axis=0).argmax()), seed)
    value, rows = after.quality - design.costs, np.arange(len(after.questions))
    coins = stream(Crowd(), questions=len(rows), routes=len(design.routes), length=LONGEST, seed=seed)
    taught, room = Ours(before, design, seed), ShiftingRoom(coins, before, [], after)
    followed(taught, room, 0, SHIFT)
    at = float(value[rows, taught.greedy()].mean())
    end = followed(taught, room, SHIFT, LONGEST)
    afresh, calm = Ours(after, design, seed), Room.open(coins, after)
    for t in range(end):
        if t % REFRESH == 0:
            afresh.learn(calm, t)
        calm.answer(t, afresh.choose(t, int(coins.question[t])))
    return at, float(value[rows, taught.greedy()].mean()), float(value[rows, afresh.greedy()].mean())


def shift(seeds: int) -> list[Row]:
    """What the learner has after the shift, of what it would have had it known nothing else."""
    at, later, afresh = np.array([shift_of(seed) for seed in range(seeds)]).T
    return [
        Row("of the value learned afresh, at the shift", {"reached": _told(at / afresh)}),
        Row(f"… {VOTES} votes later", {"target": "≥ 0.90", "reached": _told(later / afresh)}),
    ]


def _told(values: Array) -> str:
    mean, low, high = interval(values.tolist())
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    rows = [*moods(seeds), *shift(seeds)]
    show(f"moods and a shift, {seeds} seeds", rows)
    write("router-changes", {row.name: dict(row.figures) for row in rows})


if __name__ == "__main__":
    main()
