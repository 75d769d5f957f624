"""The line to a Neo4j server: one driver, its pool and its limits, errors in our own words, a breaker.

Sessions share the driver's bookmarks, so a read sees what was written before it, on a cluster too. The driver itself
tries a transaction again, with jitter, when the server says that this may help; ``patience`` bounds all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import structlog
from neo4j import AsyncGraphDatabase, AsyncManagedTransaction, NotificationMinimumSeverity, unit_of_work
from neo4j.exceptions import AuthError, ConfigurationError, DriverError, Neo4jError

from memory.breaker import Breaker
from memory.errors import BadInput, Unavailable

log = structlog.get_logger()

POOL: Final = 50
"""Connections at most."""

_SCHEMES: Final = tuple(f"{name}{secure}" for name in ("bolt", "neo4j") for secure in ("", "+s", "+ssc"))
_WRONG_URL: Final = "WEAVEBOT_NEO4J_URL is not right: write bolt://HOST:7687, or neo4j+s://HOST:7687 for TLS."

_Given = TypeVar("_Given")
Rows: TypeAlias = list[dict[str, Any]]
Work: TypeAlias = Callable[["Tx"], Awaitable[_Given]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and for how long it may keep us waiting, in seconds.

    ``reading`` and ``writing`` bound a whole transaction with everything that it waits for, ``connecting`` the opening
    of a connection.
    """

    url: str
    user: str
    password: str
    connecting: float = 3.0
    reading: float = 3.0
    writing: float = 30.0


class Tx:
    """One transaction."""

    def __init__(self, inner: AsyncManagedTransaction) -> None:
        self._inner = inner

    async def rows(self, statement: str, **values: Any) -> Rows:
        """Runs a statement; its records by column."""
        result = await self._inner.run(statement, values)
        keys = result.keys()
        return [dict(zip(keys, record, strict=True)) async for record in result]

    async def one(self, statement: str, **values: Any) -> Mapping[str, Any]:
        """The first record; empty when there is none."""
        found = await self.rows(statement, **values)
        return found[0] if found else {}


class Neo4jLink:
    """Runs transactions. Raises Unavailable, with what to do, for everything that goes wrong there."""

    def __init__(self, address: Address, breaker: Breaker) -> None:
        """Nothing is opened before it is needed. Raises BadInput for an address that is none."""
        self._address = address
        self._breaker = breaker
        if address.url.partition("://")[0] not in _SCHEMES:
            raise BadInput(_WRONG_URL)
        try:
            self._driver = AsyncGraphDatabase.driver(
                address.url,
                auth=(address.user, address.password),
                max_connection_pool_size=POOL,
                connection_timeout=address.connecting,
                connection_acquisition_timeout=address.reading,
                max_transaction_retry_time=address.reading / 4,
                initial_retry_delay=0.2,
                notifications_min_severity=NotificationMinimumSeverity.OFF,
                user_agent="weavebot",
            )
        except (DriverError, ValueError) as exc:
            raise BadInput(_WRONG_URL) from exc
        self._bookmarks = AsyncGraphDatabase.bookmark_manager()

    @property
    def resting(self) -> bool:
        """Whether the server is left alone after a failure."""
        return self._breaker.resting

    def check(self) -> None:
        """Raises Unavailable while the server rests after a failure."""
        self._breaker.check()

    async def read(self, work: Work[_Given]) -> _Given:
        """One transaction that only reads."""
        return await self._run(work, self._address.reading, writes=False)

    async def write(self, work: Work[_Given]) -> _Given:
        """One transaction: all of it or nothing. What it does may be done twice when the server is lost at its end."""
        return await self._run(work, self._address.writing, writes=True)

    async def schema(self, statement: str) -> None:
        """A change of constraints or indexes."""

        async def work() -> None:
            async with self._driver.session(bookmark_manager=self._bookmarks) as session:
                await (await session.run(statement)).consume()

        await self._watched(work, self._address.writing)

    async def close(self) -> None:
        """Closes every connection."""
        await self._driver.close()

    async def _run(self, work: Work[_Given], limit: float, *, writes: bool) -> _Given:
        @unit_of_work(timeout=limit)
        async def bounded(inner: AsyncManagedTransaction) -> _Given:
            return await work(Tx(inner))

        async def run() -> _Given:
            async with self._driver.session(bookmark_manager=self._bookmarks) as session:
                return await (session.execute_write if writes else session.execute_read)(bounded)

        return await self._watched(run, limit)

    async def _watched(self, work: Callable[[], Awaitable[_Given]], limit: float) -> _Given:
        with self._breaker.watched():
            try:
                async with asyncio.timeout(limit):
                    return await work()
            except TimeoutError as exc:
                raise Unavailable(f"Neo4j did not answer within {limit:g} s: is the server overloaded?") from exc
            except (DriverError, Neo4jError, OSError) as exc:
                raise Unavailable(_sentence(exc)) from exc


def _sentence(exc: Exception) -> str:
    if isinstance(exc, AuthError):
        return "Neo4j refuses the login: correct WEAVEBOT_NEO4J_USER and WEAVEBOT_NEO4J_PASSWORD"
    if isinstance(exc, ConfigurationError):
        return f"Neo4j cannot be spoken to as WEAVEBOT_NEO4J_URL says ({exc})"
    if isinstance(exc, Neo4jError):
        return f"Neo4j could not do it ({exc.code})"  # its message may quote what was asked
    return "Neo4j does not answer: start it, or correct WEAVEBOT_NEO4J_URL"
