"""Workers fed by real queues: killed, frozen, wiped; nothing is lost, nothing doubled, nothing left behind."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from structlog.testing import capture_logs

from bot.clock import SystemClock
from memory.adapters.redis_link import Address, RedisLink
from memory.adapters.redis_queue import RedisQueue
from memory.breaker import Breaker
from memory.indexing import Indexer
from memory.models import Draft, Embedding, Provenance, Room, WorkKind
from memory.outbox import Task
from memory.ports import WorkQueue
from memory.reflection.reading import Task as Unread
from memory.relay import EMPTY
from memory.supply import QueueSupply
from tests.doubles import START, WordEmbedder
from tests.parts import Memory, draft, open_memory
from tests.services.databases import empty_database
from tests.services.queues import CORNERS, Corner, RedisCorner, corner_of
from tests.services.servers import Server, address

pytestmark = pytest.mark.services

INDEX = WorkKind.INDEX
SOON = 90.0


@pytest.fixture(params=["redis", "rabbitmq"])
async def corner(request: pytest.FixtureRequest) -> AsyncIterator[Corner]:
    async with corner_of(request.param) as found:
        yield found


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Tracebacks drawn for the screen take half a second each."""
    with capture_logs():
        yield


@asynccontextmanager
async def worker(folder: Path, name: str, queue: WorkQueue, url: str | None = None) -> AsyncIterator[Memory]:
    """A memory that is fed by the queue, and that compares it with its outbox all the time."""
    own = folder / name
    own.mkdir()
    async with open_memory(own, url, queue) as memory:
        for supply in (supply_of(memory), reflections_of(memory)):
            supply._relay._every = 0.05
            memory.erasure.droppers.append(supply)
        yield memory


def supply_of(memory: Memory) -> QueueSupply[Task]:
    supply = memory.indexer._supply
    assert isinstance(supply, QueueSupply)
    return supply


def reflections_of(memory: Memory) -> QueueSupply[Unread]:
    supply = memory.reflector._supply
    assert isinstance(supply, QueueSupply)
    return supply


