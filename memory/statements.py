"""Statements that hold when others write at the same time: add what is missing, set what may be there, take a turn.

On SQLite one transaction writes at a time, so that turns cost nothing there; the statements are the same on both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.tables import rooms, tenants

_Insert: TypeAlias = postgresql.Insert | sqlite.Insert


def add_missing(conn: AsyncConnection, table: Table) -> _Insert:
    """An INSERT that passes over rows whose key is there already, also when another transaction adds them right now."""
    return inserting(conn, table).on_conflict_do_nothing()


def adding(table: Table) -> dict[str, _Insert]:
    """`add_missing` by the name of the dialect, for a statement that is built once."""
    return {name: made(table).on_conflict_do_nothing() for name, made in _INSERT.items()}


async def put(conn: AsyncConnection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Adds a row, or gives the one with that key these values; ``key`` names a unique key of the table."""
    made = inserting(conn, table).values(**key, **values)
    await conn.execute(made.on_conflict_do_update(index_elements=[table.c[name] for name in key], set_=dict(values)))


async def hold_room(conn: AsyncConnection, room: int) -> None:
    """Nobody else changes the room's messages, sessions and reactions until the transaction ends."""
    await _hold(conn, rooms, rooms.c.id == room)


async def hold_team(conn: AsyncConnection, team: ColumnElement[Any] | int) -> None:
    """Nobody else changes the votes of the team until the transaction ends; a subquery may say which."""
    await _hold(conn, tenants, tenants.c.id == team)


async def _hold(conn: AsyncConnection, table: Table, which: ColumnElement[bool]) -> None:
    """Takes a row's lock. Rows that refer to it can still be added (FOR NO KEY UPDATE)."""
    if conn.dialect.name == "postgresql":
        await conn.execute(select(table.c.id).where(which).with_for_update(key_share=True))


def inserting(conn: AsyncConnection, table: Table) -> _Insert:
    """An INSERT of the database's own dialect, to say what happens with a row whose key is there already."""
    return _INSERT[conn.dialect.name](table)


_INSERT: Final[Mapping[str, Callable[[Table], _Insert]]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
