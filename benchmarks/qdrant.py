"""What Qdrant proposes beside what the exact index finds: how much of the exact first 200 and first 10, and how long.

Rooms are those of LoCoMo where they are, else the demo room, and with ``--size`` one of so many made-up messages. On a
server where ``WEAVEBOT_QDRANT_URL`` is set, else on the client's own local mode: that searches exactly and in Python,
so its times say nothing, and what is missing is missing because a point knows only its own words.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

import numpy as np
from qdrant_client import AsyncQdrantClient

from benchmarks.harness import ASKED_AT, Row, fresh_app, load, show, write
from benchmarks.latency import fill, questions
from benchmarks.rooms import rooms
from bot.app import App
from bot.clock import SystemClock
from bot.settings import load as load_settings
from bot.wiring.stores import open_index
from memory import ranking
from memory.adapters.qdrant import QdrantVectorIndex
from memory.adapters.qdrant_link import QdrantLink
from memory.breaker import Breaker
from memory.modelbook import current_model
from memory.models import Nominations, Query, Scope
from memory.pseudonyms import pseudonyms_of
from memory.sources import DEPTH, index_sources
from memory.vectors import Vectors

ASKS: Final = 100
"""Questions a room at most, unless said otherwise."""
FIRST: Final = 10
LOCAL: Final = "local mode"


class Figures:
    """Shares and milliseconds, by what they are of."""

    def __init__(self) -> None:
        self._all: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        """One more."""
        self._all.setdefault(name, []).append(value)

    def mean(self, name: str) -> float:
        """Their mean."""
        return float(np.mean(self._all[name]))

    def p50(self, name: str) -> float:
        """Their median."""
        return float(np.median(self._all[name]))


async def main(size: int, most: int, asks: int) -> None:
    """Both are asked the same, room by room."""
    warnings.filterwarnings("ignore", category=UserWarning, module="qdrant_client")
    async with fresh_app() as app, AsyncExitStack() as stack:
        where, kept = await _kept(app, stack)
        figures, asked = Figures(), 0
        for room, texts in await _rooms(app, size, most):
            await kept.catch_up()
            for text in texts[:asks]:
                query = await app.engine.prepare(text, Scope(app.tenant, (room,)), ASKED_AT, FIRST)
                await _compare(app, kept, query, room, figures)
                asked += 1
        rows = [
            Row(
                source,
                {
                    "proposed, of the exact 200": f"{figures.mean(f'{source} proposed'):.1%}",
                    "after scoring, of the exact 200": f"{figures.mean(f'{source} scored'):.1%}",
                    "of the exact 10": f"{figures.mean(f'{source} first'):.1%}",
                },
            )
            for source in ("vector", "keyword")
        ]
        rows.append(Row("p50 ms", {"both, exact": figures.p50("exact"), f"both, {where}": figures.p50("index")}))
        show(f"{asked} questions, {where}", rows)
        write("qdrant", {"where": where, "asked": asked, "rows": [(row.name, dict(row.figures)) for row in rows]})
        await kept.index.begin()  # nothing stays on a server
        await kept.index.switch()
        await kept.index.sweep()


async def _kept(app: App, stack: AsyncExitStack) -> tuple[str, Vectors]:
    model = await current_model(app.database, app.embedder, app.clock)
    names = await pseudonyms_of(app.database, app.clock)
    chosen = load_settings(None, data=app.settings.data)
    if chosen.qdrant_url:
        where = "a server"
        index = open_index(chosen, names, lambda name: Breaker(name, SystemClock()), app.embedder.model, model.dim)
    else:
        where = LOCAL
        client = AsyncQdrantClient(location=":memory:")
        link = QdrantLink(client, Breaker("Qdrant", SystemClock()), reading=60.0, writing=60.0)
        index = QdrantVectorIndex(link, names, app.embedder.model, model.dim)
    stack.push_async_callback(index.close)
    kept = Vectors(app.database, index, model, names)
    stack.push_async_callback(kept.close)
    return where, kept


async def _rooms(app: App, size: int, most: int) -> list[tuple[int, Sequence[str]]]:
    if size:
        return [((await fill(app, size)).id, questions(ASKS))]
    found = rooms("locomo") or rooms("demo") or []
    return [((await load(app, room)).id, [one.text for one in room.questions]) for room in found[:most]]


async def _compare(app: App, kept: Vectors, query: Query, room: int, figures: Figures) -> None:
    view = await app.rooms.view(room)
    exact: dict[str, Nominations] = {}

    async def searched() -> None:
        exact["vector"] = await asyncio.to_thread(ranking.vector, view, query, DEPTH)
        exact["keyword"] = await asyncio.to_thread(ranking.keyword, view, query, DEPTH)

    async def proposed() -> None:
        await kept.nominate(query, room, DEPTH)

    figures.add("exact", await _timed(searched))
    figures.add("index", await _timed(proposed))
    said = {one.source: one for one in await kept.nominate(query, room, DEPTH)}
    for name, source in index_sources(app.rooms, kept).items():
        wanted = exact[name].serials.tolist()
        if not wanted:
            continue
        scored = (await source.find(query, room, DEPTH)).serials.tolist()
        figures.add(f"{name} proposed", _share(wanted, said[name].serials.tolist()))
        figures.add(f"{name} scored", _share(wanted, scored))
        figures.add(f"{name} first", _share(wanted[:FIRST], scored[:FIRST]))


def _share(wanted: Sequence[int], found: Sequence[int]) -> float:
    return len(set(wanted) & set(found)) / len(wanted)


async def _timed(call: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=0, help="of one made-up room, instead of the others")
    parser.add_argument("--rooms", type=int, default=5, help="at most")
    parser.add_argument("--asks", type=int, default=ASKS, help="questions a room at most")
    given = parser.parse_args()
    asyncio.run(main(given.size, given.rooms, given.asks))
