"""The relay publishes the outbox after the commit, again when the queue lost it, and no more than the queue takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from memory import relay as relays
from memory.adapters.local_queue import LocalQueue
from memory.errors import Unavailable
from memory.leases import Lease
from memory.models import DeadLetter, Priority, Provenance, QueueState, Room, WorkItem, WorkKind
from memory.outbox import INDEX as OUTBOX
from memory.outbox import Task
from memory.relay import LONG, Relay
from memory.tables import index_outbox
from tests.doubles import START
from tests.parts import Memory, draft

INDEX = WorkKind.INDEX


class Failing(LocalQueue):
    """Does not answer while it is told not to."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    async def publish(self, items: Sequence[WorkItem]) -> None:
        if self.away:
            raise Unavailable("the queue does not answer")
        await super().publish(items)


class Partial(LocalQueue):
    """Counts its own items alone."""

    async def state(self, kind: WorkKind) -> QueueState:
        return replace(await super().state(kind), whole=False)


class Unreadable(LocalQueue):
    """Does not tell its dead letters in time."""

    looks = 0

    async def dead(self, kind: WorkKind, limit: int) -> Sequence[DeadLetter]:
        del kind, limit
        self.looks += 1
        raise Unavailable("the queue does not answer")


@pytest.fixture
def queue() -> Failing:
    return Failing()


def relay_of(memory: Memory, queue: LocalQueue, name: str = "one", *, depth: int = 100) -> Relay[Task]:
    """Compares at every call; with a lease, as where several processes publish."""
    lease = None if memory.database.is_embedded else Lease(name, memory.clock)
    return Relay(memory.database, queue, OUTBOX, memory.clock, lease, depth=depth, every=0.0)


async def say(memory: Memory, room: Room, *texts: str, provenance: Provenance = Provenance.LIVE) -> tuple[int, ...]:
    drafts = [draft(f"{room.id} {text}", "Ana", text, START + timedelta(minutes=i)) for i, text in enumerate(texts)]
    told = await memory.journal.admit(room, [replace(one, provenance=provenance) for one in drafts])
    return told.serials


async def published(memory: Memory) -> dict[int, bool]:
    async with memory.database.read() as conn:
        rows = await conn.execute(select(index_outbox.c.message_serial, index_outbox.c.published_at))
        return {row.message_serial: row.published_at is not None for row in rows}


async def items(queue: LocalQueue) -> list[WorkItem]:
    return [one.item for one in await queue.take(INDEX, 10_000)]


class TestPublishing:
    async def test_a_committed_message_becomes_one_item_of_numbers(
        self, memory: Memory, room: Room, queue: Failing
    ) -> None:
        [serial] = await say(memory, room, "the gate code is 4471")
        relay = relay_of(memory, queue)
        assert (await relay.publish(), await relay.publish()) == (1, 0)
        assert await published(memory) == {serial: True}
        assert await items(queue) == [WorkItem(INDEX, room.id, serial, 1, Priority.LIVE)]

    async def test_history_is_marked_as_such(self, memory: Memory, room: Room, queue: Failing) -> None:
        await say(memory, room, "long ago", provenance=Provenance.HISTORY)
        await relay_of(memory, queue).publish()
        assert [one.priority for one in await items(queue)] == [Priority.HISTORY]

    async def test_what_the_queue_did_not_confirm_stays_unpublished(
        self, memory: Memory, room: Room, queue: Failing
    ) -> None:
        [serial] = await say(memory, room, "hello")
        queue.away = True
        relay = relay_of(memory, queue)
        with pytest.raises(Unavailable):
            await relay.publish()
        assert await published(memory) == {serial: False}
        queue.away = False
        assert await relay.publish() == 1

    async def test_an_edit_is_published_as_another_revision(self, memory: Memory, room: Room, queue: Failing) -> None:
        await say(memory, room, "old")
        relay = relay_of(memory, queue)
        await relay.publish()
        await memory.journal.edit(room, f"{room.id} old", "ana", "new", START)
        await relay.publish()
        assert [one.revision for one in await items(queue)] == [1, 2]

    async def test_more_than_a_page_is_published_in_order(
        self, memory: Memory, room: Room, queue: Failing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relays, "PAGE", 3)
        told = await say(memory, room, *(f"line {i}" for i in range(10)))
        assert await relay_of(memory, queue).publish() == 10
        assert [one.serial for one in await items(queue)] == list(told)


class TestBackPressure:
    async def test_history_waits_above_the_depth_and_goes_on_below_half_of_it(
        self, memory: Memory, room: Room, queue: Failing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relays, "PAGE", 5)
        await say(memory, room, *(f"line {i}" for i in range(30)), provenance=Provenance.HISTORY)
        relay = relay_of(memory, queue, depth=10)
        assert await relay.publish() == 10
        await queue.done(await queue.take(INDEX, 4))
        assert await relay.publish() == 0
        await queue.done(await queue.take(INDEX, 2))
        assert await relay.publish() == 6
        assert (await queue.state(INDEX)).depth == 10

    async def test_what_is_said_now_passes_history_that_waits(self, memory: Memory, room: Room, queue: Failing) -> None:
        await say(memory, room, *(f"line {i}" for i in range(30)), provenance=Provenance.HISTORY)
        relay = relay_of(memory, queue, depth=10)
        await relay.publish()
        [now] = await say(memory, room, "where is everybody?")
        assert await relay.publish() == 1
        assert (await items(queue))[0].serial == now


