"""The composition root: settings to a wired App. This package alone names adapters.

One block a part: open, register its close, wrap. ``open_app`` takes doubles for the parts that a test wants to hold.
What it opens stands in `bot.wiring.stores`, the chat accounts in `bot.wiring.chats`.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from threadpoolctl import threadpool_limits

from bot import copying, moved, owner, schema
from bot.app import App
from bot.audit import Audit, BotHolder
from bot.clock import SystemClock
from bot.departures import Departures
from bot.inbox import Inbox
from bot.limits import AskLimit
from bot.models import LOCAL
from bot.outbox import Outbox
from bot.preferences import PreferenceBook
from bot.settings import Settings
from bot.wiring.stores import NamedModel, open_database, open_evidence, open_graph, open_model, open_vectors, open_work
from memory.adapters.graph import RustworkxGraphIndex
from memory.adapters.in_memory import ProcessCache
from memory.adapters.sql import SqlDatabase
from memory.breaker import Breaker
from memory.directory import Directory
from memory.embedding import BatchingEmbedder
from memory.engine import Engine
from memory.erasure import Erasure, Holder
from memory.indexing import Indexer
from memory.journal import Journal
from memory.leases import Lease
from memory.modelbook import change_model, current_model
from memory.ports import Clock, Embedder, LastingVectors, Source
from memory.privacy import Privacy
from memory.projections import Rooms
from memory.reflection.book import MemoryBook
from memory.reflection.holding import MemoryHolder
from memory.reflection.worker import Reflector, inline
from memory.sessions import SessionBook
from memory.sources import GraphSource, array_sources, index_sources
from routing.answers import AnswerBook
from routing.digest import Digests
from routing.judging import Judge
from routing.learner import Learner
from routing.paths.learner import PathLearner
from routing.policy_book import PolicyBook
from routing.shuttle import Shuttle
from routing.statistics import Statistician
from routing.teaching import Teaching


async def open_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    embedder: Embedder | None = None,
    vectors: LastingVectors | None = None,
    new_model: bool = False,
    new_vectors: bool = False,
    half_moved: bool = False,
) -> App:
    """A running Weavebot on the data folder, which must be locked by the caller, migrated and ready.

    ``new_model`` accepts another embedding model than the one that made the stored vectors, and drops those;
    ``new_vectors`` accepts a vector server that holds another model's, until they are built anew;
    ``half_moved`` a database into which a move is under way, which is for the move alone.
    Raises Refused for data of a newer version, ModelMismatch when the vectors are another model's, Unavailable when the
    database does not answer.
    """
    threadpool_limits(1, user_api="blas")  # products are small; threads that wait by spinning make each other wait
    async with contextlib.AsyncExitStack() as stack:
        time = clock or SystemClock()
        database = open_database(settings)
        stack.push_async_callback(database.close)
        await _prepare(database, settings.data, half_moved=half_moved)
        shared = BatchingEmbedder(embedder or open_model(settings, stack))
        model = await (change_model if new_model else current_model)(database, shared, time)

        directory = Directory(database, time)
        tenant = await directory.tenant(LOCAL, LOCAL, LOCAL)
        teaching = Teaching(directory)
        breakers: list[Breaker] = []

        def guard(name: str) -> Breaker:
            breakers.append(Breaker(name, time))
            return breakers[-1]

        server = await open_graph(settings, database, time, guard, stack) if settings.neo4j_url else None
        rooms = Rooms(database, server or RustworkxGraphIndex(), model)
        stack.push_async_callback(rooms.close)
        named = NamedModel(shared.model, model, any_kept=new_vectors)
        kept = await open_vectors(settings, database, time, guard, stack, named, vectors)
        lease = None if database.is_embedded else Lease(owner.identity(settings.data), time)
        work = await open_work(settings, database, time, lease, guard, stack)
        reflector = Reflector(database, time, model, supply=work.reflections, lease=lease, profiles=teaching.by_person)
        indexer = Indexer(database, shared, model, time, supply=work.index, after=reflector.nudge)
        sources: dict[str, Source] = {**array_sources(rooms), "graph": GraphSource(rooms)}
        sources |= index_sources(rooms, kept) if kept else {}
        engine = Engine(database, rooms, shared, sources, indexer, vectors=kept)

        setting = f"{shared.model} {'neo4j' if server else 'process'}{' qdrant' if kept else ''}"
        cache, evidence = await open_evidence(settings, database, time, stack, setting, guard)
        book = AnswerBook(database)
        learner = Learner(database, book, time)
        stack.push_async_callback(learner.close)
        paths = PathLearner(database, learner, time, settings.data / "learning")
        policies = PolicyBook(database, time)
        shuttle = Shuttle(
            engine,
            book,
            learner,
            time,
            paths=paths,
            teaching=teaching,
            policies=policies,
            cache=evidence,
            breakers=breakers,
            solicited=settings.solicit,
        )
        # the bot reads which answers cite a message before the book forgets it
        holders: list[Holder] = [BotHolder(time), book, MemoryHolder(time)]
        erasure = Erasure(database, holders, [rooms, shuttle, shared, *([kept] if kept else []), *work.queues.values()])
        privacy = Privacy(database, time, erasure)
        settled = inline(indexer, reflector) if settings.reflection == "inline" else None

        return App(
            settings=settings,
            clock=time,
            database=database,
            embedder=shared,
            directory=directory,
            journal=Journal(database, time, erasure, indexer.nudge, settled),
            sessions=SessionBook(database, time),
            engine=engine,
            indexer=indexer,
            reflector=reflector,
            memories=MemoryBook(database),
            rooms=rooms,
            privacy=privacy,
            shuttle=shuttle,
            evidence=evidence,
            learner=learner,
            paths=paths,
            policies=policies,
            judge=Judge(learner, book, policies),
            statistician=Statistician(database, learner, time),
            digests=Digests(database, rooms, learner, time),
            preferences=PreferenceBook(database, time, settings),
            audit=Audit(database, time),
            outbox=Outbox(database, time),
            departures=Departures(database, time, directory, privacy),
            inbox=Inbox(database, time, lease),
            limits=AskLimit(settings.ask_limit, ProcessCache(time), cache),
            tenant=tenant,
            close=stack.pop_all().aclose,
            graph=server,
            vectors=kept,
            queues=work.queues,
            cache=cache,
            breakers=breakers,
        )


async def _prepare(database: SqlDatabase, folder: Path, *, half_moved: bool) -> None:
    """The tables as they are to be. Raises Refused for a database that is not to be opened yet, or no more."""
    if database.is_embedded:
        moved.check_stays(folder)
    await schema.bring_up_to_date(database)
    if not half_moved:
        await copying.check_whole(database)
