"""How long a question takes at 1,000, 10,000 and 100,000 messages in a room, and how the event loop fares meanwhile.

Messages are the demo room's sentences joined in new ways, two or three to a message: words, lengths and speakers are
those of a chat. All questions are asked through the program's front door; each is new, but for the cached ones.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import ASKED_AT, Row, fresh_app, show, write
from bot.app import App
from memory.models import Draft, Message, Provenance, Room, Scope
from memory.text import sentences

DEMO = Path(__file__).parent.parent / "bot" / "demo"
SIZES = (1_000, 10_000, 100_000)
ASKS = 200
UNIQUE = 5_000  # texts: what is embedded once serves every message that repeats it
_BATCH = 500
_BEAT = 0.005


def texts(count: int, seed: int = 0) -> list[str]:
    """Chat-like messages, the first ``UNIQUE`` of them different from one another."""
    said = [json.loads(line)["text"] for line in (DEMO / "beekeepers.jsonl").read_text("utf-8").splitlines()]
    parts = [sentence for text in said for sentence in sentences(text)]
    draw = random.Random(seed)  # noqa: S311 - a benchmark's own room, the same in each run
    different = [" ".join(draw.sample(parts, draw.choice((1, 2, 2, 3)))) for _ in range(min(count, UNIQUE))]
    return [different[i % len(different)] for i in range(count)]


def questions(count: int) -> list[str]:
    """Questions on the demo room, made different by a word."""
    asked = [json.loads(line)["question"] for line in (DEMO / "questions.jsonl").read_text("utf-8").splitlines()]
    return [f"{asked[i % len(asked)]} ({i // len(asked)})" if i >= len(asked) else asked[i] for i in range(count)]


async def fill(app: App, size: int) -> Room:
    """A room of that many messages, indexed."""
    room = await app.directory.room(app.tenant, f"room-{size}", f"room-{size}")
    start = ASKED_AT - timedelta(minutes=size)
    authors = [f"Person {chr(65 + i)}" for i in range(10)]
    drafts = [
        Draft(
            f"m{i}",
            authors[i * 7 % 10],
            authors[i * 7 % 10],
            text,
            start + timedelta(minutes=i),
            None,
            Provenance.HISTORY,
        )
        for i, text in enumerate(texts(size))
    ]
    for begin in range(0, size, _BATCH):
        await app.journal.admit(room, drafts[begin : begin + _BATCH])
    await app.engine.settle()
    return room


async def timed(call: Callable[[str], Awaitable[Any]], words: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Milliseconds of a call with each of the words, one after the other."""
    spent = []
    for one in words:
        began = time.perf_counter()
        await call(one)
        spent.append((time.perf_counter() - began) * 1000)
    return np.array(spent)


async def measure(app: App, size: int) -> dict[str, dict[str, float]]:
    """Figures at one size."""
    began = time.perf_counter()
    room = await fill(app, size)
    filled = time.perf_counter() - began
    scope = Scope(app.tenant, (room.id,))
    await app.rooms.wipe(room.id)
    began = time.perf_counter()
    await app.shuttle.weave("warm up", scope, asked_at=ASKED_AT)
    first = time.perf_counter() - began
    asked = questions(ASKS)
    other = questions(2 * ASKS)[ASKS:]
    messages = await _messages(app, other[0], scope)

    async def ask(question: str) -> None:
        await app.shuttle.weave(question, scope, asked_at=ASKED_AT)

    async def search(question: str) -> None:
        await app.shuttle.find(question, scope, "chat", asked_at=ASKED_AT, limit=10)

    async def graph(question: str) -> None:
        await app.shuttle.find(question, scope, "documents", asked_at=ASKED_AT, limit=10)

    async def paths(question: str) -> None:
        await _paths(app, question, scope, room)

    async def context(_: str) -> None:
        await app.engine.context(messages, 4096)

    parts = {
        "ask": await timed(ask, asked),
        "cached ask": (await timed(ask, asked[:1] * 2 * ASKS))[ASKS:],  # by then each route that may be drawn was
        "search": await timed(search, other),
        "graph search": await timed(graph, other[:50]),
        "paths": await timed(paths, other[:50]),
        "context": await timed(context, other[:50]),
    }
    figures = {name: _figures(spent) for name, spent in parts.items()}
    figures["room"] = {"filled s": filled, "first ask after start s": first}
    return figures


async def _paths(app: App, question: str, scope: Scope, room: Room) -> None:
    query = await app.engine.prepare(question, scope, ASKED_AT, 10)
    found = await app.engine.nominate("keyword", query, room.id, 10)
    await app.engine.paths(query, room.id, found.serials.tolist())


async def _messages(app: App, question: str, scope: Scope) -> list[Message]:
    found = await app.shuttle.find(question, scope, "chat", asked_at=ASKED_AT, limit=10)
    texts_of = await app.engine.read([hit.serial for hit in found.hits])
    return list(texts_of.values())


def _figures(spent: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(spent, (50, 95, 99))
    return {"p50 ms": float(p50), "p95 ms": float(p95), "p99 ms": float(p99)}


async def lag(app: App, size: int = 5_000) -> dict[str, float]:
    """How late the event loop wakes while an import runs: milliseconds over a beat of 5."""
    late: list[float] = []
    done = asyncio.Event()

    async def beat() -> None:
        while not done.is_set():
            began = time.perf_counter()
            await asyncio.sleep(_BEAT)
            late.append((time.perf_counter() - began - _BEAT) * 1000)

    pulse = asyncio.create_task(beat())
    await fill(app, size)
    done.set()
    await pulse
    return _figures(np.array(late))


async def main(sizes: tuple[int, ...] = SIZES) -> None:
    """The whole table."""
    results: dict[str, Any] = {}
    for size in sizes:
        async with fresh_app() as app:
            results[f"{size}"] = await measure(app, size)
        rows = [Row(name, figures) for name, figures in results[f"{size}"].items()]
        show(f"latency at {size:,} messages in the room", rows)
    async with fresh_app() as app:
        results["loop lag during import"] = await lag(app)
    show("event loop lag during an import", [Row("late by", results["loop lag during import"])])
    write("latency", results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    asyncio.run(main(tuple(parser.parse_args().sizes)))
