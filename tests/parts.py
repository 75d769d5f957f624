"""The memory's parts on a folder of a test's own, wired as the program wires them but with an embedder of words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from memory.adapters.graph import RustworkxGraphIndex
from memory.adapters.sql import SqlDatabase
from memory.columns import metadata
from memory.directory import Directory
from memory.embedding import BatchingEmbedder
from memory.engine import Engine
from memory.erasure import Erasure
from memory.indexing import Indexer
from memory.journal import Journal
from memory.leases import Lease
from memory.modelbook import current_model
from memory.models import Draft, Room, Scope
from memory.outbox import INDEX, Outbox, T
from memory.ports import WorkQueue
from memory.privacy import Privacy
from memory.projections import Rooms
from memory.reflection.holding import MemoryHolder
from memory.reflection.queue import versions
from memory.reflection.reading import outbox as unread
from memory.reflection.worker import Reflector
from memory.relay import Relay
from memory.sessions import SessionBook
from memory.sources import GraphSource, array_sources
from memory.supply import OutboxSupply, QueueSupply, Supply
from routing.answers import AnswerBook
from routing.learner import Learner
from routing.paths.learner import PathLearner
from routing.shuttle import Shuttle
from tests.doubles import START, HandClock, WordEmbedder
from tests.fresh import copy_tables


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything below the bot."""

    database: SqlDatabase
    clock: HandClock
    embedder: WordEmbedder
    directory: Directory
    journal: Journal
    indexer: Indexer
    reflector: Reflector
    rooms: Rooms
    engine: Engine
    erasure: Erasure
    privacy: Privacy
    sessions: SessionBook
    book: AnswerBook
    learner: Learner
    paths: PathLearner
    shuttle: Shuttle
    tenant: int

    async def room(self, name: str = "hives") -> Room:
        """A room of the tenant."""
        return await self.directory.room(self.tenant, name, name)

    async def say(self, room: Room, *lines: tuple[str, str], start: datetime = START) -> list[int]:
        """Admits (author, text) lines a minute apart, with ids e1, e2, … continued, and indexes them."""
        before, _, _ = await self.engine.span([room.id])
        drafts = [
            draft(f"e{before + i}", author, text, start + timedelta(minutes=before + i))
            for i, (author, text) in enumerate(lines, 1)
        ]
        admitted = await self.journal.admit(room, drafts)
        await self.indexer.drain()
        return list(admitted.serials)

    def scope(self, *rooms: Room, asker: int | None = None) -> Scope:
        """Those rooms of the tenant."""
        return Scope(self.tenant, tuple(room.id for room in rooms), asker)


def draft(event_id: str, author: str, text: str, sent_at: datetime = START, reply_to: str | None = None) -> Draft:
    """A message as it comes in; people's ids are their lower-cased names."""
    return Draft(event_id, author.lower(), author, text, sent_at, reply_to)


@asynccontextmanager
async def open_memory(folder: Path, url: str | None = None, queue: WorkQueue | None = None) -> AsyncIterator[Memory]:
    """The parts on a folder; the same folder opened again finds what was there. ``url``: on that database instead.

    ``queue``: between what waits and the workers.
    """
    if url is None:
        await copy_tables(folder, _make_tables)
    database = SqlDatabase.in_folder(folder) if url is None else SqlDatabase(url)
    clock, words = HandClock(), WordEmbedder()
    embedder = BatchingEmbedder(words)
    model = await current_model(database, embedder, clock)
    rooms = Rooms(database, RustworkxGraphIndex(), model)
    erasure = Erasure(database)
    directory = Directory(database, clock)
    lease = None if url is None else Lease(folder.name[:32], clock)

    def fed(outbox: Outbox[T]) -> Supply[T]:
        rows = OutboxSupply(database, outbox, lease)
        if queue is None:
            return rows
        return QueueSupply(database, queue, Relay(database, queue, outbox, clock, lease), rows, clock)

    reflector = Reflector(database, clock, model, supply=fed(unread(versions())), lease=lease)
    indexer = Indexer(database, embedder, model, clock, supply=fed(INDEX), after=reflector.nudge)
    engine = Engine(database, rooms, embedder, {**array_sources(rooms), "graph": GraphSource(rooms)}, indexer)
    book = AnswerBook(database)
    learner = Learner(database, book, clock)
    paths = PathLearner(database, learner, clock, folder / "learning")
    shuttle = Shuttle(engine, book, learner, clock, paths=paths)
    erasure.holders += [book, MemoryHolder(clock)]
    erasure.droppers += [rooms, shuttle, embedder]
    try:
        yield Memory(
            database=database,
            clock=clock,
            embedder=words,
            directory=directory,
            journal=Journal(database, clock, erasure, indexer.nudge),
            indexer=indexer,
            reflector=reflector,
            rooms=rooms,
            engine=engine,
            erasure=erasure,
            privacy=Privacy(database, clock, erasure),
            sessions=SessionBook(database, clock),
            book=book,
            learner=learner,
            paths=paths,
            shuttle=shuttle,
            tenant=await directory.tenant("local", "local", "here"),
        )
    finally:
        await learner.close()
        await database.close()


async def _make_tables(database: SqlDatabase) -> None:
    async with database.write() as conn:
        await conn.run_sync(metadata.create_all)
