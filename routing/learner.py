"""What the votes that stand have taught: rewards of answers, the posterior over routes. A pure function of the votes.

Nothing learned is ever edited in place: when the votes changed, rewards and posterior are computed again from the rows,
so that a vote taken back leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from cachetools import LRUCache

from memory.columns import AnyRow
from memory.ports import Clock, Database
from memory.statements import put
from routing import emoji, rewards
from routing.answers import AnswerBook, features_of
from routing.bearings import Bearings
from routing.features import brought_up
from routing.lessons import lessons
from routing.models import Decision, Evidence, Reward, Vote
from routing.policies import people
from routing.policies.linear import DESIGN, Array, Design, Posterior, Prior
from routing.pool_book import PoolBook
from routing.tables import learner_snapshots
from routing.weights import UNTAUGHT, Weights
from routing.weights import learn as learn_weights

ROUTER = "router"
AGEING = 32
"""Answers between two ageings: at a half-life of 2,500 answers a step moves a weight by less than 1 %, and a decision
needs no new inverse in between."""
QUICK = 200
"""Votes up to which the order of messages is learned on the spot; more are learned beside the questions."""
LIKED = 0.5
"""A reward above it means that the answer was liked."""
_QUESTIONS = 512


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer and what its standing votes say: ``w`` is 0 when they say nothing."""

    answer: int
    room: int
    route: str
    asked_at: datetime
    y: float
    w: float
    votes: int


@dataclass(slots=True)
class _Lesson:
    """What is computed for a team at one version of its votes."""

    votes: int = -1
    standing: list[Vote] = field(default_factory=list)
    rewards: dict[int, Reward] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    posteriors: dict[Prior, Posterior] = field(default_factory=dict)
    offsets: dict[str, dict[int, Array]] = field(default_factory=dict)  # by the posterior that they stand on
    disliked: LRUCache[tuple[int, str], frozenset[str]] = field(default_factory=lambda: LRUCache(_QUESTIONS))
    asked: dict[int, int] = field(default_factory=dict)


