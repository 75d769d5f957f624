"""Messages a second end to end (parsed, committed, embedded, indexed, findable), beside the bare embedder and mem0.

The bare embedder runs on the same texts in the same process, before and after; mem0 (``infer=False``, the same model)
in an environment and a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Row, console, fresh_app, show, write
from benchmarks.peers import mem0_rate
from benchmarks.rooms import Room, rooms
from bot.beside import beside
from bot.lines import read_lines
from bot.operations import perform
from memory.adapters.sentence_transformers import SentenceTransformerEmbedder

ROUNDS = 3
ROOMS = 20
PEER_MESSAGES = 300


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


async def main(*, peer: bool = True) -> None:
    """The table."""
    given = [room for name in ("locomo", "qmsum") for room in (rooms(name) or [])][:ROOMS]
    if not given:
        return
    texts = [message.text for room in given for message in room.messages if message.text.strip()]
    different = list(dict.fromkeys(texts))
    file = _written(given)
    ours, alone = [], []
    for _ in range(ROUNDS):
        alone.append(await bare(different))
        ours.append(await end_to_end(file))
    share = len(different) / len(texts)  # a text that came before is not embedded again: that must not flatter us
    ratio = statistics.median(a * share / b for a, b in zip(ours, alone, strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    other = await asyncio.to_thread(mem0_rate, file, PEER_MESSAGES) if peer else None
    rows = [
        Row("weavebot, end to end", {"messages/s": statistics.median(ours), "texts/s to the bare embedder's": ratio}),
        Row("the bare embedder", {"messages/s": statistics.median(alone)}),
    ]
    if other is not None:
        rows.append(
            Row(
                "mem0 2.x, infer=False", {"messages/s": other, "weavebot is faster by": statistics.median(ours) / other}
            )
        )
    show(f"ingest of {len(texts):,} chat messages", rows, note=f"peak memory of this process {memory:,.0f} MiB")
    write("ingest", {"rows": {row.name: dict(row.figures) for row in rows}, "peak MiB": memory})


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
    asyncio.run(main(peer=not parser.parse_args().no_peer))
    console.print()
