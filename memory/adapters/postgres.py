"""PostgreSQL: the engine with its limits, and what its errors mean.

Three limits keep anybody from waiting for ever. A statement ends after ``patience`` seconds, on the server. One that
waits for a lock gives up after half of that. A server that does not answer at all (frozen, cut off) is given up by us,
two seconds later than it should have answered by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import URL, Table, TextClause, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from memory.errors import BadInput, Contended, Unavailable, Unreachable

POOL: Final = 8
"""Connections that are kept; as many again are opened when it is busy, and closed after."""
CONNECTING: Final = 10.0  # seconds; who has less patience for a statement has less for a connection
_GRACE: Final = 2.0  # seconds between the server's own limit and ours
_WAIT_FOR_POOL: Final = 15.0  # seconds
_VACUUM: Final = 86_400.0  # seconds for one table
_POURING: Final = 60.0  # seconds for a batch of rows

_GATE: Final = 0x77656176  # "weav": the number of the advisory lock that every writer takes
_SHARED: Final = text(f"SELECT pg_advisory_xact_lock_shared({_GATE})")
_ALONE: Final = text(f"SELECT pg_advisory_xact_lock({_GATE})")

_SETTING: Final = "WEAVEBOT_DATABASE_URL"
_LOST: Final = "the connection to PostgreSQL was lost: try again in a moment"


def make_engine(url: URL, patience: float) -> AsyncEngine:
    """An engine whose connections are looked at before each use, so that a server that was restarted is found again."""
    limits = {
        "statement_timeout": _milliseconds(patience),
        "lock_timeout": _milliseconds(patience / 2),
        "idle_in_transaction_session_timeout": _milliseconds(patience * 2),  # of a frozen process
        "application_name": "weavebot",
        "jit": "off",  # compiling costs more than our statements take
    }
    connecting = min(CONNECTING, patience + _GRACE)
    arguments = {"timeout": connecting, "command_timeout": patience + _GRACE, "server_settings": limits}
    engine = create_async_engine(
        _for_asyncpg(url),
        connect_args=arguments,
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=_WAIT_FOR_POOL,
        pool_pre_ping=True,
        hide_parameters=True,  # they are people's words, and an error is logged
    )
    event.listen(engine.sync_engine, "handle_error", _silent)
    return engine


def gate(*, alone: bool) -> TextClause:
    """The first statement of a write: writers share the database, or one has it alone until its transaction ends."""
    return _ALONE if alone else _SHARED


async def vacuum(conn: AsyncConnection, tables: list[str]) -> None:
    """Takes deleted rows out of tables and their indexes; what another snapshot still sees stays until a later time.

    A large table takes as long as it takes: neither the server's limit holds nor ours.
    """
    free = await conn.execution_options(isolation_level="AUTOCOMMIT")
    await free.execute(text("SET statement_timeout = 0"))
    try:
        driver: Any = (await free.get_raw_connection()).driver_connection
        for table in tables:
            await driver.execute(f"VACUUM (INDEX_CLEANUP ON, SKIP_LOCKED) {table}", timeout=_VACUUM)
    finally:
        await free.execute(text("RESET statement_timeout"))


async def pour(conn: AsyncConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Rows into a table by COPY, as part of the transaction; values as the driver takes them.

    Raises Unreachable, or what SQLAlchemy raises for a statement.
    """
    import asyncpg  # noqa: PLC0415 - 0.05 s, for those who have a server

    driver: Any = (await conn.get_raw_connection()).driver_connection
    columns = [column.name for column in table.columns]
    try:
        await driver.copy_records_to_table(table.name, records=rows, columns=columns, timeout=_POURING)
    except (OSError, TimeoutError) as exc:
        raise unreachable(exc) from exc
    except asyncpg.InterfaceError as exc:
        raise Unreachable(_LOST) from exc
    except asyncpg.PostgresError as exc:
        raise DBAPIError(f"COPY {table.name}", None, exc) from exc


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def _for_asyncpg(url: URL) -> URL:
    """With the driver's name, and the one option that people copy from other programs under the driver's own name."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)


def _silent(context: ExceptionContext) -> None:
    """A server that did not answer in time, or whose connection broke: not the driver's errors, but the system's."""
    if isinstance(context.original_exception, (TimeoutError, OSError)):
        context.is_disconnect = True
        context.chained_exception = unreachable(context.original_exception)


def unreachable(error: BaseException) -> Unreachable:
    """The sentence about a server that cannot be reached or does not answer."""
    if isinstance(error, TimeoutError):
        return Unreachable("PostgreSQL does not answer: check that it runs and is not overloaded, then try again")
    return Unreachable(
        f"PostgreSQL cannot be reached ({_plain(error)}): check that it runs, and host and port in {_SETTING}"
    )


_MEANING: Final[dict[str, tuple[type[Unavailable], str]]] = {
    "28P01": (Unavailable, f"PostgreSQL refuses the user or the password: correct them in {_SETTING}"),
    "28000": (Unavailable, f"PostgreSQL refuses this user from here: allow it in pg_hba.conf, or correct {_SETTING}"),
    "3D000": (Unavailable, f"there is no such database on the server: create it, or correct the name in {_SETTING}"),
    "42501": (Unavailable, "the user may not do that: make it the owner of its database (docs/postgresql.md)"),
    "25006": (Unavailable, "the database takes no writes (a standby?): name the primary server"),
    "53100": (Unavailable, "the server's disk is full: free some space there; nothing that was confirmed is lost"),
    "53200": (Unavailable, "the server has no memory left: try again in a moment"),
    "57P03": (Unreachable, "PostgreSQL is starting or stopping: try again in a moment"),
    "53300": (Unreachable, "the server has no connection left: raise max_connections, or run fewer processes"),
    "57014": (Unreachable, "a statement took too long and was stopped: raise WEAVEBOT_DATABASE_TIMEOUT, or try again"),
    "55P03": (Unavailable, "another process holds what is needed here: try again in a moment"),
    "40001": (Contended, "another process changed the same rows: try again"),
    "40P01": (Contended, "another process was in the way: try again"),
}
_GONE: Final = ("08", "57P", "25P03")  # connection lost; stopped, crashed or starting; idle for too long
_OURS: Final = ("22", "23", "42")  # a value, a constraint or a statement that cannot be: it would fail again
_CLASSES: Final[dict[str, str]] = {
    "25": "the transaction was broken off: try again in a moment",
    "53": "the server is short of something (disk, memory, connections): look into its log, then try again",
    "55": "what is needed here is in use on the server: try again in a moment",
    "57": "somebody or something on the server broke this off: try again in a moment",
    "58": "the server's disk or system failed: look into its log",
    "XX": "the server found its own data damaged or failed inside: look into its log",
}


_VALUES: Final = re.compile(
    r"(invalid input (?:for query argument \$\d+|(?:syntax|value) for [\w ]+)): .*|()\nDETAIL:.*", re.DOTALL
)


def translated(error: BaseException) -> Unavailable | BadInput | None:
    """Our error for one of the driver's; None when it is a broken promise of our own and should show."""
    if isinstance(error, PoolTimeout):
        return Unavailable("all connections to the database are in use: try again in a moment")
    if not isinstance(error, DBAPIError):
        return None
    state = _state(error)
    if state in _MEANING:
        kind, sentence = _MEANING[state]
        return kind(sentence)
    if error.connection_invalidated or state.startswith(_GONE):
        return Unreachable(_LOST)
    if not state or state.startswith(_OURS):
        return None
    otherwise = "the server did not do it: look into its log, then try again"
    return Unavailable(f"PostgreSQL says {state}: {_CLASSES.get(state[:2], otherwise)}")


