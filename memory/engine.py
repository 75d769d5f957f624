"""The memory's front: prepare a question, nominate, describe, read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from memory import closer, context, ranking, records
from memory.errors import NotFound
from memory.indexing import Indexer, Progress
from memory.models import Candidates, Context, Message, Nominations, Path, Query, Scope
from memory.ports import Database, Embedder, Source
from memory.projections import Rooms
from memory.sources import question_mentions

_DATED = 200
_LONGEST_QUESTION = 4000  # characters; what follows says nothing that the embedding's window would hold


@dataclass(frozen=True, slots=True)
class Look:
    """What a cheap look at a room tells about a question before a route is chosen.

    top: cosine of the closest message; gap: that minus the fifth's. linked: entities of the question that the graph
    knows; degree: mean number of messages that name them. mean_words: mean terms a message.
    """

    top: float
    gap: float
    linked: int
    degree: float
    messages: int
    authors: int
    mean_words: float


class Engine:
    """Finds in the rooms of a scope, and in no others."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        embedder: Embedder,
        sources: Mapping[str, Source],
        indexer: Indexer,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._embedder = embedder
        self._sources = sources
        self._indexer = indexer

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources that can be searched."""
        return tuple(self._sources)

    async def prepare(self, question: str, scope: Scope, asked_at: datetime, limit: int) -> Query:
        """The question with the people of the rooms and its embedding. Raises Unavailable when the model fails."""
        text = question[:_LONGEST_QUESTION]
        people: dict[str, int] = {}
        for room in scope.rooms:
            people |= await self._rooms.names(room)
        [embedding] = await self._embedder.embed([ranking.cut_names(text, people)])
        return Query(text, scope, asked_at, people, embedding, limit)

    async def versions(self, scope: Scope) -> tuple[int, ...]:
        """The versions of the scope's rooms; they change with every message."""
        async with self._database.read() as conn:
            return tuple([await records.version_of(conn, room) for room in scope.rooms])

    async def nominate(self, source: str, query: Query, room: int, limit: int) -> Nominations:
        """What one source proposes. Raises NotFound for an unknown source or a room out of scope."""
        _check(query, room)
        if source not in self._sources:
            raise NotFound(f"there is no source {source!r}: there are {', '.join(self._sources)}")
        return await self._sources[source].find(query, room, limit)

    async def describe(self, query: Query, room: int, said: Sequence[Nominations]) -> Candidates:
        """The messages that the sources nominated, and those sent when the question says, with all features."""
        _check(query, room)
        view = await self._rooms.view(room)

        def work() -> Candidates:
            everything = [*said, ranking.dated(view, query, _DATED)]
            serials = np.unique(np.concatenate([nominations.serials for nominations in everything]))
            described = closer.described(view, query, ranking.features(view, query, serials, room=room))
            return ranking.with_sources(described, said)

        return await asyncio.to_thread(work)

    async def look(self, query: Query, room: int) -> Look:
        """A cheap look at the room."""
        _check(query, room)
        view = await self._rooms.view(room)
        graph = await self._rooms.graph(room)
        known = await graph.known(room, question_mentions(query))
        closest = (await asyncio.to_thread(ranking.vector, view, query, 5)).scores
        degrees = [degree for _, degree in known]
        return Look(
            top=float(closest[0]) if len(closest) else 0.0,
            gap=float(closest[0] - closest[-1]) if len(closest) else 0.0,
            linked=len(known),
            degree=float(np.mean(degrees)) if degrees else 0.0,
            messages=view.messages,
            authors=len(set((await self._rooms.names(room)).values())),
            mean_words=view.mean_length if view.messages else 0.0,
        )

    async def paths(self, query: Query, room: int, serials: Sequence[int]) -> list[Path]:
        """Paths in the graph from the question's entities to messages."""
        _check(query, room)
        graph = await self._rooms.graph(room)
        return await graph.paths(room, question_mentions(query), serials)

    async def read(self, serials: Sequence[int]) -> dict[int, Message]:
        """Messages by serial."""
        async with self._database.read() as conn:
            return await records.by_serial(conn, serials)

    async def span(self, rooms: Sequence[int]) -> tuple[int, datetime | None, datetime | None]:
        """How many messages the rooms hold, and when the first and the last were sent."""
        async with self._database.read() as conn:
            return await records.span(conn, rooms)

    async def context(self, ranked: Sequence[Message], budget: int) -> Context:
        """The best messages within a budget of tokens."""
        known: dict[int, int] = {}
        for room in {message.room for message in ranked}:
            view = await self._rooms.view(room)
            known |= view.token_counts([message.serial for message in ranked if message.room == room])
        return await asyncio.to_thread(context.build, ranked, budget, self.count_tokens, known)

    @property
    def count_tokens(self) -> Callable[[str], int]:
        """The model's own count of a text's tokens."""
        return self._embedder.count_tokens

    async def settle(self, progress: Progress | None = None) -> int:
        """Everything admitted so far is embedded and indexed when this returns; gives the number done."""
        return await self._indexer.drain(progress)


def _check(query: Query, room: int) -> None:
    if room not in query.scope.rooms:
        raise NotFound("that room is out of the question's scope")
