"""Which emoji of a person stand on an answer, in which order. A vote is state: what is taken back leaves nothing.

Emoji are normalised, so that one row may stand for several reactions (👍 and 👍🏽). It stands as long as one of them
does, in the place of the newest of them. Every change raises the version of the team's votes in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.statements import hold_team
from memory.tables import tenants
from routing.emoji import RATINGS
from routing.tables import answers, votes


async def cast(conn: AsyncConnection, answer: int, person: int, emoji: str, at: datetime) -> bool:
    """Puts an emoji on an answer as this person's newest; False when it stands there as that already."""
    await hold_team(conn, _team_of(answer))
    rates = emoji in RATINGS
    there = [row.emoji for row in await _standing(conn, answer, person) if (row.emoji in RATINGS) == rates]
    if emoji in (there[-1:] if rates else there):
        return False
    await conn.execute(delete(votes).where(*_key(answer, person, emoji)))
    await conn.execute(insert(votes).values(answer_serial=answer, person_id=person, emoji=emoji, cast_at=at))
    await changed(conn, _team_of(answer))
    return True


async def retract(conn: AsyncConnection, answer: int, person: int, emoji: str, left: Sequence[str]) -> bool:
    """Takes an emoji back; False when that changes nothing.

    ``left`` are the person's emoji on the answer that still stand, oldest first, as often as they do.
    """
    await hold_team(conn, _team_of(answer))
    if emoji in left:
        moved = await _put_in_order(conn, answer, person, left)
    else:
        moved = (await conn.execute(delete(votes).where(*_key(answer, person, emoji)))).rowcount > 0
    if moved:
        await changed(conn, _team_of(answer))
    return moved


async def changed(conn: AsyncConnection, team: ScalarSelect[int]) -> None:
    """Raises the version of a team's votes."""
    raised = update(tenants).where(tenants.c.id == team).values(votes_version=tenants.c.votes_version + 1)
    await conn.execute(raised)


def _team_of(answer: int) -> ScalarSelect[int]:
    return select(answers.c.tenant_id).where(answers.c.serial == answer).scalar_subquery()


def _key(answer: int, person: int, emoji: str) -> tuple[ColumnElement[bool], ...]:
    return votes.c.answer_serial == answer, votes.c.person_id == person, votes.c.emoji == emoji


async def _standing(conn: AsyncConnection, answer: int, person: int) -> list[AnyRow]:
    """Oldest first."""
    query = select(votes).where(votes.c.answer_serial == answer, votes.c.person_id == person)
    return list(await conn.execute(query.order_by(votes.c.serial)))


async def _put_in_order(conn: AsyncConnection, answer: int, person: int, left: Sequence[str]) -> bool:
    """Each in the place of the newest of its reactions; False when they stand so already."""
    newest = {emoji: place for place, emoji in enumerate(left)}
    there = await _standing(conn, answer, person)
    wanted = sorted(there, key=lambda row: newest.get(row.emoji, -1))
    if wanted == there:
        return False
    await conn.execute(delete(votes).where(votes.c.serial.in_([row.serial for row in there])))
    key = {"answer_serial": answer, "person_id": person}
    await conn.execute(insert(votes), [{**key, "emoji": row.emoji, "cast_at": row.cast_at} for row in wanted])
    return True
