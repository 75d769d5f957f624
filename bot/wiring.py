"""The composition root: settings to a wired App. The only module that names adapters.

One block a part: open, register its close, wrap. ``open_app`` takes doubles for the parts that a test wants to hold.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from threadpoolctl import threadpool_limits

from bot import copying, moved, owner, schema
from bot.adapters.console import PLATFORM as CONSOLE
from bot.adapters.console import ConsolePort, Desk, Seat
from bot.adapters.discord.ids import PLATFORM as DISCORD
from bot.app import App
from bot.asking import somebody
from bot.audit import Audit, BotHolder
from bot.clock import SystemClock
from bot.departures import Departures
from bot.dispatch import Dispatch
from bot.inbox import Inbox
from bot.limits import AskLimit
from bot.models import LOCAL, Place
from bot.notebook import SqlNotebook
from bot.outbox import Outbox
from bot.ports import ChatPort
from bot.preferences import CHECKS, PreferenceBook
from bot.room_commands import TABLE
from bot.room_messages import newest_of
from bot.settings import MEMORY as IN_MEMORY
from bot.settings import Settings
from bot.suggestions import Suggestions
from bot.terminal import make_console
from memory import links
from memory.adapters.graph import RustworkxGraphIndex
from memory.adapters.in_memory import ProcessCache
from memory.adapters.local_queue import LocalQueue
from memory.adapters.sentence_transformers import SentenceTransformerEmbedder
from memory.adapters.sql import SqlDatabase
from memory.breaker import Breaker
from memory.directory import Directory
from memory.embedding import BatchingEmbedder
from memory.engine import Engine
from memory.erasure import Erasure, Holder
from memory.errors import BadInput, Unavailable
from memory.indexing import Indexer
from memory.journal import Journal
from memory.leases import Lease
from memory.modelbook import change_model, current_model
from memory.models import MessageLinks, Person, Room, WorkKind
from memory.outbox import INDEX, T
from memory.outbox import Task as IndexTask
from memory.ports import Clock, Database, Embedder, LastingVectors, Source, WorkQueue
from memory.privacy import Privacy
from memory.projections import Rooms
from memory.pseudonyms import Pseudonyms, pseudonyms_of
from memory.records import ModelKey
from memory.reflection.book import MemoryBook
from memory.reflection.holding import MemoryHolder
from memory.reflection.queue import versions
from memory.reflection.reading import Task as ReflectionTask
from memory.reflection.reading import outbox as unread
from memory.reflection.worker import Reflector, inline
from memory.relay import Relay
from memory.sessions import SessionBook
from memory.sources import GraphSource, array_sources, index_sources
from memory.supply import OutboxSupply, QueueSupply, Supply
from memory.vectors import Vectors
from routing.answers import AnswerBook
from routing.digest import Digests
from routing.evidence_cache import EvidenceCache, Shared
from routing.judging import Judge
from routing.learner import Learner
from routing.paths.learner import PathLearner
from routing.policy_book import PolicyBook
from routing.shuttle import Shuttle
from routing.statistics import Statistician
from routing.teaching import Teaching

if TYPE_CHECKING:
    from bot.adapters.discord.port import DiscordPort, Pace
    from bot.adapters.matrix.accounts import Account
    from bot.adapters.matrix.desk import Desk as AccountDesk
    from bot.adapters.matrix.login import Door
    from memory.adapters.neo4j import Neo4jGraphIndex
    from memory.adapters.qdrant import QdrantVectorIndex
    from memory.adapters.redis import RedisCache

    MatrixAccount: TypeAlias = Account
    MatrixDesk: TypeAlias = AccountDesk
    MatrixDoor: TypeAlias = Door
    Neo4jIndex: TypeAlias = Neo4jGraphIndex
    QdrantIndex: TypeAlias = QdrantVectorIndex

MATRIX = "matrix"
_ALONE = (
    "WEAVEBOT_QUEUE_URL is memory:, a queue in one process, and others may share this database: name a Redis or a"
    " RabbitMQ, or leave it empty."
)


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
        shared = BatchingEmbedder(embedder or _open_model(settings, stack))
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
        work = await _open_work(settings, database, time, lease, guard, stack)
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


Guard: TypeAlias = Callable[[str], Breaker]
"""Makes the breaker of a store, known by that name where health is looked at."""


def _open_model(settings: Settings, stack: contextlib.AsyncExitStack) -> Embedder:
    """The embedding model; nothing of it is loaded before it is needed."""
    embedder = SentenceTransformerEmbedder(settings.model_folder)
    stack.push_async_callback(embedder.close)
    return embedder


@dataclass(frozen=True, slots=True)
class _Work:
    """Where the workers' batches come from; ``queues`` are those that feed them, none where the database does."""

    index: Supply[IndexTask]
    reflections: Supply[ReflectionTask]
    queues: Mapping[WorkKind, QueueSupply[Any]]


