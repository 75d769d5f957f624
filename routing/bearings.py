"""What every question has to know afresh before it is decided: one snapshot, and but one statement for most of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, ScalarSelect, Select, bindparam, func, join, outerjoin, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.models import Scope
from memory.tables import rooms, tenants
from routing.tables import answers, decisions, experiments, promotions


@dataclass(frozen=True, slots=True)
class Before:
    """The answer given before in a room or thread: its serial, when it was asked for, and the route it took."""

    serial: int
    asked_at: datetime
    route: str


@dataclass(frozen=True, slots=True)
class Bearings:
    """What every question reads afresh before it is decided, in one snapshot of the database.

    room: where it was asked. versions: of the scope's rooms; a room that is not there has 0. votes: the version of
    the team's votes, which grows whenever one is cast or taken back. newest: serial of the team's newest answer, 0
    without one. before: the answer before in the room, outside of threads, or in the thread. answered: id of the
    answer that the event has. policy: name of the policy that was promoted last, None for the default. experiment:
    id of the one that runs.
    """

    room: int
    versions: Mapping[int, int]
    votes: int
    newest: int
    before: Before | None = None
    answered: str | None = None
    policy: str | None = None
    experiment: int | None = None


async def read(
    conn: AsyncConnection, scope: Scope, room: int, thread: str | None = None, event_id: str | None = None
) -> Bearings:
    """The bearings of a question that is asked in a room."""
    known = None if event_id is None else await of_event(conn, room, event_id)
    given = {"tenant": scope.tenant, "rooms": scope.rooms, "room": room}
    if thread is None:
        rows = (await conn.execute(_BEARINGS, given)).all()
    else:
        rows = (await conn.execute(_BEARINGS_IN_THREAD, {**given, "thread": thread})).all()
    first = rows[0]
    return Bearings(
        room=room,
        versions=dict.fromkeys(scope.rooms, 0) | {row.id: row.version for row in rows if row.id is not None},
        votes=int(first.votes_version),
        newest=int(first.newest or 0),
        before=None if first.serial is None else Before(first.serial, first.asked_at, first.route),
        answered=known and known[1],
        policy=first.policy,
        experiment=first.experiment,
    )


async def of_team(conn: AsyncConnection, tenant: int) -> tuple[int, int]:
    """The version of a team's votes, and its newest answer."""
    votes_version, newest = (await conn.execute(_TEAM, {"tenant": tenant})).one()
    return int(votes_version), int(newest or 0)


async def of_event(conn: AsyncConnection, room: int, event_id: str) -> tuple[int, str] | None:
    """The answer that an event has: its serial and id."""
    query = select(answers.c.serial, answers.c.id).where(answers.c.room_id == room, answers.c.event_id == event_id)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else (row.serial, row.id)


def _newest(*of: ColumnElement[bool]) -> ScalarSelect[int]:
    """The serial of the newest answer of a team, a room or a thread."""
    return select(func.max(_given.c.serial)).where(*of).scalar_subquery()


_given = answers.alias("given")
_POLICY: Final = (
    select(promotions.c.policy)
    .where(promotions.c.tenant_id == bindparam("tenant"))
    .order_by(promotions.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_EXPERIMENT: Final = (
    select(func.max(experiments.c.id))
    .where(experiments.c.tenant_id == bindparam("tenant"), experiments.c.ended_at.is_(None))
    .scalar_subquery()
)
_NEWEST_OF_TEAM: Final = _newest(_given.c.tenant_id == bindparam("tenant"))
_NEWEST_OF_ROOM: Final = _newest(_given.c.thread.is_(None), _given.c.room_id == bindparam("room"))
_NEWEST_OF_THREAD: Final = _newest(_given.c.thread == bindparam("thread"), _given.c.room_id == bindparam("room"))


def _bearings_query(before: ScalarSelect[int]) -> Select[Any]:
    """A row for each room of the scope, or one without: a statement less is a tenth of a repeated question."""
    last = join(answers, decisions, decisions.c.answer_serial == answers.c.serial)
    here = rooms.c.id.in_(bindparam("rooms", expanding=True))
    return (
        select(
            tenants.c.votes_version,
            _NEWEST_OF_TEAM.label("newest"),
            _POLICY.label("policy"),
            _EXPERIMENT.label("experiment"),
            answers.c.serial,
            answers.c.asked_at,
            decisions.c.route,
            rooms.c.id,
            rooms.c.version,
        )
        .select_from(outerjoin(outerjoin(tenants, last, answers.c.serial == before), rooms, here))
        .where(tenants.c.id == bindparam("tenant"))
    )


_BEARINGS: Final = _bearings_query(_NEWEST_OF_ROOM)
_BEARINGS_IN_THREAD: Final = _bearings_query(_NEWEST_OF_THREAD)
_TEAM: Final = select(tenants.c.votes_version, _NEWEST_OF_TEAM).where(tenants.c.id == bindparam("tenant"))
