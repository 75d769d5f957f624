"""Where a server and the database do not say the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from bot import teams
from bot.app import App
from memory import links, records
from memory.models import Room
from memory.ports import LastingGraph
from memory.vectors import Vectors


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs, in words, and the room, when bringing that to the server again puts it right."""

    words: str
    room: Room | None = None


async def drifts(app: App, graph: LastingGraph) -> AsyncIterator[Drift]:
    """Each room that differs; rooms that are still being brought up to date are left out.

    Raises Unavailable when one of the two does not answer.
    """
    for room in await teams.rooms(app):
        async with app.database.read() as conn:
            wanted, version = await links.sum_of(conn, room.id), await records.version_of(conn, room.id)
        if version != await graph.reached(room.id):
            continue
        if not app.rooms.builds(room.id) and (unused := len(await graph.unused(room.id))):
            yield Drift(f"{room.name}: {unused} unused beside the one in use, left by an interrupted reindex")
        held = await graph.sum_of(room.id)
        if held == wanted:
            continue
        if held.messages != wanted.messages:
            yield Drift(f"{room.name}: {held.messages:,} of {wanted.messages:,} messages", room)
        elif held.ties != wanted.ties:
            yield Drift(f"{room.name}: {held.ties:,} ties instead of {wanted.ties:,}", room)
        else:
            yield Drift(f"{room.name}: other messages than in the database", room)


async def vector_drifts(app: App, vectors: Vectors) -> AsyncIterator[Drift]:
    """As `drifts`, of what a vector server holds."""
    if not vectors.builds and (unused := len(await vectors.index.unused())):
        yield Drift(f"{unused} unused beside the one in use, left by an interrupted reindex")
    for room in await teams.rooms(app):
        async with app.database.read() as conn:
            wanted, version = await vectors.sum_of(conn, room.id), await records.version_of(conn, room.id)
        if version != await vectors.index.reached(room.id):
            continue
        held = await vectors.index.sum_of(room.id)
        if held.messages != wanted.messages:
            yield Drift(f"{room.name}: {held.messages:,} of {wanted.messages:,} messages", room)
        elif held != wanted:
            yield Drift(f"{room.name}: other messages, or other vectors, than in the database", room)
