"""Which policy is in force in a team, and how it came to be: promotions and experiments, as rows."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cachetools import LRUCache
from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.errors import BadInput, NotFound, Refused
from memory.ports import Clock, Database
from memory.statements import hold_team
from routing.experiments import Experiment
from routing.policies.named import DEFAULT, policy_named
from routing.tables import answers, experiments, promotions

_KNOWN: Final = 256


class Reason(enum.StrEnum):
    """How a policy came to be in force."""

    PROMOTED = "promoted"  # somebody asked, and the votes proved it
    BACK = "taken back"  # somebody took a promotion back
    FALLEN = "fallen back"  # the tripwire


@dataclass(frozen=True, slots=True)
class Promotion:
    """A policy that was put in force; ``answer`` is the serial of the team's newest answer then (0: none).

    ``room`` is where it was asked for, or where a fall is to be told.
    ``ended`` is the experiment that ran until then: it would have gone on to decide in the place of the policy.
    """

    policy: str
    before: str
    reason: Reason
    answer: int
    room: int | None
    at: datetime
    ended: Experiment | None = None


class PolicyBook:
    """Promotions and experiments of all teams; every call names the tenant."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._experiments: LRUCache[int, Experiment] = LRUCache(_KNOWN)

    async def newest(self, tenant: int) -> Promotion | None:
        """The promotion that is in force; None while the default is."""
        query = select(promotions).where(promotions.c.tenant_id == tenant).order_by(promotions.c.id.desc()).limit(1)
        async with self._database.read() as conn:
            row = (await conn.execute(query)).one_or_none()
        return None if row is None else _promotion(row)

    async def room(self, tenant: int) -> int | None:
        """The room in which somebody last promoted a policy."""
        query = select(promotions.c.room_id).where(
            promotions.c.tenant_id == tenant,
            promotions.c.room_id.is_not(None),
            promotions.c.reason != Reason.FALLEN.value,
        )
        async with self._database.read() as conn:
            found: int | None = (await conn.execute(query.order_by(promotions.c.id.desc()).limit(1))).scalar()
        return found

    async def fallen(self, since: datetime) -> list[tuple[int, Promotion]]:
        """The falls since a time after which nothing else was put in force, each with its team."""
        newest = select(func.max(promotions.c.id)).group_by(promotions.c.tenant_id)
        query = select(promotions).where(
            promotions.c.id.in_(newest), promotions.c.reason == Reason.FALLEN.value, promotions.c.at >= since
        )
        async with self._database.read() as conn:
            return [(row.tenant_id, _promotion(row)) for row in await conn.execute(query)]

    async def in_force(self, tenant: int) -> str:
        """The name of the policy that decides."""
        found = await self.newest(tenant)
        return DEFAULT if found is None else found.policy

    async def promote(
        self, tenant: int, policy: str, reason: Reason, *, room: int | None = None, expected: str | None = None
    ) -> Promotion:
        """Puts a policy in force, and ends the experiment that runs.

        Raises NotFound for a policy that there is not, BadInput when it is in force, Refused when another one than
        ``expected`` is.
        """
        wanted = policy_named(policy).name
        async with self._database.write() as conn:
            await hold_team(conn, tenant)
            before = await _in_force(conn, tenant)
            if expected not in {None, before}:
                raise Refused(f"{before} was put in force meanwhile; try again.")
            if before == wanted:
                raise BadInput(f"{wanted} is in force already.")
            made = await self._put(conn, tenant, wanted, before, reason, room)
        self._forget(made.ended)
        return made

    async def back(self, tenant: int, *, room: int | None = None, asked_at: datetime | None = None) -> Promotion:
        """Takes the newest promotion that still stands back: what decided before it decides again.

        Raises BadInput when nothing was ever promoted, Refused when all of it was taken back, or when something was put
        in force after this was asked for: who asks twice by accident takes one promotion back.
        """
        query = select(promotions).where(promotions.c.tenant_id == tenant).order_by(promotions.c.id)
        async with self._database.write() as conn:
            await hold_team(conn, tenant)
            made = [_promotion(row) for row in await conn.execute(query)]
            if not made:
                raise BadInput(f"Nothing was promoted yet: {DEFAULT} is in force from the start.")
            newest = made[-1]
            if asked_at is not None and newest.at > asked_at:
                raise Refused(f"{newest.policy} was put in force after that was asked for; look whether it is done.")
            standing = _standing(made)
            if not standing:
                raise Refused(f"Every promotion was taken back already; {newest.policy} decides.")
            wanted = policy_named(standing[-1].before).name
            taken_back = await self._put(conn, tenant, wanted, newest.policy, Reason.BACK, room)
        self._forget(taken_back.ended)
        return taken_back

    async def _put(
        self, conn: AsyncConnection, tenant: int, policy: str, before: str, reason: Reason, room: int | None
    ) -> Promotion:
        """The row that puts a policy in force, and the end of the experiment that runs."""
        newest = select(func.coalesce(func.max(answers.c.serial), 0)).where(answers.c.tenant_id == tenant)
        serial, now = int((await conn.execute(newest)).scalar_one()), self._clock.now()
        running = await _newest(conn, select(experiments).where(experiments.c.tenant_id == tenant, _RUNS))
        if running is not None:
            await conn.execute(update(experiments).where(experiments.c.id == running.id).values(ended_at=now))
        values = {"tenant_id": tenant, "policy": policy, "before": before, "reason": reason.value}
        await conn.execute(insert(promotions).values(**values, answer_serial=serial, room_id=room, at=now))
        return Promotion(policy, before, reason, serial, room, now, running)

    def _forget(self, ended: Experiment | None) -> None:
        if ended is not None:
            self._experiments.pop(ended.id, None)

    async def start(self, tenant: int, first: str, second: str) -> Experiment:
        """Begins an experiment. Raises NotFound for an unknown policy, BadInput when one runs or both are the same."""
        names = (policy_named(first).name, policy_named(second).name)
        if names[0] == names[1]:
            raise BadInput("An experiment compares two different policies.")
        key, now = secrets.token_bytes(16), self._clock.now()
        values = {"tenant_id": tenant, "first": names[0], "second": names[1], "key": key, "started_at": now}
        async with self._database.write() as conn:
            await hold_team(conn, tenant)
            running = await _newest(conn, select(experiments).where(experiments.c.tenant_id == tenant, _RUNS))
            if running is not None:
                raise BadInput(f"{running.words} is being tried; end it first with: weavebot experiment stop.")
            made = await conn.execute(insert(experiments).values(**values).returning(experiments.c.id))
            return Experiment(int(made.scalar_one()), *names, key, now, None)

    async def stop(self, tenant: int) -> Experiment:
        """Ends the experiment that runs. Raises BadInput when none does."""
        running = await self.running(tenant)
        if running is None:
            raise BadInput("No experiment is running.")
        async with self._database.write() as conn:
            ended = update(experiments).where(experiments.c.id == running.id)
            await conn.execute(ended.values(ended_at=self._clock.now()))
        self._experiments.pop(running.id, None)
        return running

    async def running(self, tenant: int) -> Experiment | None:
        """The experiment that assigns policies now."""
        return await self._one(select(experiments).where(experiments.c.tenant_id == tenant, _RUNS))

    async def last(self, tenant: int) -> Experiment | None:
        """The newest experiment, running or ended."""
        return await self._one(select(experiments).where(experiments.c.tenant_id == tenant))

    async def experiment(self, experiment: int) -> Experiment:
        """An experiment by its id, as the bearings of a question name it. Raises NotFound."""
        known = self._experiments.get(experiment)
        if known is None:
            known = await self._one(select(experiments).where(experiments.c.id == experiment))
            if known is None:
                raise NotFound(f"there is no experiment {experiment}")
            self._experiments[experiment] = known
        return known

    async def _one(self, query: Select[Any]) -> Experiment | None:
        async with self._database.read() as conn:
            return await _newest(conn, query)


_RUNS: Final = experiments.c.ended_at.is_(None)


async def _newest(conn: AsyncConnection, query: Select[Any]) -> Experiment | None:
    row = (await conn.execute(query.order_by(experiments.c.id.desc()).limit(1))).one_or_none()
    return None if row is None else Experiment(row.id, row.first, row.second, row.key, row.started_at, row.ended_at)


async def _in_force(conn: AsyncConnection, tenant: int) -> str:
    query = select(promotions.c.policy).where(promotions.c.tenant_id == tenant)
    return (await conn.execute(query.order_by(promotions.c.id.desc()).limit(1))).scalar() or DEFAULT


def _standing(made: Sequence[Promotion]) -> list[Promotion]:
    """Of all promotions, oldest first, those that were not taken back; taking back takes the newest that stands."""
    standing: list[Promotion] = []
    for one in made:
        if one.reason is Reason.BACK and standing and one.policy == standing[-1].before:
            standing.pop()
        else:
            standing.append(one)
    return standing


def _promotion(row: AnyRow) -> Promotion:
    return Promotion(row.policy, row.before, Reason(row.reason), row.answer_serial, row.room_id, row.at)