async def _open_work(
    settings: Settings,
    database: SqlDatabase,
    clock: Clock,
    lease: Lease | None,
    guard: Guard,
    stack: contextlib.AsyncExitStack,
) -> _Work:
    """From the database's rows, or from the queue that they feed."""
    index = OutboxSupply(database, INDEX, lease)
    reflections = OutboxSupply(database, unread(versions()), lease)
    if not settings.queue_url:
        return _Work(index, reflections, {})
    queue = await open_queue(settings.queue_url.get_secret_value(), settings.queue_ca, database, clock, guard)
    stack.push_async_callback(queue.close)

    def fed(rows: OutboxSupply[T]) -> QueueSupply[T]:
        return QueueSupply(database, queue, Relay(database, queue, rows.outbox, clock, lease), rows, clock)

    lines = fed(index), fed(reflections)
    return _Work(*lines, {WorkKind.INDEX: lines[0], WorkKind.REFLECT: lines[1]})


async def open_queue(
    url: str, authorities: Path | None, database: SqlDatabase, clock: Clock, guard: Guard
) -> WorkQueue:
    """The work queue. Its server may be down: whoever needs it finds out.

    Raises BadInput for what is no address, and for a queue in this process where others may share the database.
    """
    if url.startswith(IN_MEMORY):
        if not database.is_embedded:
            raise BadInput(_ALONE)
        return LocalQueue()
    name = (await pseudonyms_of(database, clock)).installation
    if url.startswith("amqp"):
        from memory.adapters.rabbitmq import RabbitQueue  # noqa: PLC0415 - 0.2 s, for those who have one alone

        return RabbitQueue(url, name, guard("RabbitMQ"), authorities=authorities)
    from memory.adapters.redis_link import Address, RedisLink  # noqa: PLC0415 - 0.1 s, likewise
    from memory.adapters.redis_queue import RedisQueue  # noqa: PLC0415 - likewise

    address = Address.read(url, authorities=authorities, setting="WEAVEBOT_QUEUE_URL")
    return RedisQueue(RedisLink(address, guard("Redis")), name)


async def open_graph(
    settings: Settings, database: Database, clock: Clock, guard: Guard, stack: contextlib.AsyncExitStack
) -> Neo4jIndex:
    """The graph server. It may be down: whoever needs it finds out. Raises BadInput for an address that is none."""
    from memory.adapters.neo4j import Neo4jGraphIndex  # noqa: PLC0415 - 0.3 s, for those who have one alone
    from memory.adapters.neo4j_link import Address, Neo4jLink  # noqa: PLC0415 - likewise

    async def links_of(room: int, serials: Sequence[int]) -> list[MessageLinks]:
        async with database.read() as conn:
            return await links.links_of(conn, room, serials)

    address = Address(
        url=settings.neo4j_url or "",
        user=settings.neo4j_user,
        password=settings.neo4j_password.get_secret_value() if settings.neo4j_password else "",
        connecting=settings.neo4j_connect_timeout,
        reading=settings.neo4j_timeout,
        writing=settings.neo4j_write_timeout,
    )
    line = Neo4jLink(address, guard("Neo4j"))
    names = await pseudonyms_of(database, clock)
    server = Neo4jGraphIndex(line, names, links_of, clock, labels=settings.neo4j_labels)
    stack.push_async_callback(server.close)
    return server


