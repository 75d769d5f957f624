"""What the memory needs from the outside. Adapters live in ``memory.adapters``; only ``bot.wiring`` names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from memory.models import Embedding, Mention, Nominations, Path, Query


class Clock(Protocol):
    """Time as a dependency."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class Database(Protocol):
    """Transactions on the SQL database, spoken to in SQLAlchemy Core."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A consistent snapshot. Raises Unavailable when the database does not answer."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One transaction: all of it or nothing. Raises Unavailable when it cannot be kept."""

    async def scrub(self) -> None:
        """After a deletion: no deleted byte stays in embedded files (a no-op on a server)."""


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
    """People, entities, topics, sessions and messages of a room with typed, dated edges. A projection of SQL."""

    async def rank(
        self, room: int, messages: Mapping[int, float], entities: Sequence[Mention], limit: int
    ) -> Nominations:
        """Messages by personalised PageRank, restarted at the given messages (serial: weight) and entities."""

    async def known(self, room: int, mentions: Sequence[Mention]) -> list[tuple[Mention, int]]:
        """Those of the mentions that are nodes of the room, with the number of messages that name them."""

    async def paths(self, room: int, start: Sequence[Mention], serials: Sequence[int]) -> list[Path]:
        """A shortest path from one of the entities to each message that can be reached in three steps."""
