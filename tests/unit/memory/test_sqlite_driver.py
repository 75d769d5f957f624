"""The driver of SQLite: one errand a statement, rows as they are asked for, and nothing left behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from memory.adapters.sql import SqlDatabase
from memory.adapters.sqlite_driver import FIRST, Connection, connect

pytestmark = pytest.mark.embedded

MANY = 3 * FIRST + 7


class Counted:
    """How many errands a connection was sent on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._before = connection._sent

    @property
    def errands(self) -> int:
        return self._connection._sent - self._before


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    opened = connect(tmp_path / "a.sqlite3", isolation_level=None)
    await opened
    cursor = opened.cursor()
    await cursor.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT UNIQUE)")
    await cursor.executemany("INSERT INTO t (word) VALUES (?)", [(f"w{i}",) for i in range(MANY)])
    yield opened
    await opened.close()


class TestStatements:
    async def test_a_statement_with_its_rows_is_one_errand(self, connection: Connection) -> None:
        counted = Counted(connection)
        cursor = connection.cursor()
        await cursor.execute("SELECT id, word FROM t WHERE id < ?", (4,))
        assert await cursor.fetchall() == [(1, "w0"), (2, "w1"), (3, "w2")]
        assert [column[0] for column in cursor.description] == ["id", "word"]
        await cursor.close()
        assert counted.errands == 1

    async def test_what_was_changed_is_told(self, connection: Connection) -> None:
        cursor = connection.cursor()
        await cursor.execute("UPDATE t SET word = word || '!' WHERE id <= 10")
        assert (cursor.rowcount, cursor.description) == (10, None)
        await cursor.execute("INSERT INTO t (word) VALUES ('new') RETURNING id")
        assert (await cursor.fetchone(), cursor.lastrowid) == ((MANY + 1,), MANY + 1)
        await cursor.executemany("DELETE FROM t WHERE id = ?", [(1,), (2,), (999_999,)])
        assert cursor.rowcount == 2

    @pytest.mark.parametrize("size", [1, FIRST - 1, FIRST, FIRST + 1, 2 * FIRST, MANY + 1])
    async def test_rows_come_once_and_in_order_however_they_are_fetched(
        self, connection: Connection, size: int
    ) -> None:
        cursor = connection.cursor()
        await cursor.execute("SELECT id FROM t ORDER BY id")
        found: list[int] = []
        while page := await cursor.fetchmany(size):
            assert len(page) == min(size, MANY - len(found))
            found += [key for (key,) in page]
        assert found == list(range(1, MANY + 1))
        assert await cursor.fetchall() == []

    async def test_all_and_the_rest_of_them(self, connection: Connection) -> None:
        cursor = connection.cursor()
        await cursor.execute("SELECT id FROM t ORDER BY id")
        assert await cursor.fetchone() == (1,)
        assert len(await cursor.fetchall()) == MANY - 1

    async def test_rows_that_nobody_has_asked_for_are_not_held(self, connection: Connection) -> None:
        cursor = connection.cursor()
        await cursor.execute("SELECT id FROM t")
        assert len(cursor._rows) == FIRST

    async def test_a_cursor_that_is_closed_early_holds_no_lock(self, connection: Connection) -> None:
        cursor = connection.cursor()
        await cursor.execute("SELECT id FROM t")
        await cursor.close()
        await connection.cursor().execute("DROP TABLE t")  # refused while a statement is under way

    async def test_what_sqlite_refuses_is_raised_and_leaves_the_connection_well(self, connection: Connection) -> None:
        cursor = connection.cursor()
        with pytest.raises(sqlite3.IntegrityError):
            await cursor.execute("INSERT INTO t (word) VALUES ('w0')")
        with pytest.raises(sqlite3.OperationalError):
            await cursor.execute("SELECT nothing FROM nowhere")
        await cursor.execute("SELECT count(*) FROM t")
        assert await cursor.fetchall() == [(MANY,)]


class TestRollback:
    async def test_of_nothing_is_no_errand(self, connection: Connection) -> None:
        counted = Counted(connection)
        await connection.rollback()
        assert counted.errands == 0

    async def test_what_was_begun_is_taken_back(self, connection: Connection) -> None:
        cursor = connection.cursor()
        await cursor.execute("BEGIN")
        await cursor.execute("DELETE FROM t")
        await connection.rollback()
        await cursor.execute("SELECT count(*) FROM t")
        assert await cursor.fetchall() == [(MANY,)]

    async def test_also_when_the_begin_is_still_on_its_way(self, connection: Connection) -> None:
        """A task that is cancelled right after it has sent it does not know whether there is a transaction."""
        slow = asyncio.ensure_future(connection.errand(lambda: sum(range(3_000_000))))
        begin = asyncio.ensure_future(connection.cursor().execute("BEGIN IMMEDIATE"))
        await asyncio.sleep(0)
        begin.cancel()
        await connection.rollback()
        await slow
        assert not connection.in_transaction

    async def test_ends_what_nobody_reads_to_its_end(self, connection: Connection) -> None:
        cursor = connection.cursor()
        await cursor.execute("SELECT id FROM t")
        await connection.rollback()
        await connection.cursor().execute("DROP TABLE t")  # refused while a statement is under way


