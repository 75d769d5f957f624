"""How messages are handed out to be indexed: claims in SQL beside the three work queues, on one PostgreSQL.

Nothing is embedded: a batch is claimed, its rows of the outbox are deleted as when the results are stored, and it is
done. Run it with ``deploy/local-services run postgres redis rabbitmq -- python -m benchmarks.queues``.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import delete

from benchmarks.harness import Row, show, write
from bot.clock import SystemClock
from memory.adapters.local_queue import LocalQueue
from memory.adapters.rabbitmq import RabbitQueue
from memory.adapters.redis_link import RedisLink
from memory.adapters.redis_queue import RedisQueue
from memory.breaker import Breaker
from memory.leases import Lease
from memory.models import Draft, Provenance, Room
from memory.outbox import INDEX, Task
from memory.ports import WorkQueue
from memory.relay import Relay
from memory.supply import Batch, OutboxSupply, QueueSupply, Supply
from memory.tables import index_outbox
from tests.doubles import START
from tests.parts import Memory, open_memory
from tests.services.databases import empty_database
from tests.services.queues import CORNERS
from tests.services.redis import redis_address
from tests.services.servers import address

SIZE: Final = 20_000
ROOMS: Final = 12
WAKES: Final = 20
SQL: Final = "claims in SQL"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways, for one worker: its supply, on a database of its own."""

    name: str
    memory: Memory
    supply: Supply[Task]
    relay: Relay[Task] | None = None


def queue_of(name: str, corner: str) -> WorkQueue | None:
    """A queue as the program opens it; None for SQL alone."""
    if name == "RabbitMQ":
        return RabbitQueue(address("RABBITMQ_URL"), corner, Breaker(name, SystemClock()))
    if name == "Redis Streams":
        return RedisQueue(RedisLink(redis_address(), Breaker(name, SystemClock())), corner)
    return LocalQueue() if name == "in the process" else None


@asynccontextmanager
async def open_way(name: str, corner: str, folder: Path, url: str) -> AsyncIterator[Way]:
    """A worker of that way."""
    await asyncio.to_thread(folder.mkdir)
    async with open_memory(folder, url) as memory, AsyncExitStack() as stack:
        clock = SystemClock()
        lease = Lease(folder.name[:32], clock)
        rows, relay = OutboxSupply(memory.database, INDEX, lease), None
        supply: Supply[Task] = rows
        if (queue := queue_of(name, corner)) is not None:
            stack.push_async_callback(queue.close)
            relay = Relay(memory.database, queue, INDEX, clock, lease)
            supply = QueueSupply(memory.database, queue, relay, rows, clock)
        yield Way(name, memory, supply, relay)


async def history(memory: Memory, size: int, prefix: str) -> list[Room]:
    """An import of so many messages, over the rooms."""
    rooms = [await memory.room(f"room {number}") for number in range(ROOMS)]
    for start in range(0, size, _BATCH):
        lines = [
            Draft(f"{prefix}{i}", "ana", "Ana", f"line {i}", START + timedelta(seconds=i), None, Provenance.HISTORY)
            for i in range(start, min(start + _BATCH, size))
        ]
        await memory.journal.admit(rooms[start // _BATCH % ROOMS], lines)
    return rooms


async def finish(way: Way, batch: Batch[Task]) -> None:
    """What storing does to the outbox, and what the queue is told then."""
    async with way.memory.database.write() as conn:
        serials = [task.serial for task in batch.tasks]
        await conn.execute(delete(index_outbox).where(index_outbox.c.message_serial.in_(serials)))
    await way.supply.done(batch)


async def drained(way: Way, size: int, *, until: str = "") -> tuple[int, float]:
    """Hands out until so many are done, or one text has come: how many that were, and seconds."""
    began, done, after = time.perf_counter(), 0, 0
    while done < size:
        batch = await way.supply.claim(after)
        if not batch.tasks:
            await way.supply.wait(asyncio.Event(), 0.2)
            continue
        after = batch.behind(after)
        texts = [task.text for task in batch.tasks]
        if until in texts and until:
            done += texts.index(until)
            await finish(way, batch)
            break
        await finish(way, batch)
        done += len(batch.tasks)
    return done, time.perf_counter() - began


async def wakes(way: Way, other: Way, room: Room) -> list[float]:
    """Milliseconds from the coming of a message in one process until another one, which waits, has done with it."""
    found = []
    await other.supply.claim(0)
    for i in range(WAKES):
        waiting = asyncio.create_task(drained(other, 1))
        await asyncio.sleep(0.3)
        began = time.perf_counter()
        line = Draft(f"w{i}", "ana", "Ana", f"wake {i}", START, None)
        await way.memory.journal.admit(room, [line])
        assert way.relay is not None  # noqa: S101 - the ways that are measured have one
        await way.relay.publish()
        await waiting
        found.append(1000 * (time.perf_counter() - began))
    return found


async def measure(name: str, size: int) -> dict[str, float | str]:
    """The figures of one way."""
    corner = secrets.token_hex(4)
    async with empty_database() as url:
        with tempfile.TemporaryDirectory(prefix="weavebot-bench-") as place:
            async with open_way(name, corner, Path(place) / "one", url) as way:
                rooms = await history(way.memory, size, "a")
                _, seconds = await drained(way, size)
                await history(way.memory, size, "b")
                now = "where is everybody?"
                await way.memory.journal.admit(rooms[0], [Draft("now", "ben", "Ben", now, START, None)])
                before, late = await drained(way, size + 1, until=now)
                async with way.memory.database.write() as conn:
                    await conn.execute(delete(index_outbox))
                figures: dict[str, float | str] = {
                    "items a second": size / seconds,
                    "handed out before a live one": before,
                    "ms until it": 1000 * late,
                }
            if name in {"Redis Streams", "RabbitMQ"}:
                first = open_way(name, corner, Path(place) / "publishing", url)
                second = open_way(name, corner, Path(place) / "working", url)
                async with first as publisher, second as worker:
                    figures["ms until another process has it"] = median(await wakes(publisher, worker, rooms[0]))
    for one in CORNERS.values():
        tidy = one(corner)
        if one.server == {"Redis Streams": "redis", "RabbitMQ": "rabbitmq"}.get(name):
            await tidy.wipe()
            for queue in tidy.opened:
                await queue.close()
    return figures


async def main(size: int) -> None:
    """All four ways, one after the other."""
    rows: list[Row] = []
    for name in (SQL, "in the process", "Redis Streams", "RabbitMQ"):
        figures = await measure(name, size)
        base = rows[0].figures["items a second"] if rows else figures["items a second"]
        rows.append(Row(name, {**figures, "of SQL's rate": f"{float(figures['items a second']) / float(base):.2f}"}))
    note = "A worker that is not told looks at the database every 30 s."
    show(f"handing out {size:,} messages of {ROOMS} rooms", rows, note=note)
    write("queues", {row.name: row.figures for row in rows})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=SIZE)
    asyncio.run(main(parser.parse_args().size))
