"""What the memory needs from the outside. Adapters live in ``memory.adapters``; only ``bot.wiring`` names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.models import (
    CacheHealth,
    DeadLetter,
    Embedding,
    Floats,
    GraphHealth,
    GraphSum,
    Mention,
    MessageLinks,
    Nominations,
    Path,
    PathType,
    Query,
    QueueState,
    Slot,
    Taken,
    VectorHealth,
    VectorSum,
    Walks,
    WorkItem,
    WorkKind,
)

if TYPE_CHECKING:
    from memory.room_rows import RoomRows


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

    @property
    def resting(self) -> bool:
        """Whether the server is left alone after a failure."""

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


class VectorIndex(Protocol):
    """Messages of rooms by meaning and by words. A projection of SQL, on a server or in the process.

    Rooms never touch, in what is found and in how rare a word is. Every call raises Unavailable when the index does
    not answer; what it was told to change may be told again.
    """

    async def reached(self, room: int) -> int:
        """The version of the room that was noted last; 0 for a room that is not there."""

    async def reach(self, room: int, version: int) -> None:
        """Notes that everything up to a version of the room was put and removed. An earlier one changes nothing."""

    async def put(self, room: int, tenant: int, rows: RoomRows) -> None:
        """Adds messages, in any order; of one that is there already nothing earlier is left."""

    async def remove(self, room: int, serials: Sequence[int]) -> None:
        """Takes messages out: no number, vector or word of them is left. Unknown serials do nothing."""

    async def nominate(
        self, room: int, direction: Floats | None, terms: Mapping[str, float], limit: int
    ) -> tuple[Nominations, Nominations]:
        """The closest messages in meaning (``vector``) and in words (``keyword``), asked for together.

        ``direction`` is a unit vector: scores are cosines to a message's best chunk, in [-1, 1]; a message without an
        embedding is not among them. ``terms`` maps words to weights: scores are BM25 of each message by itself, above
        0. At most ``limit`` of each, best first; without a direction or terms there are none. An index may overlook
        some of the closest (it is approximate), but gives true scores for those that it gives.
        """

    async def drop(self, room: int) -> None:
        """Forgets the whole room, and the version that it had reached."""


class LastingVectors(VectorIndex, Protocol):
    """A vector index on a server. All rooms can be built anew there while what was before goes on answering."""

    @property
    def resting(self) -> bool:
        """Whether the server is left alone after a failure."""

    async def check(self) -> None:
        """Makes what is missing there. Raises ModelMismatch when it holds the vectors of another model."""

    async def generation(self) -> str:
        """The generation in use now, asked of the server. From then on `reached` speaks of it, whoever switched."""

    async def reach(self, room: int, version: int, generation: str | None = None) -> None:
        """As in the index; with ``generation`` nothing is noted in another: what was put went into that one alone."""

    async def begin(self) -> None:
        """A new, empty generation of all rooms; what an earlier attempt left is gone. Puts go to the one in use."""

    async def build(self, room: int, tenant: int, rows: RoomRows) -> None:
        """Adds messages to the generation that was begun."""

    async def built(self, room: int, version: int) -> None:
        """Notes how far a room has come in the generation that was begun."""

    async def switch(self) -> None:
        """From now on the generation that was begun is the one in use."""

    async def unused(self) -> Sequence[str]:
        """The generations that are not in use: one that is being built, and what an interrupted one left.

        ``remove`` takes messages out of them too.
        """

    async def sweep(self) -> None:
        """Removes every generation that is not in use."""

    async def health(self) -> VectorHealth:
        """What the server says of itself."""

    async def sum_of(self, room: int) -> VectorSum:
        """What it holds of a room, to be compared with `memory.vectors.sum_of`."""

    async def count(self, room: int) -> int:
        """How many messages it holds of a room."""

    async def serials(self, room: int, after: int) -> Sequence[int]:
        """The serials of the next thousands of a room's messages behind one, ascending; empty when there are none."""


