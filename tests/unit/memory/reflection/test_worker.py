"""The worker derives each memory once, whatever happens in between; what changes or goes takes its memories along."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from memory.models import Room
from memory.ports import Database
from memory.reflection import queue, reading
from memory.reflection.book import MemoryBook
from memory.reflection.holding import _answering
from memory.reflection.models import Aspect, Derived, Material, Summary
from memory.reflection.processors import TABLE, Rules
from memory.reflection.queue import State
from memory.reflection.worker import Reflector, _Read, inline
from memory.tables import memories, memory_sources, people, reflection_queue, sessions
from tests.doubles import START
from tests.parts import Memory, draft

TALK = (
    ("Ana", "The gate code is 4471."),
    ("Ben", "I prefer cold tea."),
    ("Cleo", "How do I open the grey cupboard?"),
    ("Ana", "The key hangs behind the water butt, turn it twice"),
    ("Ben", "Let's use the blue lids this year"),
    ("Cleo", "Agreed!"),
    ("Ana", "I moved hive 6 to the hedge yesterday"),
)
ROWS = (
    "room_id kind aspect number author_id about_id created_at message_serial session_id happened_on subject verb "
    "object subject_key object_key"
).split()


async def talk(memory: Memory, room: Room) -> list[int]:
    return await memory.say(room, *TALK)


async def held(memory: Memory) -> list[tuple[Any, ...]]:
    """Every memory with its sources, without keys."""
    async with memory.database.read() as conn:
        rows = (await conn.execute(select(memories).order_by(memories.c.message_serial, memories.c.aspect))).all()
        sources = (await conn.execute(select(memory_sources))).all()
    also = {row.id: sorted(one.message_serial for one in sources if one.memory_id == row.id) for row in rows}
    return [(*(getattr(row, name) for name in ROWS), also[row.id]) for row in rows]


async def texts(memory: Memory, room: Room) -> set[str]:
    return {one.text for one in await MemoryBook(memory.database).all([room.id])}


async def count(memory: Memory, table: Any) -> int:
    async with memory.database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(table))).scalar_one())


async def end_session(memory: Memory) -> None:
    memory.clock.advance(timedelta(days=1))
    await memory.sessions.clean_up()


def worker(memory: Memory, *processors: Rules, database: Database | None = None) -> Reflector:
    table = processors or TABLE
    return Reflector(database or memory.database, memory.clock, memory.rooms._model, processors=table)


def newer(version: int = 2) -> tuple[Rules, ...]:
    return tuple(replace(one, version=version) for one in TABLE if isinstance(one, Rules))


def never(material: Material) -> Sequence[Derived]:
    raise AssertionError(material.serial)


class TestDeriving:
    async def test_each_memory_points_to_the_messages_it_comes_from(self, memory: Memory, room: Room) -> None:
        serials = await talk(memory, room)
        await memory.reflector.drain()
        found = {(one.aspect, one.serial): one for one in await MemoryBook(memory.database).all([room.id])}
        assert {(aspect.value, serials.index(serial)) for aspect, serial in found} == {
            ("fact", 0),
            ("preference", 1),
            ("fact", 3),
            ("howto", 3),
            ("decision", 4),
            ("decision", 5),
            ("event", 6),
        }
        assert found[Aspect.HOWTO, serials[3]].also == (serials[2],)
        assert found[Aspect.DECISION, serials[5]].also == (serials[4],)
        assert found[Aspect.EVENT, serials[6]].on == (START.date() - timedelta(days=1)).isoformat()

    async def test_a_second_reading_leaves_every_row_as_it_is(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await end_session(memory)
        await memory.reflector.drain()
        async with memory.database.read() as conn:
            before = (await conn.execute(select(memories).order_by(memories.c.id))).all()
        await memory.reflector.afresh([room.id])
        assert await memory.reflector.drain() == len(TALK) + 1
        async with memory.database.read() as conn:
            assert (await conn.execute(select(memories).order_by(memories.c.id))).all() == before
        assert len(before) == 8

    async def test_a_drain_of_so_much_leaves_the_rest(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await end_session(memory)
        assert await memory.reflector.drain(1) == len(TALK)
        assert (await memory.reflector.depth()).waiting == 1
        assert await memory.reflector.drain(1) == 1

    async def test_the_states_of_a_message(self, memory: Memory, room: Room) -> None:
        [serial] = (await memory.journal.admit(room, [draft("x1", "Ana", "The gate code is 4471")])).serials
        pending = await memory.reflector.standing(serial)
        await memory.indexer.drain()
        waiting = await memory.reflector.standing(serial)
        await memory.reflector.drain()
        done = await memory.reflector.standing(serial)
        assert {one.state for one in (*pending.values(), *waiting.values())} == {State.PENDING}
        assert {name: one.state for name, one in done.items()} == {
            "episodic": State.NOTHING,
            "semantic": State.DONE,
            "procedural": State.NOTHING,
        }
        assert {one.version for one in done.values()} == {1}

    async def test_an_ended_session_is_told_by_its_messages(self, memory: Memory, room: Room) -> None:
        serials = await talk(memory, room)
        assert not await MemoryBook(memory.database).summaries([room.id], 5)
        await end_session(memory)
        await memory.reflector.drain()
        [told] = await MemoryBook(memory.database).summaries([room.id], 5)
        assert {told.serial, *told.also} <= set(serials)
        assert len(told.also) == 1

    async def test_sessions_that_wait_to_be_indexed_are_not_looked_at(self, memory: Memory, room: Room) -> None:
        drafts = [draft(f"e{n}", *line, START + timedelta(minutes=n)) for n, line in enumerate(TALK)]
        await memory.journal.admit(room, drafts)
        await end_session(memory)
        assert await memory.reflector._claim_sessions(0) == []
        await memory.indexer.drain()
        assert len(await memory.reflector._claim_sessions(0)) == 1

    async def test_nothing_about_people_where_profiles_are_forbidden(self, memory: Memory, room: Room) -> None:
        async def forbidden(_tenant: int) -> bool:
            return False

        await talk(memory, room)
        reflector = Reflector(memory.database, memory.clock, memory.rooms._model, profiles=forbidden)
        await reflector.drain()
        found = await MemoryBook(memory.database).all([room.id])
        assert {one.aspect for one in found} == {Aspect.FACT, Aspect.HOWTO, Aspect.DECISION}


class TestVersions:
    async def test_a_higher_version_reads_the_whole_history_again(self, memory: Memory, room: Room) -> None:
        serials = await talk(memory, room)
        await memory.reflector.drain()
        assert await worker(memory, *newer()).drain() == len(TALK)
        standing = await worker(memory, *newer()).standing(serials[0])
        assert {one.version for one in standing.values()} == {2}
        assert await worker(memory, *newer()).drain() == 0

    async def test_a_new_processor_reads_alone(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await memory.reflector.drain()
        old = [replace(one, function=never) for one in TABLE if isinstance(one, Rules)]
        seen: list[int] = []

        def read(material: Material) -> Sequence[Derived]:
            seen.append(material.serial)
            return ()

        await worker(memory, *old, Rules("fresh", 8, 1, frozenset(), read)).drain()
        assert len(seen) == len(TALK)

    async def test_an_older_process_leaves_the_room_to_the_newer(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await worker(memory, *newer()).drain()
        before = await held(memory)
        await memory.say(room, ("Ana", "The lease costs 180 pounds"))
        assert await memory.reflector.drain() == 0
        assert (await memory.reflector._supply.claim(0)).tasks == []
        assert await held(memory) == before
        await worker(memory, *newer()).drain()
        assert len(await held(memory)) == len(before) + 1

    async def test_a_room_from_before_reflection_is_read_from_its_beginning(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await memory.reflector.drain()
        whole = await held(memory)
        async with memory.database.write() as conn:  # as a migrated database: rows of messages, and nothing of ours
            await conn.execute(delete(memories))
            await conn.run_sync(lambda sync: sync.exec_driver_sql("DELETE FROM reflections"))
        await memory.reflector.drain()
        assert await held(memory) == whole


class TestChanging:
    async def test_an_edit_replaces_what_was_derived(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await memory.reflector.drain()
        await memory.journal.edit(room, "e1", "ana", "The gate code is 9876.", START)
        assert "The gate code is 4471" not in await texts(memory, room)
        await memory.indexer.drain()
        await memory.reflector.drain()
        assert "The gate code is 9876" in await texts(memory, room)

    async def test_an_edit_of_what_is_being_read_is_not_missed(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        batch = await memory.reflector._supply.claim(0)
        await memory.journal.edit(room, "e1", "ana", "The gate code is 9876.", START)
        await memory.reflector._finish(batch)
        assert "The gate code is 4471" not in await texts(memory, room)
        await memory.indexer.drain()
        await memory.reflector.drain()
        assert "The gate code is 9876" in await texts(memory, room)

    async def test_a_row_that_was_put_again_outlives_the_end_of_its_reading(self, memory: Memory, room: Room) -> None:
        serials = await talk(memory, room)
        await memory.reflector.drain()
        async with memory.database.write() as conn:
            await queue.put(conn, serials, START)
        batch = await memory.reflector._supply.claim(0)
        read = [_Read(task, (), queue.ALL if task.serial != serials[0] else 0, 0, None) for task in batch.tasks]
        async with memory.database.write() as conn:
            await queue.put(conn, serials, START)
            await memory.reflector._end(conn, read)
        assert await count(memory, reflection_queue) == len(serials)

    async def test_what_answers_is_found_by_an_index(self, memory: Memory, room: Room) -> None:
        drafts = [draft(f"r{n}", "Ana", f"line {n}", START, f"r{n - 2}" if n > 1 else None) for n in range(9)]
        serials = list((await memory.journal.admit(room, drafts)).serials)
        async with memory.database.read() as conn:
            assert await _answering(conn, [serials[3]]) == {serials[4], serials[5]}
            query = f"SELECT serial FROM messages WHERE room_id = {room.id} AND reply_to IN ('r1', 'r2')"  # noqa: S608 - a number of the test's own
            if conn.dialect.name == "sqlite":
                plan = str((await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")).all())
                assert "ix_messages_replies" in plan

    async def test_an_edit_of_a_proposal_changes_what_was_agreed(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await memory.reflector.drain()
        await memory.journal.edit(room, "e5", "ben", "Let's use the red lids this year", START)
        await memory.indexer.drain()
        await memory.reflector.drain()
        found = await texts(memory, room)
        assert "agreed: use the red lids this year" in found
        assert not any("blue" in text for text in found)

    async def test_a_deleted_message_takes_along_what_others_derived_with_it(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await memory.reflector.drain()
        await memory.journal.delete(room, "e5", START)
        assert not any("lids" in text for text in await texts(memory, room))
        await memory.reflector.drain()
        assert not any("lids" in text for text in await texts(memory, room))

    async def test_a_summary_that_rested_on_a_deleted_message_is_made_anew(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await end_session(memory)
        await memory.reflector.drain()
        [before] = await MemoryBook(memory.database).summaries([room.id], 5)
        quoted = (await memory.engine.read([before.serial]))[before.serial]
        await memory.journal.delete(room, quoted.external_id, START)
        assert not await MemoryBook(memory.database).summaries([room.id], 5)
        await memory.reflector.drain()
        [after] = await MemoryBook(memory.database).summaries([room.id], 5)
        assert quoted.serial not in {after.serial, *after.also}

    @pytest.mark.parametrize("gone", [("e5",), ("e1", "e2", "e3", "e4", "e5", "e6", "e7")])
    async def test_what_is_erased_while_its_going_session_is_told_is_told_no_more(
        self, memory: Memory, room: Room, gone: tuple[str, ...]
    ) -> None:
        await talk(memory, room)
        await end_session(memory)
        async with memory.database.write() as conn:  # it goes on, as a thread does
            await conn.execute(update(sessions).values(ended_at=None))
        found = await memory.reflector._claim_sessions(0)
        async with memory.database.read() as conn:
            lines = await reading.lines(conn, found[0], memory.rooms._model)
        assert lines
        summary = Summary((lines[4].serial, lines[0].serial), ("lids",))
        await memory.erasure.erase(room.id, gone, START)
        assert await memory.reflector._keep_summaries([(found[0], summary)]) == 0
        assert await count(memory, memories) == 0

    async def test_retention_takes_memories_with_their_messages(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await end_session(memory)
        await memory.reflector.drain()
        await memory.privacy.expire(room, START + timedelta(days=9))
        assert (await count(memory, memories), await count(memory, memory_sources)) == (0, 0)


class TestPeople:
    async def test_who_opts_out_takes_what_was_derived_along_and_brings_it_back(
        self, memory: Memory, room: Room
    ) -> None:
        await talk(memory, room)
        await end_session(memory)
        await memory.reflector.drain()
        before = await held(memory)
        ben = await memory.directory.find_person(memory.tenant, "ben")
        await memory.privacy.opt_out(ben, out=True)
        for drained in (False, True):
            if drained:
                await memory.reflector.drain()
            found = await texts(memory, room)
            assert not any("tea" in text or "lids" in text for text in found)
        [told] = await MemoryBook(memory.database).summaries([room.id], 5)
        wrote = await memory.engine.read([told.serial, *told.also])
        assert ben.id not in {message.author for message in wrote.values()}
        await memory.privacy.opt_out(ben, out=False)
        await memory.reflector.drain()
        assert await held(memory) == before

    async def test_nothing_of_who_opted_out_is_shown_while_it_is_still_there(self, memory: Memory, room: Room) -> None:
        await talk(memory, room)
        await memory.reflector.drain()
        ben = await memory.directory.find_person(memory.tenant, "ben")
        async with memory.database.write() as conn:
            await conn.execute(update(people).where(people.c.id == ben.id).values(opted_out_at=START))
        assert not any("tea" in text for text in await texts(memory, room))

    async def test_a_person_s_export_holds_what_was_derived_from_their_messages(
        self, memory: Memory, room: Room
    ) -> None:
        await talk(memory, room)
        await end_session(memory)
        await memory.reflector.drain()
        ana = await memory.directory.find_person(memory.tenant, "ana")
        items = [item async for item in memory.privacy.export(ana) if item["kind"] == "reflection"]
        assert {item["text"] for item in items} >= {
            "The gate code is 4471",
            "I moved hive 6 to the hedge yesterday",
        }
        assert not any("tea" in str(item) for item in items if item["of"] != "summary")
        assert (await memory.privacy.know(ana))["reflections"] == len(items)

    async def test_what_others_told_of_somebody_forgotten_is_gone(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ben", "hello"), ("Ana", "Ben has the grey key"))
        await memory.reflector.drain()
        assert "Ben has the grey key" in await texts(memory, room)
        await memory.privacy.forget_person(await memory.directory.find_person(memory.tenant, "ben"))
        await memory.reflector.drain()
        assert await texts(memory, room) == set()

    @pytest.mark.parametrize("name", ["Ben", "James"])
    async def test_what_is_being_read_of_somebody_forgotten_is_not_kept(
        self, memory: Memory, room: Room, name: str
    ) -> None:
        await memory.say(room, (name, "hello"), ("Ana", "lovely weather"))
        await memory.reflector.drain()
        await memory.say(room, ("Ana", f"{name} has the grey key"))
        batch = await memory.reflector._supply.claim(0)
        store = memory.reflector._store

        async def late(read: Sequence[_Read]) -> int:
            await memory.privacy.forget_person(await memory.directory.find_person(memory.tenant, name))
            return int(await store(read))

        memory.reflector._store = late  # type: ignore[method-assign]
        assert await memory.reflector._finish(batch) == 0
        memory.reflector._store = store  # type: ignore[method-assign]
        await memory.reflector.drain()
        assert await texts(memory, room) == set()


class TestInlineAndWorker:
    async def test_both_end_in_the_same_memories(self, memory: Memory) -> None:
        memory.journal._settled = inline(memory.indexer, memory.reflector)
        first, second = await memory.room("first"), await memory.room("second")
        for number, (author, text) in enumerate(TALK):
            at = START + timedelta(minutes=number)
            await memory.journal.admit(first, [draft(f"e{number}", author, text, at)])
        assert (await memory.reflector.depth()).waiting == 0
        memory.journal._settled = None
        drafts = [draft(f"e{n}", *line, START + timedelta(minutes=n)) for n, line in enumerate(TALK)]
        await memory.journal.admit(second, drafts)
        running = [asyncio.create_task(memory.indexer.run()), asyncio.create_task(memory.reflector.run())]
        async with asyncio.timeout(20):
            while (await memory.reflector.depth()).waiting or len(await texts(memory, second)) < 7:  # noqa: ASYNC110 - the workers tell nobody that they are done
                await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert await texts(memory, first) == await texts(memory, second)

    async def test_a_model_that_is_down_does_not_keep_a_message_out(self, memory: Memory, room: Room) -> None:
        memory.journal._settled = inline(memory.indexer, memory.reflector)
        memory.embedder.broken = True
        assert len((await memory.journal.admit(room, [draft("e1", "Ana", "The gate code is 4471")])).serials) == 1


@pytest.mark.embedded
class TestSmallness:
    async def test_what_waits_takes_few_bytes_a_message_and_what_is_done_none(self, memory: Memory, room: Room) -> None:
        number = 20_000
        async with memory.database.write() as conn:
            await conn.exec_driver_sql(
                f"""INSERT INTO people (id, tenant_id, external_id, name, created_at)
                VALUES (1000, {memory.tenant}, 'p', 'P', 0)"""  # noqa: S608 - a number of the test's own
            )
            await conn.exec_driver_sql(
                f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})
                INSERT INTO messages (serial, room_id, external_id, author_id, text, content_hash, sent_at, provenance,
                                      revision, version)
                SELECT i, {room.id}, 'e' || i, 1000, x'0061', x'00', i, 'live', 1, 1 FROM n"""  # noqa: S608 - likewise
            )
        await memory.reflector.afresh([room.id])
        async with memory.database.read() as conn:
            query = "SELECT sum(pgsize) FROM dbstat WHERE name = 'reflection_queue'"
            size = int((await conn.exec_driver_sql(query)).scalar_one())
        assert await count(memory, reflection_queue) == number
        assert size / number <= 40
