"""A graph that outlives the process: what it missed while it was away is made up, and nothing waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from memory import links, projections
from memory.adapters.graph import RustworkxGraphIndex
from memory.errors import Unavailable
from memory.keeping_up import keep_up
from memory.models import EntityKind, Mention, MessageLinks, Room
from memory.projections import Rooms
from tests.doubles import START
from tests.parts import Memory, draft

pytestmark = pytest.mark.embedded  # nothing here depends on the database

TALK = (("Ana", "`extractor` broken"), ("Ben", "Ana mends the `extractor`"), ("Dana Meadow", "the `smoker` is hot"))
EXTRACTOR = Mention(EntityKind.CODE, "extractor", "extractor")


class Server(RustworkxGraphIndex):
    """As a server is: it keeps rooms that nobody needs at hand, is away at times, and may be slow."""

    lasting = True

    def __init__(self) -> None:
        super().__init__()
        self.well = True
        self.calls = 0
        self.beside: dict[int, list[MessageLinks]] = {}
        self.swept: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked, self.noted, self.refused = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def put(self, room: int, links: Sequence[MessageLinks], since: int | None = None) -> bool:
        self.calls += 1
        self.asked.set()
        await self.gate.wait()
        self._check()
        return await super().put(room, links, since)

    async def remove(self, room: int, serials: Sequence[int]) -> None:
        self._check()
        await super().remove(room, serials)

    async def reached(self, room: int) -> int:
        self._check()
        return await super().reached(room)

    async def reach(self, room: int, version: int) -> None:
        self._check()
        await super().reach(room, version)
        self.noted.set()

    async def release(self, room: int) -> None:
        """It stays."""

    async def begin(self, room: int) -> None:
        self.beside[room] = []

    async def build(self, room: int, links: Sequence[MessageLinks]) -> None:
        self._check()
        self.beside[room] += links

    async def switch(self, room: int, version: int) -> None:
        await super().drop(room)
        await super().put(room, self.beside.pop(room))
        await super().reach(room, version)

    async def sweep(self, room: int) -> None:
        self._check()
        self.swept.append(room)
        self.beside.pop(room, None)

    def _check(self) -> None:
        if not self.well:
            self.refused.set()
            raise Unavailable("the server is away")


class Line(Server):
    """Another process's line to a server; what it puts may be long on the way."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._rooms, self._reached = server._rooms, server._reached


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def rooms(memory: Memory, server: Server) -> AsyncIterator[Rooms]:
    """Rooms with that server, which is told of erasures as the program's is."""
    made = Rooms(memory.database, server, memory.rooms._model)
    memory.erasure.droppers.append(made)
    yield made
    await made.close()


async def held(server: Server, room: Room) -> int:
    """How many messages name the extractor there."""
    return sum(count for _, count in await server.known(room.id, [EXTRACTOR]))


