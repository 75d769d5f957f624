"""The database, the servers beside it, and the model: opened as the settings say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bot.settings import MEMORY as IN_MEMORY
from bot.settings import Settings
from memory import links
from memory.adapters.local_queue import LocalQueue
from memory.adapters.sentence_transformers import SentenceTransformerEmbedder
from memory.adapters.sql import SqlDatabase
from memory.breaker import Breaker
from memory.errors import BadInput, Unavailable
from memory.leases import Lease
from memory.models import MessageLinks, WorkKind
from memory.outbox import INDEX, T
from memory.outbox import Task as IndexTask
from memory.ports import Clock, Database, Embedder, LastingVectors, WorkQueue
from memory.pseudonyms import Pseudonyms, pseudonyms_of
from memory.records import ModelKey
from memory.reflection.queue import versions
from memory.reflection.reading import Task as ReflectionTask
from memory.reflection.reading import outbox as unread
from memory.relay import Relay
from memory.supply import OutboxSupply, QueueSupply, Supply
from memory.vectors import Vectors
from routing.evidence_cache import EvidenceCache, Shared

if TYPE_CHECKING:
    from memory.adapters.neo4j import Neo4jGraphIndex
    from memory.adapters.qdrant import QdrantVectorIndex
    from memory.adapters.redis import RedisCache

    Neo4jIndex: TypeAlias = Neo4jGraphIndex
    QdrantIndex: TypeAlias = QdrantVectorIndex

_ALONE = (
    "WEAVEBOT_QUEUE_URL is memory:, a queue in one process, and others may share this database: name a Redis or a"
    " RabbitMQ, or leave it empty."
)


Guard: TypeAlias = Callable[[str], Breaker]
"""Makes the breaker of a store, known by that name where health is looked at."""


def open_model(settings: Settings, stack: contextlib.AsyncExitStack) -> Embedder:
    """The embedding model; nothing of it is loaded before it is needed."""
    embedder = SentenceTransformerEmbedder(settings.model_folder)
    stack.push_async_callback(embedder.close)
    return embedder


@dataclass(frozen=True, slots=True)
class Work:
    """Where the workers' batches come from; ``queues`` are those that feed them, none where the database does."""

    index: Supply[IndexTask]
    reflections: Supply[ReflectionTask]
    queues: Mapping[WorkKind, QueueSupply[Any]]


async def open_work(
    settings: Settings,
    database: SqlDatabase,
    clock: Clock,
    lease: Lease | None,
    guard: Guard,
    stack: contextlib.AsyncExitStack,
) -> Work:
    """From the database's rows, or from the queue that they feed."""
    index = OutboxSupply(database, INDEX, lease)
    reflections = OutboxSupply(database, unread(versions()), lease)
    if not settings.queue_url:
        return Work(index, reflections, {})
    queue = await open_queue(settings.queue_url.get_secret_value(), settings.queue_ca, database, clock, guard)
    stack.push_async_callback(queue.close)

    def fed(rows: OutboxSupply[T]) -> QueueSupply[T]:
        return QueueSupply(database, queue, Relay(database, queue, rows.outbox, clock, lease), rows, clock)

    lines = fed(index), fed(reflections)
    return Work(*lines, {WorkKind.INDEX: lines[0], WorkKind.REFLECT: lines[1]})


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
