"""The work queue on a real Redis."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bot.clock import SystemClock
from memory.adapters import redis_queue
from memory.adapters.redis_link import RedisLink
from memory.adapters.redis_queue import RedisQueue
from memory.adapters.redis_scripts import DONE, FAILED
from memory.breaker import Breaker
from memory.errors import Unavailable
from memory.models import WorkKind
from tests.contract.work_queue import INDEX, Opening, SharedQueueContract, item, serials, taken
from tests.services.queues import Corner, RedisCorner, corner_of
from tests.services.redis import redis_address
from tests.services.servers import address

pytestmark = pytest.mark.services


@pytest.fixture
async def corner() -> AsyncIterator[Corner]:
    async with corner_of("redis") as found:
        yield found


class TestRedisQueue(SharedQueueContract):
    @pytest.fixture
    def open_queue(self, corner: Corner) -> Opening:
        return corner.open


class Faltering(RedisQueue):
    """Breaks off the scripts that it is told to, and the reading, once each."""

    def __init__(self, name: str) -> None:
        super().__init__(RedisLink(redis_address(), Breaker("Redis", SystemClock())), name, shards=4)
        self.breaking: set[str] = set()
        self.error: type[BaseException] = Unavailable

    async def _script(self, words: str, kind: WorkKind, told: Sequence[Any]) -> Any:
        if words in self.breaking:
            self.breaking.discard(words)
            raise self.error
        return await super()._script(words, kind, told)

    async def _run(self, work: Callable[[Redis], Awaitable[Any]], *, repeat: bool = True, more: float = 0.0) -> Any:
        found = await super()._run(work, repeat=repeat, more=more)
        if "read" in self.breaking and not repeat:
            self.breaking.discard("read")
            raise self.error
        return found


@pytest.mark.parametrize("error", [Unavailable, asyncio.CancelledError])
class TestBrokenOff:
    @pytest.fixture
    async def queue(self, corner: Corner, error: type[BaseException]) -> AsyncIterator[Faltering]:
        found = Faltering(corner.name)
        found.error = error
        yield found
        await found.close()

    async def test_what_could_not_be_finished_comes_again(self, queue: Faltering, error: type[BaseException]) -> None:
        await queue.publish([item(1), item(2), item(3)])
        given = await taken(queue, 3)
        queue.breaking = {DONE, FAILED}
        with pytest.raises(error):
            await queue.done(given[:2])
        with pytest.raises(error):
            await queue.failed(given[2], "ValueError")
        again = await taken(queue, 3)
        assert serials(again) == [1, 2, 3]
        await queue.done(again)
        assert (await queue.state(INDEX)).depth == 0

    async def test_what_was_read_and_not_given_is_given(self, queue: Faltering, error: type[BaseException]) -> None:
        await queue.publish([item(1), item(2)])
        queue.breaking = {"read"}
        with pytest.raises(error):
            await queue.take(INDEX, 10)
        assert serials(await taken(queue, 2)) == [1, 2]


class TestRedis:
    async def test_the_same_item_is_kept_once_and_a_newer_revision_takes_its_place(self, corner: Corner) -> None:
        queue = await corner.open()
        for revision in (1, 1, 2, 1):
            await queue.publish([item(1, revision=revision)])
        assert [one.item.revision for one in await queue.take(INDEX, 10)] == [2]
        assert (await queue.state(INDEX)).depth == 1

    async def test_nothing_that_is_done_stays(self, corner: Corner) -> None:
        queue = await corner.open()
        await queue.publish([item(serial, room=serial) for serial in range(50)])
        await queue.done(await taken(queue, 50))
        async with Redis.from_url(address("REDIS_URL"), decode_responses=True) as client:
            assert isinstance(corner, RedisCorner)
            kept = [key for key in await corner.keys() if key.endswith((":live", ":history"))]
            assert kept
            assert [await client.xlen(key) for key in kept] == [0] * len(kept)
            assert not [key for key in await corner.keys() if key.endswith((":items", ":dead"))]

    async def test_a_frozen_worker_that_wakes_up_gives_nothing_of_what_others_have(self, corner: Corner) -> None:
        frozen, other = await corner.open(), await corner.open()
        await frozen.publish([item(serial) for serial in range(4)])
        await taken(frozen, 1)
        assert isinstance(frozen, RedisQueue)
        work = frozen._kinds[INDEX]
        assert work.renewing is not None
        work.renewing.cancel()
        work.held = time.monotonic() - 60.0
        assert serials(await taken(other, 4)) == [0, 1, 2, 3]
        assert not await frozen.take(INDEX, 10)

    async def test_an_item_that_takes_its_workers_with_it_is_a_dead_letter_in_the_end(
        self, corner: Corner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_queue, "_CRASHES", 2)
        queue = await corner.open()
        await queue.publish([item(1)])
        for _ in range(2):
            await taken(queue, 1)
            await queue.close()
            queue = await corner.open()
        async with asyncio.timeout(10):
            while not (letters := await queue.dead(INDEX, 10)):
                assert not await queue.take(INDEX, 1)
                await asyncio.sleep(0.05)
        assert [(one.item, one.reason) for one in letters] == [(item(1), "taken 2 times and never finished")]

    async def test_of_a_batch_that_takes_its_workers_with_it_only_the_poison_is_buried(
        self, corner: Corner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_queue, "_CRASHES", 5)
        monkeypatch.setattr(redis_queue, "_DOUBTED", 2)
        queue = await corner.open()
        await queue.publish([item(serial) for serial in range(6)])
        done: list[int] = []
        while not await queue.dead(INDEX, 10):
            given = await taken(queue, 1)
            given += await queue.take(INDEX, 10)
            if 3 in serials(given):
                await queue.close()  # it dies with everything that it has
                queue = await corner.open()
                await queue.wait(INDEX, 1.0)
            else:
                assert len(given) == 1
                await queue.done(given)
                done += serials(given)
        assert [letter.item.serial for letter in await queue.dead(INDEX, 10)] == [3]
        for _ in range(2):
            given = await taken(queue, 1)
            await queue.done(given)
            done += serials(given)
        assert done == [0, 1, 2, 4, 5]

    async def test_what_was_only_read_ahead_or_given_back_is_not_counted(
        self, corner: Corner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_queue, "_CRASHES", 2)
        queue = await corner.open()
        await queue.publish([item(serial, room=serial) for serial in range(4)])
        for _ in range(4):
            await queue.give_back(await taken(queue, 1))
            await queue.close()
            queue = await corner.open()
        again = await taken(queue, 4)
        assert sorted(serials(again)) == [0, 1, 2, 3]
        assert not await queue.dead(INDEX, 10)
        await queue.done(again)
        assert isinstance(corner, RedisCorner)
        assert not [key for key in await corner.keys() if key.endswith(":begun")]

    async def test_the_rights_that_the_docs_name_are_enough(self, corner: Corner) -> None:
        page = (Path(__file__).parents[4] / "docs" / "queues.md").read_text("utf-8")
        found = re.search(r"Rights: `([^`]+)` and\s+`([^`]+)`", page)
        assert found
        rights = " ".join(found.groups()).split()
        async with Redis.from_url(address("REDIS_URL")) as client:
            name = f"queue-{corner.name}"
            await client.execute_command("ACL", "SETUSER", name, "on", ">pw", *rights)  # type: ignore[no-untyped-call]  # the driver gives it no types
            queue = RedisQueue(
                RedisLink(replace(redis_address(), user=name, password="pw"), Breaker("Redis", SystemClock())),  # noqa: S106 - a test's own
                corner.name,
                tries=1,
            )
            try:
                await queue.publish([item(1), item(2)])
                one, two = await taken(queue, 2)
                await queue.done([one])
                assert await queue.failed(two, "ValueError")
                assert not await queue.wait(INDEX, 0.05)
                assert [letter.item.serial for letter in await queue.dead(INDEX, 10)] == [2]
                await queue.drop(INDEX, [2])
                assert (await queue.state(INDEX)).dead == 0
            finally:
                await queue.close()
                await client.execute_command("ACL", "DELUSER", name)  # type: ignore[no-untyped-call]  # likewise
