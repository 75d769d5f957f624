"""The wired parts of a running Weavebot. ``bot.wiring`` makes one; everything else is given it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.audit import Audit
from bot.departures import Departures
from bot.inbox import Inbox
from bot.limits import AskLimit
from bot.outbox import Outbox
from bot.ports import ChatPort
from bot.preferences import PreferenceBook
from bot.settings import Settings
from memory.breaker import Breaker
from memory.directory import Directory
from memory.engine import Engine
from memory.indexing import Indexer
from memory.journal import Journal
from memory.models import WorkKind
from memory.ports import Clock, Database, Embedder, LastingGraph, SharedCache
from memory.privacy import Privacy
from memory.projections import Rooms
from memory.reflection.book import MemoryBook
from memory.reflection.worker import Reflector
from memory.sessions import SessionBook
from memory.supply import QueueSupply
from memory.vectors import Vectors
from routing.digest import Digests
from routing.evidence_cache import EvidenceCache
from routing.judging import Judge
from routing.learner import Learner
from routing.paths.learner import PathLearner
from routing.policy_book import PolicyBook
from routing.shuttle import Shuttle
from routing.statistics import Statistician


@dataclass(frozen=True, slots=True)
class App:
    """The parts. ``tenant`` is the team that the command line and the console room speak for."""

    settings: Settings
    clock: Clock
    database: Database
    embedder: Embedder
    directory: Directory
    journal: Journal
    sessions: SessionBook
    engine: Engine
    indexer: Indexer
    reflector: Reflector
    memories: MemoryBook
    rooms: Rooms
    privacy: Privacy
    shuttle: Shuttle
    evidence: EvidenceCache
    learner: Learner
    paths: PathLearner
    policies: PolicyBook
    judge: Judge
    statistician: Statistician
    digests: Digests
    preferences: PreferenceBook
    audit: Audit
    outbox: Outbox
    departures: Departures
    inbox: Inbox
    limits: AskLimit
    tenant: int
    close: Callable[[], Awaitable[None]]
    graph: LastingGraph | None = None  # the graph server, when there is one
    vectors: Vectors | None = None  # the vector server, when there is one
    queues: Mapping[WorkKind, QueueSupply[Any]] = field(default_factory=dict)  # what feeds the workers, if a queue does
    cache: SharedCache | None = None  # the cache server, when there is one
    breakers: Sequence[Breaker] = ()  # of every server, by whom it is used; one server may have several
    passed: Counter[str] = field(default_factory=Counter)  # events of kinds that nobody here knows, since the start
    ports: list[ChatPort] = field(default_factory=list)  # the chat accounts that this process is connected with