@dataclass(frozen=True, slots=True)
class NamedModel:
    """The embedding model. With ``any_kept`` a server may hold another one's vectors: they are about to be replaced."""

    name: str
    key: ModelKey
    any_kept: bool = False


async def open_vectors(
    settings: Settings,
    database: Database,
    clock: Clock,
    guard: Guard,
    stack: contextlib.AsyncExitStack,
    model: NamedModel,
    given: LastingVectors | None = None,
) -> Vectors | None:
    """The vector server, when there is one; the stack closes it. It may be down: whoever needs it finds out.

    ``given`` takes the place of a server. Raises BadInput for an address that is none, ModelMismatch when it holds
    another model's vectors.
    """
    if not settings.qdrant_url and given is None:
        return None
    names = await pseudonyms_of(database, clock)
    if given is None:
        server = open_index(settings, names, guard, model.name, model.key.dim)
        stack.push_async_callback(server.close)
        given = server
    kept = Vectors(database, given, model.key, names)
    stack.push_async_callback(kept.close)
    if not model.any_kept:
        with contextlib.suppress(Unavailable):
            await given.check()
    return kept


def open_index(settings: Settings, names: Pseudonyms, guard: Guard, model: str, dim: int) -> QdrantIndex:
    """The line to a Qdrant server and what speaks over it. Raises BadInput for an address that is none."""
    from memory.adapters.qdrant import QdrantVectorIndex  # noqa: PLC0415 - 0.5 s, for those who have one alone
    from memory.adapters.qdrant_link import Address, QdrantLink  # noqa: PLC0415 - likewise

    address = Address(
        url=settings.qdrant_url or "",
        key=settings.qdrant_key.get_secret_value() if settings.qdrant_key else None,
        grpc_port=settings.qdrant_grpc_port,
        authorities=settings.qdrant_ca,
        reading=settings.qdrant_timeout,
        writing=settings.qdrant_write_timeout,
    )
    line = QdrantLink.to(address, guard("Qdrant"))
    return QdrantVectorIndex(line, names, model, dim, quantization=settings.qdrant_quantization)


async def open_evidence(
    settings: Settings,
    database: Database,
    clock: Clock,
    stack: contextlib.AsyncExitStack,
    setting: str,
    guard: Guard,
) -> tuple[RedisCache | None, EvidenceCache]:
    """The cache server, when there is one, and what was found before; the stack closes both.

    ``setting`` is everything of the set-up that decides what is found.
    """
    if not settings.redis_url:
        return None, EvidenceCache()
    names = await pseudonyms_of(database, clock)
    cache = open_cache(settings, names, guard)
    stack.push_async_callback(cache.close)
    evidence = EvidenceCache(Shared(cache, names, setting))
    stack.push_async_callback(evidence.close)
    return cache, evidence


def open_cache(settings: Settings, names: Pseudonyms, guard: Guard) -> RedisCache:
    """The cache server. It may be down: whoever needs it finds out. Raises BadInput for an address that is none."""
    from memory.adapters.redis import RedisCache  # noqa: PLC0415 - 0.1 s, for those who have one alone
    from memory.adapters.redis_link import Address, RedisLink  # noqa: PLC0415 - likewise

    address = Address.read(
        settings.redis_url.get_secret_value() if settings.redis_url else "",
        authorities=settings.redis_ca,
        connecting=settings.redis_connect_timeout,
        answering=settings.redis_timeout,
    )
    return RedisCache(RedisLink(address, guard("Redis")), names.installation)


def open_database(settings: Settings) -> SqlDatabase:
    """The database that the settings name. Raises BadInput when that is none."""
    if settings.database_url is None:
        return SqlDatabase.in_folder(settings.data)
    return SqlDatabase(settings.database_url.get_secret_value(), patience=settings.database_timeout)


