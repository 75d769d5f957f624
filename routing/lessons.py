"""From votes and picks to lessons for the fusion: what was shown, what people said about it, how far they are trusted.

A pure function of the rows that stand. Ratings weigh as they do for the routes (`routing.rewards`), but for the cap: a
person may say more about the order of messages than about a route, since every answer shows others. Together one
person's ratings weigh at most `RATINGS_OF_A_PERSON` and the picks at most `PICKS_OF_A_PERSON`, newest answer first: ten
thousand votes from one person are worth a hundred.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from routing import rewards
from routing.models import Vote
from routing.questions import Kind
from routing.weights import Array, Lesson, picked, rated

RATING: Final = 0.25
"""What a rating says of the order beside a pick: a bad answer has many causes, a pick has one."""

RATINGS_OF_A_PERSON: Final = 25.0
"""A plain 👍 or 👎 of the asker weighs about a quarter."""

PICKS_OF_A_PERSON: Final = 50.0

_ORDER: Final = "order"  # the one thing that all these votes are about


@dataclass(frozen=True, slots=True)
class Shown:
    """What an answer chose from: the kind of its question, and x (candidates, columns), citations first, in order."""

    kind: Kind
    x: Array


@dataclass(frozen=True, slots=True)
class Pick:
    """A standing pick: ``vote`` says who and when, ``place`` which citation (0 first)."""

    vote: Vote
    place: int


def lessons(
    ratings: Sequence[Vote],
    picks: Sequence[Pick],
    shown: Mapping[int, Shown],
    asked: Mapping[int, int],
) -> list[Lesson]:
    """All lessons; votes on answers that show nothing any more are left out. ``asked``: person to answers asked for."""
    here = [vote for vote in ratings if vote.answer in shown]
    standing = rewards.Standing(
        routes=dict.fromkeys(shown, _ORDER),
        asked=asked,
        generosity=rewards.generosity(here),
        route_cap=RATINGS_OF_A_PERSON,
    )
    found = [
        rated(one.answer, shown[one.answer].kind, shown[one.answer].x, y=one.y, trust=_trust(one.y, one.w))
        for one in rewards.rewards(here, standing)
    ]
    found += _of_picks(picks, shown, asked)
    return [one for one in found if one is not None]


def _of_picks(picks: Sequence[Pick], shown: Mapping[int, Shown], asked: Mapping[int, int]) -> list[Lesson | None]:
    left: dict[int, float] = defaultdict(lambda: PICKS_OF_A_PERSON)
    found: list[Lesson | None] = []
    for pick in sorted(picks, key=lambda one: (-one.vote.answer, one.vote.person, one.place)):
        vote = pick.vote
        if vote.answer in shown:
            worth = (1.0 if vote.is_asker else rewards.BYSTANDER) * rewards.newcomer(vote.person, asked)
            weight = min(worth, left[vote.person])
            left[vote.person] -= weight
            if weight > 0:
                found.append(picked(vote.answer, shown[vote.answer].kind, shown[vote.answer].x, pick.place, weight))
    return found


def _trust(y: float, w: float) -> float:
    """A reward's weight without what its value tells by itself: the uncertainty of a rating is in ``y`` already."""
    said = rewards.information_of(y)
    return RATING * w / said if said > 0 else 0.0
