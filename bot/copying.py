"""Every table of one database into another: by pages of keys, each page once, and compared in the end.

How far a table has come is a row of ``moves`` in the target, written in the transaction of the page that it counts:
killed at any point, a copy goes on behind the last page that was committed. Values are copied as they are stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    cast,
    delete,
    exists,
    func,
    inspect,
    literal,
    literal_column,
    null,
    select,
    table,
    text,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import JSON, Text, TypeDecorator, TypeEngine

import bot.tables
import memory.tables
import routing.tables
from bot.patience import patiently
from memory.columns import AnyRow, metadata, storable
from memory.errors import Refused
from memory.ports import Database

PAGE: Final = 1_000
"""Rows that are copied in one transaction."""
WHOLE: Final = "*"
"""The part that stands for all tables together."""
_MODULES: Final = (bot.tables, memory.tables, routing.tables)  # so that every table is in the metadata
_OPENED: Final = frozenset({"tenants", "models", "pseudonym_keys"})
"""Tables that have a row as soon as a database was opened."""
_OURS: Final = frozenset({"moves", "alembic_version", "sqlite_sequence"})
_SUM: Final = 16  # bytes of a row's hash

moves = bot.tables.moves


@dataclass(frozen=True, slots=True)
class Count:
    """Rows of a table, and the sum of their hashes modulo 2¹²⁸: the same for the same rows in any order."""

    rows: int
    sum: str


@dataclass(frozen=True, slots=True)
class Part:
    """How far the move of a table has come: rows that were brought, and the checksum once both were compared."""

    moved: int
    sum: str | None

    @property
    def compared(self) -> Count | None:
        """What both sides held when they were compared; None before."""
        return None if self.sum is None else Count(self.moved, self.sum)


def tables() -> list[Table]:
    """Every table that is copied, each behind those that it refers to, its columns with the types that are stored."""
    return [_stored(one) for one in metadata.sorted_tables if one.name not in _OURS]


def _stored(given: Table) -> Table:
    columns = [
        Column(one.name, _plain(one.type), primary_key=one.primary_key, nullable=one.nullable) for one in given.columns
    ]
    return Table(given.name, MetaData(), *columns)


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type without what the program makes of it: compressed text is bytes, a time a number, JSON its text."""
    if isinstance(kind, TypeDecorator):
        return kind.impl_instance
    return _Written() if isinstance(kind, JSON) else kind


class _Written(TypeDecorator[str]):
    """JSON as it was written; PostgreSQL's driver would take it apart."""

    impl = Text
    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """What is read."""
        return cast(column, Text)


def _columns_to_itself(copied: Table) -> list[str]:
    """Columns by which rows of a table refer to others of it, which may come later."""
    there = metadata.tables[copied.name]
    return [key.parent.name for key in there.foreign_keys if key.column.table is there]


# ------------------------------------------------------------------------------------------------------------ reading


async def page_of(
    conn: AsyncConnection, copied: Table, after: Sequence[Any] | None, limit: int, blank: Sequence[str] = ()
) -> list[AnyRow]:
    """The next rows in the order of the primary key, behind the key ``after``, at most ``limit``.

    Columns that are ``blank`` are read as if nothing were in them.
    """
    keys = list(copied.primary_key.columns)
    chosen = [null().label(one.name) if one.name in blank else one for one in copied.columns]
    query = select(*chosen).order_by(*keys).limit(limit)
    if after is not None:
        passed = tuple_(*(literal(value, key.type) for value, key in zip(after, keys, strict=True)))
        query = query.where(tuple_(*keys) > passed)
    return list((await conn.execute(query)).all())


async def pages(database: Database, copied: Table, limit: int = PAGE) -> AsyncIterator[list[AnyRow]]:
    """All rows of a table, page by page."""
    after: Sequence[Any] | None = None
    while True:
        async with database.read() as conn:
            found = await page_of(conn, copied, after, limit)
        if found:
            yield found
        if len(found) < limit:
            return
        after = key_of(copied, found[-1])


def key_of(copied: Table, row: AnyRow) -> list[Any]:
    """The values of the row's primary key."""
    return [row[place] for place, one in enumerate(copied.columns) if one.primary_key]


