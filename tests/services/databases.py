"""A PostgreSQL database of a test's own, with the program's tables, on the real server."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
from sqlalchemy import make_url

from bot import schema
from memory.adapters.sql import SqlDatabase
from tests.services.servers import address

_TRIES = 100
_templates: dict[str, str] = {}
"""By server, the template that this process has made there."""


@asynccontextmanager
async def empty_database() -> AsyncIterator[str]:
    """The URL of a database that has the tables and no row; gone afterwards, whoever is still connected."""
    server = address("POSTGRES_URL")
    if server not in _templates:
        name = f"template_{os.getpid()}_{secrets.token_hex(4)}"
        await _command(f"CREATE DATABASE {name}")
        database = SqlDatabase(url_of(name))
        await schema.bring_up_to_date(database)
        await database.close()
        _templates[server] = name
    async with bare_database(template=_templates[server]) as url:
        yield url


@asynccontextmanager
async def bare_database(template: str = "template0") -> AsyncIterator[str]:
    """The URL of a copy of a template; without one nothing is in it."""
    name = f"test_{secrets.token_hex(8)}"
    await _command(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield url_of(name)
    finally:
        await _drop(name)


def url_of(name: str) -> str:
    """The URL of a database on the test's server."""
    return make_url(address("POSTGRES_URL")).set(database=name).render_as_string(hide_password=False)


async def connect(url: str) -> asyncpg.Connection:
    """A connection of the test's own, past the program."""
    return await asyncpg.connect(url.replace("+asyncpg", ""))


async def _drop(name: str) -> None:
    """Drops a database, whoever is connected; but an autovacuum that is at work there must end by itself."""
    for _ in range(_TRIES):
        with suppress(asyncpg.InsufficientPrivilegeError):
            return await _command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await asyncio.sleep(0.2)
    return await _command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def _command(words: str) -> None:
    connection = await connect(address("POSTGRES_URL"))
    try:
        await connection.execute(words)
    finally:
        await connection.close()
