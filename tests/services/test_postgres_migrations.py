"""On PostgreSQL the migrations go up and down, agree with the tables, and several processes may start at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from bot import schema
from memory.adapters.sql import SqlDatabase
from memory.columns import metadata
from memory.errors import Refused
from tests.e2e.test_migrations import alembic, same_type
from tests.services.databases import bare_database

pytestmark = pytest.mark.services

REVISIONS = [one.revision for one in ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions()][::-1]


@pytest.fixture
async def database() -> AsyncIterator[SqlDatabase]:
    """A database without tables."""
    async with bare_database() as url:
        opened = SqlDatabase(url)
        yield opened
        await opened.close()


async def run(database: SqlDatabase, step: Callable[[Connection], object]) -> None:
    async with database.write(alone=True) as conn:
        await conn.run_sync(step)


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": same_type})
    return list(compare_metadata(context, metadata))


class TestMigrations:
    async def test_up_gives_exactly_the_tables_of_the_program(self, database: SqlDatabase) -> None:
        await schema.bring_up_to_date(database)
        async with database.read() as conn:
            assert await conn.run_sync(differences) == []

    async def test_every_revision_goes_down_and_up_again(self, database: SqlDatabase) -> None:
        await run(database, lambda conn: command.upgrade(alembic(conn), "head"))
        for revision in REVISIONS[-2::-1]:
            await run(database, lambda conn, to=revision: command.downgrade(alembic(conn), to))  # type: ignore[misc]
            assert await schema.revision_of(database) == revision
        await run(database, lambda conn: command.downgrade(alembic(conn), "base"))
        async with database.read() as conn:
            assert await conn.run_sync(lambda c: inspect(c).get_table_names()) == ["alembic_version"]
        for revision in REVISIONS:
            await run(database, lambda conn, to=revision: command.upgrade(alembic(conn), to))  # type: ignore[misc]
        async with database.read() as conn:
            assert await conn.run_sync(differences) == []

    async def test_of_processes_that_start_at_once_one_makes_the_tables(self) -> None:
        async with bare_database() as url:
            opened = [SqlDatabase(url) for _ in range(4)]
            reached = await asyncio.gather(*(schema.bring_up_to_date(one) for one in opened))
            assert reached == [schema.newest()] * 4
            for one in opened:
                await one.close()

    async def test_a_newer_database_is_refused_and_left_alone(self, database: SqlDatabase) -> None:
        await schema.bring_up_to_date(database)
        async with database.write() as conn:
            await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(Refused, match="newer"):
            await schema.bring_up_to_date(database)
        assert await schema.revision_of(database) == "9999"