def pack_key(key: Sequence[Any]) -> str:
    """A key as JSON; bytes in hexadecimal."""
    return json.dumps([one.hex() if isinstance(one, bytes) else one for one in key])


def unpack_key(copied: Table, told: str) -> list[Any]:
    """The key of `pack_key`."""
    columns = copied.primary_key.columns
    pairs = zip(json.loads(told), columns, strict=True)
    return [bytes.fromhex(one) if isinstance(column.type, LargeBinary) else one for one, column in pairs]


async def rows_in(database: Database, copied: Table) -> int:
    """How many rows a table has."""
    async with database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(copied))).scalar_one())


async def count_of(database: Database, copied: Table) -> AsyncIterator[Count]:
    """Rows and checksum so far, page by page; the last is that of the whole table."""
    rows, total = 0, 0
    yield Count(0, _words(0))
    async for page in pages(database, copied):
        for row in _fit_for_server(copied, page):
            total += _hash(row)
        rows += len(page)
        yield Count(rows, _words(total))


def _hash(row: Sequence[Any]) -> int:
    digest = hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=_SUM)
    return int.from_bytes(digest.digest(), "big")


def _words(total: int) -> str:
    return f"{total % (1 << (8 * _SUM)):0{2 * _SUM}x}"


def _fit_for_server(copied: Table, page: Iterable[AnyRow]) -> Iterator[Sequence[Any]]:
    """The rows without NUL characters in short texts, which SQLite keeps and PostgreSQL does not take."""
    short = [place for place, one in enumerate(copied.columns) if isinstance(one.type, String)]
    for row in page:
        if any(isinstance(row[place], str) and "\0" in row[place] for place in short):
            yield tuple(
                storable(value, len(value)) if place in short and isinstance(value, str) else value
                for place, value in enumerate(row)
            )
        else:
            yield row


# ------------------------------------------------------------------------------------------------------------ copying


async def check_free(database: Database, source: str) -> None:
    """That nothing but a move from ``source`` is in the database, which may have no tables at all.

    Raises Refused, saying what is there.
    """
    async with database.read() as conn:
        await _check_free(conn, source)


async def _check_free(conn: AsyncConnection, source: str) -> None:
    there = set(await conn.run_sync(_names))
    ours = set(metadata.tables)
    strange = sorted(there - ours - _OURS)
    if strange:
        raise Refused(
            f"The database holds tables of another program ({', '.join(strange[:3])}): create a database for Weavebot"
        )
    begun = await _begun(conn) if moves.name in there else None
    if begun is not None:
        if begun != source:
            raise Refused(
                "The database holds what was moved from another data folder: create an empty one, or name that folder"
            )
        return
    for name in sorted(ours & there - _OPENED - _OURS):
        if await conn.scalar(select(exists(select(literal_column("1")).select_from(table(name))))):
            raise Refused(f"The database holds data of its own (in {name}): create an empty one")


def _names(connection: Connection) -> list[str]:
    return inspect(connection).get_table_names()


async def _begun(conn: AsyncConnection) -> str | None:
    """The folder that the database is moved from, if any."""
    return await conn.scalar(select(moves.c.source).where(moves.c.part == WHOLE))


async def claim(database: Database, source: str) -> bool:
    """Notes that the folder ``source`` moves here; gives whether that was noted before.

    Rows of an opening are taken out. Raises Refused for a database that holds anything else.
    """
    async with database.write(alone=True) as conn:
        await _check_free(conn, source)
        if await _begun(conn) is not None:
            return True
        for name in _OPENED:
            await conn.execute(delete(metadata.tables[name]))
        parts = [WHOLE, *(one.name for one in tables())]
        told = [{"part": part, "source": source, "reached": None, "moved": 0} for part in parts]
        await conn.execute(moves.insert(), told)
        return False


async def clear(database: Database) -> None:
    """Takes out everything that a move has brought, so that it begins again.

    Raises Refused when the tables were compared once: what is there then is to stay.
    """
    names = [one.name for one in tables()][::-1]
    async with database.write(alone=True) as conn:
        if await conn.scalar(select(func.count()).where(moves.c.ended_at.is_not(None))):
            raise Refused("Everything was moved into this database already, and it is left as it is")
        if conn.dialect.name == "postgresql":
            await conn.execute(text(f"TRUNCATE {', '.join(names)}"))
        else:
            for name in names:
                await conn.execute(delete(metadata.tables[name]))
        await conn.execute(update(moves).values(reached=None, moved=0))


