"""The memory's front: prepare a question, nominate, describe, read."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

import numpy as np

from memory import closer, context, expansion, ranking, records, stretches
from memory.errors import NotFound, Unavailable
from memory.indexing import Indexer, Progress
from memory.models import (
    Candidates,
    Context,
    Expansion,
    Mention,
    Message,
    Nominations,
    Path,
    PathType,
    Query,
    Scope,
    Serials,
    Walks,
)
from memory.ports import Database, Embedder, Source
from memory.projections import Rooms
from memory.room import RoomView
from memory.sources import question_mentions
from memory.vectors import Vectors

PATIENCE = 5.0
"""Seconds after which a source counts as down: an answer from the others now is worth more than all of it later."""

_GRAPH = "graph"
_DATED = 200
_LONGEST_QUESTION = 4000  # characters; what follows says nothing that the embedding's window would hold


@dataclass(frozen=True, slots=True)
class Look:
    """What a cheap look at a room tells about a question before a route is chosen.

    top: cosine of the closest message; gap: that minus the fifth's. linked: entities of the question that the graph
    knows; degree: mean number of messages that name them. mean_words: mean terms a message. missing: the sources that
    did not answer; what they know counts as nothing.
    """

    top: float
    gap: float
    linked: int
    degree: float
    messages: int
    authors: int
    mean_words: float
    missing: tuple[str, ...] = ()


class Engine:
    """Finds in the rooms of a scope, and in no others."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        embedder: Embedder,
        sources: Mapping[str, Source],
        indexer: Indexer,
        *,
        vectors: Vectors | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """``vectors`` is what the sources search on a server, when they do."""
        self._database = database
        self._rooms = rooms
        self._embedder = embedder
        self._sources = sources
        self._indexer = indexer
        self._vectors = vectors
        self._patience = patience

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources that can be searched."""
        return tuple(self._sources)

    async def prepare(
        self, question: str, scope: Scope, asked_at: datetime, limit: int, versions: Mapping[int, int] | None = None
    ) -> Query:
        """The question with the people of the rooms and its embedding. Raises Unavailable when the model fails.

        ``versions`` are the rooms', where the caller has just read them.
        """
        text = question[:_LONGEST_QUESTION]
        if versions is None:
            versions = dict(zip(scope.rooms, await self.versions(scope), strict=True))
        people: dict[str, int] = {}
        for names in await asyncio.gather(*(self._ready(room, versions.get(room)) for room in scope.rooms)):
            people |= names
        [embedding] = await self._embedder.embed([ranking.cut_names(text, people)])
        return Query(text, scope, asked_at, people, embedding, limit, versions)

    async def expanded(self, query: Query, more: Expansion) -> Query:
        """The question with what joins it, embedded together. Raises Unavailable when the model fails."""
        whole = query.expansion.joined(more)
        if whole == query.expansion:
            return query
        if whole.words == query.expansion.words:
            return replace(query, expansion=whole)
        [embedding] = await self._embedder.embed([f"{ranking.cut_names(query.text, query.people)} {whole.words}"])
        return replace(query, expansion=whole, embedding=embedding)

    async def learned(self, query: Query, room: int, serials: Sequence[int]) -> Expansion:
        """What messages, best first, add to a question: rare terms and names that lead on (`memory.expansion`).

        Without names when the graph does not answer.
        """
        _check(query, room)
        found = await self.read(serials)
        messages = [found[serial] for serial in serials if serial in found]
        view = await self._rooms.view(room, query.versions.get(room))
        more = await asyncio.to_thread(expansion.learned, view, query, messages)
        names = await asyncio.to_thread(expansion.named, query, messages)
        degrees = await self._degrees(names, room, query.versions.get(room)) or ()
        leading = expansion.leading(names, dict(degrees), view.messages)
        return replace(more, words=" ".join((*(one.label for one in leading), more.words)), mentions=leading)

    async def sessions(self, query: Query, room: int, limit: int) -> tuple[Serials, Nominations]:
        """The messages of the sessions that speak most of the question, and the best of them (`memory.stretches`)."""
        _check(query, room)
        view = await self._rooms.view(room, query.versions.get(room))
        return await asyncio.to_thread(stretches.best, view, query, limit)

    async def warm(self, rooms: Sequence[int], most: int = 16) -> list[int]:
        """Loads the liveliest of the rooms, one after the other, so that a first question does not wait for it.

        Gives them, the liveliest first.

        The collector of cycles rests meanwhile: in a load of 100,000 messages it would stop everything four times for
        70 ms, and there are no cycles to find.
        """
        gc.disable()
        try:
            async with self._database.read() as conn:
                liveliest = await records.liveliest(conn, rooms, most)
            for room in liveliest:
                await self._ready(room, None)
        finally:
            gc.enable()
        return liveliest

    async def _ready(self, room: int, at: int | None) -> Mapping[str, int]:
        """Arrays and graph side by side; gives the names. A graph that is down is found out by whoever needs it."""

        async def graph() -> None:
            with suppress(Unavailable):
                await self._rooms.hold_graph(room, at)

        names, _ = await asyncio.gather(self._rooms.names(room, at), graph())
        return names

    async def versions(self, scope: Scope) -> tuple[int, ...]:
        """The versions of the scope's rooms; they change with every message."""
        async with self._database.read() as conn:
            return tuple([await records.version_of(conn, room) for room in scope.rooms])

    async def nominate(self, source: str, query: Query, room: int, limit: int) -> Nominations:
        """What one source proposes. Raises NotFound for an unknown source or a room out of scope.

        Raises Unavailable when the source is down, or takes longer than ``patience``.
        """
        _check(query, room)
        if source not in self._sources:
            raise NotFound(f"there is no source {source!r}: there are {', '.join(self._sources)}")
        try:
            async with asyncio.timeout(self._patience):
                return await self._sources[source].find(query, room, limit)
        except TimeoutError as exc:
            raise Unavailable(f"the source {source} does not answer") from exc

    async def describe(self, query: Query, room: int, said: Sequence[Nominations]) -> Candidates:
        """The messages that the sources nominated, and those sent when the question says, with all features."""
        _check(query, room)
        view = await self._rooms.view(room, query.versions.get(room))

        def work() -> Candidates:
            everything = [*said, ranking.dated(view, query, _DATED)]
            serials = np.unique(np.concatenate([nominations.serials for nominations in everything]))
            described = closer.described(view, query, ranking.features(view, query, serials, room=room))
            return ranking.with_sources(described, said)

        return await asyncio.to_thread(work)

    async def look(self, query: Query, room: int, without: Collection[str] = ()) -> Look:
        """A cheap look at the room; sources that it should do ``without`` are not asked."""
        _check(query, room)
        at = query.versions.get(room)
        view = await self._rooms.view(room, at)
        known = None if _GRAPH in without else await self._degrees(question_mentions(query), room, at)
        closest = (await self._closest(query, room, view)).scores
        degrees = [degree for _, degree in known or ()]
        return Look(
            top=float(closest[0]) if len(closest) else 0.0,
            gap=float(closest[0] - closest[-1]) if len(closest) else 0.0,
            linked=len(degrees),
            degree=float(np.mean(degrees)) if degrees else 0.0,
            messages=view.messages,
            authors=len(set((await self._rooms.names(room, at)).values())),
            mean_words=view.mean_length if view.messages else 0.0,
            missing=(_GRAPH,) if known is None else (),
        )

    async def _closest(self, query: Query, room: int, view: RoomView) -> Nominations:
        """The five closest messages."""
        if self._vectors is not None:
            with suppress(Unavailable):
                return await self.nominate("vector", query, room, 5)
        return await asyncio.to_thread(ranking.vector, view, query, 5)

    async def _degrees(
        self, mentions: Sequence[Mention], room: int, at: int | None
    ) -> list[tuple[Mention, int]] | None:
        """Those of the mentions that the graph knows, with the messages tied to each; None when it does not answer."""
        try:
            async with asyncio.timeout(self._patience):
                graph = await self._rooms.graph(room, at)
                return await graph.known(room, mentions)
        except (Unavailable, TimeoutError):
            return None

    async def paths(self, query: Query, room: int, serials: Sequence[int]) -> list[Path]:
        """Paths in the graph from the question's entities to messages."""
        _check(query, room)
        graph = await self._rooms.graph(room, query.versions.get(room))
        return await graph.paths(room, question_mentions(query), serials)

    async def walks(self, query: Query, room: int, found: Mapping[int, float], serials: Sequence[int]) -> Walks | None:
        """How likely walks from found messages (serials to scores) and the question's entities end in messages.

        None when the graph does not answer.
        """
        _check(query, room)
        try:
            async with asyncio.timeout(self._patience):
                graph = await self._rooms.graph(room, query.versions.get(room))
                return await graph.walks(room, found, question_mentions(query), serials)
        except (Unavailable, TimeoutError):
            return None

    async def trace(
        self, query: Query, room: int, path: PathType, found: Mapping[int, float], serial: int
    ) -> Path | None:
        """The likeliest path of a type from found messages or the question's entities to a message, with labels.

        None without one, and when the graph does not answer.
        """
        _check(query, room)
        try:
            async with asyncio.timeout(self._patience):
                graph = await self._rooms.graph(room, query.versions.get(room))
                return await graph.trace(room, path, found, question_mentions(query), serial)
        except (Unavailable, TimeoutError):
            return None

    async def read(self, serials: Sequence[int]) -> dict[int, Message]:
        """Messages by serial."""
        async with self._database.read() as conn:
            return await records.by_serial(conn, serials)

    async def span(self, rooms: Sequence[int]) -> tuple[int, datetime | None, datetime | None]:
        """How many messages the rooms hold, and when the first and the last were sent."""
        async with self._database.read() as conn:
            return await records.span(conn, rooms)

    async def context(self, ranked: Sequence[Message], budget: int, zone: tzinfo = UTC) -> Context:
        """The best messages within a budget of tokens, under the days of the timezone."""
        known: dict[int, int] = {}
        for room in {message.room for message in ranked}:
            view = await self._rooms.view(room)
            known |= view.token_counts([message.serial for message in ranked if message.room == room])
        return await asyncio.to_thread(context.build, ranked, budget, self.count_tokens, known, zone)

    @property
    def count_tokens(self) -> Callable[[str], int]:
        """The model's own count of a text's tokens."""
        return self._embedder.count_tokens

    async def settle(self, progress: Progress | None = None) -> int:
        """Everything admitted so far is embedded and indexed when this returns; gives the number done.

        A store on a server that does not answer follows when it does.
        """
        done = await self._indexer.drain(progress)
        with suppress(Unavailable):
            await self._rooms.catch_up()
        if self._vectors is not None:
            with suppress(Unavailable):
                await self._vectors.catch_up()
        return done


def _check(query: Query, room: int) -> None:
    if room not in query.scope.rooms:
        raise NotFound("that room is out of the question's scope")
