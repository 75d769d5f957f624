"""What the memory needs from the outside. Adapters live in ``memory.adapters``; only ``bot.wiring`` names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.models import (
    Embedding,
    GraphHealth,
    GraphSum,
    Mention,
    MessageLinks,
    Nominations,
    Path,
    PathType,
    Query,
    Walks,
)


class Clock(Protocol):
    """Time as a dependency."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class Database(Protocol):
    """Transactions on the SQL database, spoken to in SQLAlchemy Core."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A consistent snapshot, in which nothing is written. Raises Unavailable when the database does not answer."""

    def write(self, *, alone: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """One transaction: all of it or nothing. Others may write beside it, in this process and in others.

        With ``alone`` nobody does: it begins when they have ended, and they wait for it. Raises Contended when another
        transaction was in the way (it may be done again), Unavailable when it cannot be kept.
        """

    async def pour(self, conn: AsyncConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Many rows into a table within a write, the quickest way that the database has.

        Each has a value for every column, in their order. Raises Unreachable when the server goes away.
        """

    async def scrub(self) -> None:
        """After a deletion: no deleted byte stays in embedded files, else it raises Unavailable.

        A server's tables are vacuumed; what fails or takes long there is done later, and nobody is told that it failed.
        """

    def scrubbing_later(self) -> AbstractAsyncContextManager[None]:
        """Within it ``scrub`` is put off to the end and done once, for this task alone. Raises Unavailable there."""


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def model(self) -> str:
        """Name, revision and dimensions as one string; recorded with every vector, compared at start."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def state_dim(self) -> int:
        """Length of a token state; a multiple of 8."""

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """One embedding a text, in order; an empty text gives a zero vector and no tokens.

        Concurrent callers share batches. Raises Unavailable when the model cannot run.
        """

    def count_tokens(self, text: str) -> int:
        """Tokens of the model's own tokenizer, special tokens not counted, never truncated."""

    def words(self, token_ids: Sequence[int]) -> list[str]:
        """The vocabulary entries of ids (word pieces; a continuation starts with ``##``)."""


class Source(Protocol):
    """Something that can be searched. Each may nominate; none gates another."""

    @property
    def name(self) -> str:
        """One word: vector, keyword, graph, recent."""

    async def find(self, query: Query, room: int, limit: int) -> Nominations:
        """At most ``limit`` messages of the room, best first; empty when there are none."""


class GraphIndex(Protocol):
    """People, entities, topics, sessions and messages of a room with typed, dated edges. A projection of SQL.

    Rooms never touch: no call reads or changes a room other than the one that it names. Every call raises Unavailable
    when the index does not answer; what it was told to change may be told again.
    """

    @property
    def lasting(self) -> bool:
        """Whether it outlives the process; then somebody keeps it up to date, also while nobody asks."""

    async def reached(self, room: int) -> int:
        """The version of the room that was noted last; 0 for a room that is not there."""

    async def reach(self, room: int, version: int) -> None:
        """Notes that everything up to a version of the room was put and removed. An earlier one changes nothing."""

    async def put(self, room: int, links: Sequence[MessageLinks], since: int | None = None) -> bool:
        """Adds messages with their ties, in any order; one that is there already is replaced (the last one wins).

        ``since`` is the version that `reached` gave before the links were read. When another one is noted by now,
        somebody else has gone on, perhaps erased some of these messages: then it stops, and says False.
        """

    async def remove(self, room: int, serials: Sequence[int]) -> None:
        """Takes messages out, and with the last of them every entity, day and session that nothing else is tied to.

        Nothing of them is left: no serial, no key, and no label that only they had. Unknown serials do nothing.
        """

    async def drop(self, room: int) -> None:
        """Forgets the whole room, and the version that it had reached."""

    async def release(self, room: int) -> None:
        """Nobody needs the room at hand: one that is held in this process is dropped, a lasting one stays."""

    async def rank(
        self, room: int, messages: Mapping[int, float], entities: Sequence[Mention], limit: int
    ) -> Nominations:
        """Messages by personalised PageRank, restarted at the best hits so far and at the question's entities.

        ``messages`` maps serials to scores in standard deviations (a sum of z-scores): half of the restarts go to them
        by their softmax, the other half to the entities by their idf; all to one side when the other is empty or not in
        the room. The score is 1 + N p, where N is the number of messages in the room and p the message's probability:
        how much more often than by chance the walk is there, plus one, so that its logarithm is 0 where it never comes.
        Best first, ties to the newer; only messages that the walk reaches; empty when nothing given is in the room.
        """

    async def known(self, room: int, mentions: Sequence[Mention]) -> list[tuple[Mention, int]]:
        """Those of the mentions that are nodes of the room, in order, with the number of messages tied to each."""

    async def paths(self, room: int, start: Sequence[Mention], serials: Sequence[int]) -> list[Path]:
        """A shortest path from one of the entities to each message that can be reached in three steps.

        Steps alternate labels and relations as words: Ana, wrote, message of 12 May 2026. The score is the square root
        of the probability that a random walk from the entity takes this path, in (0, 1]; among equally short paths the
        likeliest is given. In the order of the serials; messages that cannot be reached are left out.
        """

    async def walks(
        self, room: int, messages: Mapping[int, float], entities: Sequence[Mention], serials: Sequence[int]
    ) -> Walks:
        """How likely random walks along each type of path end in each of the messages that are there.

        Walks start at the found messages (``messages``: serials to scores; by their softmax) and at the question's
        entities: people, dates and other names apart, each by their idf. At each step they choose evenly among the
        edges of one relation. From an entity they take up to three relations, from a found message up to two (finding
        it was the first); no walk comes back to the message that it has left or to an entity of its start, and a
        relation between two messages is the last of a path. Each chance is in [0, 1]. See `memory.walks`.
        """

    async def trace(
        self, room: int, path: PathType, messages: Mapping[int, float], entities: Sequence[Mention], serial: int
    ) -> Path | None:
        """The likeliest path of that type to a message, from where `walks` starts, with its labels; None without one.

        The score is the square root of the probability that a walk from its start takes it.
        """


class LastingGraph(GraphIndex, Protocol):
    """A graph index on a server. A room can be built anew there while the one before it goes on answering."""

    async def begin(self, room: int) -> None:
        """A new, empty generation of the room; what an earlier attempt left is gone. Puts go to the one in use."""

    async def build(self, room: int, links: Sequence[MessageLinks]) -> None:
        """Adds messages to the generation that was begun."""

    async def switch(self, room: int, version: int) -> None:
        """From now on the generation that was begun is the room; it has reached that version."""

    async def unused(self, room: int) -> Sequence[str]:
        """The generations of the room that are not in use: one that is being built, and what an interrupted one left.

        ``remove`` takes messages out of them too.
        """

    async def sweep(self, room: int) -> None:
        """Removes every generation of the room that is not in use."""

    async def health(self) -> GraphHealth:
        """What the server says of itself."""

    async def sum_of(self, room: int) -> GraphSum:
        """What it holds of a room, to be compared with `memory.links.sum_of`."""
