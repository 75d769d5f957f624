"""aiosqlite with one errand to the connection's thread for each statement, instead of four.

SQLAlchemy makes a cursor, executes, fetches and closes, and aiosqlite carries each of these to its thread and back (a
tenth of a millisecond on an idle machine, more on a busy one). Here the statement, its first rows and the end of its
cursor are one errand, and a rollback of nothing is none. BEGIN goes with the statement after it, and nobody waits for
the end of a transaction that only read. Only a cursor with more rows stays open, for whoever streams; a rollback ends
it too, for it would keep the snapshot of a stream that nobody reads to its end.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

import aiosqlite

FIRST: Final = 256
"""Rows that come with the statement."""
READS: Final = "BEGIN"
"""Begins a transaction in which nothing is written."""
WRITES: Final = "BEGIN IMMEDIATE"

T = TypeVar("T")


class _Result(NamedTuple):
    """What a statement gave: its first rows, and the cursor of the others when there are more."""

    description: Any = None
    rows: Sequence[Any] = ()
    rowcount: int = -1
    lastrowid: int | None = None
    more: sqlite3.Cursor | None = None


class _Cursor:
    """What SQLAlchemy asks of a cursor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._result = _Result()
        self._rows: deque[Any] = deque()
        self._more: sqlite3.Cursor | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        """The columns of the last statement; None when it gives none."""
        return self._result.description

    @property
    def rowcount(self) -> int:
        """The rows that the last statement changed; -1 when it changes none."""
        return self._result.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The key of the row that was inserted last."""
        return self._result.lastrowid

    async def execute(self, operation: str, parameters: Any = ()) -> Self:
        """One statement with its first rows."""
        return await self._run(sqlite3.Cursor.execute, operation, parameters)

    async def executemany(self, operation: str, parameters: Any) -> Self:
        """One statement for each of the parameters."""
        return await self._run(sqlite3.Cursor.executemany, operation, parameters)

    async def fetchone(self) -> Any:
        """The next row; None after the last."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, ``size`` of them unless it is the end."""
        wanted = self.arraysize if size is None else size
        if self._more is not None and len(self._rows) < wanted:
            await self._fetch(max(wanted - len(self._rows), FIRST))
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        if self._more is not None:
            await self._fetch(None)
        rows = list(self._rows)
        self._rows.clear()
        return rows

    async def close(self) -> None:
        """No further row is wanted."""
        self._rows.clear()
        await self._end()

    async def _end(self) -> None:
        if self._more is not None:
            more, self._more = self._more, None
            await self._connection.errand(partial(self._connection.end, more))

    async def _run(self, method: Callable[..., sqlite3.Cursor], operation: str, parameters: Any) -> Self:
        await self.close()
        if operation in (READS, WRITES):
            self._result = _Result()
            self._connection.opening = operation
            return self
        self._result = await self._connection.errand(partial(self._connection.run, method, operation, parameters))
        self._rows.extend(self._result.rows)
        self._more = self._result.more
        return self

    async def _fetch(self, size: int | None) -> None:
        cursor = self._more
        if cursor is None:
            return
        rows, ended = await self._connection.errand(partial(self._connection.fetch, cursor, size))
        self._rows.extend(rows)
        if ended:
            self._more = None


class Connection(aiosqlite.Connection):
    """A connection with a thread of its own."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True
        self._sent = self._done = 0
        self.opening = ""
        """How the next statement begins a transaction."""
        self._reads = self._ending = False  # a transaction that only reads is under way, or is just being ended
        self._open: set[sqlite3.Cursor] = set()  # with more rows; changed by the thread alone

    def cursor(self) -> _Cursor:  # type: ignore[override]  # no errand before there is a statement
        """A cursor."""
        return _Cursor(self)

    async def errand(self, work: Callable[[], T]) -> T:
        """Work in the connection's thread, after whatever has to begin first."""
        if opening := self.opening:
            self.opening, self._reads = "", opening == READS
            given: T = await self._execute(partial(self._begun, opening, work))
        else:
            given = await self._execute(work)
        return given

    def _begun(self, opening: str, work: Callable[[], T]) -> T:
        self._conn.execute(opening).close()
        return work()

    def run(self, method: Callable[..., sqlite3.Cursor], operation: str, parameters: Any) -> _Result:
        """In the thread: a statement with its first rows."""
        cursor = self._conn.cursor()
        more = False
        try:
            method(cursor, operation, parameters)
            rows, ended = _fetched(cursor, FIRST) if cursor.description else ([], True)
            more = not ended
            if more:
                self._open.add(cursor)
            return _Result(cursor.description, rows, cursor.rowcount, cursor.lastrowid, cursor if more else None)
        finally:
            if not more:
                cursor.close()

    def fetch(self, cursor: sqlite3.Cursor, size: int | None) -> tuple[list[Any], bool]:
        """In the thread: the next rows, and whether they were the last, after which the cursor is closed."""
        rows, ended = _fetched(cursor, size)
        if ended:
            self.end(cursor)
        return rows, ended

    def end(self, cursor: sqlite3.Cursor) -> None:
        """In the thread: closes a cursor that had more rows."""
        self._open.discard(cursor)
        cursor.close()

    def _end_all(self) -> None:
        while self._open:
            self._open.pop().close()

    def _take_back(self) -> None:
        self._end_all()
        self._conn.rollback()

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        def counted() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                self._done += 1  # by the thread alone

        if self._running and self._connection:  # else aiosqlite refuses it
            self._sent += 1  # by the loop alone
            self._ending = False
        return await super()._execute(counted)  # type: ignore[no-untyped-call]  # likewise

    async def commit(self) -> None:
        """Keeps what was written. What only read is ended soon, and nobody waits for it."""
        if self.opening:
            self.opening = ""
        elif self._reads:
            self._reads, self._ending = False, True
            self._tx.put_nowait((None, self._take_back))
        else:
            await super().commit()

    async def rollback(self) -> None:
        """Takes back what was not committed; no errand when there is nothing, nor anything under way that may begin.

        Nobody reads on afterwards: cursors that are still open are closed first.
        """
        self.opening, self._reads = "", False
        if self._ending:
            return  # nothing came after it
        if self._sent != self._done or self.in_transaction or self._open:
            await self.errand(self._take_back)

    async def close(self) -> None:
        """Ends whatever is still read, then closes."""
        if self._connection is not None:
            await self.errand(self._end_all)
        await super().close()

    def stop(self) -> Any:
        """Ends the thread, after whatever is still read."""
        self._tx.put_nowait((None, self._end_all))
        return super().stop()


def connect(database: str | Path, **chosen: Any) -> Connection:
    """A connection that is opened when it is awaited; ``chosen`` are `sqlite3.connect`'s arguments."""
    return Connection(partial(sqlite3.connect, str(database), **chosen))


def _fetched(cursor: sqlite3.Cursor, size: int | None) -> tuple[list[Any], bool]:
    """The next rows, and whether they were the last."""
    rows = cursor.fetchall() if size is None else cursor.fetchmany(size)
    return rows, size is None or len(rows) < size
