"""What a large history costs: peak memory of its import, and bytes a message in the database.

A history of made-up messages (sentences of the LoCoMo rooms, or of the demo room, put together anew; ids of 19 digits
as Discord gives them; 20 rooms, 200 people, conversations with pauses) is imported as ``weavebot import`` does it.
Bytes are pages of the SQLite file by table, indexes with their table, as ``dbstat`` counts them, after a VACUUM.

``--words-only`` leaves the vectors out: the messages are admitted and wait, which is enough to count the bytes of a
million messages in minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.harness import Row, console, fresh_app, show, write
from benchmarks.rooms import rooms
from bot.app import App
from bot.beside import beside
from bot.events import closing
from bot.lines import read_lines
from bot.operations import perform

ROOMS, PEOPLE = 20, 200
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_KINDS = {
    "text and metadata": ("messages", "sessions", "people", "rooms", "message_revisions", "tombstones"),
    "mentions, entities, relations": ("mentions", "entities", "relations"),
    "vectors, tokens, token states": ("embeddings",),
    "waiting to be indexed": ("index_outbox",),
}


def history(count: int, seed: int = 7) -> Iterator[str]:
    """Lines of a history file, in order of time."""
    chance = random.Random(seed)  # noqa: S311 - made-up messages
    given = rooms("locomo") or rooms("demo") or []
    sentences = [s for room in given for m in room.messages for s in _SENTENCE.split(m.text) if s.strip()]
    at = datetime(2021, 1, 4, 8, tzinfo=UTC)
    for i in range(count):
        pause = 45 if chance.random() < 0.97 else 3 * 3600
        at += timedelta(seconds=chance.expovariate(ROOMS / pause))
        line = {
            "id": str(10**18 + i * 4_194_304 + chance.randrange(4096)),
            "room": f"room {chance.randrange(ROOMS)}",
            "author": f"person {min(chance.randrange(PEOPLE), chance.randrange(PEOPLE))}",
            "text": " ".join(chance.choices(sentences, k=chance.choice((1, 1, 2, 2, 3)))),
            "sent_at": at.isoformat(),
        }
        yield json.dumps(line) + "\n"


async def imported(app: App, file: Path, *, words_only: bool) -> None:
    """As the command does it; ``words_only`` stops when everything is admitted and nothing embedded."""
    work = contextlib.nullcontext() if words_only else beside(app.indexer.run())
    with file.open("rb") as source:
        async with work, closing(perform(app, "import", {}, read_lines(source))) as events:
            async for event in events:
                if words_only and event.get("progress", {}).get("stage") == "indexing":
                    return


def bytes_by_table(database: Path, folder: Path) -> dict[str, int]:
    """Bytes of each table with its indexes, in a compact copy."""
    copy = folder / "copy.sqlite3"
    with contextlib.closing(sqlite3.connect(database)) as conn:
        conn.execute("VACUUM INTO ?", (str(copy),))
    query = "SELECT tbl_name, SUM(pgsize) FROM dbstat JOIN sqlite_master USING (name) GROUP BY tbl_name"
    with contextlib.closing(sqlite3.connect(copy)) as conn:
        found: dict[str, int] = dict(conn.execute(query).fetchall())
    copy.unlink()
    return found


async def main(count: int, *, words_only: bool) -> None:
    """The table."""
    with tempfile.TemporaryDirectory(prefix="weavebot-scale-") as name:
        folder = Path(name)
        file = folder / "history.jsonl"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(history(count))
        async with fresh_app() as app:
            began = time.perf_counter()
            await imported(app, file, words_only=words_only)
            spent = time.perf_counter() - began
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            sizes = await asyncio.to_thread(bytes_by_table, app.settings.data / "weavebot.sqlite3", folder)
    each = {what: sum(sizes.get(table, 0) for table in tables) / count for what, tables in _KINDS.items()}
    rows = [Row(what, {"bytes a message": value}) for what, value in each.items() if value]
    rows.append(Row("peak memory, MiB", {"": memory}))
    rows.append(Row("messages/s", {"": count / spent}))
    show(f"a history of {count:,} messages" + (", words only" if words_only else ""), rows)
    content = {"messages": count, "bytes a message": each, "tables": sizes, "peak MiB": memory, "seconds": spent}
    write("scale-words" if words_only else "scale", content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000, help="how many (200,000)")
    parser.add_argument("--words-only", action="store_true", help="admit only, embed nothing")
    chosen = parser.parse_args()
    asyncio.run(main(chosen.messages, words_only=chosen.words_only))
    console.print()
