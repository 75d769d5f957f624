"""The whole bot on a real Neo4j: while it is well, when it is slow, killed, or has lost what it held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.app import App
from memory.errors import Unavailable
from memory.keeping_up import keep_up
from memory.models import EntityKind, Mention, Room, Scope
from memory.ports import LastingGraph
from memory.projections import Rooms
from routing.models import Answer
from routing.routes import LINKED
from tests.doubles import START
from tests.services.neo4j import neo4j_address
from tests.services.servers import Server
from tests.unit.bot.rooms import batch, clock_of, history, open_bot, results, run

pytestmark = pytest.mark.services

TALK = (
    ("Ana", "Søren will mend the `extractor` on Sunday"),
    ("Ben", "the `extractor` is broken again, says Dana Meadow"),
    ("Dana Meadow", "Ben has the key of the `smokehouse`"),
    ("Ben", "Ana wants the `smokehouse` cleaned"),
)
AGAIN = timedelta(seconds=20)
"""Longer than a store and a source rest."""


@asynccontextmanager
async def open_on_neo4j(folder: Path, *, timeout: float = 20.0) -> AsyncIterator[App]:  # noqa: ASYNC109 - a setting
    """A bot whose graph is there; its rooms are dropped in the end."""
    where = neo4j_address()
    async with open_bot(
        folder,
        neo4j_url=where.url,
        neo4j_user=where.user,
        neo4j_password=where.password,
        neo4j_connect_timeout=timeout,
        neo4j_timeout=timeout,
        neo4j_write_timeout=60.0,
    ) as app:
        yield app
        for room in await app.directory.rooms(app.tenant):
            await graph_of(app).drop(room.id)


def graph_of(app: App) -> LastingGraph:
    assert app.graph is not None
    return app.graph


async def room_of(app: App, name: str = "hives") -> Room:
    return await app.directory.find_room(app.tenant, name)


async def ask(app: App, question: str = "Who has the key of the smokehouse?", route: str | None = LINKED) -> Answer:
    scope = Scope(app.tenant, ((await room_of(app)).id,))
    return await app.shuttle.weave(question, scope, asked_at=START, route=route, seed=1)


async def graph_finding(app: App) -> dict[str, object]:
    [found] = [one for one in await results(app, "doctor") if one["check"] == "graph"]
    return found


@pytest.fixture
async def neo4j() -> AsyncIterator[Server]:
    """The server; it runs again after the test, whatever the test did to it."""
    found = Server("neo4j", alone=True)
    yield found
    await found.recover()


class TestWell:
    async def test_an_import_is_in_the_graph_and_the_doctor_says_so(self, tmp_path: Path) -> None:
        async with open_on_neo4j(tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            assert (await graph_of(app).sum_of((await room_of(app)).id)).messages == 4
            found = await graph_finding(app)
            assert found["ok"], found
            assert str(found["found"]).startswith("Neo4j 5.26.")
            answer = await ask(app)
            assert "graph search is down" not in answer.reasons
            assert answer.citations[0].message_id == "h3"

    async def test_answers_are_those_of_the_graph_in_the_process(self, tmp_path: Path) -> None:
        for folder in ("server", "process"):
            (tmp_path / folder).mkdir()
        async with open_on_neo4j(tmp_path / "server") as there, open_bot(tmp_path / "process") as here:
            for app in (there, here):
                await run(app, "import", batch(*history(*TALK)))
            for question in ("Who has the key of the smokehouse?", "What does Ana want?", "What will Søren mend?"):
                mine, theirs = await ask(there, question), await ask(here, question)
                assert [one.message_id for one in mine.citations] == [one.message_id for one in theirs.citations]
                assert [one.hit.score for one in mine.citations] == pytest.approx(
                    [one.hit.score for one in theirs.citations]
                )

    async def test_a_forgotten_person_is_in_no_message_of_the_graph(self, tmp_path: Path) -> None:
        async with open_on_neo4j(tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            room = (await room_of(app)).id
            dana = await app.directory.find_person(app.tenant, "Dana Meadow")
            await run(app, "forget", person="Dana Meadow")
            held = await graph_of(app).sum_of(room)
            assert held.messages == 3
            assert (await graph_finding(app))["ok"]
            named = await graph_of(app).known(room, [Mention(EntityKind.PERSON, str(dana.id), "")])
            assert named == []

    async def test_what_differs_is_named_and_mended(self, tmp_path: Path) -> None:
        async with open_on_neo4j(tmp_path, timeout=4.0) as app:
            await run(app, "import", batch(*history(*TALK)))
            room = (await room_of(app)).id
            await graph_of(app).remove(room, [2])
            found = await graph_finding(app)
            assert found["ok"]
            assert "it did not (hives: 3 of 4 messages)" in str(found["found"])
            assert (await graph_of(app).sum_of(room)).messages == 4
            assert await graph_of(app).unused(room) == ()
            await graph_of(app).remove(room, [2])
            events = await run(app, "reindex", store="neo4j")
            assert [event["progress"]["done"] for event in events if "progress" in event] == [4]
            assert events[-1]["result"] == {"rooms": 1, "messages": 4}
            assert (await graph_finding(app))["ok"]

    async def test_what_an_interrupted_reindex_left_is_named_and_goes_at_the_next_start(self, tmp_path: Path) -> None:
        async with open_on_neo4j(tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            room = await room_of(app)
            await graph_of(app).begin(room.id)
            found = await graph_finding(app)
            assert "hives: 1 unused beside the one in use" in str(found["found"])
            assert found["fix"] == "weavebot reindex --store neo4j"
            again = Rooms(app.database, graph_of(app), app.rooms._model)
            await again.catch_up()
            assert (await graph_finding(app))["ok"]

    async def test_a_reindex_answers_all_the_while_and_misses_nothing(self, tmp_path: Path) -> None:
        async with open_on_neo4j(tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            room = await room_of(app)
            async for done in app.rooms.rebuild_graph(graph_of(app), room.id):
                if done > len(TALK):
                    continue
                answer = await ask(app)
                assert answer.citations[0].message_id == "h3"
                assert "graph search is down" not in answer.reasons
                await run(app, "import", batch(*history(*TALK, ("Cleo", "the `smokehouse` is clean"))))
                await app.privacy.forget_message(app.tenant, "h1", room)
            assert (await graph_of(app).sum_of(room.id)).messages == 4
            await graph_of(app).sweep(room.id)
            assert (await graph_finding(app))["ok"]


class TestLogin:
    async def test_a_login_that_is_refused_is_said_so(self, tmp_path: Path) -> None:
        where = neo4j_address()
        async with open_bot(tmp_path, neo4j_url=where.url, neo4j_user="nobody", neo4j_password="none") as app:  # noqa: S106 - nobody's
            found = await graph_finding(app)
            assert not found["ok"]
            assert "correct WEAVEBOT_NEO4J_USER and WEAVEBOT_NEO4J_PASSWORD" in str(found["fix"])


@pytest.mark.alone("neo4j")
class TestAway:
    async def test_frozen_it_costs_an_answer_the_graph_and_nobody_waits_twice(
        self, tmp_path: Path, neo4j: Server
    ) -> None:
        async with open_on_neo4j(tmp_path, timeout=1.5) as app:
            await run(app, "import", batch(*history(*TALK)))
            await _until_well(app)
            await neo4j.pause()
            took = []
            for question in ("Who has the key of the smokehouse?", "Who wants it cleaned?"):
                began = time.perf_counter()
                answer = await ask(app, question)
                took.append(time.perf_counter() - began)
                assert answer.citations
                assert answer.reasons[0] == "graph search is down"
            assert took[0] < 8
            assert took[1] < 1.5, "the second one is not kept waiting"
            clock_of(app).advance(AGAIN)  # it is tried again, and is still frozen
            began = time.perf_counter()
            events = await run(app, "forget", message="h1", room="hives")
            assert events[-1]["result"] == {"forgotten": 1}
            assert time.perf_counter() - began < 10
            assert app.rooms.owed
            await neo4j.resume()
            await _until_well(app)
            assert (await graph_of(app).sum_of((await room_of(app)).id)).messages == 3

    async def test_killed_it_is_made_up_for_when_it_is_back(self, tmp_path: Path, neo4j: Server) -> None:
        async with open_on_neo4j(tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            room = await room_of(app)
            asked = asyncio.create_task(ask(app))
            await neo4j.kill()
            assert (await asked).citations
            clock_of(app).advance(AGAIN)
            more = (*TALK, ("Cleo", "the `smokehouse` burns"), ("Ana", "Cleo calls the fire brigade"))
            await run(app, "import", batch(*history(*more)))
            events = await run(app, "forget", message="h3", room="hives")
            assert events[-1]["result"] == {"forgotten": 1}
            assert any("Neo4j does not answer" in event.get("note", "") for event in events)
            answer = await ask(app, "Who calls the fire brigade?")
            assert answer.citations[0].message_id == "h6"
            assert answer.reasons[0] == "graph search is down"
            assert not (await graph_finding(app))["ok"]
            await neo4j.start()
            worker = asyncio.create_task(keep_up(app.rooms, every=0.1))
            try:
                async with asyncio.timeout(60):
                    while app.rooms.owed or (await _messages(app, room)) != 5:
                        clock_of(app).advance(AGAIN)
                        await asyncio.sleep(0.2)
            finally:
                worker.cancel()
            assert (await graph_finding(app))["ok"]
            clock_of(app).advance(AGAIN)
            answer = await ask(app, "Who calls the fire brigade? Tell me again")
            assert "graph search is down" not in answer.reasons


async def _messages(app: App, room: Room) -> int:
    try:
        return (await graph_of(app).sum_of(room.id)).messages
    except Unavailable:
        return -1


async def _until_well(app: App) -> None:
    """Asks until the graph takes part again, as people would."""
    for number in range(20):
        clock_of(app).advance(AGAIN)
        answer = await ask(app, f"Who has the key of the smokehouse ({number})?")
        if "graph search is down" not in answer.reasons:
            return
    raise AssertionError("the graph does not come back")