async def copy(source: Database, target: Database, copied: Table, limit: int = PAGE) -> AsyncIterator[int]:
    """Copies what is missing of a table; gives the rows that are there after each page."""
    later = _columns_to_itself(copied)

    @patiently
    async def one_page() -> tuple[int, int]:
        """Rows there now, and rows of this page. The place is read anew: a page that was lost may have been kept."""
        async with target.write() as conn:
            part = (await conn.execute(select(moves).where(moves.c.part == copied.name))).one()
            after = unpack_key(copied, part.reached) if part.reached else None
            async with source.read() as reading:
                page = await page_of(reading, copied, after, limit, later)
            if page:
                await target.pour(conn, copied, list(_fit_for_server(copied, page)))
                reached = pack_key(key_of(copied, page[-1]))
                values = {"reached": reached, "moved": part.moved + len(page)}
                await conn.execute(update(moves).where(moves.c.part == copied.name).values(values))
            return part.moved + len(page), len(page)

    brought = limit
    while brought == limit:
        there, brought = await one_page()
        yield there
    if later:
        await _tie(source, target, copied, later)


async def _tie(source: Database, target: Database, copied: Table, columns: Sequence[str]) -> None:
    """Fills in the columns by which rows refer to rows of the same table. Done again it changes nothing."""
    [key] = copied.primary_key.columns
    values: dict[str, Any] = {name: bindparam(f"to_{name}") for name in columns}
    statement = update(copied).where(key == bindparam("at")).values(values)
    place = {one.name: number for number, one in enumerate(copied.columns)}

    @patiently
    async def put(ties: list[dict[str, Any]]) -> None:
        async with target.write() as conn:
            await conn.execute(statement, ties)

    async for page in pages(source, copied):
        tied = [row for row in page if any(row[place[name]] is not None for name in columns)]
        if tied:
            named = {"at": key.name, **{f"to_{name}": name for name in columns}}
            await put([{given: row[place[name]] for given, name in named.items()} for row in tied])


async def set_sequences(source: Database, target: Database) -> None:
    """Keys that are given from now on lie behind the highest that was ever given, also to rows that are gone."""
    async with source.read() as conn:
        given = {row.name: row.seq for row in await conn.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    async with target.write(alone=True) as conn:
        for copied in tables():
            column = metadata.tables[copied.name].autoincrement_column
            if column is None:
                continue
            held = await conn.scalar(select(func.max(copied.c[column.name])))
            highest = max(held or 0, given.get(copied.name, 0))
            if highest:
                sequence = func.pg_get_serial_sequence(copied.name, column.name)
                await conn.execute(select(func.setval(sequence, highest)))


async def parts(database: Database) -> dict[str, Part]:
    """How far each table has come."""
    async with database.read() as conn:
        rows = await conn.execute(select(moves).where(moves.c.part != WHOLE))
        return {row.part: Part(row.moved, row.sum) for row in rows}


async def note_compared(database: Database, counts: Mapping[str, Count], at: datetime) -> None:
    """Notes that every table was compared with its source, and what both hold."""
    async with database.write() as conn:
        for name, one in counts.items():
            values = {"moved": one.rows, "sum": one.sum, "ended_at": at}
            await conn.execute(update(moves).where(moves.c.part == name).values(values))


async def end(database: Database, at: datetime) -> None:
    """Notes that the move is whole: compared, and questions asked. From now on everybody may open the database."""
    async with database.write() as conn:
        await conn.execute(update(moves).where(moves.c.part == WHOLE).values(ended_at=at))


async def ended_at(database: Database) -> datetime | None:
    """When the move into a database came to its end."""
    async with database.read() as conn:
        found: datetime | None = await conn.scalar(select(moves.c.ended_at).where(moves.c.part == WHOLE))
        return found


async def check_whole(database: Database) -> None:
    """Raises Refused for a database into which a move is under way, its questions among it."""
    missing = select(func.count()).where(moves.c.ended_at.is_(None))
    async with database.read() as conn:
        if await conn.scalar(missing):
            raise Refused(
                "A data folder is being moved into this database: run weavebot migrate --to again until it says that"
                " all is there, or create an empty database"
            )