@pytest.mark.parametrize("stop", [Connection.close, Connection.stop])
async def test_a_connection_that_goes_leaves_no_statement_open(
    connection: Connection, tmp_path: Path, stop: Callable[[Connection], Awaitable[None]]
) -> None:
    left_behind = connection.cursor()
    await connection.cursor().execute("PRAGMA journal_mode=WAL")
    await connection.cursor().execute("DELETE FROM t WHERE id = 1")
    await left_behind.execute("SELECT id FROM t")
    other = sqlite3.connect(tmp_path / "a.sqlite3", timeout=0)
    await stop(connection)
    assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    other.close()


class TestAStreamThatIsBrokenOff:
    @pytest.fixture
    async def database(self, tmp_path: Path) -> AsyncIterator[SqlDatabase]:
        """Whose only connection was reading a long result when its task was cancelled."""
        opened = SqlDatabase.in_folder(tmp_path)
        async with opened.write() as conn:
            await conn.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
            await conn.execute(text("INSERT INTO t (id) VALUES (:id)"), [{"id": i} for i in range(MANY)])
        reading = asyncio.Event()

        async def read() -> None:
            async with opened.read() as conn:
                pages = (await conn.stream(text("SELECT id FROM t"))).partitions(10)
                await anext(pages)
                reading.set()
                await asyncio.Event().wait()

        self.task = asyncio.create_task(read())  # held, as whoever waits for it holds it
        await reading.wait()
        self.task.cancel()
        await asyncio.wait([self.task])
        yield opened
        await opened.close()

    async def test_keeps_no_old_snapshot(self, database: SqlDatabase, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "weavebot.sqlite3", isolation_level=None)
        other.execute("DELETE FROM t WHERE id < 7")
        other.close()
        async with database.read() as conn:
            assert (await conn.execute(text("SELECT count(*) FROM t"))).scalar() == MANY - 7
        async with database.write() as conn:
            await conn.execute(text("DELETE FROM t"))

    async def test_is_in_the_way_of_no_scrub(self, database: SqlDatabase) -> None:
        await database.scrub()


class TestTransactions:
    @pytest.fixture
    async def database(self, tmp_path: Path) -> AsyncIterator[SqlDatabase]:
        opened = SqlDatabase.in_folder(tmp_path)
        async with opened.write() as conn:
            await conn.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
        yield opened
        await opened.close()

    async def driver(self, database: SqlDatabase) -> Connection:
        """The only connection of the pool."""
        async with database.read() as conn:
            driver = (await conn.get_raw_connection()).driver_connection
        assert isinstance(driver, Connection)
        return driver

    async def test_reading_costs_an_errand_a_statement(self, database: SqlDatabase) -> None:
        counted = Counted(await self.driver(database))
        async with database.read() as conn:
            await conn.execute(text("SELECT 1"))
            await conn.execute(text("SELECT 2"))
        assert counted.errands == 2

    async def test_writing_costs_one_more_to_keep_it(self, database: SqlDatabase) -> None:
        counted = Counted(await self.driver(database))
        async with database.write() as conn:
            await conn.execute(text("INSERT INTO t (id) VALUES (1)"))
        assert counted.errands == 2

    async def test_one_without_a_statement_costs_nothing(self, database: SqlDatabase) -> None:
        counted = Counted(driver := await self.driver(database))
        async with database.write():
            pass
        with pytest.raises(ZeroDivisionError):
            async with database.write():
                raise ZeroDivisionError
        assert (counted.errands, driver.in_transaction) == (0, False)

    async def test_what_only_read_holds_no_snapshot_afterwards(self, database: SqlDatabase, tmp_path: Path) -> None:
        async with database.read() as conn:
            rows = await conn.stream(
                text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
            )
            await anext(rows)
        other = sqlite3.connect(tmp_path / "weavebot.sqlite3", isolation_level=None)
        other.execute("INSERT INTO t (id) VALUES (1)")
        await database.scrub()  # would wait for a reader
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        other.close()

    async def test_a_snapshot_is_that_of_the_first_statement(self, database: SqlDatabase) -> None:
        async with database.read() as conn:
            count = text("SELECT count(*) FROM t")
            assert (await conn.execute(count)).scalar() == 0
            async with database.write() as other:
                await other.execute(text("INSERT INTO t (id) VALUES (1)"))
            assert (await conn.execute(count)).scalar() == 0
        async with database.read() as conn:
            assert (await conn.execute(count)).scalar() == 1

    async def test_a_write_that_fails_keeps_nothing(self, database: SqlDatabase) -> None:
        one = text("INSERT INTO t (id) VALUES (1)")

        async def twice() -> None:
            async with database.write() as conn:
                await conn.execute(one)
                await conn.execute(one)

        with pytest.raises(IntegrityError):
            await twice()
        async with database.write() as conn:
            assert (await conn.execute(text("SELECT count(*) FROM t"))).scalar() == 0
