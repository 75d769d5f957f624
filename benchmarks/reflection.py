"""Reflection: what it costs on the fast path, how soon it follows, how small its states are.

Three tables. *Fast path*: milliseconds from a message's admission to its return, after which it can be answered about,
with the worker beside, in another process, and with ``reflection = inline``; the ways take turns, and are compared pair
by pair. *Lag*: chat
messages are imported as the ingest benchmark does; twice a second the newest message that was committed and the newest
that was reflected on are noted, so that each message's time from commit to reflected is known to within that. *States*:
bytes a message of the queue when 100,000 messages wait, and when all are done.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from sqlalchemy import select, text

from benchmarks.harness import Row, console, drafts, show, write
from benchmarks.rooms import Message, rooms
from bot.app import App
from bot.settings import load as load_settings
from bot.wiring import open_app
from bot.working import working
from memory.adapters.sentence_transformers import SentenceTransformerEmbedder
from memory.models import Draft, Room
from memory.ports import Embedder
from memory.tables import index_outbox, messages, reflection_queue

Reflection: TypeAlias = Literal["inline", "worker", "off"]

ALONE = 60
"""Messages of the fast path in each way."""
BURST = 20
"""Messages that come together, as after a short silence of the line."""
PAUSE = 0.3
"""Seconds between two messages of the fast path: a lively room; the worker works meanwhile."""
LOOK = 0.5
WAITING = 100_000
_BATCH = 500


@asynccontextmanager
async def opened(reflection: Reflection, embedder: Embedder | None = None) -> AsyncIterator[App]:
    """The program on an empty folder, which is removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="weavebot-bench-"))
    app = await open_app(load_settings(None, data=folder, reflection=reflection), embedder=embedder)
    try:
        yield app
    finally:
        await app.close()
        shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class Way:
    """A bot whose messages are timed: its worker beside it, in another process, or inline."""

    name: str
    app: App
    room: Room
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def admit(self, said: Sequence[Draft]) -> None:
        """Notes milliseconds, of the clock and of this process's work."""
        wall, cpu = time.perf_counter(), time.process_time()
        await self.app.journal.admit(self.room, said)
        self.wall.append(1000 * (time.perf_counter() - wall))
        self.cpu.append(1000 * (time.process_time() - cpu))

    def sooner_than(self, other: Way) -> float:
        """By which share, in the median of the pairs: both had the same message within a second."""
        return 1 - float(np.median(np.array(self.wall) / np.array(other.wall)))

    def row(self, inline: Way) -> Row:
        """Its figures beside those of inline."""
        spent = {"p50 ms": _at(self.wall, 50), "p95 ms": _at(self.wall, 95), "CPU p50 ms": _at(self.cpu, 50)}
        return Row(self.name, {**spent, "sooner by": f"{self.sooner_than(inline):.1%}"})


BESIDE, ELSEWHERE, INLINE = "worker beside", "worker elsewhere", "inline"


async def fast_path(said: Sequence[Message], together: int) -> dict[str, Way]:
    """Times admissions of ``together`` messages each, in turn in each way, so that load falls on all of them.

    ``BESIDE`` is ``weavebot run``, ``ELSEWHERE`` a process without the worker (``--only adapters,jobs``): what the
    worker would do elsewhere is not done at all, so that only this process is seen.
    """
    modes: dict[str, Reflection] = {BESIDE: "worker", ELSEWHERE: "worker", INLINE: "inline"}
    async with AsyncExitStack() as stack:
        embedder = SentenceTransformerEmbedder()
        stack.push_async_callback(embedder.close)
        await embedder.embed(["warm up"])
        ways = {}
        for name, mode in modes.items():
            app = await stack.enter_async_context(opened(mode, embedder))
            ways[name] = Way(name, app, await app.directory.room(app.tenant, "bench", "bench"))
        await stack.enter_async_context(working(ways[BESIDE].app))
        turns = deque(ways.values())
        for start in range(0, len(said), together):
            turns.rotate()
            for way in turns:
                await way.admit(drafts(said[start : start + together]))
                await asyncio.sleep(PAUSE)
                while await _waits(ways[BESIDE].app):  # noqa: ASYNC110 - its worker is not to be at work meanwhile
                    await asyncio.sleep(PAUSE)
    return ways


