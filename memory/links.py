"""What ties messages to the graph of their room, from SQL: what a graph index is fed with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow, instant
from memory.models import EntityKind, GraphSum, Mention, MessageLinks, Person
from memory.tables import entities, mentions, messages, people, tombstones

_SLICE: Final = 400
_PAGE: Final = 4096


async def people_of(conn: AsyncConnection, keys: Sequence[int]) -> list[Person]:
    """The people with these ids who have a name."""
    found: list[Person] = []
    for start in range(0, len(keys), _SLICE):
        query = select(people).where(people.c.id.in_(keys[start : start + _SLICE]), people.c.name != "")
        found += [Person(row.id, row.tenant_id, row.external_id, row.name) for row in await conn.execute(query)]
    return found


async def changed(conn: AsyncConnection, room: int, since: int) -> tuple[list[int], list[MessageLinks]]:
    """Serials removed from a room after a version, and the links of its messages that changed after it."""
    return await removed(conn, room, since), await _where(conn, room, messages.c.version > since)


async def removed(conn: AsyncConnection, room: int, since: int) -> list[int]:
    """Serials removed from a room after a version."""
    gone = select(tombstones.c.serial).where(
        tombstones.c.room_id == room, tombstones.c.version > since, tombstones.c.serial.is_not(None)
    )
    return list((await conn.execute(gone)).scalars())


async def links_of(conn: AsyncConnection, room: int, serials: Sequence[int]) -> list[MessageLinks]:
    """The links of some of a room's messages, in order of their serials; those that are gone are missing."""
    found: list[MessageLinks] = []
    ordered = sorted(set(serials))
    for start in range(0, len(ordered), _SLICE):
        found += await _where(conn, room, messages.c.serial.in_(ordered[start : start + _SLICE]))
    return found


async def page(conn: AsyncConnection, room: int, after: int) -> list[MessageLinks]:
    """The links of the next thousands of a room's messages behind a serial; empty when there are none."""
    query = select(messages.c.serial).where(messages.c.room_id == room, messages.c.serial > after)
    some = list((await conn.execute(query.order_by(messages.c.serial).limit(_PAGE))).scalars())
    return await _where(conn, room, messages.c.serial.between(some[0], some[-1])) if some else []


async def sum_of(conn: AsyncConnection, room: int) -> GraphSum:
    """Of a room as it is in SQL. Each message is tied to its author once, and once to each key that it names."""
    here = messages.c.room_id == room
    seconds = type_coerce(messages.c.sent_at, BigInteger) // 1_000_000
    query = select(func.count(), func.coalesce(func.sum(messages.c.serial * 31 + seconds % 1_000_003), 0))
    count, checksum = (await conn.execute(query.where(here))).one()
    named = (
        select(mentions.c.message_serial, entities.c.key, entities.c.kind == EntityKind.PERSON)
        .join(messages, messages.c.serial == mentions.c.message_serial)
        .join(entities, entities.c.id == mentions.c.entity_id)
        .where(here)
        .distinct()
    )
    ties = (await conn.execute(select(func.count()).select_from(named.subquery()))).scalar_one()
    return GraphSum(int(count), int(count) + int(ties), int(checksum))


async def _where(conn: AsyncConnection, room: int, chosen: ColumnElement[bool]) -> list[MessageLinks]:
    here = and_(messages.c.room_id == room, chosen)
    named = (
        select(mentions.c.message_serial, mentions.c.entity_id, mentions.c.is_subject)
        .join(messages, messages.c.serial == mentions.c.message_serial)
        .where(here)
    )
    known = await _entities(conn, select(named.subquery().c.entity_id))
    said: dict[int, list[Mention]] = {}
    subjects: dict[int, str] = {}
    async for page in (await conn.stream(named)).partitions(_PAGE):
        for serial, entity, is_subject in page:
            said.setdefault(serial, []).append(known[entity])
            if is_subject:
                subjects[serial] = known[entity].key
    parent = messages.alias("parent")
    query = (
        select(
            messages.c.serial,
            messages.c.author_id,
            people.c.name,
            type_coerce(messages.c.sent_at, BigInteger),
            messages.c.session_id,
            parent.c.serial.label("parent_serial"),
        )
        .join(people, people.c.id == messages.c.author_id)
        .outerjoin(parent, (parent.c.room_id == room) & (parent.c.external_id == messages.c.reply_to))
        .where(here)
        .order_by(messages.c.serial)
    )
    found: list[MessageLinks] = []
    authors: dict[int, Mention] = {}
    async for page in (await conn.stream(query)).partitions(_PAGE):
        found += await asyncio.to_thread(_page_of_links, page, authors, said, subjects)
    return found


async def _entities(conn: AsyncConnection, wanted: Select[tuple[int]]) -> dict[int, Mention]:
    """The entities with these ids; people with the name that they have now."""
    query = select(entities).where(entities.c.id.in_(wanted))
    rows = [row async for page in (await conn.stream(query)).partitions(_PAGE) for row in page]
    keys = {int(row.key) for row in rows if row.kind == EntityKind.PERSON}
    labels = {person.id: person.name for person in await people_of(conn, sorted(keys))}
    return {row.id: _mention(row, labels) for row in rows}


def _page_of_links(
    page: Sequence[AnyRow],
    authors: dict[int, Mention],
    said: Mapping[int, Sequence[Mention]],
    subjects: Mapping[int, str],
) -> list[MessageLinks]:
    found = []
    for serial, author, name, sent_at, session, parent in page:
        wrote = authors.get(author)
        if wrote is None:
            wrote = authors[author] = Mention(EntityKind.PERSON, str(author), name)
        named = tuple(said.get(serial, ()))
        found.append(MessageLinks(serial, wrote, instant(sent_at), parent, session, named, subjects.get(serial)))
    return found


def _mention(row: Any, labels: Mapping[int, str]) -> Mention:
    kind = EntityKind(row.kind)
    return Mention(kind, row.key, labels.get(int(row.key), "") if kind is EntityKind.PERSON else row.label)
