"""The migrations go up and down, agree with the tables, survive a kill, and refuse what is newer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text

from bot import schema
from memory.adapters.sql import SqlDatabase
from memory.columns import CompressedText, Instant, metadata
from memory.errors import Refused

KILLED = -9


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database file without tables."""
    made = create_engine(f"sqlite:///{tmp_path / 'weavebot.sqlite3'}")
    yield made
    made.dispose()


def alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def same_type(_context: object, _column: object, _known: object, found: Any, wanted: Any) -> bool | None:
    """Our own types are compared by what they are stored as."""
    plain: Any = wanted.impl if isinstance(wanted, (Instant, CompressedText)) else wanted
    return False if type(found)._type_affinity is type(plain)._type_affinity else None


class TestMigrations:
    def test_up_gives_exactly_the_tables_of_the_program(self, engine: Engine) -> None:
        with engine.begin() as connection:
            command.upgrade(alembic(connection), "head")
            context = MigrationContext.configure(connection, opts={"compare_type": same_type})
            assert compare_metadata(context, metadata) == []

    def test_down_leaves_nothing_and_up_again_works(self, engine: Engine) -> None:
        with engine.begin() as connection:
            command.upgrade(alembic(connection), "head")
            command.downgrade(alembic(connection), "base")
            assert set(inspect(connection).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
            command.upgrade(alembic(connection), "head")

    @pytest.mark.parametrize("kill_at", [2, 7, 13, 29, 41, 53, 61])
    def test_killed_in_the_middle_it_is_the_old_schema_or_the_new(self, tmp_path: Path, kill_at: int) -> None:
        assert migrated(tmp_path, kill_at) in (0, KILLED)
        assert migrated(tmp_path) == 0
        engine = create_engine(f"sqlite:///{tmp_path / 'weavebot.sqlite3'}")
        with engine.begin() as connection:
            assert set(metadata.tables) <= set(inspect(connection).get_table_names())
        engine.dispose()

    async def test_a_newer_folder_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        await schema.bring_up_to_date(database)
        async with database.write() as conn:
            await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(Refused, match="newer"):
            await schema.bring_up_to_date(database)
        assert await schema.revision_of(database) == "9999"
        await database.close()


def migrated(folder: Path, kill_at: int | None = None) -> int:
    """Migrates in a process of its own, which may kill itself before its n-th statement."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(_migrate(folder, kill_at))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


async def _migrate(folder: Path, kill_at: int | None) -> None:
    database = SqlDatabase.in_folder(folder)
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database._engine.sync_engine, "before_cursor_execute", count)
    await schema.bring_up_to_date(database)
    await database.close()
