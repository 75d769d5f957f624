"""Which policy is in force in a team, and how it came to be: promotions and experiments, as rows."""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cachetools import LRUCache
from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.errors import BadInput, NotFound
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
    """A policy that was put in force; ``answer`` is the serial of the team's newest answer then (0: none)."""

    policy: str
    before: str
    reason: Reason
    answer: int
    room: int | None
    at: datetime


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
        query = select(promotions.c.room_id).where(promotions.c.tenant_id == tenant, promotions.c.room_id.is_not(None))
        async with self._database.read() as conn:
            found: int | None = (await conn.execute(query.order_by(promotions.c.id.desc()).limit(1))).scalar()
        return found

    async def in_force(self, tenant: int) -> str:
        """The name of the policy that decides."""
        found = await self.newest(tenant)
        return DEFAULT if found is None else found.policy

    async def promote(self, tenant: int, policy: str, reason: Reason, *, room: int | None = None) -> Promotion:
        """Puts a policy in force. Raises NotFound for one that there is not, BadInput when it is in force."""
        wanted = policy_named(policy).name
        async with self._database.write() as conn:
            await hold_team(conn, tenant)
            before = await _in_force(conn, tenant)
            if before == wanted:
                raise BadInput(f"{wanted} is in force already.")
            newest = select(func.coalesce(func.max(answers.c.serial), 0)).where(answers.c.tenant_id == tenant)
            serial = (await conn.execute(newest)).scalar_one()
            made = Promotion(wanted, before, reason, int(serial), room, self._clock.now())
            await conn.execute(
                insert(promotions).values(
                    tenant_id=tenant,
                    policy=made.policy,
                    before=made.before,
                    reason=made.reason.value,
                    answer_serial=made.answer,
                    room_id=made.room,
                    at=made.at,
                )
            )
        return made

    async def back(self, tenant: int, *, room: int | None = None) -> Promotion:
        """Puts the policy before the newest promotion in force again. Raises BadInput when there was none."""
        found = await self.newest(tenant)
        if found is None:
            raise BadInput(f"Nothing was promoted yet: {DEFAULT} is in force from the start.")
        return await self.promote(tenant, found.before, Reason.BACK, room=room)

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


def _promotion(row: AnyRow) -> Promotion:
    return Promotion(row.policy, row.before, Reason(row.reason), row.answer_serial, row.room_id, row.at)