def hush(error: BaseException) -> None:
    """Takes the values of rows out of what an error and its causes say: the server and its driver quote them."""
    met: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in met:
            continue
        met.add(id(one))
        one.args = tuple(_VALUES.sub(r"\1", part) if isinstance(part, str) else part for part in one.args)
        if hasattr(one, "detail") and hasattr(one, "sqlstate"):
            one.detail = None
        waiting += [one.__cause__, one.__context__, getattr(one, "orig", None)]


def connecting(error: BaseException) -> Unavailable | BadInput | None:
    """Our error for one that came while a connection was opened."""
    if isinstance(error, (OSError, TimeoutError)):
        return unreachable(error)
    if isinstance(error, (TypeError, ValueError)):  # an option that the driver does not know, or a value of one
        return BadInput(f"{_SETTING} has an option that is not right ({_plain(error)}): correct it")
    known = translated(error)
    if known is None and isinstance(error, DBAPIError):
        return Unreachable(f"PostgreSQL takes no connection ({_plain(error.orig or error)})")
    return known


def _plain(error: BaseException) -> str:
    """What it says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _state(error: DBAPIError) -> str:
    """The SQLSTATE, empty without one."""
    found: Any = getattr(error.orig, "sqlstate", None)
    return str(found or getattr(getattr(error.orig, "__cause__", None), "sqlstate", None) or "")
