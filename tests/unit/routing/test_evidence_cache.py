"""Evidence that was found before: shared by processes, looked for once, gone with what it was made of."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import func, select, update

from memory.adapters.in_memory import ProcessCache
from memory.errors import Unavailable
from memory.models import Query, Room, Scope, Slot
from memory.pseudonyms import Pseudonyms
from memory.tables import messages
from routing import evidence_cache
from routing.evidence import Evidence, Findings
from routing.evidence_cache import KEPT, EvidenceCache, Shared, Wanted
from routing.models import Answer
from routing.routes import CHAT
from routing.shuttle import Shuttle
from routing.tables import answers, decisions
from tests.doubles import START, HandClock
from tests.parts import Memory
from tests.unit.routing.telling import evidence, opened, ordered

NAMES = Pseudonyms(b"secret of this installation")
TALK = (
    ("Ana", "the key of the smokehouse hangs behind the door"),
    ("Ben", "Søren has mended the extractor"),
    ("Cleo", "the smokehouse door sticks when it rains"),
)
QUESTION = "Where is the key of the smokehouse?"


def wanted(question: str = "key?", *rooms: int, down: tuple[str, ...] = ()) -> Wanted:
    return Wanted(Query(question, Scope(1, rooms or (1,)), START), (question, *rooms), down)


class Looker:
    """Looks as long as it is told to, and counts."""

    def __init__(self, found: Evidence | Exception | None = None) -> None:
        self.found = found or evidence(1, 2)
        self.looks = 0
        self.told = 0
        self.go = asyncio.Event()
        self.go.set()

    async def look(self) -> tuple[Findings, Evidence]:
        self.looks += 1
        await self.go.wait()
        if isinstance(self.found, Exception):
            raise self.found
        return self.found.findings, self.found

    async def tell(self, findings: Findings) -> Evidence | None:
        self.told += 1
        return evidence(*findings.ranked)


class Moody(ProcessCache):
    """A cache that is away at times; counts the calls that it did not take."""

    away = False
    calls = 0
    slow: asyncio.Event | None = None  # until it is set nothing is taken

    async def get(self, slot: Slot) -> tuple[bytes | None, tuple[str, ...]]:
        self._answer()
        return await super().get(slot)

    async def put(self, slot: Slot, value: bytes, ttl: timedelta, seen: Sequence[str]) -> bool:
        self._answer()
        if self.slow is not None:
            await self.slow.wait()
        return await super().put(slot, value, ttl, seen)

    async def drop(self, namespace: str, tags: Sequence[str]) -> None:
        self._answer()
        await super().drop(namespace, tags)

    async def claim(self, slot: Slot, ttl: timedelta) -> str | None:
        self._answer()
        return await super().claim(slot, ttl)

    async def release(self, slot: Slot, token: str) -> None:
        self._answer()
        await super().release(slot, token)

    def _answer(self) -> None:
        if self.away:
            self.calls += 1
            raise Unavailable("the cache is away")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def server(clock: HandClock) -> Moody:
    """What two processes share."""
    return Moody(clock)


@pytest.fixture
def here(server: Moody) -> EvidenceCache:
    return EvidenceCache(Shared(server, NAMES, "words"))


@pytest.fixture
def there(server: Moody) -> EvidenceCache:
    """The cache of another process."""
    return EvidenceCache(Shared(server, NAMES, "words"))


async def ask(cache: EvidenceCache, looker: Looker, what: Wanted | None = None) -> Evidence:
    found = await cache.of(what or wanted(), looker.look, looker.tell)
    await cache.written()
    return found


class TestOneLook:
    """Who asks the same at the same time waits for one look."""

    async def test_a_hundred_at_once_look_once(self) -> None:
        cache, looker = EvidenceCache(), Looker()
        given = await asyncio.gather(*(ask(cache, looker) for _ in range(100)))
        assert looker.looks == 1
        assert all(one is given[0] for one in given)
        assert (cache.counts.missed, cache.counts.own) == (1, 99)
        assert cache.counts.rate == 0.99

    async def test_another_question_does_not_wait(self) -> None:
        cache, slow, quick = EvidenceCache(), Looker(), Looker(evidence(7))
        slow.go.clear()
        first = asyncio.ensure_future(ask(cache, slow))
        assert (await ask(cache, quick, wanted("door?"))).findings.ranked == (7,)
        slow.go.set()
        assert (await first).findings.ranked == (1, 2)

    async def test_when_who_looks_is_cancelled_the_next_one_does(self) -> None:
        cache, looker = EvidenceCache(), Looker()
        looker.go.clear()
        calls = [asyncio.ensure_future(ask(cache, looker)) for _ in range(3)]
        await asyncio.sleep(0)
        calls[0].cancel()
        await asyncio.sleep(0.01)
        looker.go.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(ended[0], asyncio.CancelledError)
        assert ended[1] is ended[2]
        assert looker.looks == 2

    async def test_one_who_waits_and_is_cancelled_disturbs_nobody(self) -> None:
        cache, looker = EvidenceCache(), Looker()
        looker.go.clear()
        calls = [asyncio.ensure_future(ask(cache, looker)) for _ in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
        await asyncio.sleep(0)
        looker.go.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert ended[0] is ended[2]
        assert looker.looks == 1

    async def test_what_goes_wrong_is_told_to_all_and_is_not_remembered(self) -> None:
        cache, looker = EvidenceCache(), Looker(Unavailable("every source is down"))
        looker.go.clear()
        calls = [asyncio.ensure_future(ask(cache, looker)) for _ in range(3)]
        await asyncio.sleep(0)
        looker.go.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, Unavailable) for one in ended)
        assert looker.looks == 1
        assert (await ask(cache, Looker(evidence(1)))).findings.ranked == (1,)

    async def test_what_was_found_without_a_source_is_not_kept(self, here: EvidenceCache, there: EvidenceCache) -> None:
        part = Looker(evidence(1, whole=False))
        await ask(here, part)
        await ask(here, part)
        await ask(there, part)
        assert part.looks == 3

    async def test_whoever_comes_after_a_deletion_does_not_take_what_was_begun_before(self) -> None:
        cache, old, new = EvidenceCache(), Looker(evidence(1)), Looker(evidence(2))
        old.go.clear()
        first = asyncio.ensure_future(ask(cache, old))
        await asyncio.sleep(0)
        await cache.drop(1)
        assert (await ask(cache, new)).findings.ranked == (2,)
        old.go.set()
        await first
        assert (await ask(cache, new)).findings.ranked == (2,)


class TestShared:
    """Two processes and what they share."""

    async def test_what_one_has_found_the_other_need_not_look_for(
        self, here: EvidenceCache, there: EvidenceCache
    ) -> None:
        looker = Looker()
        await ask(here, looker)
        assert (await ask(there, looker)).findings.ranked == (1, 2)
        assert (looker.looks, looker.told) == (1, 1)
        assert (there.counts.shared, there.counts.missed) == (1, 0)

    async def test_two_that_look_at_the_same_time_look_once(self, here: EvidenceCache, there: EvidenceCache) -> None:
        looker = Looker()
        looker.go.clear()
        calls = [asyncio.ensure_future(ask(cache, looker)) for cache in (here, there)]
        await asyncio.sleep(0.05)
        looker.go.set()
        await asyncio.gather(*calls)
        assert looker.looks == 1

    async def test_nobody_waits_long_for_another_process(
        self, here: EvidenceCache, there: EvidenceCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(evidence_cache, "WAIT", 0.05)
        stuck, looker = Looker(), Looker()
        stuck.go.clear()
        first = asyncio.ensure_future(ask(here, stuck))
        await asyncio.sleep(0.01)
        await ask(there, looker)
        assert looker.looks == 1
        stuck.go.set()
        await first

    async def test_one_that_is_cancelled_leaves_the_look_to_the_other(
        self, here: EvidenceCache, there: EvidenceCache, server: Moody
    ) -> None:
        stuck, looker = Looker(), Looker()
        stuck.go.clear()
        first = asyncio.ensure_future(ask(here, stuck))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await here.written()
        assert not server._claims
        await ask(there, looker)
        assert looker.looks == 1

    async def test_findings_whose_messages_do_not_stand_are_looked_for_again(
        self, here: EvidenceCache, there: EvidenceCache
    ) -> None:
        class Doubting(Looker):
            async def tell(self, findings: Findings) -> Evidence | None:
                await super().tell(findings)
                return None

        await ask(here, Looker())
        looker = Doubting()
        await ask(there, looker)
        assert (looker.told > 0, looker.looks) == (True, 1)

    async def test_another_setting_finds_nothing_of_it(self, here: EvidenceCache, server: Moody) -> None:
        await ask(here, Looker())
        looker = Looker()
        await ask(EvidenceCache(Shared(server, NAMES, "another model")), looker)
        assert looker.looks == 1

    async def test_after_an_hour_it_is_gone(self, here: EvidenceCache, there: EvidenceCache, clock: HandClock) -> None:
        await ask(here, Looker())
        clock.advance(KEPT + timedelta(seconds=1))
        looker = Looker()
        await ask(there, looker)
        assert looker.looks == 1


class TestDeletions:
    async def test_a_room_goes_from_both(self, here: EvidenceCache, there: EvidenceCache, server: Moody) -> None:
        both, other = wanted("key?", 1, 2), wanted("key?", 3)
        await ask(here, Looker(), both)
        await ask(here, Looker(), other)
        await here.drop(2)
        assert len(server._values) == 1
        looker = Looker()
        await ask(there, looker, both)
        await ask(there, looker, other)
        assert looker.looks == 1

    async def test_all_of_it_goes(self, here: EvidenceCache, server: Moody) -> None:
        for room in (1, 2, 3):
            await ask(here, Looker(), wanted("key?", room))
        await here.drop_all()
        assert not server._values

    async def test_another_process_does_not_keep_what_it_found_before_a_deletion(
        self, here: EvidenceCache, there: EvidenceCache, server: Moody
    ) -> None:
        looker = Looker()
        looker.go.clear()
        call = asyncio.ensure_future(ask(there, looker))
        await asyncio.sleep(0.01)
        await here.drop(1)
        looker.go.set()
        await call
        assert not server._values

    async def test_a_deletion_that_a_cache_missed_is_made_up_before_it_is_used_again(
        self, here: EvidenceCache, server: Moody
    ) -> None:
        await ask(here, Looker())
        server.away = True
        with structlog.testing.capture_logs() as logged:
            await here.drop(1)
        assert [line["event"] for line in logged] == ["cache.owes_deletions"]
        assert server._values
        server.away = False
        looker = Looker()
        await ask(here, looker, wanted("another?", 9))
        assert not [place for place, tags in server._tags_of.items() if "room-1" in tags]

    async def test_and_without_anybody_asking(self, here: EvidenceCache, server: Moody) -> None:
        await ask(here, Looker())
        server.away = True
        await here.drop(1)
        work = asyncio.ensure_future(here.keep_up(0.001))
        await asyncio.sleep(0.02)
        assert server._values
        server.away = False
        await asyncio.sleep(0.02)
        work.cancel()
        assert not server._values


class TestAway:
    async def test_without_it_questions_are_answered_from_the_rooms(self, here: EvidenceCache, server: Moody) -> None:
        server.away = True
        looker = Looker()
        assert (await ask(here, looker)).findings.ranked == (1, 2)
        assert (await ask(here, looker)).findings.ranked == (1, 2)
        assert looker.looks == 1
        server.away = False
        assert (await ask(here, looker, wanted("door?"))).findings.ranked == (1, 2)


class TestSlow:
    async def test_nobody_waits_until_it_has_taken_what_was_found(
        self, here: EvidenceCache, there: EvidenceCache, server: Moody
    ) -> None:
        server.slow, looker = asyncio.Event(), Looker()
        async with asyncio.timeout(5):
            calls = [here.of(wanted(), looker.look, looker.tell) for _ in range(3)]
            assert {one.findings.ranked for one in await asyncio.gather(*calls)} == {(1, 2)}
        assert not server._values
        server.slow.set()
        await here.written()
        await ask(there, looker)
        assert looker.looks == 1

    async def test_what_it_does_not_take_is_given_up_at_the_end(self, here: EvidenceCache, server: Moody) -> None:
        server.slow, looker = asyncio.Event(), Looker()
        await here.of(wanted(), looker.look, looker.tell)
        async with asyncio.timeout(5):
            await here.close(patience=0.01)
        assert (server._values, server._claims) == ({}, {})


class TestWhatIsKept:
    """On a whole memory: two shuttles that share a cache answer alike, and the cache holds no word."""

    @staticmethod
    def shuttle(memory: Memory, server: ProcessCache) -> Shuttle:
        made = Shuttle(
            memory.engine,
            memory.book,
            memory.learner,
            memory.clock,
            paths=memory.paths,
            cache=EvidenceCache(Shared(server, NAMES, memory.embedder.model)),
        )
        memory.erasure.droppers.append(made)
        return made

    @staticmethod
    async def weave(memory: Memory, shuttle: Shuttle, room: Room, question: str = QUESTION) -> Answer:
        answer = await shuttle.weave(question, memory.scope(room), asked_at=START, route=CHAT, seed=1)
        await shuttle._cache.written()
        return answer

    async def test_an_answer_from_shared_findings_is_the_answer(
        self, memory: Memory, room: Room, server: Moody
    ) -> None:
        await memory.say(room, *TALK)
        one, two = (self.shuttle(memory, server) for _ in range(2))
        first, again = await self.weave(memory, one, room), await self.weave(memory, two, room)
        assert two._cache.counts.shared == 1
        same = replace(again, id=first.id, serial=first.serial, ms=first.ms, decision=first.decision)
        assert ordered(same) == ordered(first)
        async with memory.database.read() as conn:
            kept = [
                (await conn.execute(select(func.count()).select_from(one))).scalar() for one in (answers, decisions)
            ]
        assert kept == [2, 2]

    @pytest.mark.parametrize(
        "question", [QUESTION, "Who is Zoltan Quix?", "did anybody see the xylophone?", "what was said on 3 May 2021?"]
    )
    async def test_phrases_that_quote_the_question_come_back(
        self, memory: Memory, room: Room, server: Moody, question: str
    ) -> None:
        await memory.say(room, *TALK)
        one, two = (self.shuttle(memory, server) for _ in range(2))
        first = await self.weave(memory, one, room, question)
        again = await self.weave(memory, two, room, question)
        assert two._cache.counts.shared == 1
        assert first.reasons == again.reasons != ()

    async def test_no_word_of_a_question_or_a_message_and_no_name_is_in_it(
        self, memory: Memory, room: Room, server: Moody
    ) -> None:
        await memory.say(room, *TALK)
        await self.weave(memory, self.shuttle(memory, server), room, "Who is Zoltan Quix in the smokehouse?")
        assert server._values
        keys = " ".join(f"{space} {key} {tags}" for (space, key), tags in server._tags_of.items())
        text = keys + " ".join(opened(value.value) for value in server._values.values())
        said = {word.lower() for line in (*TALK, ("Zoltan Quix", "")) for part in line for word in part.split()}
        found = set(re.findall(r"\w+", text.lower()))
        ours = {"the", "of", "is", "it", "when", "has"}  # they stand in our own phrases, too
        assert not (said - ours) & found

    async def test_nothing_of_a_message_that_was_erased_is_in_it(
        self, memory: Memory, room: Room, server: Moody
    ) -> None:
        await memory.say(room, *TALK)
        one = self.shuttle(memory, server)
        await self.weave(memory, one, room)
        assert server._values
        await memory.journal.delete(room, "e1", START)
        assert not server._values
        answer = await self.weave(memory, self.shuttle(memory, server), room)
        assert "e1" not in [citation.message_id for citation in answer.citations]

    async def test_findings_of_messages_that_read_otherwise_now_are_not_used(
        self, memory: Memory, room: Room, server: Moody
    ) -> None:
        """An older copy of the database that was restored gives the same serials and versions to other messages."""
        await memory.say(room, *TALK)
        await self.weave(memory, self.shuttle(memory, server), room)
        async with memory.database.write() as conn:
            await conn.execute(update(messages).where(messages.c.external_id == "e3").values(text="the door is locked"))
        two = self.shuttle(memory, server)
        await self.weave(memory, two, room)
        assert (two._cache.counts.shared, two._cache.counts.missed) == (0, 1)

    async def test_what_is_written_afterwards_is_found(self, memory: Memory, room: Room, server: Moody) -> None:
        await memory.say(room, *TALK)
        await self.weave(memory, self.shuttle(memory, server), room)
        await memory.say(room, ("Dana", "the key of the smokehouse is lost"))
        answer = await self.weave(memory, self.shuttle(memory, server), room)
        assert "e4" in [citation.message_id for citation in answer.citations]

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda _: b"",
            lambda _: b"\x00",
            lambda _: b"garbage" * 100,
            lambda value: value[:-1],
            lambda value: value[:30] + bytes([value[30] ^ 1]) + value[31:],
            lambda value: bytes([value[0] + 1]) + value[1:],  # of a form to come
            lambda value: value + b"\x00" * (1 << 20),
        ],
    )
    async def test_garbage_is_looked_past(
        self, memory: Memory, room: Room, server: Moody, spoil: Callable[[bytes], bytes]
    ) -> None:
        await memory.say(room, *TALK)
        first = await self.weave(memory, self.shuttle(memory, server), room)
        for held in server._values.values():
            held.value = spoil(held.value)
        two = self.shuttle(memory, server)
        assert (await self.weave(memory, two, room)).text == first.text
        assert (two._cache.counts.shared, two._cache.counts.missed) == (0, 1)

    async def test_what_stood_under_another_key_is_garbage_too(self, memory: Memory, room: Room, server: Moody) -> None:
        await memory.say(room, *TALK)
        one = self.shuttle(memory, server)
        await self.weave(memory, one, room)
        await self.weave(memory, one, room, "What about the extractor?")
        first, second = server._values.values()
        first.value, second.value = second.value, first.value
        two = self.shuttle(memory, server)
        answer = await self.weave(memory, two, room)
        assert answer.citations[0].message_id == "e1"
        assert two._cache.counts.shared == 0