class TestLosing:
    async def test_a_queue_that_was_wiped_is_filled_again(self, memory: Memory, room: Room, queue: Failing) -> None:
        told = await say(memory, room, "one", "two")
        relay = relay_of(memory, queue)
        await relay.publish()
        await queue.drop(INDEX, told)
        assert await relay.publish() == 0
        memory.clock.advance(relays.EMPTY)
        assert await relay.publish() == 2

    async def test_a_relay_that_starts_beside_an_empty_queue_waits_for_nothing(
        self, memory: Memory, room: Room, queue: Failing
    ) -> None:
        await say(memory, room, "one", "two")
        await relay_of(memory, queue).publish()
        assert await relay_of(memory, LocalQueue()).publish() == 2

    async def test_what_waits_too_long_is_published_again_whatever_the_queue_holds(
        self, memory: Memory, room: Room, queue: Failing
    ) -> None:
        lost, _ = await say(memory, room, "one", "two")
        relay = relay_of(memory, queue)
        await relay.publish()
        await queue.drop(INDEX, [lost])
        memory.clock.advance(LONG - timedelta(seconds=1))
        assert await relay.publish() == 0
        memory.clock.advance(timedelta(seconds=1))
        await relay.publish()
        assert lost in {one.serial for one in await items(queue)}

    async def test_what_was_published_before_the_clock_was_set_back_is_published_again(
        self, memory: Memory, room: Room
    ) -> None:
        await say(memory, room, "one", "two")
        await relay_of(memory, LocalQueue()).publish()
        memory.clock.advance(-timedelta(hours=3))
        assert await relay_of(memory, LocalQueue()).publish() == 2

    async def test_a_dead_letter_is_not_published_by_itself(self, memory: Memory, room: Room) -> None:
        dying = LocalQueue(tries=1)
        await say(memory, room, "poison", "fine")
        relay = relay_of(memory, dying)
        await relay.publish()
        [poison] = await dying.take(INDEX, 1)
        await dying.failed(poison, "ZeroDivisionError")
        memory.clock.advance(LONG)
        await relay.publish()
        assert poison.item.serial not in {one.serial for one in await items(dying)}

    async def test_the_dead_letter_of_a_message_that_is_gone_goes_too(self, memory: Memory, room: Room) -> None:
        dying = LocalQueue(tries=1)
        await say(memory, room, "poison")
        relay = relay_of(memory, dying)
        await relay.publish()
        await dying.failed((await dying.take(INDEX, 1))[0], "ZeroDivisionError")
        await memory.journal.delete(room, f"{room.id} poison", START)
        await relay.publish()
        assert not await dying.dead(INDEX, 10)

    async def test_a_dead_letter_goes_without_the_item_of_a_later_text(self, memory: Memory, room: Room) -> None:
        dying = LocalQueue(tries=1)
        [serial] = await say(memory, room, "poison")
        relay = relay_of(memory, dying)
        await relay.publish()
        await dying.failed((await dying.take(INDEX, 1))[0], "ZeroDivisionError")
        await memory.journal.edit(room, f"{room.id} poison", "ana", "fine", START)
        await dying.publish([WorkItem(INDEX, room.id, serial, 2)])  # by a relay beside us
        async with memory.database.write() as conn:
            await conn.execute(update(index_outbox).values(published_at=memory.clock.now()))
        await relay.publish()
        assert not await dying.dead(INDEX, 10)
        assert [one.revision for one in await items(dying)] == [2]

    async def test_what_other_workers_may_have_is_not_taken_for_lost(self, memory: Memory, room: Room) -> None:
        await say(memory, room, "one")
        await relay_of(memory, LocalQueue()).publish()
        relay = relay_of(memory, Partial())
        memory.clock.advance(LONG - timedelta(seconds=1))
        assert await relay.publish() == 0
        memory.clock.advance(timedelta(seconds=1))
        assert await relay.publish() == 1

    async def test_dead_letters_that_cannot_be_read_stop_the_rest_only_once(self, memory: Memory, room: Room) -> None:
        dying = Unreadable(tries=1)
        await say(memory, room, "poison")
        relay = relay_of(memory, dying)
        await relay.publish()
        await dying.failed((await dying.take(INDEX, 1))[0], "ZeroDivisionError")
        memory.clock.advance(LONG)
        await say(memory, room, "fine")
        with pytest.raises(Unavailable):
            await relay.publish()
        assert await relay.publish() == 1
        assert dying.looks == 1


class TestSeveral:
    async def test_two_that_publish_at_once_publish_each_row_once(
        self, memory: Memory, room: Room, queue: Failing
    ) -> None:
        if memory.database.is_embedded:
            pytest.skip("one process owns a folder")
        told = await say(memory, room, *(f"line {i}" for i in range(50)))
        first, second = relay_of(memory, queue), relay_of(memory, queue, "two")
        items_of_first = await first._next()
        assert await second.publish() == 0, "rows of a room that another one is publishing"
        await first._mark(items_of_first, {"claimed_until": None})
        assert await second.publish() == len(told)

    async def test_a_row_that_a_dead_relay_had_is_published_when_its_claim_has_run_out(
        self, memory: Memory, room: Room, queue: Failing
    ) -> None:
        if memory.database.is_embedded:
            pytest.skip("one process owns a folder")
        await say(memory, room, "hello")
        async with memory.database.write() as conn:
            until = memory.clock.now() + timedelta(minutes=5)
            await conn.execute(update(index_outbox).values(claimed_by="dead", claimed_until=until))
        relay = relay_of(memory, queue)
        assert await relay.publish() == 0
        memory.clock.advance(timedelta(minutes=5, seconds=1))
        assert await relay.publish() == 1
