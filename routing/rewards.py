"""From reactions to rewards: emoji are evidence, people weigh, nobody weighs too much. A pure function of the votes.

A person has one vote on an answer: the most recent rating emoji that is still there. With u the people who voted::

    e_u = beta_u r_u clip(llr(emoji_u) - gen_u, -2.2, 2.2)       beta: asker 1, at most 3 bystanders 0.5 each
    E = clip(sum_u e_u, -3, 3)                                   r: reliability, gen: generosity in log-odds
    y = sigmoid(E - delta_route)       w = 1 - H2(sigmoid(E))    delta: 0 for ratings that were asked for

H2 is the binary entropy in bits: ratings that cancel weigh nothing. On top of it a vote is *trusted* in [0, 1]:

* **newcomers** count 0.2 until they have asked 5 answers. That protects a team from fresh accounts, so it applies as
  far as there is a team: with none, one, two, three or more other people past their fifth answer a newcomer counts
  1, 0.73, 0.47, 0.2. The first vote of a team's first person counts in full.
* **caps**: one person's evidence on one route weighs at most 5, and at most a tenth of the team's weight of a day, but
  no day's share is cut below 3 (about ten thumbs), so that small teams can learn at all. Caps count newest answer
  first, then by person, so that a change of mind is heard.

Trust scales a voter's evidence against that of the most trusted voter of the answer, and the answer's weight: a
newcomer alone keeps the direction of the vote and loses weight, beside an established person loses say.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from routing.emoji import LLR, RATINGS, counts, normalise, pick
from routing.models import Reward, Vote

__all__ = [
    "RATINGS",
    "Cast",
    "Standing",
    "counts",
    "generosity",
    "normalise",
    "offsets",
    "pick",
    "reliability",
    "rewards",
    "standing_emoji",
    "weighed",
]

BYSTANDER: Final = 0.5
BYSTANDERS: Final = 3
CLIP_PERSON: Final = 2.2
CLIP_ANSWER: Final = 3.0
RELIABILITY: Final = 0.8
PSEUDO_COUNTS: Final = 20.0
NEWCOMER: Final = 0.2
NEWCOMER_UNTIL: Final = 5
ESTABLISHED: Final = 3
ROUTE_CAP: Final = 5.0
DAY_SHARE: Final = 0.1
DAY_FLOOR: Final = 3.0


@dataclass(frozen=True, slots=True)
class Cast:
    """One reaction of one person on one answer: ``removed`` once it has been taken back."""

    emoji: str
    cast_at: datetime
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the votes are weighed with, as it stands now.

    routes: answer to the route it took. asked: person to the number of answers they asked for. The others are
    estimates that change only together, as an epoch, when everything is computed again: reliability and generosity of
    people, offsets of routes (volunteered minus asked-for log-odds), log-likelihood ratios of emoji.
    """

    routes: Mapping[int, str]
    asked: Mapping[int, int] = field(default_factory=dict)
    reliability: Mapping[int, float] = field(default_factory=dict)
    generosity: Mapping[int, float] = field(default_factory=dict)
    offsets: Mapping[str, float] = field(default_factory=dict)
    llr: Mapping[str, float] = field(default_factory=lambda: LLR)
    route_cap: float = ROUTE_CAP


@dataclass(slots=True)
class _Opinion:
    """A vote with its evidence, the weight it would have alone, and how far it is trusted."""

    vote: Vote
    evidence: float
    weight: float
    trust: float


def standing_emoji(ledger: Iterable[Cast]) -> str | None:
    """The rating that stands, normalised: the most recent that was not taken back; None when there is none.

    Of two cast at the same moment the one that sorts last counts, whatever order they arrived in.
    """
    there = [(cast.cast_at, normalise(cast.emoji)) for cast in ledger if not cast.removed]
    ratings = [(at, emoji) for at, emoji in there if counts(emoji)]
    return max(ratings)[1] if ratings else None


