"""The SQL database: SQLite embedded, PostgreSQL for servers; SQLAlchemy Core on both."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from memory.errors import Unavailable

_BUSY_MS = 15_000
_LATER: ContextVar[bool] = ContextVar("scrubbing_later", default=False)


class SqlDatabase:
    """Transactions on one database.

    On SQLite a write takes the file's write lock at its start (BEGIN IMMEDIATE), so that two writers wait for each
    other instead of failing half-way; ``secure_delete`` overwrites what is deleted; a commit is on the disk when it
    returns.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._is_sqlite = url.startswith("sqlite")
        arguments = {"factory": _Connection} if self._is_sqlite else {}
        self._engine: AsyncEngine = create_async_engine(url, connect_args=arguments)
        self._turn = asyncio.Lock()
        self._to_scrub = False
        if self._is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare)
            event.listen(self._engine.sync_engine, "begin", _begin)

    @classmethod
    def in_folder(cls, folder: Path) -> SqlDatabase:
        """The embedded database of a data folder."""
        return cls(f"sqlite+aiosqlite:///{folder / 'weavebot.sqlite3'}")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent snapshot. Raises Unavailable when the database does not answer."""
        with _translated():
            async with self._engine.connect() as conn, conn.begin():
                yield conn

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: all of it or nothing. Raises Unavailable when the file is locked, full or read-only."""
        async with self._turn:
            with _translated():
                async with self._engine.connect() as raw:
                    conn = await raw.execution_options(weavebot_write=True)
                    async with conn.begin():
                        yield conn

    async def scrub(self) -> None:
        """After a deletion: empties the write-ahead log, so that no deleted byte stays in the embedded files."""
        self._to_scrub = self._is_sqlite
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
        await self._scrub()

    async def _scrub(self) -> None:
        """When it is due, also from a time when it failed."""
        if not self._to_scrub:
            return
        async with self._turn, self._engine.connect() as conn:
            raw = await conn.get_raw_connection()
            driver: Any = raw.driver_connection
            for _ in range(50):
                cursor = await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                busy = (await cursor.fetchone())[0]
                await cursor.close()
                if not busy:
                    self._to_scrub = False
                    return
                await asyncio.sleep(0.05)  # a reader still holds the old snapshot
        raise Unavailable("the write-ahead log could not be emptied because a reader holds it: run the command again")

    async def ping(self) -> None:
        """Raises Unavailable when a trivial query fails."""
        async with self.read() as conn:
            await conn.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Closes every connection; the last one empties the write-ahead log."""
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


def _begin(conn: Connection) -> None:
    writes = conn.get_execution_options().get("weavebot_write", False)
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class _translated:  # noqa: N801 - reads as a word at the with
    """Turns the driver's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DBAPIError) and (sentence := _sentence(error)):
            raise Unavailable(sentence) from error


_SENTENCES = (
    ("readonly", "the data folder is read-only: allow this user to write there, or choose another with --data"),
    ("full", "the disk is full: free some space and try again; nothing that was confirmed is lost"),
    ("locked", "the database is busy with another process: try again in a moment"),
    ("unable to open", "the database cannot be opened: check that the data folder exists and that you may write there"),
    ("malformed", "the database file is damaged: restore a copy of the data folder"),
    ("not a database", "the database file is damaged: restore a copy of the data folder"),
)


def _sentence(error: DBAPIError) -> str | None:
    words = str(error.orig).lower()
    for sign, sentence in _SENTENCES:
        if sign in words:
            return sentence
    if isinstance(error, OperationalError):
        return f"the database does not answer ({error.orig})"
    return None  # a broken promise of our own (a constraint, a type): let it show
