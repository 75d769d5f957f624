"""What every `WorkQueue` promises; each adapter's test inherits it and gives a fixture ``open_queue``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from memory.models import Priority, Taken, WorkItem, WorkKind
from memory.ports import WorkQueue

INDEX = WorkKind.INDEX
TRIES = 3
"""The queues of these tests give an item up after so many failures."""
SOON = 10.0

Opening: TypeAlias = Callable[[], Awaitable[WorkQueue]]
"""Opens the same queue once more, as another worker does; the fixture closes it."""


def item(
    serial: int, room: int = 1, priority: Priority = Priority.LIVE, kind: WorkKind = INDEX, revision: int = 1
) -> WorkItem:
    return WorkItem(kind, room, serial, revision, priority)


def serials(taken: Sequence[Taken]) -> list[int]:
    return [one.item.serial for one in taken]


async def taken(queue: WorkQueue, count: int, kind: WorkKind = INDEX) -> list[Taken]:
    """Exactly so many items, as they come."""
    found: list[Taken] = []
    async with asyncio.timeout(SOON):
        while len(found) < count:
            found += await queue.take(kind, count - len(found))
            if len(found) < count:
                await queue.wait(kind, 1.0)
    return found


async def gone(queue: WorkQueue, kind: WorkKind = INDEX) -> bool:
    """Whether nothing is left there, neither waiting nor taken."""
    async with asyncio.timeout(SOON):
        while (await queue.state(kind)).depth:  # noqa: ASYNC110 - a server tells nobody
            await asyncio.sleep(0.02)
    return not await queue.take(kind, 10)


class WorkQueueContract:
    """The promises of one worker's view; those about several workers are in `SharedQueueContract`."""

    async def test_what_is_published_is_given_in_its_order_and_with_all_its_numbers(self, open_queue: Opening) -> None:
        queue = await open_queue()
        items = [item(serial, room=7, revision=serial % 3 + 1) for serial in (3, 1, 2, 9)]
        await queue.publish(items)
        assert [one.item for one in await taken(queue, 4)] == items

    async def test_no_more_are_given_than_were_asked_for(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await queue.publish([item(serial) for serial in range(10)])
        assert serials(await taken(queue, 1)) == [0]
        assert len(await queue.take(INDEX, 4)) <= 4

    async def test_what_is_said_now_goes_before_history(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await queue.publish([item(serial, priority=Priority.HISTORY) for serial in range(5)])
        await queue.publish([item(5), item(6)])
        await asyncio.sleep(0.2)  # a server that pushes is given the time to
        assert serials(await taken(queue, 7)) == [5, 6, 0, 1, 2, 3, 4]

    async def test_what_is_done_does_not_come_again(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await queue.publish([item(1), item(2)])
        both = await taken(queue, 2)
        await queue.done(both)
        await queue.done(both)
        assert await gone(queue)

    async def test_what_is_given_back_comes_next_in_its_order(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await queue.publish([item(serial) for serial in range(6)])
        first = await taken(queue, 3)
        await queue.give_back(first)
        again = await taken(queue, 6)
        assert serials(again) == [0, 1, 2, 3, 4, 5]
        assert [one.tries for one in again] == [0] * 6

    async def test_a_failure_is_counted_and_stops_nobody_in_its_room(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await queue.publish([item(1), item(2)])
        one, two = await taken(queue, 2)
        assert not await queue.failed(one, "ValueError")
        await queue.done([two])
        [again] = await taken(queue, 1)
        assert (again.item, again.tries) == (item(1), 1)

    async def test_after_the_last_try_it_is_a_dead_letter_with_its_reason(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await queue.publish([item(1, room=4, revision=2)])
        verdicts = [await queue.failed((await taken(queue, 1))[0], f"Error{n}") for n in range(TRIES)]
        assert verdicts == [False, False, True]
        [letter] = await queue.dead(INDEX, 10)
        assert (letter.item, letter.tries, letter.reason) == (item(1, room=4, revision=2), TRIES, "Error2")
        assert (await queue.state(INDEX)).dead == 1
        assert await gone(queue)

    async def test_dead_letters_are_shown_as_often_as_one_looks_and_no_more_than_asked_for(
        self, open_queue: Opening
    ) -> None:
        queue = await open_queue()
        await self.kill(queue, *(item(serial) for serial in (1, 2, 3)))
        for _ in range(2):
            assert {letter.item.serial for letter in await queue.dead(INDEX, 10)} == {1, 2, 3}
        assert len(await queue.dead(INDEX, 2)) == 2

    async def test_revived_dead_letters_are_given_again_without_their_tries(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await self.kill(queue, item(1), item(2, priority=Priority.HISTORY))
        assert {one.serial for one in await queue.revive(INDEX)} == {1, 2}
        assert not await queue.dead(INDEX, 10)
        again = await taken(queue, 2)
        assert [(one.item.serial, one.tries) for one in again] == [(1, 0), (2, 0)]
        await queue.done(again)
        assert await queue.revive(INDEX) == []
        assert (await queue.state(INDEX)).dead == 0

    async def test_nothing_of_a_forgotten_message_is_among_the_dead_letters(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await self.kill(queue, *(item(serial) for serial in (1, 2, 3)))
        await queue.drop(INDEX, [2, 77])
        assert sorted(letter.item.serial for letter in await queue.dead(INDEX, 10)) == [1, 3]
        assert (await queue.state(INDEX)).dead == 2

    async def test_of_an_edited_message_only_what_is_older_goes(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await self.kill(queue, item(1), item(2, revision=3))
        await queue.publish([item(3, revision=2)])
        await queue.drop(INDEX, [1, 2, 3], below=2)
        assert [letter.item.serial for letter in await queue.dead(INDEX, 10)] == [2]
        assert [one.item.revision for one in await taken(queue, 1)] == [2]

    async def test_kinds_do_not_mix(self, open_queue: Opening) -> None:
        queue = await open_queue()
        await queue.publish([item(1), item(2, kind=WorkKind.REFLECT)])
        assert serials(await taken(queue, 1, WorkKind.REFLECT)) == [2]
        assert not await queue.take(WorkKind.REFLECT, 10)
        assert serials(await taken(queue, 1)) == [1]

    async def test_the_same_item_twice_is_given_at_most_twice(self, open_queue: Opening) -> None:
        queue = await open_queue()
        for _ in range(2):
            await queue.publish([item(1)])
        seen = 0
        while not await gone_now(queue):
            found = await queue.take(INDEX, 1)
            seen += len(found)
            await queue.done(found)
        assert seen in {1, 2}

    async def test_waiting_ends_when_something_comes_and_takes_nothing(self, open_queue: Opening) -> None:
        queue = await open_queue()
        assert not await queue.wait(INDEX, 0.05)
        waiting = asyncio.create_task(queue.wait(INDEX, SOON))
        await asyncio.sleep(0.1)
        await queue.publish([item(1)])
        async with asyncio.timeout(SOON / 2):
            assert await waiting
        assert serials(await taken(queue, 1)) == [1]

    async def test_the_state_counts_what_waits_and_what_is_worked_on(self, open_queue: Opening) -> None:
        queue = await open_queue()
        assert (await queue.state(INDEX)).depth == 0
        await queue.publish([item(serial, room=serial) for serial in range(5)])
        await taken(queue, 2)
        state = await queue.state(INDEX)
        assert state.depth == 5
        assert state.oldest is None or 0 <= state.oldest < SOON

    async def test_thousands_of_items_come_through_once_each_in_the_order_of_their_rooms(
        self, open_queue: Opening
    ) -> None:
        queue = await open_queue()
        items = [item(serial, room=serial % 13, priority=Priority.HISTORY) for serial in range(self.many)]
        await queue.publish(items)
        seen: list[Taken] = []
        async with asyncio.timeout(3 * SOON):
            while len(seen) < self.many:
                found = await queue.take(INDEX, 2048)
                seen += found
                await queue.done(found)
                if not found:
                    await queue.wait(INDEX, 1.0)
        for room in range(13):
            assert [s.item.serial for s in seen if s.item.room == room] == list(range(room, self.many, 13))
        assert await gone(queue)

    many = 10_000

    async def kill(self, queue: WorkQueue, *items: WorkItem) -> None:
        """Publishes items and lets them fail to the end."""
        await queue.publish(items)
        left = len(items)
        while left:
            for one in await taken(queue, 1):
                left -= await queue.failed(one, "ValueError")


class SharedQueueContract(WorkQueueContract):
    """What holds besides where several workers share a queue on a server."""

    many = 3_000

    async def test_two_workers_share_the_rooms_and_keep_the_order_of_each(self, open_queue: Opening) -> None:
        first, second = await open_queue(), await open_queue()
        await asyncio.gather(first.wait(INDEX, 0.1), second.wait(INDEX, 0.1))
        seen: dict[int, list[tuple[str, int]]] = {}
        total = 0

        async def work(name: str, queue: WorkQueue) -> None:
            nonlocal total
            while total < 600:
                found = await queue.take(INDEX, 7)
                for one in found:
                    seen.setdefault(one.item.room, []).append((name, one.item.serial))
                await asyncio.sleep(0.002)
                await queue.done(found)
                total += len(found)
                if not found:
                    await queue.wait(INDEX, 0.1)

        await first.publish([item(serial, room=serial % 20) for serial in range(300)])
        async with asyncio.timeout(3 * SOON):
            workers = asyncio.gather(work("first", first), work("second", second))
            await asyncio.sleep(0.1)
            await second.publish([item(serial, room=serial % 20) for serial in range(300, 600)])
            await workers
        for room, given in seen.items():
            assert [serial for _, serial in given] == list(range(room, 600, 20))
        assert {name for given in seen.values() for name, _ in given} == {"first", "second"}

    async def test_what_a_worker_left_when_it_closed_is_given_to_another_in_order(self, open_queue: Opening) -> None:
        first, second = await open_queue(), await open_queue()
        await first.publish([item(serial) for serial in range(4)])
        holder, other = (first, second) if await self.gets(first) else (second, first)
        await taken(holder, 2)
        assert not await other.take(INDEX, 10)
        await holder.close()
        assert serials(await taken(other, 4)) == [0, 1, 2, 3]

    async def test_whoever_rests_leaves_all_rooms_to_the_others_and_takes_again_later(
        self, open_queue: Opening
    ) -> None:
        first, second = await open_queue(), await open_queue()
        await first.publish([item(0, room=0)])
        [one] = await taken(first, 1)  # it has rooms now
        await first.rest(INDEX)
        await first.done([one])  # what was out kept it from resting
        await first.rest(INDEX)
        await second.publish([item(serial, room=serial) for serial in range(1, 9)])
        found = await taken(second, 8)
        assert sorted(serials(found)) == list(range(1, 9))
        await second.done(found)
        await second.rest(INDEX)
        await first.publish([item(9, room=1)])
        assert serials(await taken(first, 1)) == [9]

    async def test_an_item_outlives_every_worker(self, open_queue: Opening) -> None:
        first = await open_queue()
        await first.publish([item(1)])
        await first.close()
        assert serials(await taken(await open_queue(), 1)) == [1]

    @staticmethod
    async def gets(queue: WorkQueue) -> bool:
        """Whether this worker is the one that is given the items of room 1; what it takes for that it gives back."""
        for _ in range(40):
            if found := await queue.take(INDEX, 1):
                await queue.give_back(found)
                return True
            await queue.wait(INDEX, 0.05)
        return False


async def gone_now(queue: WorkQueue) -> bool:
    """Whether nothing is there at this moment."""
    await queue.wait(INDEX, 0.2)
    return not (await queue.state(INDEX)).depth