class Learner:
    """The learned state of every team, computed when the votes changed and kept until they change again."""

    def __init__(self, database: Database, book: AnswerBook, clock: Clock) -> None:
        self._database = database
        self._book = book
        self._clock = clock
        self._pools = PoolBook(database)
        self._lessons: dict[int, _Lesson] = {}
        self._weights: dict[int, tuple[int, Weights]] = {}
        self._learning: dict[int, asyncio.Task[None]] = {}
        self._cleared = 0
        self._turn = asyncio.Lock()

    async def posterior(self, tenant: int, seen: Bearings | None = None, design: Design = DESIGN) -> Posterior:
        """The posterior as the next answer sees it: votes aged to the newest answer, in steps of ``AGEING`` answers.

        ``seen``, here and below: what the caller has just read, so that it is not read again. ``design`` is the
        product's, but for its prior.
        """
        lesson = await self._lesson(tenant, seen)
        newest = await self._book.newest_serial(tenant) if seen is None else seen.newest
        n = newest - newest % AGEING
        known = lesson.posteriors.get(design.prior)
        if known is None or known.n != n:
            known = lesson.posteriors[design.prior] = await asyncio.to_thread(
                Posterior.from_votes, lesson.evidence, n, design
            )
        return known

    async def offset(self, tenant: int, person: int | None, posterior: Posterior, seen: Bearings) -> Array | None:
        """What a person's own votes add to each route's expected quality, (routes,); None when they say nothing."""
        if person is None:
            return None
        lesson = await self._lesson(tenant, seen)
        if posterior.digest not in lesson.offsets:
            known = await asyncio.to_thread(people.offsets, lesson.evidence, posterior)
            lesson.offsets = {posterior.digest: known}
        return lesson.offsets[posterior.digest].get(person)

    async def weights(self, tenant: int, seen: Bearings | None = None) -> Weights:
        """What the standing votes and picks have taught the fusion.

        Up to `QUICK` votes it is learned on the spot. With more, the weights of the votes before are given, and the
        new ones are learned meanwhile.
        """
        lesson = await self._lesson(tenant, seen)
        while True:
            version, known = self._weights.get(tenant, (-1, UNTAUGHT))
            if version >= lesson.votes:
                return known
            running = self._learning.get(tenant)
            if running is None or running.done():
                running = self._learning[tenant] = asyncio.create_task(self._learn_weights(tenant, lesson))
            if known.lessons > QUICK:
                return known
            await asyncio.shield(running)

    async def _learn_weights(self, tenant: int, lesson: _Lesson) -> None:
        cleared = self._cleared
        picks = await self._pools.picks(tenant, emoji.PLACES)
        answers = sorted({vote.answer for vote in lesson.standing} | {pick.vote.answer for pick in picks})
        shown = await self._pools.read(answers)

        def work() -> Weights:
            return learn_weights(lessons(lesson.standing, picks, shown, lesson.asked))

        found = await asyncio.to_thread(work)
        if cleared == self._cleared:  # else some of it was erased meanwhile
            self._weights[tenant] = (lesson.votes, found)

    async def close(self) -> None:
        """Nothing is learned any more."""
        running = [task for task in self._learning.values() if not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def expectation(self, tenant: int, decision: Decision) -> float:
        """The expected quality of a decision's route on its question, as it stands now; its prior for old features."""
        posterior = await self.posterior(tenant)
        row = brought_up(decision.features)
        if row is None or decision.route not in DESIGN.index:
            return 0.0
        mean, _ = posterior.expect(row.x, DESIGN.index[decision.rule_route])
        return float(mean[DESIGN.index[decision.route]])

    async def reward_of(self, tenant: int, answer: int, seen: Bearings | None = None) -> float | None:
        """What the votes on an answer say, in [0, 1]; None when they say nothing."""
        reward = (await self._lesson(tenant, seen)).rewards.get(answer)
        return reward.y if reward is not None and reward.w > 0 else None

    async def rewards(self, tenant: int) -> dict[int, Reward]:
        """What the votes that stand say about each rated answer, by its serial."""
        return dict((await self._lesson(tenant)).rewards)

    async def standing_rewards(self, tenant: int, route: str) -> list[Reward]:
        """The rewards of a route's answers that people voted on."""
        lesson = await self._lesson(tenant)
        return [lesson.rewards[one.answer] for one in lesson.evidence if one.route == route]

    async def disliked(self, tenant: int, room: int, question: str, seen: Bearings | None = None) -> frozenset[str]:
        """The routes whose answers to this very question stand voted down in the room."""
        lesson = await self._lesson(tenant, seen)
        down = [answer for answer, reward in lesson.rewards.items() if reward.w > 0 and reward.y < LIKED]
        if not down:
            return frozenset()
        found = lesson.disliked.get((room, question))
        if found is None:
            found = lesson.disliked[room, question] = frozenset(await self._book.routes_of(down, room, question))
        return found

    async def scored(self, tenant: int) -> list[Scored]:
        """Every answer of a team with its reward, in serial order."""
        lesson = await self._lesson(tenant)
        counted: dict[int, int] = {}
        for vote in lesson.standing:
            counted[vote.answer] = counted.get(vote.answer, 0) + 1
        found = []
        for row in await self._book.decided(tenant):
            reward = lesson.rewards.get(row.answer_serial)
            found.append(
                Scored(
                    answer=row.answer_serial,
                    room=row.room_id,
                    route=row.route,
                    asked_at=row.asked_at,
                    y=reward.y if reward else 0.0,
                    w=reward.w if reward else 0.0,
                    votes=counted.get(row.answer_serial, 0),
                )
            )
        return found

    async def recompute(self, tenant: int) -> float:
        """Computes everything anew from the rows and keeps a snapshot; gives the largest difference to what was used.

        The difference is 0 unless something is wrong: it is what the nightly job reports.
        """
        used = (await self.posterior(tenant)).mean
        self._lessons.pop(tenant, None)
        fresh = await self.posterior(tenant)
        values = {
            "posterior": fresh.digest,
            "answer_serial": fresh.n,
            "taken_at": self._clock.now(),
            "state": fresh.to_bytes(),
        }
        async with self._database.write() as conn:
            await put(conn, learner_snapshots, {"tenant_id": tenant, "learner": ROUTER}, values)
        return float(np.abs(fresh.mean - used).max())

    def forget_all(self) -> None:
        """Nothing computed is kept; the next call reads the votes."""
        self._lessons.clear()
        self.forget_order()

    def forget_order(self) -> None:
        """What taught the order of messages may have been erased: it is learned anew, with the next question."""
        self._cleared += 1
        self._weights = {tenant: (-1, known) for tenant, (_, known) in self._weights.items()}

    async def _lesson(self, tenant: int, seen: Bearings | None = None) -> _Lesson:
        async with self._turn:
            version = await self._book.votes_version(tenant) if seen is None else seen.votes
            lesson = self._lessons.get(tenant)
            if lesson is None or lesson.votes < version:
                lesson = self._lessons[tenant] = await self._learn(tenant, version)
            return lesson

    async def _learn(self, tenant: int, version: int) -> _Lesson:
        standing = await self._book.standing(tenant, rewards.RATINGS)
        rows = await self._book.decided(tenant, sorted({vote.answer for vote in standing}))
        routes = {row.answer_serial: row.route for row in rows}
        asked = await self._book.asked_by(tenant)
        found = await asyncio.to_thread(rewards.weighed, standing, rewards.Standing(routes, asked))
        by_answer = {reward.answer: reward for reward in found}
        evidence = [one for row in rows if (one := evidence_of(row, by_answer.get(row.answer_serial))) is not None]
        return _Lesson(version, standing, by_answer, evidence, asked=asked)


def evidence_of(row: AnyRow, reward: Reward | None) -> Evidence | None:
    """A voted answer as the posterior needs it; None when its votes weigh nothing or its features are of the past."""
    features = None if reward is None or reward.w <= 0 else brought_up(features_of(row))
    if reward is None or features is None:
        return None
    return Evidence(
        answer=row.answer_serial,
        route=row.route,
        route_version=row.route_version,
        x=features.x,
        y=reward.y,
        w=reward.w,
        followed_rules=row.route == row.rule_route,
        person=row.asker_id,
    )


def liked(found: Sequence[Reward]) -> int:
    """How many rewards say that the answer was liked."""
    return sum(reward.y > LIKED for reward in found if reward.w > 0)
