"""Who and where: tenants, rooms and people."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow, storable
from memory.contention import again
from memory.erasure import next_version
from memory.errors import Ambiguous, NotFound
from memory.models import EntityKind, Person, Room, Tenant
from memory.ports import Clock, Database
from memory.reflection import queue
from memory.statements import add_missing
from memory.tables import entities, messages, people, rooms, tenants

_NAME_LENGTH = 255


class Directory:
    """Tenants, rooms and people, created at first sight."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @again
    async def tenant(self, platform: str, external_id: str, name: str) -> int:
        """The id of a team, made when new."""
        query = select(tenants.c.id).where(tenants.c.platform == platform, tenants.c.external_id == external_id)
        async with self._database.read() as conn:
            found = (await conn.execute(query)).scalar()
        if found is not None:
            return int(found)
        async with self._database.write() as conn:
            values = {"platform": platform, "external_id": external_id, "name": storable(name, _NAME_LENGTH)}
            await conn.execute(add_missing(conn, tenants).values(created_at=self._clock.now(), **values))
            return int((await conn.execute(query)).scalar_one())

    async def tenants(self) -> list[Tenant]:
        """Every team, in order of first sight."""
        async with self._database.read() as conn:
            found = await conn.execute(select(tenants).order_by(tenants.c.id))
            return [Tenant(row.id, row.platform, row.external_id, row.name) for row in found]

    @again
    async def room(self, tenant: int, external_id: str, name: str) -> Room:
        """A room, made when new; its name is brought up to date."""
        name = storable(name, _NAME_LENGTH)
        async with self._database.read() as conn:
            row = (await conn.execute(_room_query(tenant, external_id))).one_or_none()
        if row is not None and row.name == name:
            return _room(row)
        async with self._database.write() as conn:
            row = (await conn.execute(_room_query(tenant, external_id))).one_or_none()
            if row is None:
                values = {"tenant_id": tenant, "external_id": external_id, "name": name, "version": 0}
                await conn.execute(add_missing(conn, rooms).values(created_at=self._clock.now(), **values))
            elif row.name != name:
                await conn.execute(update(rooms).where(rooms.c.id == row.id).values(name=name))
            made = _room((await conn.execute(_room_query(tenant, external_id))).one())
            if row is None:
                await queue.begin(conn, made.id)
            return made

    async def find_room(self, tenant: int, name: str) -> Room:
        """The room of that name or external id. Raises NotFound, which names the rooms that exist."""
        known = await self.rooms(tenant)
        for room in known:
            if room.external_id == name:
                return room
        named = [room for room in known if room.name.casefold() == name.casefold()]
        if len(named) > 1:
            raise Ambiguous(
                f"several rooms are called {name!r}: use one of the ids {_listed(r.external_id for r in named)}"
            )
        if named:
            return named[0]
        there = f"the rooms are {_listed(r.name for r in known)}" if known else "no room has any message yet"
        raise NotFound(f"there is no room {name!r}: {there}")

    async def rooms(self, tenant: int) -> list[Room]:
        """Every room of a tenant, by name."""
        async with self._database.read() as conn:
            found = await conn.execute(select(rooms).where(rooms.c.tenant_id == tenant).order_by(rooms.c.name))
            return [_room(row) for row in found]

    async def room_by_id(self, room: int) -> Room:
        """The room of that key. Raises NotFound."""
        async with self._database.read() as conn:
            row = (await conn.execute(select(rooms).where(rooms.c.id == room))).one_or_none()
        if row is None:
            raise NotFound(f"there is no room with the key {room}")
        return _room(row)

    @again
    async def person(self, tenant: int, external_id: str, name: str) -> Person:
        """A person, made when new; the name is brought up to date."""
        async with self._database.read() as conn:
            row = (await conn.execute(_person_query(tenant, external_id))).one_or_none()
        if row is not None and row.name == storable(name, _NAME_LENGTH):
            return _person(row)
        async with self._database.write() as conn:
            return (await admit_people(conn, tenant, {external_id: name}, self._clock.now()))[external_id]

    async def find_person(self, tenant: int, name_or_id: str) -> Person:
        """The person of that external id, or whose name or first name it is.

        Raises Ambiguous, which lists the ids, when several fit, and NotFound when none does.
        """
        wanted = name_or_id.casefold().lstrip("@")
        everybody = await self.people(tenant)
        exact = [p for p in everybody if name_or_id == p.external_id]
        named = [p for p in everybody if p.name.casefold() == wanted]
        first = [p for p in everybody if p.name.casefold().split(" ")[0] == wanted]
        for fitting in (exact, named, first):
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                ids = _listed(f"{p.external_id} ({p.name})" for p in fitting)
                raise Ambiguous(f"{name_or_id!r} fits several people: use one of the ids {ids}")
        raise NotFound(f"nobody called {name_or_id!r} has written here")

    async def people(self, tenant: int) -> list[Person]:
        """Everybody of a tenant, in order of first sight."""
        async with self._database.read() as conn:
            found = await conn.execute(select(people).where(people.c.tenant_id == tenant).order_by(people.c.id))
            return [_person(row) for row in found]

    async def count_people(self, tenant: int) -> int:
        """How many people of a tenant have a name here."""
        async with self._database.read() as conn:
            count = select(func.count()).select_from(people).where(people.c.tenant_id == tenant, people.c.name != "")
            return int((await conn.execute(count)).scalar_one())


