"""The database keeps what was committed, refuses clearly, and leaves nothing of what was deleted."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from memory.adapters.sql import SqlDatabase, _Connection
from memory.columns import Instant, metadata, pack_text, unpack_text
from memory.errors import Unavailable
from memory.tables import tenants
from tests.doubles import START

ROW = {"platform": "local", "name": "x", "created_at": START}
PRIVATE = "nobody's business"


async def add(database: SqlDatabase, names: list[str], pages: int | None = None) -> None:
    """Adds rows in one transaction, on a file that may not grow over so many pages."""
    async with database.write() as conn:
        if pages is not None:
            await conn.execute(text(f"PRAGMA max_page_count={pages}"))
        for name in names:
            await conn.execute(insert(tenants).values(external_id=name, **ROW))


def holds(folder: Path, needle: bytes) -> bool:
    """Whether any file of a folder has these bytes."""
    return any(needle in file.read_bytes() for file in folder.iterdir())


class TestTransactions:
    async def test_two_writers_wait_for_each_other(self, tmp_path: Path) -> None:
        databases = [SqlDatabase.in_folder(tmp_path) for _ in range(2)]
        async with databases[0].write() as conn:
            await conn.run_sync(metadata.create_all)

        async def write(database: SqlDatabase, name: str) -> None:
            for i in range(20):
                async with database.write() as conn:
                    await conn.execute(insert(tenants).values(external_id=f"{name}{i}", **ROW))

        await asyncio.gather(write(databases[0], "a"), write(databases[1], "b"))
        async with databases[0].read() as conn:
            assert len((await conn.execute(select(tenants))).all()) == 40
        for database in databases:
            await database.close()

    def test_a_connection_that_closes_in_the_middle_of_a_query_holds_no_lock(self, tmp_path: Path) -> None:
        conn = sqlite3.connect(tmp_path / "x", factory=_Connection, isolation_level=None)
        conn.execute("PRAGMA journal_mode=WAL").fetchall()
        conn.execute("CREATE TABLE t(x)")
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany("INSERT INTO t VALUES(?)", [(i,) for i in range(9)])
        left_behind = conn.execute("SELECT x FROM t")  # as a cancelled task leaves it
        assert left_behind.fetchone() == (0,)
        conn.close()

        other = sqlite3.connect(tmp_path / "x", timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)
        other.close()

    async def test_a_failed_transaction_leaves_no_trace(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        async with database.write() as conn:
            await conn.run_sync(metadata.create_all)
        with pytest.raises(IntegrityError):
            await add(database, ["same", "same"])
        async with database.read() as conn:
            assert (await conn.execute(select(tenants))).all() == []
        await database.close()


class TestRefusals:
    async def test_a_read_only_database_is_one_sentence(self, tmp_path: Path) -> None:
        database = SqlDatabase(f"sqlite+aiosqlite:///file:{tmp_path / 'x.sqlite3'}?mode=ro&uri=true")
        with pytest.raises(Unavailable, match="cannot be opened"):
            await database.ping()
        await database.close()

    async def test_a_file_that_is_no_database_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "weavebot.sqlite3").write_text("this is a shopping list, " * 100)
        database = SqlDatabase.in_folder(tmp_path)
        with pytest.raises(Unavailable, match="damaged"):
            await database.ping()
        await database.close()

    async def test_a_full_disk_is_one_sentence_and_loses_nothing(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        async with database.write() as conn:
            await conn.run_sync(metadata.create_all)
        with pytest.raises(Unavailable, match="full"):
            await add(database, [f"{i}" * 50 for i in range(2000)], pages=1)
        async with database.read() as conn:
            assert (await conn.execute(select(tenants))).all() == []
        await database.close()

    async def test_an_error_that_is_logged_quotes_no_row(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        async with database.write() as conn:
            await conn.run_sync(metadata.create_all)
        twice = [PRIVATE] * 2
        with pytest.raises(IntegrityError) as failed:
            await add(database, twice)
        assert PRIVATE not in "".join(traceback.format_exception(failed.value))
        await database.close()

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            Instant().process_bind_param(datetime(2026, 1, 1), None)  # type: ignore[arg-type]  # noqa: DTZ001 - the point


class TestScrubbing:
    async def test_deleted_bytes_leave_every_file(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        async with database.write() as conn:
            await conn.run_sync(metadata.create_all)
            await conn.execute(insert(tenants).values(external_id="needle-in-a-haystack", **ROW))
        assert holds(tmp_path, b"needle-in")
        async with database.write() as conn:
            await conn.execute(tenants.delete())
        await database.scrub()
        assert not holds(tmp_path, b"needle-in")
        await database.close()

    async def test_put_off_it_is_done_at_the_end_and_not_sooner(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        async with database.write() as conn:
            await conn.run_sync(metadata.create_all)
            await conn.execute(insert(tenants).values(external_id="needle-in-a-haystack", **ROW))
        async with database.scrubbing_later():
            async with database.write() as conn:
                await conn.execute(tenants.delete())
            await database.scrub()
            assert holds(tmp_path, b"needle-in")
        assert not holds(tmp_path, b"needle-in")
        await database.close()

    async def test_while_a_reader_is_in_the_way_others_write(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        async with database.write() as conn:
            await conn.run_sync(metadata.create_all)
        reader = sqlite3.connect(tmp_path / "weavebot.sqlite3", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM tenants").fetchall()
        await add(database, ["needle-in-a-haystack"])
        async with database.write() as conn:
            await conn.execute(tenants.delete())
        scrubbing = asyncio.create_task(database.scrub())
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await add(database, ["meanwhile"])
        assert not scrubbing.done()
        reader.close()
        await scrubbing
        assert not holds(tmp_path, b"needle-in")
        await database.close()

    async def test_what_sqlite_refuses_is_one_sentence(self, tmp_path: Path) -> None:
        database = SqlDatabase.in_folder(tmp_path)
        async with database.write() as conn:
            await conn.run_sync(metadata.create_all)
        async with database.read() as conn:
            driver: Any = (await conn.get_raw_connection()).driver_connection
        await driver.errand(lambda: driver._conn.execute("BEGIN").execute("SELECT * FROM tenants").fetchall())
        with pytest.raises(Unavailable, match="busy"):
            await database.scrub()
        await database.close()

    async def test_a_copy_of_the_folder_taken_at_any_time_is_whole(self, tmp_path: Path) -> None:
        source, copy = tmp_path / "a", tmp_path / "b"
        source.mkdir()
        database = SqlDatabase.in_folder(source)
        async with database.write() as conn:
            await conn.run_sync(metadata.create_all)
        for i in range(10):
            async with database.write() as conn:
                await conn.execute(insert(tenants).values(external_id=f"{i}", **ROW))
        shutil.copytree(source, copy)  # what a kill leaves: the file and its log
        await database.close()
        whole = sqlite3.connect(copy / "weavebot.sqlite3")
        assert whole.execute("SELECT count(*) FROM tenants").fetchone() == (10,)
        whole.close()


class TestColumns:
    @given(st.text())
    def test_any_text_comes_back(self, value: str) -> None:
        assert unpack_text(pack_text(value)) == value

    def test_repetitive_text_is_stored_small(self) -> None:
        assert len(pack_text("the hive by the oak " * 50)) < 100

    @given(st.datetimes(timezones=st.just(UTC)))
    def test_any_moment_comes_back(self, value: datetime) -> None:
        column = Instant()
        stored = column.process_bind_param(value, None)  # type: ignore[arg-type]  # no dialect is looked at
        assert column.process_result_value(stored, None) == value  # type: ignore[arg-type]  # likewise

    def test_moments_keep_their_order(self) -> None:
        column = Instant()
        early, late = (column.process_bind_param(t, None) for t in (START, START + timedelta(microseconds=1)))  # type: ignore[arg-type]  # likewise
        assert early is not None
        assert late is not None
        assert early < late