class TestCatchingUp:
    async def test_it_is_brought_to_where_the_rooms_are(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        assert await rooms.catch_up() == 1
        assert await held(server, room) == 2
        assert await rooms.catch_up() == 0
        assert server.calls == 1

    async def test_a_large_room_is_read_in_pages_and_what_comes_between_them_follows(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(links, "_PAGE", 2)
        monkeypatch.setattr(projections, "_PATIENCE", 0.05)
        await memory.say(room, *TALK)
        server.gate.clear()
        filling = asyncio.create_task(rooms.catch_up())
        await server.asked.wait()
        await memory.journal.delete(room, "e2", START)
        server.gate.set()
        await filling
        assert server.calls == 2
        await rooms.catch_up()
        assert await held(server, room) == 1
        async with memory.database.read() as conn:
            assert await links.page(conn, room.id, 0) == await links.links_of(conn, room.id, [1, 3])

    async def test_what_it_did_not_take_is_not_noted_as_taken(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK[:1])
        server.well = False
        with pytest.raises(Unavailable):
            await rooms.catch_up()
        await memory.say(room, *TALK[1:])
        server.well = True
        assert await server.reached(room.id) == 0
        await rooms.catch_up()
        assert await held(server, room) == 2

    async def test_a_message_that_was_forgotten_while_it_was_away_goes_when_it_is_back(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await rooms.catch_up()
        server.well = False
        await memory.privacy.forget_message(memory.tenant, "e1", room)
        assert rooms.owed
        server.well = True
        assert await held(server, room) == 2
        await rooms.catch_up()
        assert await held(server, room) == 1
        assert not rooms.owed

    async def test_a_person_who_was_forgotten_is_named_by_no_message_of_others(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK, ("Ben", "ask Dana Meadow"))
        await rooms.catch_up()
        dana = await memory.directory.find_person(memory.tenant, "Dana Meadow")
        theirs = Mention(EntityKind.PERSON, str(dana.id), "")
        assert await server.known(room.id, [theirs]) == [(theirs, 2)]
        await memory.privacy.forget_person(dana)
        assert await server.known(room.id, [theirs]) == []

    async def test_a_person_is_owed_by_a_process_that_has_not_spoken_to_the_server_yet(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await memory.rooms.drop_person(1)
        assert not memory.rooms.owed
        server.well = False
        await rooms.drop_person(1)
        assert rooms.owed
        server.well = True
        await rooms.catch_up()
        assert not rooms.owed

    async def test_a_database_that_was_brought_back_from_a_copy_wins(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await server.put(room.id, [MessageLinks(99, EXTRACTOR, START, mentions=(EXTRACTOR,))])
        await server.reach(room.id, 1_000)
        await rooms.catch_up()
        assert await held(server, room) == 2

    async def test_a_room_that_is_not_at_hand_any_more_stays_there(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await rooms.catch_up()
        await rooms.wipe(room.id)
        assert await held(server, room) == 2


class TestTwoProcesses:
    async def test_what_one_has_erased_is_not_brought_back_by_the_other(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        line = Line(server)
        line.gate.clear()
        other = Rooms(memory.database, line, memory.rooms._model)
        slow = asyncio.create_task(other.catch_up())
        await line.asked.wait()
        await rooms.catch_up()
        await memory.journal.delete(room, "e1", START)
        await rooms.catch_up()
        assert await held(server, room) == 1
        version = await server.reached(room.id)
        line.gate.set()
        await slow
        assert await held(server, room) == 1
        assert await server.reached(room.id) == version
        await memory.journal.admit(room, [draft("e9", "Ana", "the `extractor` runs")])
        await memory.indexer.drain()
        await other.catch_up()
        assert await held(server, room) == 2

    async def test_neither_drops_what_the_other_fills(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await server.put(room.id, [MessageLinks(99, EXTRACTOR, START, mentions=(EXTRACTOR,))])
        await rooms.catch_up()
        assert await held(server, room) == 3


class TestRebuilding:
    async def test_what_an_earlier_process_left_is_swept_once(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await server.begin(room.id)
        await rooms.catch_up()
        await rooms.catch_up()
        assert server.swept == [room.id]
        assert not server.beside

    async def test_what_is_being_built_stays_and_goes_when_it_is_interrupted(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        steps = rooms.rebuild_graph(server, room.id)  # type: ignore[arg-type]
        assert await anext(steps) == len(TALK)
        assert rooms.builds(room.id)
        await rooms.catch_up()
        assert server.beside
        await steps.aclose()  # type: ignore[attr-defined]
        assert not rooms.builds(room.id)
        await rooms.catch_up()
        assert not server.beside


class TestAsking:
    async def test_who_has_no_patience_leaves_and_the_work_goes_on(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        server.gate.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await rooms.graph(room.id)
        server.gate.set()
        await rooms.graph(room.id)
        assert await held(server, room) == 2
        assert server.calls == 1

    async def test_a_question_does_not_load_it_beforehand(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await rooms.hold_graph(room.id)
        assert server.calls == 0

    async def test_what_came_while_it_was_being_brought_up_to_date_follows(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        await memory.say(room, *TALK[:1])
        server.gate.clear()
        first = asyncio.create_task(rooms.graph(room.id))
        await server.asked.wait()
        await memory.say(room, *TALK[1:])
        second = asyncio.create_task(rooms.graph(room.id))
        server.gate.set()
        await asyncio.gather(first, second)
        assert await held(server, room) == 2


class TestKeepingUp:
    async def test_a_worker_makes_up_what_was_missed_without_being_asked(
        self, memory: Memory, room: Room, rooms: Rooms, server: Server
    ) -> None:
        server.well = False
        await memory.say(room, *TALK)
        worker = asyncio.create_task(keep_up(rooms, every=0.01))
        try:
            await server.refused.wait()
            server.well = True
            await server.noted.wait()
            assert await held(server, room) == 2
        finally:
            worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        assert worker.cancelled()


class TestSums:
    async def test_they_count_what_the_links_say(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        async with memory.database.read() as conn:
            there = await links.page(conn, room.id, 0)
            found = await links.sum_of(conn, room.id)
            some = await links.links_of(conn, room.id, [2, 77, 1])
            assert await links.page(conn, room.id, there[-1].serial) == []
        assert some == there[:2]
        assert found.messages == 3
        assert found.ties == 3 + sum(len({(m.kind is EntityKind.PERSON, m.key) for m in one.mentions}) for one in there)
        seconds = sum(int(one.sent_at.timestamp()) % 1_000_003 for one in there)
        assert found.checksum == 31 * sum(one.serial for one in there) + seconds
