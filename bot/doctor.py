"""Checks every configured part and says the exact fix for what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy import text

from bot import owner, schema
from bot.app import App
from bot.drift import Drift, drifts, vector_drifts
from bot.errors import confess
from bot.events import Event, closing, result, status
from bot.exits import FAILED
from bot.pages import BAD, FAINT, GOOD, Line, count, line, plain
from bot.ports import ChatPort
from bot.settings import unknown_variables
from memory import records
from memory.errors import WeavebotError

ROOM_LEFT: Final = 200 << 20
"""Bytes. With less on the disk, the next import may not fit."""
OLDEST_REDIS: Final = 7
OLDEST_QDRANT: Final = (1, 19)
"""The first that counts how rare a word is within a room."""
KEEPING: Final = ("volatile-ttl", "noeviction")
"""Policies of Redis under which values go before what finds them again."""
FINE: Final = "ok    "
WRONG: Final = "wrong "
ARROW: Final = " → "
LAGS: Final = timedelta(minutes=10)
"""How long something may wait to be reflected on while a worker runs."""
MEND_REFLECTION: Final = "weavebot reflect"
PROBE: Final = "weavebot doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, what was found, and the fix when it is not well."""

    check: str
    found: str
    fix: str | None = None

    def event(self) -> Event:
        """As a result, with a line for people."""
        well = self.fix is None
        mark = (GOOD, FINE) if well else (BAD, WRONG)
        fix = (FAINT, f"{ARROW}{self.fix}") if self.fix else ""
        value = {"check": self.check, "ok": well, "found": self.found, "fix": self.fix}
        return result(value, (line(mark, f"{self.check}: {self.found}", fix),))


async def examine(app: App) -> AsyncIterator[Event]:
    """Every part, from the settings to the model."""
    failed = False
    async for finding in _findings(app):
        failed = failed or finding.fix is not None
        yield finding.event()
    if failed:
        yield status(FAILED)


def examine_closed(folder: Path, reason: Exception) -> Iterator[Event]:
    """What can be said of a data folder that does not open, and why it does not."""
    problem = confess(reason)
    for finding in (*_settings(), *_folder(folder), Finding("opening", "it does not open", problem.words)):
        yield finding.event()
    yield status(FAILED)


async def _findings(app: App) -> AsyncIterator[Finding]:
    for finding in (*_settings(), *_folder(app.settings.data)):
        yield finding
    for name, check in CHECKS.items():
        try:
            yield await check(app)
        except WeavebotError as exc:
            yield Finding(name, "does not work", confess(exc).words)
    try:
        async with _accounts(app) as ports:
            for port in ports:
                for shown in await port.health():
                    yield _of_account(port, shown)
    except WeavebotError as exc:
        yield Finding("accounts", "do not open", confess(exc).words)


@contextlib.asynccontextmanager
async def _accounts(app: App) -> AsyncIterator[Sequence[ChatPort]]:
    """The chat accounts: those that run, else opened for the look alone."""
    if app.ports:
        yield app.ports
        return
    from bot.wiring.chats import open_ports  # noqa: PLC0415 - the wiring imports those that import this

    async with contextlib.AsyncExitStack() as stack:
        ports = await open_ports(app)
        for port in ports:
            stack.push_async_callback(port.close)
        yield ports


def _of_account(port: ChatPort, shown: Line) -> Finding:
    """A line of an account's health; one with something bad in it names the fix behind an arrow."""
    words, _, fix = plain((shown,)).partition(ARROW)
    found = words.removeprefix(FINE).removeprefix(WRONG)
    bad = any(style == BAD for style, _ in shown)
    return Finding(" ".join(filter(None, (port.platform, port.team))), found, (fix or found) if bad else None)


def _settings() -> Iterator[Finding]:
    unknown = unknown_variables()
    if unknown:
        fix = "correct the names, or unset them"
        yield Finding("settings", f"{', '.join(unknown)} in the environment are no settings", fix)
    else:
        yield Finding("settings", "all known")


