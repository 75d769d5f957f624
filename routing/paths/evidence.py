"""What votes say about the paths to what was cited: items to fit, and counts and sums of every (state, action) pair.

A rating of an answer rates its citations by their share, which falls as 1/rank; a plain 👍 or 👎 of the asker is one
observation in all. A pick says more: the citation is evidence, and those above it, which were seen first, are not
(skip-above; Joachims and others, SIGIR 2005). A citation's weight is divided among the types of path that led to it, in
proportion to how likely each was.

Counts and sums are whole units (`updates.UNIT`): what a vote added, its removal takes away exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select

from memory.columns import AnyRow
from memory.models import PathType
from memory.ports import Database
from memory.tables import tenants
from routing import questions
from routing.emoji import PICKS, pick
from routing.models import Reward
from routing.paths.abstract import ANY, PREFIX, cluster_of, ending, path_of
from routing.paths.updates import UNIT, units
from routing.paths.weights import Item
from routing.tables import answers, citations, votes

OBSERVATION: Final = 0.25
"""The weight of a reward that is one observation: that of a plain 👍 or 👎 of the asker."""

SKIPPED: Final = 0.5
"""The weight of "not evidence" for a citation above one that was picked."""

SIMILARITY: Final = "similarity"
"""The feature that holds a hit's fused score before paths had a say."""

_SLICE: Final = 400

Units = tuple[int, int]
"""Sum and number, in units."""

Version = tuple[int, int]
"""Of what is learned from: it changes with every vote, and when a message that was cited is erased or edited."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation as it was kept."""

    answer: int
    rank: int
    cluster: str
    similarity: float
    chances: Mapping[PathType, float]


@dataclass(slots=True)
class Tally:
    """Counts and sums of every pair, by the pair's text."""

    by_pair: dict[str, Units] = field(default_factory=dict)

    def add(self, item: Item, sign: int = 1) -> None:
        """Adds what an item says, or with a sign of -1 takes it away again; a pair without evidence is forgotten."""
        whole = sum(item.chances.values())
        for path, chance in item.chances.items():
            weight = item.w * chance / whole
            more, many = sign * units(weight * item.y), sign * units(weight)
            for cluster in (ANY, item.cluster):
                text = ending(cluster, path).text
                before = self.by_pair.get(text, (0, 0))
                after = (before[0] + more, before[1] + many)
                if after == (0, 0):
                    self.by_pair.pop(text, None)
                else:
                    self.by_pair[text] = after

    def of(self, cluster: str, path: PathType) -> tuple[float, float]:
        """Sum and number of stopping at the end of a type."""
        total, count = self.by_pair.get(ending(cluster, path).text, (0, 0))
        return total * UNIT, count * UNIT

    @property
    def digest(self) -> str:
        """32 hexadecimal digits; equal exactly when the tallies are."""
        lines = (f"{text} {total} {count}\n" for text, (total, count) in sorted(self.by_pair.items()))
        return hashlib.blake2b("".join(lines).encode(), digest_size=16).hexdigest()


def tallied(items: Iterable[Item]) -> Tally:
    """The tally of some items."""
    tally = Tally()
    for item in items:
        tally.add(item)
    return tally


def items_of(
    cited: Sequence[Cited], rewards: Mapping[int, Reward], picked: Mapping[int, Mapping[int, int]]
) -> dict[tuple[int, int], Item]:
    """What stands about each citation that paths led to, by answer and rank.

    Args:
        cited: Citations of the answers that were rated or picked from.
        rewards: Of the answers, by serial.
        picked: By answer, how many people picked each rank.
    """
    whole: dict[int, float] = {}
    for one in cited:
        whole[one.answer] = whole.get(one.answer, 0.0) + 1.0 / one.rank
    found = {}
    for one in cited:
        y, w = _said(one, whole[one.answer], rewards.get(one.answer), picked.get(one.answer, {}))
        if w > 0 and one.chances:
            found[one.answer, one.rank] = Item(one.cluster, one.chances, one.similarity, y, w)
    return dict(sorted(found.items()))


def _said(one: Cited, whole: float, reward: Reward | None, picked: Mapping[int, int]) -> tuple[float, float]:
    """(y, w) of a citation."""
    if one.rank in picked:
        return 1.0, 1.0
    if picked and one.rank < max(picked):
        return 0.0, SKIPPED
    if reward is None:
        return 0.0, 0.0
    return reward.y, min(reward.w / OBSERVATION, 1.0) / one.rank / whole


class PathLog:
    """Reads the votes and citations that path learning rests on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self, tenant: int) -> Version:
        """The version of the team's votes, and how many citations of voted answers there are."""
        voted = select(votes.c.answer_serial).join(answers, answers.c.serial == votes.c.answer_serial)
        there = select(func.count()).where(citations.c.answer_serial.in_(voted.where(answers.c.tenant_id == tenant)))
        cast = select(tenants.c.votes_version).where(tenants.c.id == tenant)
        async with self._database.read() as conn:
            return int((await conn.execute(cast)).scalar_one()), int((await conn.execute(there)).scalar_one())

    async def picks(self, tenant: int) -> dict[int, dict[int, int]]:
        """By answer, how many people picked each citation."""
        query = (
            select(votes.c.answer_serial, votes.c.emoji, func.count().label("people"))
            .join(answers, answers.c.serial == votes.c.answer_serial)
            .where(answers.c.tenant_id == tenant, votes.c.emoji.in_(PICKS))
            .group_by(votes.c.answer_serial, votes.c.emoji)
        )
        found: dict[int, dict[int, int]] = {}
        async with self._database.read() as conn:
            for row in await conn.execute(query):
                rank = pick(row.emoji)
                if rank is not None:
                    found.setdefault(row.answer_serial, {})[rank] = row.people
        return found

    async def cited(self, serials: Sequence[int]) -> list[Cited]:
        """The citations of answers, in order of answer and rank."""
        found: list[Cited] = []
        async with self._database.read() as conn:
            for start in range(0, len(serials), _SLICE):
                query = (
                    select(citations, answers.c.question)
                    .join(answers, answers.c.serial == citations.c.answer_serial)
                    .where(answers.c.serial.in_(serials[start : start + _SLICE]))
                    .order_by(citations.c.answer_serial, citations.c.rank)
                )
                found += [_cited(row) for row in await conn.execute(query)]
        return found


def _cited(row: AnyRow) -> Cited:
    return Cited(
        answer=row.answer_serial,
        rank=row.rank,
        cluster=cluster_of(questions.read(row.question)),
        similarity=row.features.get(SIMILARITY, row.score),
        chances=chances_of(row.features),
    )


def chances_of(features: Mapping[str, float]) -> dict[PathType, float]:
    """How likely each type of path led to a hit, from its features."""
    return {path_of(name): value for name, value in sorted(features.items()) if name.startswith(PREFIX) and value > 0}
