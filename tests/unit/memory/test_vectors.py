"""A vector index on a server: it is kept where the rooms are, and asked in their stead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import pytest
from qdrant_client import AsyncQdrantClient

from memory import loading, ranking, vectors
from memory.adapters.qdrant import QdrantVectorIndex
from memory.adapters.qdrant_link import QdrantLink
from memory.breaker import Breaker
from memory.engine import Engine
from memory.errors import ModelMismatch, Unavailable
from memory.keeping_up import keep_up
from memory.models import Floats, Nominations, Query, Room, RoomRow
from memory.pseudonyms import Pseudonyms, pseudonyms_of
from memory.room_rows import RoomRows
from memory.sources import index_sources
from memory.vectors import Vectors
from tests.doubles import START, HandClock
from tests.parts import Memory

pytestmark = pytest.mark.embedded  # nothing here depends on the database

TALK = (
    ("Ana", "the smoker is broken"),
    ("Ben", "Ana mends the smoker on Sunday"),
    ("Cleo", "queens are marked with blue paint"),
    ("Ben", "the blue hive is empty"),
)


class Server(QdrantVectorIndex):
    """On the client's local mode; it is away at times, or slow to take what is put."""

    def __init__(self, link: QdrantLink, names: Pseudonyms, model: str, dim: int) -> None:
        super().__init__(link, names, model, dim)
        self.well = True
        self.calls: list[str] = []
        self.gate, self.putting, self.noted = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def put(self, room: int, tenant: int, rows: RoomRows) -> None:
        self.calls.append("put")
        self.putting.set()
        await self.gate.wait()
        self._check()
        await super().put(room, tenant, rows)

    async def remove(self, room: int, serials: Sequence[int]) -> None:
        self._check()
        await super().remove(room, serials)

    async def reached(self, room: int) -> int:
        self._check()
        return await super().reached(room)

    async def reach(self, room: int, version: int, generation: str | None = None) -> None:
        self._check()
        await super().reach(room, version, generation)
        self.noted.set()

    async def generation(self) -> str:
        self._check()
        return await super().generation()

    async def nominate(
        self, room: int, direction: Floats | None, terms: Mapping[str, float], limit: int
    ) -> tuple[Nominations, Nominations]:
        self.calls.append("nominate")
        self._check()
        return await super().nominate(room, direction, terms, limit)

    def _check(self) -> None:
        if not self.well:
            raise Unavailable("the server is away")


@pytest.fixture
async def client() -> AsyncIterator[AsyncQdrantClient]:
    client = AsyncQdrantClient(location=":memory:")
    yield client
    await client.close()


async def server_on(client: AsyncQdrantClient, memory: Memory, model: str | None = None) -> Server:
    link = QdrantLink(client, Breaker("Qdrant", HandClock()), reading=5.0, writing=5.0)
    names = await pseudonyms_of(memory.database, memory.clock)
    return Server(link, names, model or memory.embedder.model, memory.embedder.dim)


@pytest.fixture
async def server(client: AsyncQdrantClient, memory: Memory) -> Server:
    return await server_on(client, memory)


async def kept_by(memory: Memory, server: Server) -> Vectors:
    names = await pseudonyms_of(memory.database, memory.clock)
    return Vectors(memory.database, server, memory.rooms._model, names)


@pytest.fixture
async def kept(memory: Memory, server: Server) -> AsyncIterator[Vectors]:
    """What keeps that server up, and is told of erasures as the program's is."""
    made = await kept_by(memory, server)
    memory.erasure.droppers.append(made)
    yield made
    await made.close()


@pytest.fixture
def engine(memory: Memory, kept: Vectors) -> Engine:
    sources = index_sources(memory.rooms, kept)
    return Engine(memory.database, memory.rooms, memory.embedder, sources, memory.indexer, vectors=kept)


async def asked(memory: Memory, room: Room, text: str = "who mends the smoker?") -> Query:
    return await memory.engine.prepare(text, memory.scope(room), START, 10)


async def serials_of(kept: Vectors, room: Room) -> list[int]:
    return list(await kept.index.serials(room.id, 0))


async def agree(memory: Memory, kept: Vectors, room: Room) -> None:
    async with memory.database.read() as conn:
        wanted = await kept.sum_of(conn, room.id)
    assert await kept.index.sum_of(room.id) == wanted


