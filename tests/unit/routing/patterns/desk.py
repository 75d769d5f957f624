"""Patterns on a room whose sources can be slow, and a timer that moves by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory.engine import Engine
from memory.errors import Unavailable
from memory.models import Candidates, Nominations, Query, Room
from memory.ports import Source
from memory.sources import GraphSource, array_sources
from routing.patterns import PATTERNS
from routing.patterns.run import Run
from routing.shuttle import Shuttle
from tests.doubles import START
from tests.parts import Memory

EVERYWHERE = ("vector", "keyword", "graph")


class Slow:
    """A source that takes its time; counts who was asked, and who was cancelled meanwhile."""

    def __init__(self, inner: Source, seconds: float) -> None:
        self.inner, self.seconds = inner, seconds
        self.name = inner.name
        self.asked = self.cancelled = 0
        self.begun = asyncio.Event()

    async def find(self, query: Query, room: int, limit: int) -> Nominations:
        self.asked += 1
        self.begun.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await self.inner.find(query, room, limit)


@dataclass(frozen=True, slots=True)
class Down:
    """A source that does not answer."""

    name: str

    async def find(self, query: Query, room: int, limit: int) -> Nominations:
        del query, room, limit
        raise Unavailable(f"{self.name} is down")


@dataclass(slots=True)
class Ticking:
    """A timer that is so many seconds further each time somebody looks."""

    step: float
    now: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Desk:
    """An engine some of whose sources are slow, or down."""

    def __init__(self, memory: Memory, slow: Mapping[str, float] | None = None, down: Sequence[str] = ()) -> None:
        sources: dict[str, Source] = {**array_sources(memory.rooms), "graph": GraphSource(memory.rooms)}
        self.slow = {name: Slow(sources[name], seconds) for name, seconds in (slow or {}).items()}
        self.memory = memory
        self.engine = Engine(
            memory.database,
            memory.rooms,
            memory.embedder,
            {**sources, **self.slow, **{name: Down(name) for name in down}},
            memory.indexer,
            patience=30,
        )
        self.shuttle = Shuttle(self.engine, memory.book, memory.learner, memory.clock)

    async def run(
        self, pattern: str, question: str, room: Room, sources: tuple[str, ...] = EVERYWHERE, **more: Any
    ) -> tuple[Candidates, Run]:
        """The candidates that a pattern gives, and the run that it had."""
        query = await self.engine.prepare(question, self.memory.scope(room), START, 10)
        run = Run(self.engine, query, room.id, sources, **more)
        return await PATTERNS[pattern](run), run
