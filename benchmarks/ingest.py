"""Messages a second end to end (parsed, committed, embedded, indexed, findable), beside the bare embedder and mem0.

All three take the same messages in the same order, one after the other, in each of the rounds; the figures are medians.
The bare embedder gets each different text once, because ours embeds no text twice; it runs in this process. mem0
(``infer=False``, the same model) runs in an environment and a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, console, fresh_app, show, write
from benchmarks.peers import measure
from benchmarks.rooms import Room, rooms
from bot.beside import beside
from bot.lines import read_lines
from bot.operations import perform
from memory.adapters.sentence_transformers import SentenceTransformerEmbedder

ROUNDS = 3
ROOMS = 20


async def end_to_end(file: Path) -> float:
    """Messages a second of ``weavebot import`` on an empty folder, the model loaded before the clock starts."""
    async with fresh_app() as app:
        await app.embedder.embed(["warm up"])
        began = time.perf_counter()
        # as the command does: the worker runs beside the import
        async with beside(app.indexer.run()):
            with file.open("rb") as source:
                async for _ in perform(app, "import", {}, read_lines(source)):
                    pass
        spent = time.perf_counter() - began
        count, _, _ = await app.engine.span([room.id for room in await app.directory.rooms(app.tenant)])
        return count / spent


async def bare(texts: list[str]) -> float:
    """Messages a second of the embedder alone."""
    embedder = SentenceTransformerEmbedder()
    try:
        await embedder.embed(["warm up"])
        began = time.perf_counter()
        await embedder.embed(texts)
        return len(texts) / (time.perf_counter() - began)
    finally:
        await embedder.close()


async def main(*, repeats: int = ROUNDS, peer: bool = True) -> None:
    """The table."""
    given = [room for name in ("locomo", "qmsum") for room in (rooms(name) or [])][:ROOMS]
    if not given:
        return
    texts = [message.text for room in given for message in room.messages if message.text.strip()]
    different = list(dict.fromkeys(texts))
    file = _written(given)
    ours, alone, peers = [], [], []
    for _ in range(repeats):
        alone.append(await bare(different))
        ours.append(await end_to_end(file))
        if peer:
            peers.append(await asyncio.to_thread(measure, file))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    share = len(different) / len(texts)  # a text that came before is not embedded again: that must not flatter us
    ratio = statistics.median(a * share / b for a, b in zip(ours, alone, strict=True))
    rows = [
        Row("weavebot, end to end", {"messages/s": statistics.median(ours), "texts/s to the bare embedder's": ratio}),
        Row("the bare embedder, each text once", {"messages/s": statistics.median(alone)}),
    ]
    if peers:
        rows += _peer_rows(ours, peers)
    show(f"ingest of {len(texts):,} chat messages", rows, note=f"peak memory of this process {memory:,.0f} MiB")
    write("ingest", {"rows": {row.name: dict(row.figures) for row in rows}, "peak MiB": memory})


def _peer_rows(ours: list[float], peers: list[dict[str, Any]]) -> list[Row]:
    """The peer over all messages, and between its marks: what it does when its store is that full."""
    faster = statistics.median(a / b["messages_per_second"] for a, b in zip(ours, peers, strict=True))
    rate = statistics.median(one["messages_per_second"] for one in peers)
    rows = [Row("mem0 2.x, infer=False", {"messages/s": rate, "weavebot is faster by": faster})]
    counts = [0, *(count for count, _ in peers[0]["marks"])]
    for end, (first, last) in enumerate(itertools.pairwise(counts)):
        seconds = statistics.median(_between(one["marks"], end) for one in peers)
        rows.append(Row(f"  from {first:,} to {last:,}", {"messages/s": (last - first) / seconds}))
    return rows


def _between(marks: list[tuple[int, float]], end: int) -> float:
    return marks[end][1] - (marks[end - 1][1] if end else 0.0)


def _written(given: list[Room]) -> Path:
    """The rooms as one history file, in a folder that the system cleans."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as out:
        out.writelines(_lines(given))
    return Path(out.name)


def _lines(given: list[Room]) -> list[str]:
    return [
        json.dumps(
            {
                "id": m.id,
                "room": room.name,
                "author": m.author,
                "text": m.text,
                "sent_at": m.sent_at.isoformat(),
                "reply_to": m.reply_to,
            }
        )
        + "\n"
        for room in given
        for m in room.messages
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peer", action="store_true", help="leave mem0 out")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds that medians are taken over")
    chosen = parser.parse_args()
    asyncio.run(main(repeats=chosen.rounds, peer=not chosen.no_peer))
    console.print()