class WorkQueue(Protocol):
    """What waits to be worked on, shared by many workers. It only hands out: the truth is a row in SQL.

    An item is given at least once, to one worker at a time; a worker that dies leaves what it had taken to the others.
    Of one kind, the items of a room are given in the order in which they were published, live ones before history,
    and all to the same worker until it has finished them or died. Every call raises Unavailable, without a password,
    when the queue does not answer; it may then be made again.
    """

    async def publish(self, items: Sequence[WorkItem]) -> None:
        """Adds items; when it returns, the queue keeps all of them. One that is there already may be kept twice."""

    async def take(self, kind: WorkKind, most: int) -> Sequence[Taken]:
        """Items that wait, at most so many; empty when there are none for this worker now. Never waits for one."""

    async def wait(self, kind: WorkKind, seconds: float) -> bool:
        """Until there is something to take, or so long. Whether there may be something; nothing is taken by it."""

    async def done(self, taken: Sequence[Taken]) -> None:
        """These are finished and leave the queue. One that somebody else has been given since does nothing."""

    async def failed(self, taken: Taken, reason: str) -> bool:
        """It goes to the end of its room, or, after as many tries as the queue allows, to the dead letters.

        ``reason`` is the name of an error: neither a text nor a name of a person. Whether it is dead now.
        """

    async def give_back(self, taken: Sequence[Taken]) -> None:
        """These were not tried; they are the next that are given, in their order."""

    async def rest(self, kind: WorkKind) -> None:
        """This worker takes nothing for now, and no room is kept for it until it takes or waits again.

        While something that it took is out, nothing happens.
        """

    async def state(self, kind: WorkKind) -> QueueState:
        """How much is there."""

    async def dead(self, kind: WorkKind, limit: int) -> Sequence[DeadLetter]:
        """Dead letters, at most so many."""

    async def revive(self, kind: WorkKind) -> Sequence[WorkItem]:
        """All dead letters wait again, with no try counted; those that were brought back."""

    async def drop(self, kind: WorkKind, serials: Sequence[int], below: int | None = None) -> None:
        """No dead letter of these messages remains; items leave at the latest when they are taken.

        With ``below`` that is so of earlier revisions alone.
        """

    async def close(self) -> None:
        """What was taken and is not finished waits again."""


class Cache(Protocol):
    """Bytes for a while, shared by whoever uses the same cache; and counters that forget.

    What it holds can be computed again: it may lose anything at any time. Installations and namespaces never touch.
    Every call raises Unavailable when the cache does not answer.
    """

    async def get(self, slot: Slot) -> tuple[bytes | None, tuple[str, ...]]:
        """What is there (None: nothing), and where the slot's tags stand now, which `put` wants to know."""

    async def put(self, slot: Slot, value: bytes, ttl: timedelta, seen: Sequence[str]) -> bool:
        """Keeps a value for that long at most. ``seen`` is what `get` said before the value was computed.

        False, and nothing is kept, when one of the tags was dropped since: the value may hold what had to go.
        """

    async def drop(self, namespace: str, tags: Sequence[str]) -> None:
        """Nothing that was put under any of these tags is left, nor put by whoever looked before."""

    async def claim(self, slot: Slot, ttl: timedelta) -> str | None:
        """Takes the right to compute a value for that long at most: a token, or None when somebody else has it."""

    async def release(self, slot: Slot, token: str) -> None:
        """Gives the right back; one that has run out, or is another's by now, is left alone."""

    async def count(self, slot: Slot, window: timedelta) -> int:
        """Counts one more and gives the number since the first of the window that runs; after it, counting is anew."""


class SharedCache(Cache, Protocol):
    """A cache on a server."""

    @property
    def resting(self) -> bool:
        """Whether the server is left alone after a failure."""

    async def health(self) -> CacheHealth:
        """What the server says of itself."""