async def lag(said: Sequence[Message]) -> tuple[list[float], float]:
    """Seconds from commit to reflected of each message while all are imported, and messages a second."""
    committed: dict[int, float] = {}
    reflected: dict[int, float] = {}
    async with opened("worker") as app:
        await app.embedder.embed(["warm up"])
        room = await app.directory.room(app.tenant, "bench", "bench")
        began = time.perf_counter()

        async def look() -> None:
            while len(reflected) < len(committed) or not over.is_set():
                for serial in await _done(app):
                    reflected.setdefault(serial, time.perf_counter())
                await asyncio.sleep(LOOK)

        over = asyncio.Event()
        async with working(app):
            looking = asyncio.create_task(look())
            for start in range(0, len(said), _BATCH):
                admitted = await app.journal.admit(room, drafts(said[start : start + _BATCH]))
                committed |= dict.fromkeys(admitted.serials, time.perf_counter())
            over.set()
            await looking
        rate = len(committed) / (time.perf_counter() - began)
    return [reflected[serial] - at for serial, at in committed.items()], rate


async def _waits(app: App) -> bool:
    """Whether anything waits to be indexed or reflected on."""
    async with app.database.read() as conn:
        return any([(await conn.execute(select(table).limit(1))).first() for table in (index_outbox, reflection_queue)])


async def _done(app: App) -> list[int]:
    """The messages that neither wait to be indexed nor to be reflected on."""
    async with app.database.read() as conn:
        waits = select(index_outbox.c.message_serial).union_all(select(reflection_queue.c.message_serial))
        waiting = set((await conn.execute(waits)).scalars())
        everything = (await conn.execute(select(messages.c.serial))).scalars()
        return [serial for serial in everything if serial not in waiting]


async def states() -> tuple[float, float]:
    """Bytes a message of the queue while `WAITING` messages wait, and of the queue and the versions when none does."""
    async with opened("off") as app:
        room = await app.directory.room(app.tenant, "bench", "bench")
        person = await app.directory.person(app.tenant, "p", "P")
        rows = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most)
            INSERT INTO messages (serial, room_id, external_id, author_id, text, content_hash, sent_at, provenance,
                                  revision, version)
            SELECT i, :room, 'e' || i, :person, x'0061', x'00', i, 'live', 1, 1 FROM n"""
        given = {"most": WAITING, "room": room.id, "person": person.id}
        async with app.database.write() as conn:
            await conn.execute(text(rows), given)
        await app.reflector.afresh([room.id])
        full = await _size(app, "reflection_queue")
        began = time.perf_counter()
        await app.reflector.drain()
        console.print(f"{WAITING:,} messages read in {time.perf_counter() - began:,.1f} s")
        return full / WAITING, await _used(app) / WAITING


async def _size(app: App, table: str) -> int:
    async with app.database.read() as conn:
        return int(
            (
                await conn.execute(text("SELECT sum(pgsize) FROM dbstat WHERE name = :name"), {"name": table})
            ).scalar_one()
        )


async def _used(app: App) -> int:
    """Bytes in use of both tables of states."""
    async with app.database.read() as conn:
        query = "SELECT sum(payload) FROM dbstat WHERE name IN ('reflection_queue', 'reflections')"
        return int((await conn.execute(text(query))).scalar_one() or 0)


async def main(*, most: int = 2_760) -> None:
    """The tables."""
    given = rooms("locomo") or []
    said = [message for room in given for message in room.messages if message.text.strip()][:most]
    if not said:
        return
    unique = [Message(f"{i}", m.author, m.text, m.sent_at, None) for i, m in enumerate(said)]
    alone = await fast_path(unique[:ALONE], 1)
    bursts = await fast_path(unique[: ALONE * BURST // 4], BURST)
    for ways, told in ((alone, f"{ALONE} messages one by one"), (bursts, f"{BURST} messages together")):
        show(f"admit to committed, {told}", [way.row(ways[INLINE]) for way in ways.values()])
    late, rate = await lag(unique)
    show(
        f"commit to reflected while {len(unique):,} messages are imported",
        [Row("seconds", {"p50": _at(late, 50), "p95": _at(late, 95), "messages/s": rate})],
    )
    full, done = await states()
    show(f"bytes a message of {WAITING:,}", [Row("waiting", {"bytes": full}), Row("done", {"bytes": done})])
    inline, figures = alone[INLINE], {"inline p95 ms": _at(alone[INLINE].wall, 95)}
    for name, way in alone.items():
        figures |= {f"{name}: sooner": way.sooner_than(inline), f"{name}: p95 ms": _at(way.wall, 95)}
        figures |= {f"{name}: sooner, {BURST} together": bursts[name].sooner_than(bursts[INLINE])}
    write("reflection", {**figures, "lag p95 s": _at(late, 95), "bytes waiting": full, "bytes done": done})


def _at(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=2_760, help="messages that are imported")
    asyncio.run(main(most=parser.parse_args().most))
