"""What can be offered to somebody who types a question or an answer's number: their own earlier ones, no one else's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from memory.ports import Database
from memory.tables import people, rooms, tenants
from routing.tables import answers

LOOKED_AT: Final = 200  # newest answers of a person in a room
OFFERED: Final = 25


class Suggestions:
    """Looks up earlier questions of a platform's people."""

    def __init__(self, database: Database, platform: str) -> None:
        self._database = database
        self._platform = platform

    async def questions(self, team: str, room: str, person: str, typed: str) -> Sequence[str]:
        """Earlier questions of that person in a room that hold what was typed, newest first."""
        found = [question for _, question in await self._asked(team, room, person)]
        fitting = [question for question in dict.fromkeys(found) if typed.casefold() in question.casefold()]
        return fitting[:OFFERED]

    async def answers(self, team: str, room: str, person: str, typed: str) -> Sequence[tuple[int, str]]:
        """Numbers and questions of that person's earlier answers in a room, newest first."""
        wanted = typed.strip().lstrip("#").casefold()
        asked = await self._asked(team, room, person)
        return [one for one in asked if str(one[0]).startswith(wanted) or wanted in one[1].casefold()][:OFFERED]

    async def _asked(self, team: str, room: str, person: str) -> list[tuple[int, str]]:
        query = select(answers.c.serial, answers.c.question)
        query = query.join(rooms, rooms.c.id == answers.c.room_id).join(people, people.c.id == answers.c.asker_id)
        query = query.join(tenants, tenants.c.id == answers.c.tenant_id)
        query = query.where(
            tenants.c.platform == self._platform,
            tenants.c.external_id == team,
            rooms.c.external_id == room,
            people.c.external_id == person,
        )
        async with self._database.read() as conn:
            rows = await conn.execute(query.order_by(answers.c.serial.desc()).limit(LOOKED_AT))
            return [(row.serial, row.question) for row in rows]
