"""A room that reacts: the outcome of every route on every question, and people who vote on what they are shown.

`Outcomes` is computed once, by running every route on every question; then ten thousand questions are a matter of
seconds. A `Stream` holds every coin of one seed (which question, who asks, who reacts, who errs, how late, what is
taken back), so that all policies meet the same luck. A policy sees votes alone, never the outcomes or these numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from routing.models import Vote

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MONDAY: Final = datetime(2025, 1, 6, tzinfo=UTC)
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What each route makes of each question. Rows are questions, columns are routes.

    rooms, questions: (questions,) names. routes: names. quality: (questions, routes) in [0, 1], recall@10. proven:
    (questions, routes), evidence is among the first three citations. x: (questions, features). advised: (questions,)
    the rules' route, as a column.
    """

    rooms: tuple[str, ...]
    questions: tuple[str, ...]
    routes: tuple[str, ...]
    quality: Array
    proven: Bools
    x: Array
    advised: Ints
    features_version: int

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Tables of the same routes and features, one below the other."""
        first = parts[0]
        return cls(
            rooms=tuple(room for part in parts for room in part.rooms),
            questions=tuple(question for part in parts for question in part.questions),
            routes=first.routes,
            quality=np.concatenate([part.quality for part in parts]),
            proven=np.concatenate([part.proven for part in parts]),
            x=np.concatenate([part.x for part in parts]),
            advised=np.concatenate([part.advised for part in parts]),
            features_version=first.features_version,
        )

    def save(self, path: Path) -> None:
        """Writes the table as ``.npz``."""
        head = json.dumps([self.rooms, self.questions, self.routes, self.features_version]).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path,
            head=np.frombuffer(head, dtype=np.uint8),
            quality=self.quality,
            proven=self.proven,
            x=self.x,
            advised=self.advised,
        )

    @classmethod
    def load(cls, path: Path) -> Outcomes:
        """Reads the table back. Raises OSError when there is none."""
        with np.load(path, allow_pickle=False) as file:
            rooms, questions, routes, version = json.loads(file["head"].tobytes())
            return cls(
                tuple(rooms),
                tuple(questions),
                tuple(routes),
                file["quality"],
                file["proven"],
                file["x"],
                file["advised"],
                version,
            )


@dataclass(frozen=True, slots=True)
class Crowd:
    """How people behave. ``rate`` of the answers get a vote, ``wrong`` of the votes say the opposite.

    delay: mean number of questions until a vote comes (exponential); ``late`` of the votes come after 1,000.
    removed: share that is taken back, about ``delay`` questions later. people: how many; they ask as Zipf's law has it.
    bystander: share of the votes that come from somebody else than the asker. mood: standard deviation, in log-odds,
    of the chance to vote, by route and outcome: who is silent is no accident. a_day: questions a day.
    """

    rate: float = 0.2
    wrong: float = 0.1
    delay: float = 50.0
    late: float = 0.05
    removed: float = 0.05
    people: int = 40
    bystander: float = 0.2
    mood: float = 0.0
    a_day: int = 200


@dataclass(frozen=True, slots=True)
class Stream:
    """One seed's questions and coins; every array is (length,) but ``chance``, (routes, 2): by route and outcome."""

    question: Ints
    asker: Ints
    voter: Ints
    reacts: Array
    errs: Bools
    comes: Ints
    goes: Ints
    chance: Array
    a_day: int

    def __len__(self) -> int:
        """How many questions."""
        return len(self.question)


def stream(crowd: Crowd, *, questions: int, routes: int, length: int, seed: int) -> Stream:
    """The coins of one seed; questions are drawn with replacement."""
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(1, crowd.people + 1)
    asker = rng.choice(crowd.people, size=length, p=share / share.sum())
    other = rng.integers(0, crowd.people, size=length)
    late = 1000.0 * (rng.random(length) < crowd.late)
    comes = np.arange(length) + 1 + (rng.exponential(crowd.delay, length) + late).astype(np.int64)
    stays = rng.random(length) >= crowd.removed
    goes = np.where(stays, _NEVER, comes + 1 + rng.exponential(crowd.delay, length).astype(np.int64))
    odds = np.log(crowd.rate / (1 - crowd.rate)) + crowd.mood * rng.standard_normal((routes, 2))
    return Stream(
        question=rng.integers(0, questions, size=length),
        asker=asker,
        voter=np.where(rng.random(length) < crowd.bystander, other, asker),
        reacts=rng.random(length),
        errs=rng.random(length) < crowd.wrong,
        comes=comes,
        goes=goes,
        chance=1.0 / (1.0 + np.exp(-odds)),
        a_day=crowd.a_day,
    )


@dataclass(slots=True)
class Room:
    """What a policy may know: the answers it gave and the votes that stand."""

    coins: Stream
    outcomes: Outcomes
    _votes: list[tuple[int, int, Vote]]

    @classmethod
    def open(cls, coins: Stream, outcomes: Outcomes) -> Room:
        """A room before the first question."""
        return cls(coins, outcomes, [])

    def answer(self, t: int, route: int) -> None:
        """Question ``t`` is answered by a route; whoever will vote on it makes up their mind."""
        coins = self.coins
        proven = bool(self.outcomes.proven[coins.question[t], route])
        if coins.reacts[t] < coins.chance[route, int(proven)]:
            vote = Vote(
                answer=t,
                person=int(coins.voter[t]),
                emoji="👍" if proven != coins.errs[t] else "👎",
                cast_at=MONDAY + timedelta(days=float(coins.comes[t]) / coins.a_day),
                is_asker=bool(coins.voter[t] == coins.asker[t]),
            )
            self._votes.append((int(coins.comes[t]), int(coins.goes[t]), vote))

    def standing(self, t: int) -> Iterator[Vote]:
        """The votes that stand when question ``t`` comes."""
        return (vote for comes, goes, vote in self._votes if comes <= t < goes)

    def asked(self, t: int) -> dict[int, int]:
        """Person to the number of questions asked before ``t``."""
        people, counts = np.unique(self.coins.asker[:t], return_counts=True)
        return dict(zip(people.tolist(), counts.tolist(), strict=True))