class TestCatchingUp:
    async def test_it_is_brought_to_where_the_rooms_are(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        serials = await memory.say(room, *TALK)
        other = await memory.room("other")
        await memory.say(other, ("Dana", "something else"))
        assert await kept.catch_up() == 2
        assert await serials_of(kept, room) == serials
        await agree(memory, kept, room)
        await agree(memory, kept, other)
        assert await kept.catch_up() == 0
        assert server.calls == ["put", "put"]

    async def test_a_large_room_goes_in_pages(
        self, memory: Memory, room: Room, kept: Vectors, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading, "_PAGE", 3)
        await memory.say(room, *TALK)
        await kept.catch_up()
        assert server.calls == ["put", "put"]
        await agree(memory, kept, room)

    async def test_an_edit_and_a_deletion_are_followed_at_once(self, memory: Memory, room: Room, kept: Vectors) -> None:
        serials = await memory.say(room, *TALK)
        await kept.catch_up()
        await memory.journal.edit(room, "e1", "ana", "honey", START)
        await memory.journal.delete(room, "e2", START)
        assert set(await serials_of(kept, room)) == {serials[0], *serials[2:]}
        await memory.indexer.drain()
        await kept.catch_up()
        await agree(memory, kept, room)
        _, said = await kept.index.nominate(room.id, None, {"smoker": 1.0}, 10)
        assert len(said.serials) == 0

    async def test_what_it_missed_while_it_was_away_is_made_up(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        await memory.say(room, *TALK[:2])
        await kept.catch_up()
        server.well = False
        await memory.say(room, *TALK[2:])
        await memory.journal.delete(room, "e1", START)
        assert kept.owed
        with pytest.raises(Unavailable):
            await kept.catch_up()
        server.well = True
        await kept.catch_up()
        assert not kept.owed
        await agree(memory, kept, room)
        assert len(await serials_of(kept, room)) == 3

    async def test_a_server_that_lost_everything_is_filled_again(
        self, memory: Memory, room: Room, kept: Vectors, client: AsyncQdrantClient, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await kept.catch_up()
        for one in (await client.get_collections()).collections:
            await client.delete_collection(one.name)
        server._ready = False  # what a failed call leads to; local mode tells a lost collection by an error of its own
        server._reached.clear()
        await kept.catch_up()
        await agree(memory, kept, room)

    async def test_a_database_that_is_older_than_the_server_wins(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        serials = await memory.say(room, *TALK)
        await kept.catch_up()
        extra = RoomRow(999, 1, 0.0, "from the future", None, None, None, None, None)
        await server.put(room.id, memory.tenant, RoomRows.of([extra]))
        await server.reach(room.id, 1000)
        await kept.catch_up()
        assert await serials_of(kept, room) == serials

    async def test_a_worker_keeps_it_up_and_says_when_it_was_away(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        server.well = False
        await memory.say(room, *TALK)
        work = asyncio.create_task(keep_up(kept, every=0.001, name="vectors"))
        await asyncio.sleep(0.01)
        server.well = True
        async with asyncio.timeout(5):
            await server.noted.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await agree(memory, kept, room)


class TestErasing:
    async def test_what_is_erased_while_another_process_puts_it_does_not_stay(
        self, memory: Memory, room: Room, kept: Vectors, client: AsyncQdrantClient
    ) -> None:
        serials = await memory.say(room, *TALK)
        slow = await server_on(client, memory)
        other = await kept_by(memory, slow)
        slow.gate.clear()
        late = asyncio.create_task(other.catch_up())
        await slow.putting.wait()  # it has read the message, and not put it yet
        await memory.journal.delete(room, "e2", START)
        await kept.catch_up()
        slow.gate.set()
        await late
        assert serials[1] not in await serials_of(kept, room)
        await kept.catch_up()
        await agree(memory, kept, room)

    async def test_what_is_edited_while_another_process_puts_it_is_there_as_it_is_now(
        self, memory: Memory, room: Room, kept: Vectors, client: AsyncQdrantClient
    ) -> None:
        await memory.say(room, *TALK)
        slow = await server_on(client, memory)
        other = await kept_by(memory, slow)
        slow.gate.clear()
        late = asyncio.create_task(other.catch_up())
        await slow.putting.wait()  # it has read the message as it was, and not put it yet
        await memory.journal.edit(room, "e2", "ben", "honey", START)
        await memory.indexer.drain()
        await kept.catch_up()  # from now on nobody would put it again
        slow.gate.set()
        await late
        _, said = await kept.index.nominate(room.id, None, {"sunday": 1.0}, 10)
        assert len(said.serials) == 0
        await agree(memory, kept, room)

    async def test_what_a_killed_process_left_goes_at_the_next_start(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        serials = await memory.say(room, *TALK)
        await kept.catch_up()
        stray = RoomRow(serials[-1] + 5, 1, 0.0, "erased by now", None, None, None, None, None)
        await server.put(room.id, memory.tenant, RoomRows.of([stray]))
        again = await kept_by(memory, server)
        await again.catch_up()
        assert await serials_of(kept, room) == serials

    async def test_a_person_who_is_forgotten_leaves_nothing(self, memory: Memory, room: Room, kept: Vectors) -> None:
        await memory.say(room, *TALK)
        await kept.catch_up()
        ben = await memory.directory.find_person(memory.tenant, "Ben")
        assert await memory.privacy.forget_person(ben) == 2
        assert len(await serials_of(kept, room)) == 2
        await kept.catch_up()
        await agree(memory, kept, room)


class TestAsking:
    async def test_what_it_proposes_is_scored_as_the_arrays_score(
        self, memory: Memory, room: Room, engine: Engine
    ) -> None:
        await memory.say(room, *TALK)
        query = await asked(memory, room)
        view = await memory.rooms.view(room.id)
        for name, exact in (("vector", ranking.vector), ("keyword", ranking.keyword)):
            said, wanted = await engine.nominate(name, query, room.id, 10), exact(view, query, 10)
            assert said.serials.tolist() == wanted.serials.tolist()
            assert said.scores.tolist() == pytest.approx(wanted.scores.tolist(), abs=1e-6)
            assert said.instead_of == ""

    async def test_both_sources_and_the_look_ask_once(
        self, memory: Memory, room: Room, engine: Engine, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        query = await asked(memory, room)
        await asyncio.gather(
            engine.nominate("vector", query, room.id, 200),
            engine.nominate("keyword", query, room.id, 200),
            engine.look(query, room.id),
        )
        assert server.calls.count("nominate") == 1

    async def test_a_message_is_found_as_soon_as_it_was_said(self, memory: Memory, room: Room, engine: Engine) -> None:
        await memory.say(room, *TALK)
        await engine.nominate("keyword", await asked(memory, room), room.id, 10)
        [fresh] = await memory.say(room, ("Dana", "the zeppelin lands"))
        query = await asked(memory, room, "when lands the zeppelin?")
        assert (await engine.nominate("keyword", query, room.id, 1)).serials.tolist() == [fresh]

    async def test_while_it_is_away_the_arrays_are_searched_and_that_is_said(
        self, memory: Memory, room: Room, engine: Engine, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        query = await asked(memory, room)
        view = await memory.rooms.view(room.id)
        server.well = False
        for name, exact in (("vector", ranking.vector), ("keyword", ranking.keyword)):
            said = await engine.nominate(name, query, room.id, 10)
            assert said.serials.tolist() == exact(view, query, 10).serials.tolist()
            assert said.instead_of == "qdrant"
        assert (await engine.look(query, room.id)).top == pytest.approx(float(ranking.vector(view, query, 1).scores[0]))
        server.well = True
        assert (await engine.nominate("vector", query, room.id, 10)).instead_of == ""

    async def test_one_that_has_much_to_catch_up_with_is_not_waited_for(
        self, memory: Memory, room: Room, engine: Engine, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vectors, "PATIENCE", 0.05)
        await memory.say(room, *TALK)
        server.gate.clear()
        query = await asked(memory, room)
        assert (await engine.nominate("vector", query, room.id, 10)).instead_of == "qdrant"
        server.gate.set()
        async with asyncio.timeout(5):
            await server.noted.wait()  # it goes on catching up
        assert (await engine.nominate("vector", query, room.id, 10)).instead_of == ""

    async def test_nobody_waits_again_for_the_same_catching_up(
        self,
        memory: Memory,
        room: Room,
        engine: Engine,
        kept: Vectors,
        server: Server,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await memory.say(room, *TALK)
        query = await asked(memory, room)
        await engine.look(query, room.id)
        await memory.say(room, ("Dana", "the zeppelin lands"))
        server.gate.clear()
        server.noted.clear()
        query = await asked(memory, room)
        monkeypatch.setattr(vectors, "PATIENCE", 0.05)
        await engine.look(query, room.id)
        monkeypatch.setattr(vectors, "PATIENCE", 60.0)
        async with asyncio.timeout(5):
            said = await asyncio.gather(*(engine.nominate(name, query, room.id, 10) for name in ("vector", "keyword")))
        assert {one.instead_of for one in said} == {"qdrant"}
        server.gate.set()
        async with asyncio.timeout(5):
            await server.noted.wait()
            await kept.catch_up()
        assert (await engine.nominate("vector", query, room.id, 10)).instead_of == ""

    async def test_what_it_holds_of_another_time_is_passed_over(
        self, memory: Memory, room: Room, engine: Engine, server: Server, kept: Vectors
    ) -> None:
        await memory.say(room, *TALK)
        query = await asked(memory, room)
        await engine.nominate("vector", query, room.id, 10)
        stray = RoomRow(4711, 1, 0.0, "who mends the smoker", None, None, None, None, None)
        await server.put(room.id, memory.tenant, RoomRows.of([stray]))
        kept._asked.clear()
        assert 4711 not in (await engine.nominate("keyword", query, room.id, 10)).serials


class TestRebuilding:
    async def test_everything_is_built_anew_beside_what_answers(
        self, memory: Memory, room: Room, kept: Vectors, server: Server, client: AsyncQdrantClient
    ) -> None:
        await memory.say(room, *TALK)
        await kept.catch_up()
        await server.remove(room.id, await serials_of(kept, room))  # it has lost what it had noted
        steps = kept.rebuild()
        assert await anext(steps) == len(TALK)
        assert await serials_of(kept, room) == []  # what was before answers still
        await memory.journal.delete(room, "e1", START)
        await memory.say(room, ("Dana", "meanwhile"))
        assert [done async for done in steps] == []
        await agree(memory, kept, room)
        await kept.index.sweep()
        assert len((await client.get_collections()).collections) == 1

    async def test_one_that_was_broken_off_leaves_what_was_and_is_cleared_away(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        await memory.say(room, *TALK)
        await kept.catch_up()
        steps = kept.rebuild()
        await anext(steps)
        await steps.aclose()  # type: ignore[attr-defined]  # it is a generator
        assert len(await server.unused()) == 1
        assert not kept.builds
        await kept.catch_up()
        assert await server.unused() == []
        await agree(memory, kept, room)

    async def test_what_was_put_into_the_one_before_is_not_noted_in_the_new_one(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        await memory.say(room, *TALK[:2])
        await kept.catch_up()
        await server.begin()
        await memory.say(room, *TALK[2:])
        put = server.put

        async def put_and_switch(room: int, tenant: int, rows: RoomRows) -> None:
            await put(room, tenant, rows)
            server.put = put  # type: ignore[method-assign]
            await server.built(room, 1)  # it was read before anything came
            await server.switch()

        server.put = put_and_switch  # type: ignore[method-assign]
        await kept.catch_up()
        await kept.catch_up()
        await agree(memory, kept, room)

    async def test_a_switch_that_another_process_did_not_live_to_follow_up_is_followed_up(
        self, memory: Memory, room: Room, kept: Vectors, client: AsyncQdrantClient
    ) -> None:
        await memory.say(room, *TALK)
        await kept.catch_up()
        killed = await server_on(client, memory)
        await killed.begin()
        await killed.switch()
        await kept.catch_up()
        await agree(memory, kept, room)


class TestMending:
    async def test_what_is_missing_comes_back_and_what_nobody_knows_goes(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        serials = await memory.say(room, *TALK)
        other = await memory.room("other")
        await memory.say(other, ("Dana", "something else"))
        await kept.catch_up()
        lost = RoomRow(serials[0], 1, 0.0, "another text", None, None, None, None, None)
        stray = RoomRow(4711, 1, 0.0, "a stray", None, None, None, None, None)
        await server.put(room.id, memory.tenant, RoomRows.of([lost, stray]))
        await server.remove(room.id, serials[1:2])
        await kept.mend(room.id)
        await agree(memory, kept, room)
        await agree(memory, kept, other)


class TestModels:
    async def test_another_model_is_refused_with_what_mends_it(
        self, memory: Memory, room: Room, kept: Vectors, client: AsyncQdrantClient
    ) -> None:
        await memory.say(room, *TALK)
        await kept.catch_up()
        other = await server_on(client, memory, model="another@2")
        with pytest.raises(ModelMismatch, match=r"made by words@1.*this is another@2.*reindex --store qdrant"):
            await other.check()
        with pytest.raises(Unavailable, match="reindex --store qdrant"):
            await other.reached(room.id)
        rebuilt = await kept_by(memory, other)
        assert [done async for done in rebuilt.rebuild()] == [len(TALK)]
        await other.check()
        await agree(memory, rebuilt, room)

    async def test_another_dimension_is_refused(
        self, memory: Memory, client: AsyncQdrantClient, server: Server
    ) -> None:
        await server.check()
        narrow = await server_on(client, memory)
        narrow._dim = 32
        with pytest.raises(ModelMismatch, match="64 numbers by Cosine"):
            await narrow.check()


class TestSums:
    async def test_they_differ_when_a_vector_is_missing(
        self, memory: Memory, room: Room, kept: Vectors, server: Server
    ) -> None:
        [serial] = await memory.say(room, TALK[0])
        await kept.catch_up()
        await agree(memory, kept, room)
        async with memory.database.read() as conn:
            rows = await loading.rows_of(conn, room.id, [serial], memory.rooms._model)
        bare = replace(rows, vectors=RoomRows.of([RoomRow(1, 1, 0.0, "", None, None, None, None, None)]).vectors)
        await server.put(room.id, memory.tenant, bare)
        with pytest.raises(AssertionError):
            await agree(memory, kept, room)