def _folder(folder: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(folder.stat().st_mode)
    loose = bool(mode & 0o077)
    yield Finding("data folder", f"{folder} ({mode:04o})", f"chmod 700 {folder}" if loose else None)
    free = shutil.disk_usage(folder).free
    full = "free some space" if free < ROOM_LEFT else None
    yield Finding("disk", f"{free >> 20:,} MiB free", full)
    if not os.access(folder, os.W_OK):
        yield Finding("data folder", "not writable", f"chmod u+w {folder}")
    card = owner.holder(folder)
    yield Finding("owner", card.words() if card else "nobody")


async def _database(app: App) -> Finding:
    revision = await schema.revision_of(app.database)
    async with app.database.read() as conn:
        if conn.dialect.name == "postgresql":
            number = str((await conn.execute(text("SHOW server_version"))).scalar()).partition(" ")[0]
            return Finding("database", f"PostgreSQL {number}, schema {revision}")
        said = str((await conn.execute(text("PRAGMA quick_check(1)"))).scalar())
    if said != "ok":
        return Finding("database", f"damaged ({said})", "restore a copy of the data folder")
    return Finding("database", f"schema {revision}, sound")


async def _outbox(app: App) -> Finding:
    async with app.database.read() as conn:
        waiting = await records.waiting(conn)
    return Finding("index", f"{waiting:,} messages wait to be indexed" if waiting else "up to date")


async def _reflection(app: App) -> Finding:
    """Whether memories are derived as messages come, and what failed."""
    depth = await app.reflector.depth()
    waits = f"{depth.waiting:,} messages and sessions wait"
    if depth.failed:
        return Finding("reflection", f"{depth.failed:,} failed, {waits}", MEND_REFLECTION)
    if app.settings.reflection == "off":
        return Finding("reflection", f"off, {waits}")
    if depth.oldest is not None and depth.oldest > LAGS:
        return Finding("reflection", f"lags: {waits}, the oldest for {depth.oldest}", MEND_REFLECTION)
    return Finding("reflection", waits if depth.waiting else "up to date")


async def _model(app: App) -> Finding:
    [made] = await app.embedder.embed([PROBE])
    if made.vectors.shape[1] != app.embedder.dim:
        found = f"gives {made.vectors.shape[1]} numbers instead of {app.embedder.dim}"
        return Finding("model", found, "make setup installs the right one")
    return Finding("model", app.embedder.model)


async def _graph(app: App) -> Finding:
    """The graph server: whether it answers, its version and constraints, and whether it holds what the rooms do.

    A room that differs is built anew.
    """
    if app.graph is None:
        return Finding("graph", "in this process")
    await app.rooms.catch_up()
    health = await app.graph.health()
    if not health.server.startswith("Neo4j 5."):
        return Finding("graph", f"{health.server}, but this version speaks to Neo4j 5", "install Neo4j 5.26 LTS")
    mend = "weavebot reindex --store neo4j"
    if health.missing:
        return Finding("graph", f"{health.server} lacks {', '.join(health.missing)}", mend)
    graph = app.graph

    async def rebuilt(room: int) -> None:
        async with closing(app.rooms.rebuild_graph(graph, room)) as steps:
            async for _ in steps:
                pass
        await asyncio.sleep(app.settings.neo4j_timeout)  # whoever still reads the generation before ends meanwhile
        await graph.sweep(room)

    return await _mended("graph", health.server, lambda: drifts(app, graph), rebuilt, mend)


async def _mended(
    check: str,
    server: str,
    compared: Callable[[], AsyncIterator[Drift]],
    mend: Callable[[int], Awaitable[None]],
    command: str,
) -> Finding:
    """Whether a server holds what the database does, after every room that differs was mended."""
    drifted = [drift async for drift in compared()]
    if not drifted:
        return Finding(check, f"{server}, holds what the database does")
    for room in [drift.room for drift in drifted if drift.room is not None]:
        await mend(room.id)
    left = [drift.words async for drift in compared()]
    if left:
        return Finding(check, f"{server} differs from the database ({'; '.join(left)})", command)
    mended = "; ".join(drift.words for drift in drifted)
    return Finding(check, f"{server}, holds what the database does now; it did not ({mended})")


async def _vectors(app: App) -> Finding:
    """The vector server: whether it answers, its version and indexes, and whether it holds what the rooms do.

    A room that differs is put right.
    """
    if app.vectors is None:
        return Finding("vectors", "in this process")
    vectors = app.vectors
    await vectors.index.check()
    await vectors.catch_up()
    health = await vectors.index.health()
    version = health.server.removeprefix("Qdrant ").split(".")
    if tuple(int(part) for part in version[:2] if part.isdecimal()) < OLDEST_QDRANT:
        wanted = ".".join(map(str, OLDEST_QDRANT))
        return Finding("vectors", f"{health.server}, but this version speaks to Qdrant {wanted}", f"install {wanted}")
    mend = "weavebot reindex --store qdrant"
    if health.missing:
        return Finding("vectors", f"{health.server} lacks an index of {', '.join(health.missing)}", mend)
    return await _mended("vectors", health.server, lambda: vector_drifts(app, vectors), vectors.mend, mend)


async def _queue(app: App) -> Finding:
    """The work queue: whether it answers, and what was given up."""
    if not app.queues:
        return Finding("queue", "none: the database hands out what is to be indexed and reflected on")
    reports = {kind: await queue.report() for kind, queue in app.queues.items()}
    away = next((one.away for one in reports.values() if one.away), None)
    if away:
        return Finding("queue", "does not answer; the database is used instead", away)
    found = "; ".join(
        f"{kind.value}: {count(one.depth, 'item')}, {count(one.dead, 'dead letter')}" for kind, one in reports.items()
    )
    dead = any(one.dead for one in reports.values())
    return Finding("queue", found, "weavebot queue --retry-dead" if dead else None)


async def _cache(app: App) -> Finding:
    """The cache server: whether it answers, its version, and what it gives up when its memory is full."""
    if app.cache is None:
        return Finding("cache", "in this process")
    health = await app.cache.health()
    memory = (
        f"{health.used >> 20:,} MiB of {health.limit >> 20:,} MiB" if health.limit else f"{health.used >> 20:,} MiB"
    )
    found = f"{health.server}, {memory} in use, {health.policy}"
    if int(health.server.removeprefix("Redis ").partition(".")[0]) < OLDEST_REDIS:
        return Finding("cache", found, f"install Redis {OLDEST_REDIS}")
    if health.limit and health.policy not in KEEPING:
        return Finding("cache", found, "redis-cli CONFIG SET maxmemory-policy volatile-ttl")
    return Finding("cache", found)


CHECKS: Final[Mapping[str, Callable[[App], Awaitable[Finding]]]] = MappingProxyType(
    {
        "database": _database,
        "index": _outbox,
        "queue": _queue,
        "reflection": _reflection,
        "graph": _graph,
        "vectors": _vectors,
        "cache": _cache,
        "model": _model,
    }
)
