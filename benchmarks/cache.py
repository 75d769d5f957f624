"""Questions that come again, as they do in a team: how many find their evidence at hand, and how long all of them take.

A few hundred questions on the demo room are asked in the proportions of Zipf's law (exponent 1: the second most
frequent comes half as often as the first) through the front door, each with a decision and an answer of its own. With
WEAVEBOT_REDIS_URL a second process's cache is measured too: the same data folder opened anew, its own cache empty,
Redis warm.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import ASKED_AT, Row, show, write
from benchmarks.latency import fill, questions
from bot.app import App
from bot.settings import load as load_settings
from bot.wiring import open_app
from memory.models import Scope

ASKED = 300
"""Different questions."""
ASKS = 2_000
BAR = 0.6


@asynccontextmanager
async def app_in(folder: Path) -> AsyncIterator[App]:
    """The program on a folder."""
    app = await open_app(load_settings(None, data=folder))
    try:
        yield app
    finally:
        await app.close()


def mix(count: int, different: int, seed: int = 0) -> list[int]:
    """Which question is asked each time: ranks by Zipf's law, exponent 1."""
    weights = 1.0 / np.arange(1, different + 1)
    drawn = np.random.default_rng(seed).choice(different, size=count, p=weights / weights.sum())
    return [int(one) for one in drawn]


async def measure(app: App, room: int, asks: list[int]) -> dict[str, float | str]:
    """Figures of one process: milliseconds of asks whose evidence was at hand here, on Redis, or nowhere."""
    asked = questions(ASKED)
    scope = Scope(app.tenant, (room,))
    await app.shuttle.weave("warm up", scope, asked_at=ASKED_AT)
    counts = app.evidence.counts
    spent: dict[str, list[float]] = {"own": [], "shared": [], "missed": []}
    for one in asks:
        before = counts.own, counts.shared, counts.missed
        began = time.perf_counter()
        await app.shuttle.weave(asked[one], scope, asked_at=ASKED_AT)
        ms = (time.perf_counter() - began) * 1000
        after = counts.own, counts.shared, counts.missed
        where = next(name for name, b, a in zip(spent, before, after, strict=True) if a > b)
        spent[where].append(ms)
    share = {name: len(values) / len(asks) for name, values in spent.items()}
    figures: dict[str, float | str] = {"at hand": 1.0 - share["missed"], "in Redis": share["shared"]}
    for name, words in (("own", "here"), ("shared", "Redis"), ("missed", "looked")):
        figures[f"{words} p50 ms"] = float(np.median(spent[name])) if spent[name] else ""
    return figures


async def main(size: int, asks: int) -> None:
    """The table."""
    folder = Path(tempfile.mkdtemp(prefix="weavebot-bench-"))
    results: dict[str, Any] = {"messages": size, "asks": asks}
    drawn = mix(asks, ASKED)
    try:
        async with app_in(folder) as app:
            room = (await fill(app, size)).id
            results["first process"] = await measure(app, room, drawn)
        if os.environ.get("WEAVEBOT_REDIS_URL"):
            async with app_in(folder) as app:
                results["second process"] = await measure(app, room, drawn)
    finally:
        shutil.rmtree(folder)
    rows = [Row(name, figures) for name, figures in results.items() if isinstance(figures, dict)]
    show(f"{asks:,} asks of {ASKED} questions by Zipf's law, {size:,} messages", rows, note=f"bar: {BAR:.0%} at hand")
    write("cache", results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--asks", type=int, default=ASKS)
    given = parser.parse_args()
    asyncio.run(main(given.size, given.asks))
