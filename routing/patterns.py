"""How a route's sources are run; one table. A pattern gives the candidates of one room, described and unordered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Protocol

from memory.engine import Engine
from memory.errors import Unavailable
from memory.models import Candidates, Nominations, Query

POOL: Final = 200
"""Messages that a source may nominate; the formula loses nothing to ranking the whole room."""


class Pattern(Protocol):
    """One way to run sources."""

    async def __call__(self, engine: Engine, query: Query, room: int, sources: tuple[str, ...]) -> Candidates:
        """The candidates of a room. Raises Unavailable when no source answers."""


async def parallel(engine: Engine, query: Query, room: int, sources: tuple[str, ...]) -> Candidates:
    """Every source at once; whatever any of them nominates is a candidate."""
    heard = Heard()
    said = await asyncio.gather(*(heard.ask(engine, query, room, source) for source in sources))
    return await heard.described(engine, query, room, [one for one in said if one is not None])


async def feed_forward(engine: Engine, query: Query, room: int, sources: tuple[str, ...]) -> Candidates:
    """One source after the other, until there are enough candidates: a later one is asked only for what is missing."""
    heard = Heard()
    said: list[Nominations] = []
    found: set[int] = set()
    for source in sources:
        if len(found) >= POOL:
            break
        nominations = await heard.ask(engine, query, room, source)
        if nominations is not None:
            found.update(nominations.serials.tolist())
            said.append(nominations)
    return await heard.described(engine, query, room, said)


@dataclass(slots=True)
class Heard:
    """What became of the sources that a pattern asked: one that is down does not stop the others."""

    failed: dict[str, Unavailable] = field(default_factory=dict)

    async def ask(self, engine: Engine, query: Query, room: int, source: str) -> Nominations | None:
        """What a source nominates; None when it is down."""
        try:
            return await engine.nominate(source, query, room, POOL)
        except Unavailable as exc:
            self.failed[source] = exc
            return None

    async def described(self, engine: Engine, query: Query, room: int, said: Sequence[Nominations]) -> Candidates:
        """The candidates, with the sources that are missing. Raises Unavailable when none answered."""
        if self.failed and not said:
            raise next(iter(self.failed.values()))
        candidates = await engine.describe(query, room, said)
        return replace(candidates, missing=tuple(sorted(self.failed)))


PATTERNS: Final[Mapping[str, Pattern]] = MappingProxyType({"parallel": parallel, "feed-forward": feed_forward})
"""By the name that a route gives."""
