"""The work queue on a real RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aio_pika import IncomingMessage

from memory.adapters import rabbitmq_wire
from memory.adapters.rabbitmq import RabbitQueue
from tests.contract.work_queue import INDEX, Opening, SharedQueueContract, item, serials, taken
from tests.services.queues import Corner, corner_of

pytestmark = pytest.mark.services


@pytest.fixture
async def corner() -> AsyncIterator[Corner]:
    async with corner_of("rabbitmq") as found:
        yield found


async def broken_off(*_: object) -> None:
    raise asyncio.CancelledError


class TestRabbitQueue(SharedQueueContract):
    @pytest.fixture
    def open_queue(self, corner: Corner) -> Opening:
        return corner.open


class TestRabbit:
    async def test_queues_that_somebody_deletes_are_declared_and_consumed_again(self, corner: Corner) -> None:
        first, second = await corner.open(), await corner.open()
        await first.publish([item(1)])
        await taken(first, 1)
        await corner.wipe()
        await second.publish([item(2)])
        assert serials(await taken(first, 1)) == [2]

    async def test_an_item_that_takes_its_workers_with_it_is_a_dead_letter_in_the_end(
        self, corner: Corner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rabbitmq_wire, "CRASHES", 2)
        for _ in range(3):
            queue = await corner.open()
            await queue.publish([] if corner.opened[0] is not queue else [item(1)])
            await taken(queue, 1)
            await queue.close()
        queue = await corner.open()
        async with asyncio.timeout(10):
            while not (letters := await queue.dead(INDEX, 10)):  # noqa: ASYNC110 - the server moves it
                await asyncio.sleep(0.05)
        assert [(one.item, one.reason) for one in letters] == [(item(1), "taken 2 times and never finished")]

    async def test_what_was_broken_off_in_the_middle_of_being_finished_comes_again(
        self, corner: Corner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue = await corner.open()
        await queue.publish([item(serial) for serial in range(4)])
        given = await taken(queue, 4)
        asked = 0
        answer = IncomingMessage.ack

        async def ack(self: IncomingMessage, multiple: bool = False) -> None:  # noqa: FBT001, FBT002 - the driver's
            nonlocal asked
            asked += 1
            if asked == 3:
                raise asyncio.CancelledError
            await answer(self, multiple)

        monkeypatch.setattr(IncomingMessage, "ack", ack)
        with pytest.raises(asyncio.CancelledError):
            await queue.done(given)
        left = await taken(queue, 2)
        assert serials(left) == [2, 3]
        await queue.done(left)
        assert (await queue.state(INDEX)).depth == 0

    async def test_a_worker_that_is_broken_off_while_it_comes_has_all_shards_in_the_end(
        self, corner: Corner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue = await corner.open()
        assert isinstance(queue, RabbitQueue)
        with monkeypatch.context() as patched:
            patched.setattr(queue, "_balance", broken_off)
            with pytest.raises(asyncio.CancelledError):
                await queue.wait(INDEX, 1)
        await queue.publish([item(serial, room=serial) for serial in range(4)])
        assert sorted(serials(await taken(queue, 4))) == [0, 1, 2, 3]

    async def test_a_worker_that_is_broken_off_while_it_goes_leaves_all_shards_to_others(
        self, corner: Corner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = await corner.open(), await corner.open()
        assert isinstance(first, RabbitQueue)
        await first.take(INDEX, 1)
        session = await first._open()
        with monkeypatch.context() as patched:
            patched.setattr(session.asking, "queue_delete", broken_off)
            with pytest.raises(asyncio.CancelledError):
                await first.rest(INDEX)
        await second.publish([item(serial, room=serial) for serial in range(4)])
        assert sorted(serials(await taken(second, 4))) == [0, 1, 2, 3]

    async def test_the_state_says_whether_others_may_have_more(self, corner: Corner) -> None:
        first, second = await corner.open(), await corner.open()
        await first.publish([item(1)])
        assert (await first.state(INDEX)).whole
        await taken(first, 1)
        assert (await first.state(INDEX)).whole
        assert not (await second.state(INDEX)).whole

    async def test_thousands_of_dead_letters_are_looked_at_and_dropped_in_a_call_each(self, corner: Corner) -> None:
        queue = await corner.open(patience=1.5)
        assert isinstance(queue, RabbitQueue)
        await queue.take(INDEX, 1)  # the first call of a connection has more time
        session = await queue._open()
        name = queue._letters(INDEX)
        for start in range(0, 3_000, 1000):
            some = [(name, rabbitmq_wire.body(item(serial), 3, "ValueError")) for serial in range(start, start + 1000)]
            await rabbitmq_wire.publish(session.publishing, some)
        assert len(await queue.dead(INDEX, 10_000)) == 3_000
        assert len(await queue.dead(INDEX, 2_000)) == 2_000
        await queue.drop(INDEX, range(0, 3_000, 2))
        assert (await queue.state(INDEX)).dead == 1_500

    async def test_what_was_only_sent_ahead_survives_many_restarts(self, corner: Corner) -> None:
        queue = await corner.open()
        await queue.publish([item(serial) for serial in range(3)])
        for _ in range(25):
            await queue.give_back(await taken(queue, 1))
            await queue.close()
            queue = await corner.open()
        assert serials(await taken(queue, 3)) == [0, 1, 2]