async def count(memory: Memory, table: str) -> int:
    async with memory.database.read() as conn:
        return int((await conn.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())  # noqa: S608 - our own words


async def settled(memory: Memory) -> None:
    """Until neither the outbox nor the queue holds anything, and the queue says so."""
    await indexed(memory)
    async with asyncio.timeout(SOON):
        while (report := await supply_of(memory).report()).depth or report.away:
            memory.indexer.nudge()
            await asyncio.sleep(0.05)


async def indexed(memory: Memory) -> None:
    """Until nothing waits in the outbox."""
    async with asyncio.timeout(SOON):
        while await count(memory, "index_outbox"):  # noqa: ASYNC110 - the worker tells nobody
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(memory: Memory) -> AsyncIterator[None]:
    work = asyncio.create_task(memory.indexer.run())
    try:
        yield
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def say(memory: Memory, room: Room, first: int, number: int) -> None:
    lines = [
        draft(f"e{i}", "Ana", f"word{i} of Ben", START + timedelta(seconds=i)) for i in range(first, first + number)
    ]
    await memory.journal.admit(room, lines)


def die(server: str, name: str, folder: Path, url: str, point: str) -> None:
    """A process that drains the queue and kills itself when it has taken a batch, or stored one."""

    def killed(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def main() -> None:
        queue = await CORNERS[server](name).open()
        async with worker(folder, "dying", queue, url) as memory:
            if point == "stored":
                vars(memory.indexer._supply)["done"] = killed
            elif point == "taken":
                vars(memory.indexer)["_derive"] = killed
            elif point == "reflected":
                vars(memory.reflector._supply)["done"] = killed
            else:
                vars(memory.reflector)["_store"] = killed
            await memory.indexer.drain()
            await memory.reflector.drain()

    asyncio.run(main())


def end_of(arguments: tuple[Any, ...]) -> int | None:
    """Runs `die` to its end in a copy of this process, off a thread that has no event loop."""
    child = multiprocessing.get_context("fork").Process(target=die, args=arguments)
    child.start()
    child.join()
    return child.exitcode


class TestKilled:
    @pytest.mark.parametrize("point", ["taken", "stored"])
    async def test_what_a_killed_worker_had_taken_is_done_once_by_another(
        self, tmp_path: Path, corner: Corner, point: str
    ) -> None:
        async with empty_database() as url:
            queue = await corner.open()
            async with worker(tmp_path, "alive", queue, url) as memory:
                room = await memory.room()
                await say(memory, room, 0, 40)
                await supply_of(memory)._relay.publish()
                arguments = (corner.server, corner.name, tmp_path, url, point)
                assert await asyncio.to_thread(end_of, arguments) == -signal.SIGKILL
                assert await count(memory, "index_outbox") == (0 if point == "stored" else 40)
                await say(memory, room, 40, 5)
                await memory.indexer.drain()
                await settled(memory) if point == "taken" else await self.emptied(memory)
                assert await count(memory, "embeddings") == 45
                assert await count(memory, "mentions") == 2 * 45
                assert (await queue.state(INDEX)).dead == 0

    @pytest.mark.parametrize("point", ["reading", "reflected"])
    async def test_what_a_killed_worker_was_reading_is_reflected_on_once_by_another(
        self, tmp_path: Path, corner: Corner, point: str
    ) -> None:
        async with empty_database() as url:
            queue = await corner.open()
            async with worker(tmp_path, "alive", queue, url) as memory:
                room = await memory.room()
                await memory.journal.admit(room, facts(0, 40))
                await memory.indexer.drain()
                await reflections_of(memory)._relay.publish()
                arguments = (corner.server, corner.name, tmp_path, url, point)
                assert await asyncio.to_thread(end_of, arguments) == -signal.SIGKILL
                assert await count(memory, "reflection_queue") == (0 if point == "reflected" else 40)
                await memory.journal.admit(room, facts(40, 5))
                await memory.indexer.drain()
                await reflected(memory, 45)

    async def emptied(self, memory: Memory) -> None:
        """The items of what the killed one had stored go when somebody is given them."""
        async with running(memory):
            await settled(memory)


@pytest.mark.alone("rabbitmq", "redis")
class TestServersThatGo:
    @pytest.fixture
    async def server(self, corner: Corner) -> AsyncIterator[Server]:
        """It runs again before its corner is wiped."""
        found = Server(corner.server, alone=True)
        yield found
        await found.recover()

    async def test_an_import_goes_on_while_the_server_is_frozen_and_while_it_restarts(
        self, tmp_path: Path, corner: Corner, server: Server
    ) -> None:
        queue = await corner.open(patience=1.0)
        async with worker(tmp_path, "one", queue) as memory, running(memory):
            room = await memory.room()
            for part in range(5):
                await say(memory, room, 100 * part, 100)
                if part == 1:
                    await server.pause()
                elif part == 2:
                    await indexed(memory)
                    assert supply_of(memory)._away
                    await server.resume()
                elif part == 3:
                    await server.restart()
            await settled(memory)
            assert await count(memory, "embeddings") == 500
            assert await count(memory, "mentions") == 2 * 500
            assert not supply_of(memory)._away
            assert (await queue.state(INDEX)).dead == 0

    async def test_a_wiped_queue_is_filled_again_from_the_outbox(
        self, tmp_path: Path, corner: Corner, server: Server
    ) -> None:
        del server
        queue = await corner.open()
        async with worker(tmp_path, "one", queue) as memory:
            room = await memory.room()
            await say(memory, room, 0, 200)
            await supply_of(memory)._relay.publish()
            if isinstance(corner, RedisCorner):
                async with Redis.from_url(address("REDIS_URL")) as client:
                    await client.flushall()
            else:
                await corner.wipe()
            memory.clock.advance(EMPTY)
            await memory.indexer.drain()
            await settled(memory)
            assert await count(memory, "embeddings") == 200


class TestReflecting:
    async def test_two_workers_share_what_waits_and_double_no_memory(self, tmp_path: Path, corner: Corner) -> None:
        async with empty_database() as url:
            first, second = await corner.open(), await corner.open()
            async with worker(tmp_path, "a", first, url) as one, worker(tmp_path, "b", second, url) as two:
                async with reflecting(one), reflecting(two):
                    await asyncio.gather(*(queue.wait(WorkKind.REFLECT, 2.0) for queue in (first, second)))
                    for name in range(8):
                        await one.journal.admit(await one.room(f"room {name}"), facts(name * 10, 10))
                    await one.indexer.drain()
                    await reflected(one, 80)
                shared = [reflections_of(each).rate.per_second() > 0 for each in (one, two)]
                assert shared == [True, True]

    async def test_it_goes_on_from_the_rows_while_the_queue_is_away(self, tmp_path: Path) -> None:
        away = RedisQueue(RedisLink(Address(host="127.0.0.1", port=1), Breaker("Redis", SystemClock())), "nowhere")
        try:
            async with worker(tmp_path, "one", away) as memory:
                await memory.journal.admit(await memory.room(), facts(0, 5))
                await memory.indexer.drain()
                await memory.reflector.drain()
                assert await count(memory, "memories") == 5
                assert reflections_of(memory)._away
        finally:
            await away.close()


def facts(first: int, number: int) -> list[Draft]:
    """Messages of which each is a memory."""
    return [
        draft(f"f{i}", "Ana", f"The hut number {i} is locked", START + timedelta(seconds=i))
        for i in range(first, first + number)
    ]


@asynccontextmanager
async def reflecting(memory: Memory) -> AsyncIterator[None]:
    work = asyncio.create_task(memory.reflector.run())
    try:
        yield
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def reflected(memory: Memory, number: int) -> None:
    """Until nothing waits, in the rows and in the queue; then each message has one memory."""
    async with asyncio.timeout(SOON):
        while await count(memory, "reflection_queue") or (await reflections_of(memory).report()).depth:
            if not memory.reflector.is_running:
                await memory.reflector.drain()
            await asyncio.sleep(0.05)
    assert await count(memory, "memories") == number
    async with memory.database.read() as conn:
        distinct = text("SELECT count(DISTINCT message_serial) FROM memories")
        assert (await conn.execute(distinct)).scalar_one() == number
    assert (await reflections_of(memory).report()).dead == 0


class Poisoned(WordEmbedder):
    """Breaks on one text."""

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        if any("poison" in one for one in texts):
            raise ZeroDivisionError
        return await super().embed(texts)


class TestItems:
    async def test_a_poisoned_message_is_a_dead_letter_stops_nobody_and_is_forgotten_with_its_message(
        self, tmp_path: Path, corner: Corner
    ) -> None:
        queue = await corner.open()
        async with worker(tmp_path, "one", queue) as memory:
            room = await memory.room()
            texts = ["fine one", "the poison one", "fine two", "also poison"]
            told = await memory.journal.admit(room, [draft(f"e{i}", "Ana", one) for i, one in enumerate(texts)])
            supply = memory.indexer._supply
            poisoned = Indexer(memory.database, Poisoned(), memory.rooms._model, memory.clock, supply=supply)
            await poisoned.drain()
            assert await count(memory, "embeddings") == 2
            letters = {one.item.serial: one.reason for one in await queue.dead(INDEX, 10)}
            assert letters == dict.fromkeys((told.serials[1], told.serials[3]), "ZeroDivisionError")
            await memory.journal.delete(room, "e1", START)
            assert [one.item.serial for one in await queue.dead(INDEX, 10)] == [told.serials[3]]
            await memory.indexer.retry()
            await memory.indexer.drain()
            await settled(memory)
            assert await count(memory, "embeddings") == 3
            assert (await queue.state(INDEX)).dead == 0

    async def test_a_forgotten_message_leaves_no_item(self, tmp_path: Path, corner: Corner) -> None:
        queue = await corner.open()
        async with worker(tmp_path, "one", queue) as memory:
            room = await memory.room()
            await say(memory, room, 0, 3)
            await supply_of(memory)._relay.publish()
            await memory.journal.delete(room, "e1", START)
            assert await memory.indexer.drain() == 2
            await settled(memory)
            assert len(memory.embedder.embedded) == 2

    async def test_two_workers_index_a_room_in_its_order_and_live_messages_first(
        self, tmp_path: Path, corner: Corner
    ) -> None:
        async with empty_database() as url:
            first, second = await corner.open(), await corner.open()
            async with worker(tmp_path, "a", first, url) as one, worker(tmp_path, "b", second, url) as two:
                room = await one.room()
                old = [draft(f"h{i}", "Ana", f"old {i}", START + timedelta(seconds=i)) for i in range(60)]
                await one.journal.admit(room, [replace(line, provenance=Provenance.HISTORY) for line in old])
                await two.journal.admit(room, [draft(f"e{i}", "Ana", f"new {i}") for i in range(5)])
                await asyncio.gather(one.indexer.drain(), two.indexer.drain())
                await settled(one)
                embedded = one.embedder.embedded + two.embedder.embedded
                assert sorted(embedded) == sorted([*(f"old {i}" for i in range(60)), *(f"new {i}" for i in range(5))])
                for kind, number in (("old", 60), ("new", 5)):
                    for each in (one, two):
                        given = [int(words.split()[1]) for words in each.embedder.embedded if words.startswith(kind)]
                        assert given in ([], list(range(number)))

    async def test_redis_holds_numbers_alone(self, tmp_path: Path) -> None:
        async with corner_of("redis") as corner:
            queue = await corner.open()
            async with worker(tmp_path, "one", queue) as memory:
                await say(memory, await memory.room(), 0, 3)
                await supply_of(memory)._relay.publish()
                assert isinstance(corner, RedisCorner)
                async with Redis.from_url(address("REDIS_URL"), decode_responses=True) as client:
                    streams = [key for key in await corner.keys() if key.endswith((":live", ":history"))]
                    entries = [entry for key in streams for _, entry in await client.xrange(key)]
                    assert len(entries) == 3
                    assert all(value.isdigit() for entry in entries for value in entry.values())
                    await memory.indexer.drain()
                    assert all([await client.xlen(key) == 0 for key in streams])
