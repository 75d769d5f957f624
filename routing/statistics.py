"""What a team's memory holds and how its routes do, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.models import Scope
from memory.ports import Clock, Database
from memory.reflection.book import count_by_kind
from memory.reflection.queue import Depth, depth
from memory.tables import entities, memories, messages, relations, sessions
from routing.intervals import Interval, mean_reward
from routing.learner import Learner, Scored
from routing.routes import BY_NAME
from routing.tables import answers, votes

WEEK = timedelta(days=7)
PARTS: Final = 8


@dataclass(frozen=True, slots=True)
class RouteStats:
    """One route: decisions and votes ever, the weight of those votes, the mean reward with its 95 % interval.

    ``change`` is the mean of the answers of the last seven days minus that of the answers before; None without both.
    ``trend`` are the mean rewards of up to `PARTS` equal parts of its rated answers, oldest first.
    """

    route: str
    decisions: int
    votes: int
    evidence: float
    mean: float
    low: float
    high: float
    recent: int
    change: float | None
    trend: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Stats:
    """A scope in numbers. ``reflection`` is what waits to have memories derived from it."""

    messages: int
    people: int
    sessions: int
    memories: int
    entities: int
    relations: int
    answers: int
    votes: int
    routes: tuple[RouteStats, ...]
    memories_by_kind: Mapping[str, int] = field(default_factory=dict)
    reflection: Depth = field(default_factory=Depth)


class Statistician:
    """Counts."""

    def __init__(self, database: Database, learner: Learner, clock: Clock) -> None:
        self._database = database
        self._learner = learner
        self._clock = clock

    async def stats(self, scope: Scope) -> Stats:
        """The numbers of a scope's rooms; routes in the order of the menu, those never taken left out."""
        scored = [one for one in await self._learner.scored(scope.tenant) if one.room in scope.rooms]
        async with self._database.read() as conn:
            given = select(func.count()).select_from(votes).join(answers, answers.c.serial == votes.c.answer_serial)
            cast = (await conn.execute(given.where(answers.c.room_id.in_(scope.rooms)))).scalar_one()
            wrote = select(func.count(messages.c.author_id.distinct())).where(messages.c.room_id.in_(scope.rooms))
            return Stats(
                messages=await _count(conn, messages, scope.rooms),
                people=int((await conn.execute(wrote)).scalar_one()),
                sessions=await _count(conn, sessions, scope.rooms),
                memories=await _count(conn, memories, scope.rooms),
                entities=await _count(conn, entities, scope.rooms),
                relations=await _count(conn, relations, scope.rooms),
                answers=await _count(conn, answers, scope.rooms),
                votes=int(cast),
                routes=by_route(scored, self._clock.now()),
                memories_by_kind=await count_by_kind(conn, scope.rooms),
                reflection=await depth(conn, self._clock.now(), scope.rooms),
            )

    async def memories(self, rooms: Sequence[int]) -> dict[str, int]:
        """How many memories of each kind the rooms hold."""
        async with self._database.read() as conn:
            return await count_by_kind(conn, rooms)


def by_route(scored: Sequence[Scored], now: datetime) -> tuple[RouteStats, ...]:
    """Answers with their rewards, told by route."""
    return tuple(
        _of_route(route, [one for one in scored if one.route == route], now)
        for route in BY_NAME
        if any(one.route == route for one in scored)
    )


def _of_route(route: str, scored: Sequence[Scored], now: datetime) -> RouteStats:
    week = [one for one in scored if one.asked_at > now - WEEK]
    before = [one for one in scored if one.asked_at <= now - WEEK]
    whole, fresh, old = (_interval(some) for some in (scored, week, before))
    return RouteStats(
        route=route,
        decisions=len(scored),
        votes=sum(one.votes for one in scored),
        evidence=sum(one.w for one in scored),
        mean=whole.mean,
        low=whole.low,
        high=whole.high,
        recent=len(week),
        trend=_trend([one for one in scored if one.w > 0]),
        change=fresh.mean - old.mean if any(o.w for o in week) and any(o.w for o in before) else None,
    )


def _trend(rated: Sequence[Scored]) -> tuple[float, ...]:
    parts = min(PARTS, len(rated))
    cuts = [round(i * len(rated) / parts) for i in range(parts + 1)] if parts else []
    return tuple(_interval(rated[start:end]).mean for start, end in pairwise(cuts))


def _interval(scored: Sequence[Scored]) -> Interval:
    return mean_reward([(one.y, one.w) for one in scored if one.w > 0])


async def _count(conn: AsyncConnection, table: Table, rooms: Sequence[int]) -> int:
    query = select(func.count()).select_from(table).where(table.c.room_id.in_(rooms))
    return int((await conn.execute(query)).scalar_one())
