"""Taking the rows of a table that several processes may work on: the one way of claiming, marking and giving back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Select, Table, and_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.contention import again
from memory.leases import Lease
from memory.ports import Database

Row = TypeVar("Row")
Reading: TypeAlias = Callable[[AsyncConnection, Select[Any]], Awaitable[list[Row]]]
"""Reads rows of a query, not more than are worked on together."""


class Claims:
    """Of one table, which has the columns that `memory.leases` names and a primary key that begins with an integer."""

    def __init__(self, database: Database, table: Table, lease: Lease | None = None) -> None:
        """``lease``: where other processes take rows of it; without one nothing is marked."""
        self._database = database
        self._table = table
        self._key = next(iter(table.primary_key.columns))
        self._lease = lease

    async def take(
        self, query: Select[Any], after: int, read: Reading[Row], key: Callable[[Row], int]
    ) -> Sequence[Row]:
        """What ``read`` gives of the query behind a key, ours as long as the lease lasts.

        Rows that somebody else has, or is taking at this moment, are passed over. ``key`` tells a row's.
        """
        if self._lease is None:
            async with self._database.read() as conn:
                return await read(conn, query)
        ours = query.where(self._lease.free(self._table))
        async with self._database.read() as conn:
            if (await conn.execute(ours.limit(1), {"after": after})).first() is None:
                return []
        return await self._take(ours.with_for_update(of=self._table, skip_locked=True), read, key)

    @again
    async def _take(self, query: Select[Any], read: Reading[Row], key: Callable[[Row], int]) -> Sequence[Row]:
        async with self._database.write() as conn:
            rows = await read(conn, query)
            await self.mark(conn, [key(row) for row in rows])
        return rows

    async def mark(self, conn: AsyncConnection, keys: Sequence[int]) -> None:
        """These are ours from now on, in the caller's transaction, which holds their rows."""
        if keys and self._lease is not None:
            between = self._key.between(min(keys), max(keys))  # a range of the key
            await conn.execute(
                update(self._table).where(and_(self._key.in_(keys), between)).values(**self._lease.marks())
            )

    async def give_back(self, keys: Iterable[int]) -> None:
        """These are anybody's."""
        given = list(keys)
        if given and self._lease is not None:
            async with self._database.write() as conn:
                await conn.execute(update(self._table).where(self._key.in_(given)).values(claimed_until=None))