async def open_ports(app: App) -> list[ChatPort]:
    """The chat accounts that are configured, each ready to listen.

    Raises Unavailable, with what to do, when an account cannot be used, and Refused when a login is not taken.
    """
    discord = [open_discord(app)] if app.settings.discord_token is not None else []
    return [*await open_matrix(app), *discord]


async def open_matrix(app: App) -> list[ChatPort]:
    """The accounts of Matrix that are logged in, or the one that the settings log in."""
    if not (app.settings.data / MATRIX).exists() and not app.settings.matrix_homeserver:
        return []
    from bot.adapters.matrix import starting  # noqa: PLC0415 - 0.4 s, for those alone who use Matrix

    def notebook(user_id: str) -> SqlNotebook:
        return SqlNotebook(app.database, app.clock, platform=MATRIX, account=user_id, team=user_id)

    return [*await starting.open_ports(app.settings, notebook, app.clock)]


def matrix_desk(data: Path) -> MatrixDesk:
    """Where the operator logs accounts of Matrix in and out; ``data`` is the data folder."""
    from bot.adapters.matrix.desk import Desk  # noqa: PLC0415 - 0.4 s, for those alone who use Matrix

    return Desk(data)


def open_discord(app: App, pace: Pace | None = None) -> DiscordPort:
    """The Discord bot. Raises BadInput when shards are chosen without saying of how many."""
    from bot.adapters.discord.client import Access  # noqa: PLC0415 - 0.5 s, for those who have it alone
    from bot.adapters.discord.port import DiscordPort  # noqa: PLC0415 - likewise

    chosen = app.settings
    if chosen.discord_shards and chosen.discord_shard_count is None:
        raise BadInput("WEAVEBOT_DISCORD_SHARDS needs WEAVEBOT_DISCORD_SHARD_COUNT, the number of all shards.")
    access = Access(
        token=chosen.discord_token.get_secret_value() if chosen.discord_token else "",
        full_memory=chosen.discord_memory == "full",
        shard_count=chosen.discord_shard_count,
        shards=chosen.discord_shards or None,
        api=chosen.discord_api,
        gateway=chosen.discord_gateway,
    )
    return DiscordPort(
        access,
        SqlNotebook(app.database, app.clock, platform=DISCORD, account="bot", team=None),
        app.clock,
        prefix=chosen.prefix,
        commands=list(TABLE.commands.values()),
        settings=list(CHECKS),
        suggestions=Suggestions(app.database, DISCORD),
        pace=pace,
    )


@dataclass(frozen=True, slots=True)
class ConsoleRoom:
    """The console and what takes its events. ``greets`` when somebody is looking."""

    port: ConsolePort
    dispatch: Dispatch
    greets: bool


async def open_console(app: App, room: Room, person: str) -> ConsoleRoom:
    """The console in a room, on this process's terminal or pipe."""
    from bot.adapters.console_keyboard import PipeKeyboard, PromptKeyboard, RoomCompleter  # noqa: PLC0415 - 0.2 s

    seat = Seat(
        Place(CONSOLE, room.external_id, room.name),
        await somebody(app, person),
        last_answer=await app.outbox.newest_answer(room),
    )

    async def newest(who: Person) -> str | None:
        found = await newest_of(app, room, who)
        return found.external_id if found else None

    async def count() -> int:
        return (await app.engine.span([room.id]))[0]

    async def named(name: str) -> Person:
        return await somebody(app, name)

    greets = sys.stdin.isatty() and sys.stdout.isatty()
    prefix = app.settings.prefix
    commands = [(command.name, command.words) for command in TABLE.commands.values()]
    keyboard = (
        PromptKeyboard(seat, RoomCompleter(prefix, commands), prefix=prefix)
        if greets
        else PipeKeyboard(sys.stdin.buffer)
    )
    port = ConsolePort(seat, Desk(named, newest, count), keyboard, make_console(sys.stdout), app.clock)
    return ConsoleRoom(port, Dispatch(app, port), greets)