def rewards(votes: Sequence[Vote], standing: Standing) -> list[Reward]:
    """What the standing votes say about each answer, in order of serial; answers that nobody rated are left out.

    Votes on answers without a route are left out; the order in which votes are given means nothing.
    """
    opinions = _opinions(votes, standing)
    _cap_routes(opinions, standing)
    _cap_days(opinions)
    together: dict[int, list[_Opinion]] = defaultdict(list)
    for opinion in opinions:
        together[opinion.vote.answer].append(opinion)
    return [_reward(answer, together[answer], standing) for answer in sorted(together)]


def weighed(votes: Sequence[Vote], standing: Standing) -> list[Reward]:
    """The rewards, with what the same votes tell of people's generosity and of who votes unasked."""
    kind = generosity(votes, standing.llr)
    return rewards(votes, replace(standing, generosity=kind, offsets=offsets(votes, standing)))


def _reward(answer: int, opinions: Sequence[_Opinion], standing: Standing) -> Reward:
    trust = max(opinion.trust for opinion in opinions)
    if trust == 0.0:
        return Reward(answer, 0.5, 0.0)
    total = sum(opinion.evidence * opinion.trust for opinion in opinions) / trust
    evidence = _clip(total, CLIP_ANSWER)
    asked_for = any(opinion.vote.solicited for opinion in opinions)
    offset = 0.0 if asked_for else standing.offsets.get(standing.routes[answer], 0.0)
    return Reward(answer, _sigmoid(evidence - offset), trust * _information(evidence))


def _opinions(votes: Sequence[Vote], standing: Standing) -> list[_Opinion]:
    """Every vote that counts, newest answer first, then by person."""
    latest: dict[tuple[int, int], Vote] = {}
    for vote in votes:
        key = (vote.answer, vote.person)
        if vote.answer in standing.routes and normalise(vote.emoji) in standing.llr:
            latest[key] = max(latest.get(key, vote), vote, key=lambda one: (one.cast_at, one.emoji))
    found = [_opinion(vote, standing) for vote in latest.values()]
    found.sort(key=lambda o: (-o.vote.answer, not o.vote.is_asker, -o.trust * abs(o.evidence), o.vote.person))
    room: dict[int, int] = defaultdict(lambda: BYSTANDERS)
    kept = []
    for opinion in found:
        if not opinion.vote.is_asker:
            room[opinion.vote.answer] -= 1
        if opinion.vote.is_asker or room[opinion.vote.answer] >= 0:
            kept.append(opinion)
    kept.sort(key=lambda o: (-o.vote.answer, o.vote.person))
    return kept


def _opinion(vote: Vote, standing: Standing) -> _Opinion:
    says = standing.llr[normalise(vote.emoji)] - standing.generosity.get(vote.person, 0.0)
    reliable = min(max(standing.reliability.get(vote.person, RELIABILITY), 0.2), 1.0)
    beta = 1.0 if vote.is_asker else BYSTANDER
    evidence = beta * reliable * _clip(says, CLIP_PERSON)
    trust = newcomer(vote.person, standing.asked)
    return _Opinion(vote, evidence, trust * _information(evidence), trust)


def newcomer(person: int, asked: Mapping[int, int]) -> float:
    """1 for the established; for a newcomer less, the more other people are established."""
    if asked.get(person, 0) >= NEWCOMER_UNTIL:
        return 1.0
    established = sum(1 for answers in asked.values() if answers >= NEWCOMER_UNTIL)
    return 1.0 - (1.0 - NEWCOMER) * min(established, ESTABLISHED) / ESTABLISHED


def _cap_routes(opinions: Sequence[_Opinion], standing: Standing) -> None:
    left: dict[tuple[int, str], float] = defaultdict(lambda: standing.route_cap)
    for opinion in opinions:
        key = (opinion.vote.person, standing.routes[opinion.vote.answer])
        left[key] -= _take(opinion, left[key])


