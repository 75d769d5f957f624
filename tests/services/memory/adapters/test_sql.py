"""The database on the real PostgreSQL: transactions, limits, faults, and what a deletion leaves."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, make_url, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from memory.adapters import postgres
from memory.adapters.sql import SqlDatabase
from memory.columns import metadata
from memory.contention import again
from memory.errors import BadInput, Unavailable, Unreachable
from memory.tables import tenants
from tests.doubles import START
from tests.e2e.eventually import eventually
from tests.parts import draft, open_memory
from tests.services.databases import connect, empty_database
from tests.services.servers import Server, address

pytestmark = pytest.mark.services

ROW = {"platform": "local", "name": "x", "created_at": START}
PRIVATE = "nobody's business"
SHORT = 2.0  # seconds


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with empty_database() as found:
        yield found


@pytest.fixture
async def database(url: str) -> AsyncIterator[SqlDatabase]:
    opened = SqlDatabase(url, patience=SHORT)
    yield opened
    await opened.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """PostgreSQL, for a test that is alone with it; it runs again afterwards."""
    found = Server("postgres", alone=True)
    yield found
    await found.recover()


async def add(database: SqlDatabase, *given: str) -> None:
    async with database.write() as conn:
        for name in given:
            await conn.execute(insert(tenants).values(external_id=name, **ROW))


async def pour(database: SqlDatabase, *given: str) -> None:
    async with database.write() as conn:
        await database.pour(conn, tenants, [[1 + i, "local", name, "x", 0, 0] for i, name in enumerate(given)])


@pytest.mark.parametrize("adding", [add, pour])
async def test_an_error_that_is_logged_quotes_no_row(
    database: SqlDatabase, adding: Callable[..., Awaitable[None]]
) -> None:
    async with database.write() as conn:
        await conn.run_sync(metadata.create_all)
    twice = [PRIVATE] * 2
    with pytest.raises(DBAPIError) as failed:
        await adding(database, *twice)
    said = "".join(traceback.format_exception(failed.value))
    assert "uq_tenants" in said
    assert PRIVATE not in said


async def test_a_value_of_the_wrong_type_is_not_quoted_either(database: SqlDatabase) -> None:
    with pytest.raises(DBAPIError) as failed:
        async with database.read() as conn:
            await conn.execute(text("SELECT 1 WHERE 1 = :given"), {"given": PRIVATE})
    assert PRIVATE not in "".join(traceback.format_exception(failed.value))


async def names(database: SqlDatabase) -> list[str]:
    async with database.read() as conn:
        return list((await conn.execute(select(tenants.c.external_id).order_by(tenants.c.id))).scalars())


class TestTransactions:
    async def test_a_read_sees_one_moment(self, database: SqlDatabase) -> None:
        async with database.read() as conn:
            before = (await conn.execute(select(tenants))).all()
            await add(database, "a")
            assert (await conn.execute(select(tenants))).all() == before
        assert await names(database) == ["a"]

    async def test_nothing_is_written_in_a_read(self, database: SqlDatabase) -> None:
        with pytest.raises((DBAPIError, Unavailable)):
            async with database.read() as conn:
                await conn.execute(insert(tenants).values(external_id="a", **ROW))
        assert await names(database) == []

    async def test_a_failed_transaction_leaves_no_trace(self, database: SqlDatabase) -> None:
        with pytest.raises(IntegrityError):
            await add(database, "same", "same")
        assert await names(database) == []

    async def test_writers_work_beside_each_other(self, database: SqlDatabase) -> None:
        async with database.write() as conn:
            await conn.execute(insert(tenants).values(external_id="a", **ROW))
            await add(database, "b")
            assert await names(database) == ["b"]
        assert await names(database) == ["a", "b"]

    async def test_who_wants_to_be_alone_waits_for_the_others_and_they_for_it(self, database: SqlDatabase) -> None:
        course: list[str] = []
        inside, began = asyncio.Event(), asyncio.Event()

        async def alone() -> None:
            await inside.wait()
            async with database.write(alone=True):
                course.append("alone")
                began.set()
                await asyncio.sleep(0.1)
                course.append("alone no more")

        async def after() -> None:
            await began.wait()
            async with database.write():
                course.append("after")

        async with asyncio.TaskGroup() as group:
            group.create_task(alone())
            group.create_task(after())
            async with database.write():
                inside.set()
                await asyncio.sleep(0.1)
                course.append("before")
        assert course == ["before", "alone", "alone no more", "after"]

    async def test_two_that_wait_in_a_circle_are_both_done_in_the_end(self, url: str) -> None:
        database = SqlDatabase(url)
        for name in ("a", "b"):
            await add(database, name)
        both = asyncio.Barrier(2)
        tries: list[str] = []

        @again
        async def rename(first: str, second: str) -> None:
            tries.append(first)
            async with database.write() as conn:
                for step, name in enumerate((first, second)):
                    row = text("UPDATE tenants SET name = name || '+' WHERE external_id = :name")
                    await conn.execute(row, {"name": name})
                    if step == 0 and len(tries) <= 2:
                        await both.wait()

        await asyncio.gather(rename("a", "b"), rename("b", "a"))
        assert len(tries) == 3, "one of the two was taken back, once"
        async with database.read() as conn:
            assert (await conn.execute(select(tenants.c.name))).scalars().all() == ["x++", "x++"]
        await database.close()


class TestLimits:
    async def test_a_statement_that_takes_too_long_is_stopped(self, database: SqlDatabase) -> None:
        with pytest.raises(Unavailable, match="took too long"):
            async with database.read() as conn:
                await conn.execute(text("SELECT pg_sleep(30)"))
        assert await names(database) == []

    async def test_a_lock_that_nobody_gives_back_is_not_waited_for(self, database: SqlDatabase, url: str) -> None:
        other = await connect(url)
        await other.execute("BEGIN; LOCK TABLE tenants IN EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="another process holds"):
            await add(database, "a")
        await other.close()
        await add(database, "b")
        assert await names(database) == ["b"]

    async def test_more_readers_than_connections_wait_for_their_turn(self, database: SqlDatabase) -> None:
        assert await asyncio.gather(*(names(database) for _ in range(60))) == [[]] * 60


class TestReaching:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"password": "wrong"}, "refuses the user or the password"),
            ({"database": "nowhere"}, "no such database"),
            ({"port": 1}, "cannot be reached"),
            ({"host": "nowhere.invalid"}, "cannot be reached"),
            ({"query": {"speed": "fast"}}, "an option that is not right"),
        ],
    )
    async def test_what_is_wrong_is_one_sentence(self, url: str, changes: dict[str, object], words: str) -> None:
        database = SqlDatabase(make_url(url).set(**changes).render_as_string(hide_password=False))  # type: ignore[arg-type]  # by name
        with pytest.raises((Unavailable, BadInput), match=words) as caught:
            await database.ping()
        assert str(make_url(url).password) not in str(caught.value)
        await database.close()

    @pytest.mark.parametrize("given", ["mysql://x/y", "not a url", "postgresql"])
    def test_what_is_no_url_of_a_database_is_refused(self, given: str) -> None:
        with pytest.raises(BadInput, match="must look like"):
            SqlDatabase(given)

    async def test_the_url_that_other_programs_use_will_do(self, url: str) -> None:
        database = SqlDatabase(url.replace("postgresql+asyncpg", "postgres") + "?sslmode=prefer")
        async with database.read() as conn:
            assert (await conn.execute(text("SELECT current_database()"))).scalar() == make_url(url).database
        await database.close()


@pytest.mark.alone("postgres")
class TestFaults:
    async def test_a_server_that_was_restarted_is_found_again(self, database: SqlDatabase, server: Server) -> None:
        await add(database, "before")
        await server.restart()
        assert await names(database) == ["before"]

    async def test_killed_in_the_middle_it_has_all_of_a_transaction_or_nothing(
        self, database: SqlDatabase, server: Server
    ) -> None:
        await add(database, "confirmed")

        async def half_way() -> None:
            async with database.write() as conn:
                await conn.execute(insert(tenants).values(external_id="half", **ROW))
                await server.kill()
                await conn.execute(insert(tenants).values(external_id="way", **ROW))

        with pytest.raises(Unreachable):
            await half_way()
        with pytest.raises(Unreachable, match="cannot be reached"):
            await add(database, "down")
        await server.start()
        assert await names(database) == ["confirmed"]

    async def test_a_server_that_is_frozen_is_given_up_and_found_again(
        self, database: SqlDatabase, server: Server
    ) -> None:
        await add(database, "before")
        await server.pause()
        began = time.monotonic()
        with pytest.raises(Unreachable, match="does not answer"):
            await add(database, "frozen")
        assert time.monotonic() - began < 6 * SHORT
        await server.resume()
        assert await names(database) == ["before"]
        await add(database, "after")
        assert await names(database) == ["before", "after"]

    async def test_indexing_goes_on_by_itself_when_the_server_is_back(
        self, url: str, server: Server, tmp_path: Path
    ) -> None:
        async with open_memory(tmp_path, url) as memory:
            room = await memory.room()
            working = asyncio.create_task(memory.indexer.run())
            await memory.journal.admit(room, [draft("e1", "Ana", "the gate code is 4471")])
            await server.kill()
            with pytest.raises(Unreachable):
                await memory.journal.admit(room, [draft("e2", "Ben", "lost if it were not told again")])
            await server.start()
            await memory.journal.admit(room, [draft("e2", "Ben", "lost if it were not told again")])

            async def both_embedded() -> bool:
                return len((await memory.rooms.view(room.id)).vectors) == 2

            await eventually(both_embedded, bool)
            working.cancel()


class TestScrubbing:
    async def test_deleted_rows_are_taken_out_of_their_pages(self, database: SqlDatabase) -> None:
        """The rows are gone from the tables' pages; PostgreSQL gives the place free and does not overwrite it."""
        async with database.write() as conn:
            for i in range(50):
                await conn.execute(insert(tenants).values(external_id=f"needle-{i}", **ROW))
        async with database.write() as conn:
            await conn.execute(tenants.delete())
        assert await pages(database) > 0
        await database.scrub()
        assert await pages(database) == 0
        assert b"needle-" not in await file_of(database, "tenants")

    async def test_it_may_take_longer_than_a_statement(self, url: str) -> None:
        database = SqlDatabase(url)
        await add(database, "needle")
        async with database.write() as conn:
            await conn.execute(tenants.delete())
        hurried = SqlDatabase(url, patience=0.02)
        async with hurried._connected() as conn:
            await postgres.vacuum(conn, list(metadata.tables))
            assert (await conn.execute(text("SHOW statement_timeout"))).scalar() == "20ms"
        assert await pages(database) == 0
        await hurried.close()
        await database.close()

    async def test_put_off_it_is_done_at_the_end_and_not_sooner(self, database: SqlDatabase) -> None:
        await add(database, "needle")
        async with database.scrubbing_later():
            async with database.write() as conn:
                await conn.execute(tenants.delete())
            await database.scrub()
            assert await pages(database) > 0
        assert await pages(database) == 0


async def pages(database: SqlDatabase) -> int:
    """How many pages the table of teams has."""
    async with database.read() as conn:
        size = (await conn.execute(text("SELECT pg_relation_size('tenants')"))).scalar_one()
    return int(size) // 8192


async def file_of(database: SqlDatabase, table: str) -> bytes:
    """What stands in the file of a table, once the server has written it."""
    async with database.read() as conn:
        name = (await conn.execute(text("SELECT pg_relation_filepath(:table)"), {"table": table})).scalar_one()
    file = Path(address("SERVICES")) / "postgres" / "data" / str(name)
    return await asyncio.to_thread(file.read_bytes)
