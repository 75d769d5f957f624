"""PostgreSQL, Neo4j and the exact index on one machine, beside the embedded stores in the same run.

``deploy/local-services run postgres neo4j -- python -m benchmarks.servers``: messages a minute end to end (the graph on
Neo4j included), how long a question takes, and what a second process does to the first one's import. What the cores
alone explain of the latter is measured too: the bare embedder in one process and in two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import ASKED_AT, Row, fresh_app, show, write
from benchmarks.latency import ASKS, fill, questions, timed
from benchmarks.scale import history, imported
from bot.app import App
from memory.adapters.sentence_transformers import SentenceTransformerEmbedder
from memory.models import Scope
from tests.services.databases import empty_database
from tests.services.neo4j import neo4j_address

FAST: Final = 10_000
"""Messages a minute that must be taken in."""
QUICK: Final = 250.0
"""Milliseconds, 95th percentile, for a question."""
CACHED: Final = 5.0
"""Milliseconds, median, for a question that was asked before."""
_READY, _GO = "ready\n", "go\n"


def settings_of(url: str) -> dict[str, Any]:
    """Both servers."""
    where = neo4j_address()
    return {
        "database_url": url,
        "neo4j_url": where.url,
        "neo4j_user": where.user,
        "neo4j_password": where.password,
        "neo4j_timeout": 30.0,
        "neo4j_write_timeout": 300.0,
    }


async def rate(app: App, file: Path) -> float:
    """Messages a minute of an import, until the last one stands in every store; the model is loaded before."""
    await app.embedder.embed(["warm up"])
    began = time.perf_counter()
    await imported(app, file, words_only=False)
    await app.rooms.catch_up()
    spent = time.perf_counter() - began
    count, _, _ = await app.engine.span([room.id for room in await app.directory.rooms(app.tenant)])
    return count / spent * 60


async def asks(app: App, size: int, number: int) -> dict[str, float]:
    """Milliseconds of questions in a room of that size, new ones and one that is asked again."""
    room = await fill(app, size)
    scope = Scope(app.tenant, (room.id,))

    async def ask(question: str) -> None:
        await app.shuttle.weave(question, scope, asked_at=ASKED_AT)

    await ask("warm up")
    asked = questions(number)
    new = await timed(ask, asked)
    again = (await timed(ask, asked[:1] * 2 * number))[number:]  # by then each route that may be drawn was
    return {
        "ask p50 ms": float(_at(new, 50)),
        "ask p95 ms": float(_at(new, 95)),
        "cached p50 ms": float(_at(again, 50)),
        "bytes of arrays a message": (await app.rooms.view(room.id)).nbytes / size,
    }


def _at(spent: Any, percent: int) -> float:
    return float(sorted(spent)[min(len(spent) - 1, len(spent) * percent // 100)])


async def beside(files: Sequence[Path], url: str, *, bare: bool) -> float:
    """Messages a minute of as many processes as files together, from the moment when all are ready."""
    running = []
    for file in files:
        words = ["-m", "benchmarks.servers", "--worker", str(file), *(["--bare"] if bare else [])]
        environ = {**os.environ, "WEAVEBOT_DATABASE_URL": url}
        pipe = asyncio.subprocess.PIPE
        running.append(
            await asyncio.create_subprocess_exec(sys.executable, *words, env=environ, stdin=pipe, stdout=pipe)
        )
    for one in running:
        while one.stdout is not None and await one.stdout.readline() != _READY.encode():
            if one.returncode is not None:
                raise RuntimeError("a worker ended before it began")
    began = time.perf_counter()
    ended = await asyncio.gather(*(one.communicate(_GO.encode()) for one in running))
    spent = time.perf_counter() - began
    return sum(int(out.splitlines()[-1]) for out, _ in ended) / spent * 60


async def work(file: Path, *, bare: bool) -> None:
    """A process of `beside`: says when it is ready, begins when it is told to, gives how many messages it took."""
    if bare:
        texts = await asyncio.to_thread(_texts, file)
        embedder = SentenceTransformerEmbedder()
        await embedder.embed(["warm up"])
        await _told()
        await embedder.embed(texts)
        await embedder.close()
        print(len(texts))
        return
    async with fresh_app() as app:
        await app.embedder.embed(["warm up"])
        await _told()
        await imported(app, file, words_only=False)
        print(len(await asyncio.to_thread(_texts, file)))


def _texts(file: Path) -> list[str]:
    return [json.loads(line)["text"] for line in file.read_text("utf-8").splitlines()]


async def _told() -> None:
    sys.stdout.write(_READY)
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)


def _written(folder: Path, name: str, lines: Sequence[str]) -> Path:
    file = folder / name
    file.write_text("".join(lines), "utf-8")
    return file


async def main(size: int, number: int, *, processes: bool) -> None:
    """The tables."""
    lines = list(history(size))
    results: dict[str, Any] = {"messages": size, "load before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="weavebot-servers-") as name:
        folder = Path(name)
        whole = _written(folder, "whole.jsonl", lines)
        halves = [_written(folder, f"half{part}.jsonl", lines[part::2]) for part in range(2)]
        for what in ("embedded", "servers"):
            figures: dict[str, float] = {}
            for step in ("import", "ask"):
                async with empty_database() as url, fresh_app(**(settings_of(url) if what == "servers" else {})) as app:
                    if step == "import":
                        figures["messages a minute"] = await rate(app, whole)
                    else:
                        figures |= await asks(app, size, number)
                    if app.graph is not None:
                        for room in await app.directory.rooms(app.tenant):
                            await app.graph.drop(room.id)
            results[what] = figures
            show(f"{what}, {size:,} messages", [Row(what, figures)])
        if processes:
            results["processes"] = {}
            for bare in (True, False):
                async with empty_database() as url:
                    one = await beside([halves[0]], url, bare=bare)
                async with empty_database() as url:
                    two = await beside(halves, url, bare=bare)
                kind = "the bare embedder" if bare else "import"
                results["processes"][kind] = {"one, a minute": one, "two, a minute": two, "ratio": two / one}
                show("a second process", [Row(kind, results["processes"][kind])])
    results["load after"] = os.getloadavg()[0]
    print(f"load {results['load before']:.1f} before, {results['load after']:.1f} after")
    there = results["servers"]
    verdicts = {
        f"import at least {FAST:,} a minute": there["messages a minute"] >= FAST,
        f"ask p95 at most {QUICK:g} ms": there["ask p95 ms"] <= QUICK,
        f"cached ask p50 at most {CACHED:g} ms": there["cached p50 ms"] <= CACHED,
    }
    for bar, met in verdicts.items():
        print(f"{'met   ' if met else 'MISSED'} {bar}")
    write("servers", {**results, "bars": verdicts})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="how many (100,000)")
    parser.add_argument("--asks", type=int, default=ASKS, help=f"questions ({ASKS})")
    parser.add_argument("--no-processes", action="store_true", help="leave the second process out")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker is not None:
        asyncio.run(work(chosen.worker, bare=chosen.bare))
    else:
        asyncio.run(main(chosen.messages, chosen.asks, processes=not chosen.no_processes))