def _cap_days(opinions: Sequence[_Opinion]) -> None:
    spent: dict[tuple[object, int], float] = defaultdict(float)
    whole: dict[object, float] = defaultdict(float)
    for opinion in opinions:
        day = opinion.vote.cast_at.date()
        spent[day, opinion.vote.person] += opinion.weight
        whole[day] += opinion.weight
    others = DAY_SHARE / (1.0 - DAY_SHARE)  # a tenth of the whole is a ninth of what the others weigh
    left = {key: max(DAY_FLOOR, others * (whole[key[0]] - weight)) for key, weight in spent.items()}
    for opinion in opinions:
        key = (opinion.vote.cast_at.date(), opinion.vote.person)
        left[key] -= _take(opinion, left[key])


def _take(opinion: _Opinion, allowed: float) -> float:
    """Trusts the opinion as far as its weight is allowed; gives the weight that it keeps."""
    if opinion.weight > allowed:
        opinion.trust *= allowed / opinion.weight
        opinion.weight = allowed
    return opinion.weight


def generosity(votes: Sequence[Vote], llr: Mapping[str, float] = LLR) -> dict[int, float]:
    """Each person's log-odds of rating well minus the team's, smoothed by 20 pseudo-counts at the team's rate."""
    good: dict[int, int] = defaultdict(int)
    all_: dict[int, int] = defaultdict(int)
    for vote in votes:
        says = llr.get(normalise(vote.emoji))
        if says is not None:
            good[vote.person] += says > 0
            all_[vote.person] += 1
    team = (sum(good.values()) + 1) / (sum(all_.values()) + 2)
    return {
        person: _logit((good[person] + PSEUDO_COUNTS * team) / (count + PSEUDO_COUNTS)) - _logit(team)
        for person, count in all_.items()
    }


def offsets(votes: Sequence[Vote], standing: Standing) -> dict[str, float]:
    """Volunteered minus asked-for log-odds of a good rating, by route, shrunk to the common offset and that to 0."""
    tally: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])  # volunteered good, all; asked good, all
    for vote in votes:
        route = standing.routes.get(vote.answer)
        says = standing.llr.get(normalise(vote.emoji))
        if route is not None and says is not None:
            row = tally[route]
            row[2 * vote.solicited] += says > 0
            row[2 * vote.solicited + 1] += 1
    common = _shrunk([sum(column) for column in zip(*tally.values(), strict=True)], 0.0) if tally else 0.0
    return {route: _shrunk(row, common) for route, row in tally.items()}


def _shrunk(row: Sequence[float], towards: float) -> float:
    good, all_, asked_good, asked = row
    difference = _logit((good + 1) / (all_ + 2)) - _logit((asked_good + 1) / (asked + 2))
    known = min(all_, asked)
    return (known * difference + PSEUDO_COUNTS * towards) / (known + PSEUDO_COUNTS)


def reliability(agreed: int, judged: int) -> float:
    """How far a person's ratings are to be believed, in [0.2, 1]: agreement with judged answers, 20 pseudo-counts."""
    return min(max((agreed + PSEUDO_COUNTS * RELIABILITY) / (judged + PSEUDO_COUNTS), 0.2), 1.0)


def _clip(value: float, bound: float) -> float:
    return min(max(value, -bound), bound)


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


def _logit(chance: float) -> float:
    return math.log(chance / (1.0 - chance))


def information_of(chance: float) -> float:
    """1 minus the entropy, in bits, of a verdict of that chance, in [0, 1]."""
    return _information(_logit(min(max(chance, 1e-9), 1 - 1e-9)))


def _information(evidence: float) -> float:
    """1 minus the entropy, in bits, of a verdict with these log-odds."""
    chance = _sigmoid(_clip(evidence, CLIP_ANSWER))
    return 1.0 + chance * math.log2(chance) + (1.0 - chance) * math.log2(1.0 - chance)
