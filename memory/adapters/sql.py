"""The SQL database: SQLite embedded, PostgreSQL for servers; SQLAlchemy Core on both."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import URL, Table, event, insert, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from memory.adapters import postgres, sqlite_driver
from memory.columns import metadata
from memory.errors import BadInput, Unavailable

PATIENCE: Final = 30.0
"""Seconds that a database server may take for one statement."""
_BUSY_MS: Final = 15_000
_HELD_UP_MS: Final = 200
"""How long a try to empty the log keeps writers waiting at most, while a reader of an old snapshot holds it."""
_EMPTYING: Final = 15.0
"""Seconds in which the log must have been emptied."""
log = structlog.get_logger(__name__)

_LATER: ContextVar[bool] = ContextVar("scrubbing_later", default=False)


class SqlDatabase:
    """Transactions on one database.

    On SQLite the writes of this process wait for each other from their start, and for those of another one from their
    first statement on, which takes the file's write lock (BEGIN IMMEDIATE), so that none fails half-way;
    ``secure_delete`` overwrites what is deleted; a commit is on the disk when it returns. On PostgreSQL writers work
    beside each other, unless one asks to be alone (decision 17).
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        """``patience``: seconds that PostgreSQL may take for a statement. Raises BadInput for a URL that cannot be."""
        chosen = _url(url)
        self.is_embedded = chosen.get_backend_name() == "sqlite"
        """Whether it is a file of the data folder, which one process owns."""
        self._turn = asyncio.Lock()
        self._to_scrub = False
        self._patience = patience
        self._vacuuming: asyncio.Task[None] | None = None
        self._engine: AsyncEngine
        if self.is_embedded:
            self._engine = create_async_engine(
                chosen,
                connect_args={"factory": _Connection, "async_creator_fn": sqlite_driver.connect},
                hide_parameters=True,  # they are people's words, and an error is logged
            )
            event.listen(self._engine.sync_engine, "connect", _prepare)
            event.listen(self._engine.sync_engine, "begin", _begin)
        else:
            self._engine = postgres.make_engine(chosen, patience)

    @classmethod
    def in_folder(cls, folder: Path) -> SqlDatabase:
        """The embedded database of a data folder."""
        return cls(f"sqlite+aiosqlite:///{folder / 'weavebot.sqlite3'}")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent snapshot, in which nothing is written. Raises Unavailable when the database does not answer."""
        snapshot = {} if self.is_embedded else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._begun(snapshot) as conn:
            yield conn

    @asynccontextmanager
    async def write(self, *, alone: bool = False) -> AsyncIterator[AsyncConnection]:
        """One transaction: all of it or nothing. ``alone``: no other write, of whichever process, runs beside it.

        Raises Contended when others were in the way, Unavailable when the database is locked, full or read-only.
        """
        if self.is_embedded:
            async with self._turn, self._begun({"weavebot_write": True}) as conn:
                yield conn
            return
        async with self._begun({"weavebot_write": True, "isolation_level": "READ COMMITTED"}) as conn:
            await conn.execute(postgres.gate(alone=alone))
            yield conn

    @asynccontextmanager
    async def _begun(self, options: dict[str, Any]) -> AsyncIterator[AsyncConnection]:
        with self._translated():
            async with self._connected() as raw:
                conn = await raw.execution_options(**options)
                async with conn.begin():
                    yield conn

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool. What goes wrong before there is one is about the server and how to reach it."""
        conn = self._engine.connect()
        try:
            await conn.start()
        except Exception as exc:
            error = None if self.is_embedded else postgres.connecting(exc)
            if error is None:
                raise
            raise error from exc
        try:
            yield conn
        finally:
            await conn.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns the driver's errors into ours."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as exc:
            if not self.is_embedded:
                postgres.hush(exc)
            error = _of_sqlite(exc) if self.is_embedded else postgres.translated(exc)
            if error is None:
                raise  # a broken promise of our own (a constraint, a type): let it show
            raise error from exc
        except TimeoutError as exc:  # of the driver, on the ways around SQLAlchemy's own handling
            if self.is_embedded:
                raise
            raise postgres.unreachable(exc) from exc

    async def pour(self, conn: AsyncConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Many rows into a table within a write; each has a value for every column, in their order.

        Raises Unreachable when the server goes away; the constraints of the table hold.
        """
        if not self.is_embedded:
            await postgres.pour(conn, table, rows)
        elif rows:
            names = [column.name for column in table.columns]
            await conn.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])

    async def scrub(self) -> None:
        """After a deletion: no deleted byte stays in the embedded files; a server's tables are vacuumed."""
        self._to_scrub = True
        if not _LATER.get():
            await self._scrub()

    @asynccontextmanager
    async def scrubbing_later(self) -> AsyncIterator[None]:
        """Once at the end: emptying the log waits for readers, and a batch may hold many deletions."""
        token = _LATER.set(True)
        try:
            yield
        finally:
            _LATER.reset(token)
        if not _LATER.get():  # else one around this does it
            await self._scrub()

    async def _scrub(self) -> None:
        """When it is due, also from a time when it failed."""
        if not self._to_scrub:
            return
        if not self.is_embedded:
            await self._vacuumed()
            return
        end = asyncio.get_running_loop().time() + _EMPTYING
        while True:
            async with self._turn:
                if await self._is_log_emptied():
                    self._to_scrub = False
                    return
            if asyncio.get_running_loop().time() >= end:
                raise Unavailable(
                    "the write-ahead log could not be emptied because a reader holds it: run the command again"
                )
            await asyncio.sleep(0.05)  # a reader still holds the old snapshot: whoever writes has a turn first

    async def _is_log_emptied(self) -> bool:
        """One try; False while a reader holds the log."""
        with self._translated():
            async with self._engine.connect() as conn:
                driver: Any = (await conn.get_raw_connection()).driver_connection
                try:
                    await _asked(driver, f"PRAGMA busy_timeout={_HELD_UP_MS}")
                    busy: int = await _asked(driver, "PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    await _asked(driver, f"PRAGMA busy_timeout={_BUSY_MS}")
        return not busy

    async def _vacuumed(self) -> None:
        """Waits for it as long as for a statement; what takes longer is done beside us, and what fails another time.

        The deletion is committed: nobody may take it for undone, or wait, because of what is left to tidy.
        """
        if self._vacuuming is None or self._vacuuming.done():
            self._vacuuming = asyncio.create_task(self._vacuum())
        await asyncio.wait({self._vacuuming}, timeout=self._patience)

    async def _vacuum(self) -> None:
        while self._to_scrub:  # again for a deletion that was committed while it was done
            self._to_scrub = False
            try:
                async with self._connected() as conn:
                    await postgres.vacuum(conn, list(metadata.tables))
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is only put off
                self._to_scrub = True
                log.warning("scrub.put_off", error=type(exc).__name__, reason=str(postgres.translated(exc) or exc))
                return
            except BaseException:
                self._to_scrub = True
                raise

    async def ping(self) -> None:
        """Raises Unavailable when a trivial query fails."""
        async with self.read() as conn:
            await conn.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Closes every connection; the last one empties the write-ahead log."""
        if self._vacuuming is not None:
            self._vacuuming.cancel()
            await asyncio.wait({self._vacuuming})
        await self._engine.dispose()


class _Connection(sqlite3.Connection):
    """A connection that takes back what was not committed before it closes.

    SQLite keeps a closed connection, and its write lock, until the last of its cursors is collected. A task that is
    cancelled in the middle of a query leaves such a cursor behind.
    """

    def close(self) -> None:
        """Gives up the locks, then closes."""
        with contextlib.suppress(sqlite3.Error):
            self.rollback()
        super().close()


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN decides, not the driver
    cursor = connection.cursor()
    try:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_MS}",
            "cache_size=-32768",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
    except sqlite3.Error:
        connection.close()  # SQLAlchemy does not, and the driver's thread would outlive the loop
        raise


async def _asked(driver: Any, statement: str) -> Any:
    """The first value that a statement of one row gives, outside of any transaction."""
    cursor = await driver.execute(statement)
    (value, *_) = await cursor.fetchone()
    await cursor.close()
    return value


def _begin(conn: Connection) -> None:
    writes = conn.get_execution_options().get("weavebot_write", False)
    conn.exec_driver_sql(sqlite_driver.WRITES if writes else sqlite_driver.READS)


_SENTENCES = (
    ("readonly", "the data folder is read-only: allow this user to write there, or choose another with --data"),
    ("full", "the disk is full: free some space and try again; nothing that was confirmed is lost"),
    ("locked", "the database is busy with another process: try again in a moment"),
    ("unable to open", "the database cannot be opened: check that the data folder exists and that you may write there"),
    ("malformed", "the database file is damaged: restore a copy of the data folder"),
    ("not a database", "the database file is damaged: restore a copy of the data folder"),
)


def _of_sqlite(error: Exception) -> Unavailable | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.Error):
        return None
    words = str(cause).lower()
    for sign, sentence in _SENTENCES:
        if sign in words:
            return Unavailable(sentence)
    unanswered = isinstance(cause, sqlite3.OperationalError)
    return Unavailable(f"the database does not answer ({cause})") if unanswered else None


def _url(given: str) -> URL:
    """Raises BadInput for what is no URL of a database that we know."""
    try:
        url = make_url(given)
        known = url.get_backend_name() in {"sqlite", "postgresql", "postgres"}
    except (ArgumentError, ValueError):
        known = False
    if not known:
        raise BadInput(
            "WEAVEBOT_DATABASE_URL must look like postgresql://USER:PASSWORD@HOST:5432/DATABASE (docs/postgresql.md)"
        )
    return url
