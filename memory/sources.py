"""The sources: what can be searched in a room. Each may nominate; none gates another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from memory import ranking
from memory.errors import Unavailable
from memory.extraction.entities import asked
from memory.models import Mention, Nominations, Query, Serials
from memory.projections import Rooms
from memory.room import RoomView
from memory.vectors import STORE, Vectors

SEEDS = 20
"""Messages that a walk over the graph starts from: HippoRAG's restart set, by words and meaning together."""

DEPTH = 200
"""Messages that an index on a server is asked for at least: who wants fewer takes the first of them."""

Search = Callable[[RoomView, Query, int], Nominations]
Among = Callable[[RoomView, Query, Serials, int], Nominations]


@dataclass(frozen=True, slots=True)
class ArraySource:
    """A source that reads the room's arrays: vector, keyword and recent."""

    name: str
    search: Search
    rooms: Rooms

    async def find(self, query: Query, room: int, limit: int) -> Nominations:
        """The ranking function of that name, in a thread."""
        view = await self.rooms.view(room, query.versions.get(room))
        return await asyncio.to_thread(self.search, view, query, limit)


@dataclass(frozen=True, slots=True)
class IndexSource:
    """Meaning or words, looked for in an index on a server; the room's arrays score what it proposes.

    So a score is the same whoever proposed the message. While the server does not answer the arrays are searched, and
    the nominations say so.
    """

    name: str
    search: Search
    among: Among
    rooms: Rooms
    vectors: Vectors

    async def find(self, query: Query, room: int, limit: int) -> Nominations:
        """Messages by the arrays' scores, best first."""
        view = await self.rooms.view(room, query.versions.get(room))
        try:
            said = await self.vectors.nominate(query, room, max(limit, DEPTH))
        except Unavailable:
            found = await asyncio.to_thread(self.search, view, query, limit)
            return replace(found, instead_of=STORE)
        [proposed] = [one.serials for one in said if one.source == self.name]
        return await asyncio.to_thread(self.among, view, query, proposed, limit)


@dataclass(frozen=True, slots=True)
class GraphSource:
    """Personalised PageRank over messages and the entities they share, from the best hits and the question's names."""

    rooms: Rooms
    name: str = "graph"

    async def find(self, query: Query, room: int, limit: int) -> Nominations:
        """Messages by PageRank, best first."""
        view = await self.rooms.view(room, query.versions.get(room))
        graph = await self.rooms.graph(room, query.versions.get(room))
        seeds = await asyncio.to_thread(_seeds, view, query)
        return await graph.rank(room, seeds, question_mentions(query), limit)


def array_sources(rooms: Rooms) -> dict[str, ArraySource]:
    """vector, keyword and recent over the rooms' arrays."""
    table: dict[str, Search] = {"vector": ranking.vector, "keyword": ranking.keyword, "recent": ranking.recent}
    return {name: ArraySource(name, search, rooms) for name, search in table.items()}


def index_sources(rooms: Rooms, vectors: Vectors) -> dict[str, IndexSource]:
    """The sources vector and keyword over an index on a server."""
    return {
        "vector": IndexSource("vector", ranking.vector, ranking.vector_among, rooms, vectors),
        "keyword": IndexSource("keyword", ranking.keyword, ranking.keyword_among, rooms, vectors),
    }


def question_mentions(query: Query) -> list[Mention]:
    """The entities that a question names, and those that joined it."""
    people = {form: str(key) for form, key in query.people.items()}
    named = asked(query.text, people=people, sent_at=query.asked_at)
    return list(dict.fromkeys((*named, *query.expansion.mentions)))


def _seeds(view: RoomView, query: Query) -> dict[int, float]:
    """The best messages by the formula, with their scores; the walk takes their softmax."""
    pool = np.union1d(ranking.keyword(view, query, 200).serials, ranking.vector(view, query, 200).serials)
    found = ranking.features(view, query, pool)
    score = ranking.first_look(found.features) + ranking.standardised(found.features["mw"])
    best = np.argsort(-score, kind="stable")[:SEEDS]
    return {int(found.serials[i]): float(score[i]) for i in best}