async def admit_people(conn: AsyncConnection, tenant: int, names: dict[str, str], now: datetime) -> dict[str, Person]:
    """People by external id, made or renamed in the caller's transaction; who opted out is marked so."""
    known = await _known(conn, tenant, names)
    fresh = [
        {"tenant_id": tenant, "external_id": key, "name": storable(name, _NAME_LENGTH), "created_at": now}
        for key, name in sorted(names.items())
        if key not in known
    ]
    if fresh:
        await conn.execute(add_missing(conn, people), fresh)
        known = await _known(conn, tenant, names)
    for key, person in sorted(known.items()):  # in the same order everywhere, so that nobody waits in a circle
        name = storable(names[key], _NAME_LENGTH)
        if person.name != name and name and not person.opted_out:
            await conn.execute(update(people).where(people.c.id == person.id).values(name=name))
            await _renew_rooms(conn, tenant, person.id)
            known[key] = Person(person.id, tenant, key, name)
    return known


async def _renew_rooms(conn: AsyncConnection, tenant: int, person: int) -> None:
    """The rooms where somebody wrote or is named change with the name: what was found there tells the old one."""
    wrote = select(messages.c.room_id).where(messages.c.author_id == person)
    theirs = rooms.join(entities, entities.c.room_id == rooms.c.id)  # room by room: that is what the index begins with
    named = (
        select(rooms.c.id)
        .select_from(theirs)
        .where(rooms.c.tenant_id == tenant, entities.c.kind == EntityKind.PERSON, entities.c.key == str(person))
    )
    for room in sorted((await conn.execute(wrote.union(named))).scalars()):
        await next_version(conn, room)


async def _known(conn: AsyncConnection, tenant: int, names: dict[str, str]) -> dict[str, Person]:
    """By external id, or by what is left of it when the person opted out and was forgotten."""
    hidden = {hidden_id(tenant, key): key for key in names}
    found = [_person(row) for row in await conn.execute(_NAMED, {"tenant": tenant, "ids": [*names, *hidden]})]
    return {hidden.get(person.external_id, person.external_id): person for person in found}


_NAMED: Final = select(people).where(
    people.c.tenant_id == bindparam("tenant"), people.c.external_id.in_(bindparam("ids", expanding=True))
)


def hidden_id(tenant: int, external_id: str) -> str:
    """What is kept of the id of somebody who opted out and was forgotten: a hash that only the same id gives again.

    Keyed by the tenant, so that two teams' hashes of one person differ.
    """
    salt = tenant.to_bytes(8, "big")
    digest = hashlib.blake2b(external_id.encode("utf-8", "surrogatepass"), digest_size=16, salt=salt)
    return "opted-out:" + digest.hexdigest()


def _room_query(tenant: int, external_id: str) -> Any:
    return select(rooms).where(rooms.c.tenant_id == tenant, rooms.c.external_id == external_id)


def _person_query(tenant: int, external_id: str) -> Any:
    return select(people).where(people.c.tenant_id == tenant, people.c.external_id == external_id)


def _room(row: AnyRow) -> Room:
    return Room(row.id, row.tenant_id, row.external_id, row.name, row.version, row.created_at)


def _person(row: AnyRow) -> Person:
    return Person(row.id, row.tenant_id, row.external_id, row.name, opted_out=row.opted_out_at is not None)


def _listed(words: Any) -> str:
    shown = list(words)
    return ", ".join(shown[:12]) + (" …" if len(shown) > 12 else "")  # noqa: PLR2004 - a sentence, not a page
