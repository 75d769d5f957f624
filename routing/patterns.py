"""How a route's sources are run; one table. A pattern gives the candidates of one room, described and unordered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from memory.engine import Engine
from memory.models import Candidates, Nominations, Query

POOL: Final = 200
"""Messages that a source may nominate; the formula loses nothing to ranking the whole room."""


class Pattern(Protocol):
    """One way to run sources."""

    async def __call__(self, engine: Engine, query: Query, room: int, sources: tuple[str, ...]) -> Candidates:
        """The candidates of a room. Raises Unavailable when no source answers."""


async def parallel(engine: Engine, query: Query, room: int, sources: tuple[str, ...]) -> Candidates:
    """Every source at once; whatever any of them nominates is a candidate."""
    said = await asyncio.gather(*(engine.nominate(source, query, room, POOL) for source in sources))
    return await engine.describe(query, room, said)


async def feed_forward(engine: Engine, query: Query, room: int, sources: tuple[str, ...]) -> Candidates:
    """One source after the other, until there are enough candidates: a later one is asked only for what is missing."""
    said: list[Nominations] = []
    found: set[int] = set()
    for source in sources:
        if len(found) >= POOL:
            break
        nominations = await engine.nominate(source, query, room, POOL)
        found.update(nominations.serials.tolist())
        said.append(nominations)
    return await engine.describe(query, room, said)


PATTERNS: Final[Mapping[str, Pattern]] = MappingProxyType({"parallel": parallel, "feed-forward": feed_forward})
"""By the name that a route gives."""
