"""Several processes on one PostgreSQL: everything once, in an order, and nothing of it lost or left behind."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from bot.inbox import Kind
from memory.leases import LASTS
from memory.models import Person
from memory.outbox import INDEX
from memory.reflection.reading import PAGE
from memory.statements import hold_room
from memory.tables import embeddings, messages, tenants
from routing.tables import votes
from tests.doubles import START
from tests.parts import Memory, draft, open_memory
from tests.services.databases import empty_database
from tests.unit.bot.rooms import open_bot

pytestmark = pytest.mark.services

PROCESSES = 3
LINES = 300


@asynccontextmanager
async def several(folder: Path, number: int = PROCESSES) -> AsyncIterator[list[Memory]]:
    """The memories of as many data folders on one database."""
    async with empty_database() as url, AsyncExitStack() as stack:
        found = []
        for name in range(number):
            own = folder / f"process{name}"
            own.mkdir()
            found.append(await stack.enter_async_context(open_memory(own, url)))
        yield found


async def person(memory: Memory, name: str) -> Person:
    return await memory.directory.person(memory.tenant, name, name)


async def count(memory: Memory, words: str) -> int:
    async with memory.database.read() as conn:
        return int((await conn.execute(text(words))).scalar_one())


class TestComing:
    async def test_the_same_history_from_everywhere_is_kept_once(self, tmp_path: Path) -> None:
        async with several(tmp_path) as memories:
            room = await memories[0].room()
            history = [draft(f"e{i}", f"P{i % 17}", f"line {i}", START + timedelta(minutes=i)) for i in range(LINES)]

            async def tell(memory: Memory, turned: int) -> int:
                mine = history[turned:] + history[:turned]  # each begins elsewhere, so that their batches cross
                parts = [mine[start : start + 30] for start in range(0, LINES, 30)]
                return sum([len((await memory.journal.admit(room, part)).serials) for part in parts])

            told = await asyncio.gather(*(tell(one, 100 * i) for i, one in enumerate(memories)))
            assert sum(told) == LINES
            assert await count(memories[0], "SELECT count(*) FROM messages") == LINES
            assert await count(memories[0], "SELECT count(*) FROM people") == 17
            assert await count(memories[0], "SELECT sum(messages) FROM sessions") == LINES

    async def test_a_room_a_team_and_a_person_that_all_see_first_are_made_once(self, tmp_path: Path) -> None:
        async with several(tmp_path) as memories:
            seen = await asyncio.gather(
                *(one.directory.tenant("matrix", "@weave:example.org", "x") for one in memories for _ in range(3))
            )
            assert len(set(seen)) == 1
            made = await asyncio.gather(*(one.directory.room(seen[0], "!a", "a") for one in memories for _ in range(3)))
            assert len({one.id for one in made}) == 1
            who = await asyncio.gather(*(one.directory.person(seen[0], "@ana", "Ana") for one in memories))
            assert len({one.id for one in who}) == 1

    async def test_versions_of_a_room_are_given_once_and_seen_in_order(self, tmp_path: Path) -> None:
        async with several(tmp_path) as memories:
            room = await memories[0].room()

            async def tell(memory: Memory, name: int) -> None:
                for i in range(20):
                    await memory.journal.admit(room, [draft(f"{name}.{i}", "Ana", f"line {i} of {name}")])

            async def follow(memory: Memory) -> list[int]:
                seen: list[int] = []
                while not seen or seen[-1] < 40:
                    seen.append(len((await memory.rooms.view(room.id)).serials))
                    await asyncio.sleep(0)
                return seen

            *_, seen = await asyncio.gather(tell(memories[0], 0), tell(memories[1], 1), follow(memories[2]))
            assert seen == sorted(seen)
            assert await count(memories[0], "SELECT count(DISTINCT version) FROM messages") == 40


class TestIndexing:
    async def test_workers_share_what_waits_and_do_nothing_twice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tests.parts.INDEX", replace(INDEX, most=20))
        monkeypatch.setattr("memory.outbox.PAGE", 10)
        async with several(tmp_path) as memories:
            room = await memories[0].room()
            drafts = [draft(f"e{i}", "Ana", f"word{i} of Ben", START + timedelta(seconds=i)) for i in range(LINES)]
            await memories[0].journal.admit(room, drafts)
            done = await asyncio.gather(*(one.indexer.drain() for one in memories))
            assert sum(done) == LINES
            embedded = [words for one in memories for words in one.embedder.embedded]
            assert sorted(embedded) == sorted(one.text for one in drafts)
            assert sum(amount > 0 for amount in done) > 1, "one worker did everything: nothing was shared"
            assert await count(memories[0], "SELECT count(*) FROM index_outbox") == 0
            assert await count(memories[0], "SELECT count(*) FROM embeddings") == LINES

    async def test_what_a_dead_worker_had_taken_is_done_when_its_claim_has_run_out(self, tmp_path: Path) -> None:
        async with several(tmp_path, 2) as (dead, alive):
            room = await dead.room()
            await dead.journal.admit(room, [draft("e1", "Ana", "the gate code is 4471")])
            assert len((await dead.indexer._claim(0)).tasks) == 1  # and then it died
            assert await alive.indexer.drain() == 0
            alive.clock.advance(LASTS + timedelta(seconds=1))
            assert await alive.indexer.drain() == 1

    async def test_a_worker_that_comes_back_goes_on_with_its_own_at_once(self, tmp_path: Path) -> None:
        async with several(tmp_path, 1) as [before]:
            room = await before.room()
            await before.journal.admit(room, [draft("e1", "Ana", "the gate code is 4471")])
            assert len((await before.indexer._claim(0)).tasks) == 1
            assert await before.indexer.drain() == 1

    async def test_one_process_finds_by_meaning_what_another_has_embedded(self, tmp_path: Path) -> None:
        async with several(tmp_path, 2) as (writer, reader):
            room = await writer.room()
            assert not len((await reader.rooms.view(room.id)).serials)
            [serial] = await writer.say(room, ("Ana", "the gate code is 4471"))
            view = await reader.rooms.view(room.id)
            assert view.serials.tolist() == [serial]
            assert len(view.vectors) == 1
            await writer.journal.delete(room, "e1", START)
            assert not (await reader.rooms.view(room.id)).alive.any()


class TestReflecting:
    async def test_workers_share_what_waits_and_double_no_memory(self, tmp_path: Path) -> None:
        async with several(tmp_path, 2) as (one, other):
            room = await one.room()
            drafts = [
                draft(f"e{i}", "Ana", f"The hut number {i} is locked", START + timedelta(hours=i)) for i in range(LINES)
            ]
            await one.journal.admit(room, drafts)
            await one.indexer.drain()
            taken, rest = await one.reflector._supply.claim(0), await other.reflector._supply.claim(0)
            assert (len(taken.tasks), len(rest.tasks)) == (PAGE, LINES - PAGE)
            assert await other.reflector._supply.claim(0) == rest  # its own come back to it, those of others do not
            await asyncio.gather(one.reflector._finish(taken), other.reflector._finish(rest))
            await asyncio.gather(*(each.reflector.drain() for each in (one, other) for _ in range(2)))
            assert await count(one, "SELECT count(*) FROM memories") == LINES
            assert await count(one, "SELECT count(DISTINCT message_serial) FROM memories") == LINES
            assert await count(one, "SELECT count(*) FROM reflection_queue") == 0
            assert await count(one, "SELECT count(*) FROM session_queue") == 0

    async def test_what_a_dead_worker_had_taken_is_read_when_its_claim_has_run_out(self, tmp_path: Path) -> None:
        async with several(tmp_path, 2) as (dead, alive):
            room = await dead.room()
            await dead.say(room, ("Ana", "The gate code is 4471"))
            assert len((await dead.reflector._supply.claim(0)).tasks) == 1  # and then it died
            assert await alive.reflector.drain() == 0
            alive.clock.advance(LASTS + timedelta(seconds=1))
            assert await alive.reflector.drain() == 1
            assert await count(alive, "SELECT count(*) FROM memories") == 1

    async def test_opting_out_waits_for_whoever_is_storing(self, tmp_path: Path) -> None:
        async with several(tmp_path, 2) as (one, other):
            room = await one.room()
            await one.say(room, ("Ana", "I prefer cold tea."))
            ana = await person(one, "ana")
            async with other.database.write() as conn:
                await hold_room(conn, room.id)
                leaving = asyncio.create_task(one.privacy.opt_out(ana, out=True))
                await asyncio.wait({leaving}, timeout=0.5)
                assert not leaving.done()
            await leaving

    async def test_history_waits_for_whoever_is_storing(self, tmp_path: Path) -> None:
        async with several(tmp_path, 2) as (one, other):
            room = await one.room()
            await one.say(room, ("Ana", "I prefer cold tea."))
            async with other.database.write() as conn:
                await hold_room(conn, room.id)
                putting = asyncio.ensure_future(one.reflector._end_history(room.id, {0: 1}))
                await asyncio.wait({putting}, timeout=0.5)
                assert not putting.done()
            await putting


class TestAnswering:
    async def test_an_event_has_one_answer(self, tmp_path: Path) -> None:
        async with several(tmp_path) as memories:
            room = await memories[0].room()
            await memories[0].say(room, ("Ana", "the gate code is 4471"))
            asked = await asyncio.gather(
                *(one.shuttle.weave("gate code?", one.scope(room), event_id="q1", asked_at=START) for one in memories)
            )
            assert len({answer.id for answer in asked}) == 1
            assert await count(memories[0], "SELECT count(*) FROM answers") == 1

    async def test_votes_from_everywhere_all_count_and_each_once(self, tmp_path: Path) -> None:
        async with several(tmp_path) as memories:
            room = await memories[0].room()
            await memories[0].say(room, ("Ana", "the gate code is 4471"))
            answer = await memories[0].shuttle.weave("gate code?", memories[0].scope(room), asked_at=START)
            voters = [await person(memories[0], f"voter{i}") for i in range(8)]

            async def vote(memory: Memory) -> None:
                for who in voters:
                    for emoji in ("👍", "👎", "👍"):
                        await memory.shuttle.vote(memory.tenant, answer.id, who, emoji)

            await asyncio.gather(*map(vote, memories))
            async with memories[0].database.read() as conn:
                rows = (await conn.execute(select(votes.c.person_id, votes.c.emoji).order_by(votes.c.serial))).all()
                version = (await conn.execute(select(tenants.c.votes_version))).scalars().all()
            newest = {row.person_id: row.emoji for row in rows}
            assert newest == {who.id: "👍" for who in voters}
            assert len(rows) == 2 * len(voters)
            assert max(version) >= 2 * len(voters)
            assert [await one.learner.reward_of(one.tenant, answer.serial) for one in memories] == [
                await memories[0].learner.reward_of(memories[0].tenant, answer.serial)
            ] * len(memories)

    async def test_a_question_that_waits_is_carried_out_by_one_process(self, tmp_path: Path) -> None:
        async with empty_database() as url, AsyncExitStack() as stack:
            for i in range(PROCESSES):
                (tmp_path / f"p{i}").mkdir()
            apps = [
                await stack.enter_async_context(open_bot(tmp_path / f"p{i}", database_url=url))
                for i in range(PROCESSES)
            ]
            room = await apps[0].directory.room(apps[0].tenant, "hives", "hives")
            for i in range(10):
                await apps[0].inbox.put(room, Kind.WITHDRAWN, f"w{i}", f"answer{i}")
            done: list[str] = []

            async def serve(number: int) -> None:
                while await count_waiting() > 0:
                    item = await apps[number].inbox.first(room.id)
                    if item is not None and await apps[number].inbox.begin(item):
                        assert item.begun == 0
                        done.append(item.event_id)
                        await asyncio.sleep(0.005)
                        await apps[number].inbox.done(item)
                    await asyncio.sleep(0.001)

            async def count_waiting() -> int:
                async with apps[0].database.read() as conn:
                    return int((await conn.execute(text("SELECT count(*) FROM inbox"))).scalar_one())

            await asyncio.gather(*map(serve, range(PROCESSES)))
            assert done == [f"w{i}" for i in range(10)]


class TestErasing:
    async def test_nothing_of_a_message_is_left_whoever_writes_meanwhile(self, tmp_path: Path) -> None:
        async with several(tmp_path) as memories:
            room = await memories[0].room()
            told = [("Ana", f"the padlock number {i} is under the stone") for i in range(20)]
            await memories[0].say(room, *told)

            async def ask(memory: Memory) -> None:
                for _ in range(12):
                    await memory.shuttle.weave("which padlock is under the stone?", memory.scope(room), asked_at=START)

            async def again(memory: Memory) -> None:
                for i in range(20):
                    await memory.journal.admit(room, [draft(f"x{i}", "Ben", told[i][1])])
                    await memory.indexer.drain()

            async def erase(memory: Memory) -> None:
                for i in range(1, 21):
                    await memory.journal.delete(room, f"e{i}", START)

            await asyncio.gather(ask(memories[0]), again(memories[1]), erase(memories[2]))
            for memory in memories:
                await memory.indexer.drain()
            async with memories[0].database.read() as conn:
                left = set((await conn.execute(select(messages.c.serial))).scalars())
                cited = set((await conn.execute(text("SELECT message_serial FROM citations"))).scalars())
                bare = await conn.execute(
                    select(messages.c.external_id).where(
                        messages.c.content_hash.not_in(select(embeddings.c.content_hash))
                    )
                )
                assert len(left) == 20
                assert cited <= left
                assert bare.scalars().all() == []

    async def test_a_person_who_is_forgotten_while_they_vote_and_write_is_gone(self, tmp_path: Path) -> None:
        async with several(tmp_path) as memories:
            room = await memories[0].room()
            await memories[0].say(room, ("Ana", "the gate code is 4471"), ("Zoe", "thanks Ana"))
            answer = await memories[0].shuttle.weave("gate code?", memories[0].scope(room), asked_at=START)
            zoe = await person(memories[0], "zoe")

            async def vote(memory: Memory) -> None:
                for _ in range(10):
                    with suppress(IntegrityError):  # there is nobody of that name any more
                        await memory.shuttle.vote(memory.tenant, answer.id, zoe, "👍")
                        await memory.shuttle.vote(memory.tenant, answer.id, zoe, "👍", remove=True)

            await asyncio.gather(vote(memories[0]), vote(memories[1]), memories[2].privacy.forget_person(zoe))
            assert await count(memories[0], "SELECT count(*) FROM people WHERE external_id = 'zoe'") == 0
            assert await count(memories[0], "SELECT count(*) FROM votes") == 0


def work(folder: Path, url: str, name: int, told: multiprocessing.SimpleQueue[tuple[int, int]]) -> None:
    """A process that admits its own messages and everybody's, and indexes whatever waits."""

    async def main() -> None:
        own = folder / f"process{name}"
        own.mkdir()
        async with open_memory(own, url) as memory:
            room = await memory.room()
            new = done = 0
            for i in range(15):
                both = [
                    draft(f"all{i}", "Ana", f"everybody says {i}"),
                    draft(f"{name}.{i}", f"P{name}", f"{name} says {i}"),
                ]
                new += len((await memory.journal.admit(room, both)).serials)
                done += await memory.indexer.drain()
            told.put((new, done))

    asyncio.run(main())


class TestProcesses:
    async def test_of_real_processes_none_loses_or_doubles_anything(self, tmp_path: Path) -> None:
        async with empty_database() as url:
            forking = multiprocessing.get_context("spawn")
            told: multiprocessing.SimpleQueue[tuple[int, int]] = forking.SimpleQueue()
            started = [forking.Process(target=work, args=(tmp_path, url, name, told)) for name in range(2)]
            for one in started:
                one.start()
            for one in started:
                await asyncio.to_thread(one.join)
            assert [one.exitcode for one in started] == [0, 0]
            heard: Sequence[tuple[int, int]] = [told.get() for _ in started]
            assert sum(new for new, _ in heard) == 45
            last = tmp_path / "last"
            last.mkdir()
            async with open_memory(last, url) as memory:
                assert sum(done for _, done in heard) + await memory.indexer.drain() == 45
                assert await count(memory, "SELECT count(*) FROM messages") == 45
                assert await count(memory, "SELECT count(*) FROM people") == 3
                assert await count(memory, "SELECT count(*) FROM index_outbox") == 0
                assert await count(memory, "SELECT sum(messages) FROM sessions") == 45
