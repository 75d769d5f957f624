"""The graph on a Neo4j server beside the one in the process: writing, a neighbourhood of three hops, and what is asked.

The room is that of `benchmarks.path_latency`. Run it with ``deploy/local-services run neo4j -- python -m
benchmarks.neo4j_graph``; questions walk from twenty messages and the question's entities, as in an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Final

import numpy as np

from benchmarks.harness import ASKED_AT, Row, show, write
from benchmarks.latency import questions
from benchmarks.path_latency import FORMS, PEOPLE, links
from bot.clock import SystemClock
from memory.adapters.graph import RustworkxGraphIndex
from memory.adapters.neo4j import Neo4jGraphIndex
from memory.adapters.neo4j_link import Neo4jLink
from memory.breaker import Breaker
from memory.extraction.entities import asked
from memory.models import MessageLinks
from memory.ports import GraphIndex
from memory.pseudonyms import Pseudonyms
from tests.services.neo4j import neo4j_address

SIZE: Final = 100_000
ASKS: Final = 100
FAST: Final = 1_000.0
"""Nodes and relationships that must be written a second."""
BAR: Final = 100.0
"""Milliseconds, 95th percentile, for a neighbourhood of three hops."""

_ROOM: Final = 1
_BATCH: Final = 2_000
_COUNT: Final = """
MATCH (n) WHERE n.scope STARTS WITH $installation RETURN count(n) + sum(COUNT { (n)-->() }) AS done
"""


async def main(size: int) -> None:
    """Both indexes filled with the room and asked the same."""
    said = links(size)
    by_serial = {link.serial: link for link in said}

    async def links_of(_room: int, serials: Sequence[int]) -> Sequence[MessageLinks]:
        return [by_serial[serial] for serial in serials]

    line = Neo4jLink(neo4j_address(reading=30.0, writing=120.0), Breaker("Neo4j", SystemClock()))
    names = Pseudonyms(secrets.token_bytes(32))
    server, process = Neo4jGraphIndex(line, names, links_of, SystemClock()), RustworkxGraphIndex()
    try:
        rows = [Row("written, nodes and relationships a second", {})]
        spent = {"neo4j": await _filled(server, said), "process": await _filled(process, said)}
        done = (await line.read(lambda tx: tx.one(_COUNT, installation=names.installation)))["done"]
        rows[0] = Row(rows[0].name, {f"{where} a second": done / took for where, took in spent.items()})
        rows += await _asked(server, process, size)
        show(f"{size:,} messages, {done:,} nodes and relationships", rows)
        write("neo4j_graph", {"size": size, "done": done, "rows": [(row.name, dict(row.figures)) for row in rows]})
        met = done / spent["neo4j"] >= FAST and float(rows[1].figures["neo4j p95 ms"]) <= BAR
        print("bars met" if met else "bars missed")
    finally:
        await server.drop(_ROOM)
        await server.close()


async def _filled(index: GraphIndex, said: Sequence[MessageLinks]) -> float:
    """Seconds."""
    began = time.perf_counter()
    for start in range(0, len(said), _BATCH):
        await index.put(_ROOM, said[start : start + _BATCH])
    return time.perf_counter() - began


async def _asked(server: Neo4jGraphIndex, process: RustworkxGraphIndex, size: int) -> list[Row]:
    chance = Random(1)  # noqa: S311 - a benchmark's own questions, the same in each run
    starts = [{chance.randrange(1, size + 1): chance.random() for _ in range(20)} for _ in range(ASKS)]
    ends = [[chance.randrange(1, size + 1) for _ in range(10)] for _ in range(ASKS)]
    named = [[*asked(text, people=FORMS, sent_at=ASKED_AT), PEOPLE[i % 10]] for i, text in enumerate(questions(ASKS))]
    shared: list[float] = []

    async def around(i: int) -> None:
        await server.neighbourhood(_ROOM, starts[i], named[i])

    async def first_ten(index: GraphIndex, i: int) -> set[int]:
        return set((await index.rank(_ROOM, starts[i], named[i], 10)).serials.tolist())

    async def further(index: GraphIndex, i: int) -> set[int]:
        """The best ten that were not found already."""
        ranked = (await index.rank(_ROOM, starts[i], named[i], 40)).serials.tolist()
        return set([serial for serial in ranked if serial not in starts[i]][:10])

    async def both(i: int) -> None:
        mine, theirs = await further(server, i), await further(process, i)
        shared.append(len(mine & theirs) / max(len(theirs), 1))

    calls: dict[str, Callable[[GraphIndex, int], Awaitable[object]]] = {
        "messages by PageRank": first_ten,
        "walks to ten messages": lambda index, i: index.walks(_ROOM, starts[i], named[i], ends[i]),
        "paths to ten messages": lambda index, i: index.paths(_ROOM, named[i], ends[i]),
        "how often names are known": lambda index, i: index.known(_ROOM, named[i]),
        "a message more": lambda index, i: index.put(_ROOM, [MessageLinks(size + 1 + i, PEOPLE[0], ASKED_AT)]),
    }
    for i in range(20):
        await around(-1 - i)
    rows = [Row("a neighbourhood of three hops", _figures("neo4j", await _timed(around)))]
    for i in range(ASKS):
        await both(i)
    for name, call in calls.items():
        figures: dict[str, float | str] = {}
        for where, index in (("neo4j", server), ("process", process)):
            figures |= _figures(where, await _timed(partial(call, index)))
        rows.append(Row(name, figures))
    rows.append(
        Row("of the best ten by PageRank that were not found yet, the same", {"neo4j p50 ms": f"{np.mean(shared):.0%}"})
    )
    return rows


async def _timed(call: Callable[[int], Awaitable[object]]) -> list[float]:
    spent = []
    for i in range(ASKS):
        began = time.perf_counter()
        await call(i)
        spent.append((time.perf_counter() - began) * 1000)
    return spent


def _figures(where: str, spent: Sequence[float]) -> dict[str, float | str]:
    p50, p95 = np.percentile(spent, (50, 95))
    return {f"{where} p50 ms": float(p50), f"{where} p95 ms": float(p95)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=SIZE)
    asyncio.run(main(parser.parse_args().size))
