"""The whole bot with a Qdrant that comes, goes, hangs and comes back: a stand-in that speaks its gRPC and HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from qdrant_client.http import models

from bot.app import App
from bot.settings import load as load_settings
from bot.wiring import open_app
from memory.errors import BadInput, ModelMismatch, Refused, Unavailable
from memory.models import Scope
from routing.models import Answer
from routing.routes import CHAT
from tests.doubles import START, HandClock, WordEmbedder
from tests.standins.qdrant import Qdrant, running
from tests.unit.bot.rooms import batch, clock_of, history, open_bot, results, run

TALK = (
    ("Ana", "the smoker is broken, says Dana Meadow"),
    ("Ben", "Ana has the key of the smokehouse"),
    ("Cleo", "queens are marked with blue paint"),
)
AGAIN = timedelta(seconds=20)
"""Longer than a store rests."""
REPLACED = "Qdrant is down or behind, so I searched here"
PATIENCE = 1.0
"""Seconds that a question waits for one that is frozen; one that is well may take longer on a busy machine."""


@pytest.fixture
async def server() -> AsyncIterator[Qdrant]:
    async with running(key="a key") as made:
        yield made


@pytest.fixture(params=["grpc", "http"])
def port(request: pytest.FixtureRequest, server: Qdrant) -> int:
    """For gRPC; 0: HTTP alone."""
    return server.grpc_port if request.param == "grpc" else 0


@asynccontextmanager
async def open_on(server: Qdrant, folder: Path, port: int = 0, **given: Any) -> AsyncIterator[App]:
    chosen = {"qdrant_url": server.url, "qdrant_key": "a key", "qdrant_grpc_port": port, "qdrant_timeout": 20.0}
    async with open_bot(folder, **{**chosen, "qdrant_write_timeout": 20.0, **given}) as app:
        yield app


async def ask(app: App, question: str = "Who has the key?") -> Answer:
    room = await app.directory.find_room(app.tenant, "hives")
    return await app.shuttle.weave(
        question, Scope(app.tenant, (room.id,)), asked_at=START + timedelta(hours=1), route=CHAT, seed=1
    )


async def finding(app: App) -> Mapping[str, Any]:
    [found] = [one for one in await results(app, "doctor") if one["check"] == "vectors"]
    return found


async def held(server: Qdrant) -> set[object]:
    """The ids of all points in all collections, those of rooms left out."""
    found: set[object] = set()
    for one in (await server.memory.get_collections()).collections:
        records, _ = await server.memory.scroll(one.name, limit=1000)
        found |= {record.id for record in records if isinstance(record.id, int)}
    return found


async def caught_up(app: App) -> None:
    """It is back, and has what it missed; gRPC rests for up to two seconds itself before it connects anew."""
    assert app.vectors is not None
    async with asyncio.timeout(10):
        while True:
            clock_of(app).advance(AGAIN)
            with contextlib.suppress(Unavailable):
                await app.vectors.catch_up()
                return
            await asyncio.sleep(0.1)


class TestThere:
    async def test_the_bot_imports_answers_and_forgets(self, server: Qdrant, port: int, tmp_path: Path) -> None:
        async with open_on(server, tmp_path, port) as app:
            await run(app, "import", batch(*history(*TALK)))
            assert len(await held(server)) == 3
            answer = await ask(app)
            assert answer.citations[0].message_id == "h2"
            assert REPLACED not in answer.reasons
            assert sum("points/query/batch" in asked or "QueryBatch" in asked for asked in server.asked) == 1
            await run(app, "forget", message="h2", room="hives")
            assert len(await held(server)) == 2
            found = await finding(app)
            assert found["ok"]
            assert found["found"] == "Qdrant 1.19.0, holds what the database does"

    async def test_answers_are_those_without_it(self, server: Qdrant, tmp_path: Path) -> None:
        told = []
        for name in ("with", "without"):
            (tmp_path / name).mkdir()
        async with open_on(server, tmp_path / "with") as one, open_bot(tmp_path / "without") as other:
            for app in (one, other):
                await run(app, "import", batch(*history(*TALK)))
                answer = await ask(app, "What is marked with paint?")
                told.append([(one.message_id, round(one.hit.score, 9)) for one in answer.citations])
        assert told[0] == told[1]

    async def test_the_doctor_names_what_differs_and_mends_it(self, server: Qdrant, tmp_path: Path) -> None:
        async with open_on(server, tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            assert app.vectors is not None
            room = await app.directory.find_room(app.tenant, "hives")
            await app.vectors.index.remove(room.id, sorted(int(str(one)) for one in await held(server))[:1])
            found = await finding(app)
            assert found["ok"]
            assert found["found"].endswith("holds what the database does now; it did not (hives: 2 of 3 messages)")
            assert len(await held(server)) == 3
            assert (await finding(app))["found"].endswith("holds what the database does")

    async def test_reindex_builds_it_anew_beside_what_answers(self, server: Qdrant, tmp_path: Path) -> None:
        async with open_on(server, tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            events = await run(app, "reindex", store="qdrant")
            assert events[-1]["result"] == {"rooms": 1, "messages": 3}
            assert "progress" in events[0]
            assert (await finding(app))["ok"]
            assert len((await server.memory.get_collections()).collections) == 1

    async def test_payload_is_indexed_by_room_and_team(self, server: Qdrant, tmp_path: Path) -> None:
        async with open_on(server, tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            [there] = server.indexed.values()
            assert {name: one["params"]["is_tenant"] for name, one in there.items()} == {"room": True, "tenant": True}
            there.pop("room")
            assert "lacks an index of room" in (await finding(app))["found"]

    async def test_a_collection_whose_maker_was_killed_is_made_whole(self, server: Qdrant, tmp_path: Path) -> None:
        async with open_on(server, tmp_path):
            pass
        [alias] = (await server.memory.get_aliases()).aliases
        gone = models.DeleteAlias(alias_name=alias.alias_name)
        await server.memory.update_collection_aliases([models.DeleteAliasOperation(delete_alias=gone)])
        server.indexed.clear()
        async with open_on(server, tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
            assert (await finding(app))["found"].endswith("holds what the database does")
        assert len((await server.memory.get_collections()).collections) == 1


class TestAway:
    async def test_stopped_it_costs_an_answer_nothing_and_comes_back_without_a_restart(
        self, server: Qdrant, port: int, tmp_path: Path
    ) -> None:
        async with open_on(server, tmp_path, port) as app:
            await run(app, "import", batch(*history(*TALK)))
            assert app.vectors is not None
            await server.stop()
            answer = await ask(app)
            assert answer.citations[0].message_id == "h2"
            assert answer.reasons[0] == REPLACED
            assert app.vectors.index.resting
            [stats] = await results(app, "stats")
            assert stats["stores"] == {"Qdrant": "away"}
            events = await run(app, "forget", message="h1", room="hives")
            assert "Qdrant does not answer" in events[0]["note"]
            assert len(await held(server)) == 3  # it is away, and holds the message still
            await server.start()
            await caught_up(app)
            assert len(await held(server)) == 2
            for question in ("Who has the key?", "Who has the key now?"):
                assert REPLACED not in (await ask(app, question)).reasons
            [stats] = await results(app, "stats")
            assert stats["stores"] == {"Qdrant": "well"}

    async def test_frozen_nobody_waits_for_it_twice(self, server: Qdrant, port: int, tmp_path: Path) -> None:
        async with open_on(server, tmp_path, port, qdrant_timeout=PATIENCE) as app:
            await run(app, "import", batch(*history(*TALK)))
            assert app.vectors is not None
            with server.frozen():
                began = time.perf_counter()
                assert (await ask(app)).reasons[0] == REPLACED
                first = time.perf_counter() - began
                before = len(server.asked)
                answers = await asyncio.gather(*(ask(app, f"Who has key number {i}?") for i in range(5)))
                assert all(one.reasons[0] == REPLACED for one in answers)
                assert len(server.asked) == before
            assert PATIENCE <= first < 10 * PATIENCE
            await caught_up(app)
            for question in ("Who has the key?", "Who has the key now?"):
                assert REPLACED not in (await ask(app, question)).reasons

    async def test_a_wrong_key_is_named(self, server: Qdrant, port: int, tmp_path: Path) -> None:
        async with open_on(server, tmp_path, port, qdrant_key="another") as app:
            await run(app, "import", batch(*history(*TALK)))
            clock_of(app).advance(AGAIN)
            assert "correct WEAVEBOT_QDRANT_KEY" in (await finding(app))["fix"]
            assert (await ask(app)).reasons[0] == REPLACED

    async def test_an_older_server_is_named(self, tmp_path: Path) -> None:
        async with running(version="1.18.2") as older, open_on(older, tmp_path) as app:
            found = await finding(app)
            assert "Qdrant 1.18.2, but this version speaks to Qdrant 1.19" in found["found"]


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a port that is held and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


class TestNeverThere:
    @pytest.mark.parametrize("grpc", [True, False])
    async def test_the_bot_opens_imports_answers_and_says_what_to_do(
        self, tmp_path: Path, nobody: str, *, grpc: bool
    ) -> None:
        port = int(nobody.rpartition(":")[2]) if grpc else 0
        async with open_bot(tmp_path, qdrant_url=nobody, qdrant_grpc_port=port, qdrant_timeout=PATIENCE) as app:
            await run(app, "import", batch(*history(*TALK)))
            answer = await ask(app)
            assert answer.citations[0].message_id == "h2"
            assert answer.reasons[0] == REPLACED
            clock_of(app).advance(AGAIN)
            found = await finding(app)
            assert not found["ok"]
            assert "start it, or correct WEAVEBOT_QDRANT_URL" in found["fix"]

    async def test_an_address_that_is_none_is_refused_with_the_right_form(self, tmp_path: Path) -> None:
        for wrong in ("localhost:6333", "http://", "http://key@host:6333", "http://host/path", "http://host:port"):
            with pytest.raises(BadInput, match="WEAVEBOT_QDRANT_URL is not right: write http://HOST:6333"):
                async with open_bot(tmp_path, qdrant_url=wrong):
                    pass

    async def test_a_file_without_certificates_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        file.write_text("nothing", encoding="utf-8")
        with pytest.raises(BadInput, match="WEAVEBOT_QDRANT_CA names"):
            async with open_bot(tmp_path, qdrant_url="https://127.0.0.1:1", qdrant_ca=file):
                pass


class OtherWords(WordEmbedder):
    """Another model, with vectors of another length."""

    model = "others@1;dim=32;state=32"
    dim = 32


class TestAnotherModel:
    async def test_it_refuses_and_names_the_command_that_mends_it(self, server: Qdrant, tmp_path: Path) -> None:
        async with open_on(server, tmp_path) as app:
            await run(app, "import", batch(*history(*TALK)))
        alone = load_settings(None, data=tmp_path)
        renewed = await open_app(alone, clock=HandClock(), embedder=OtherWords(), new_model=True)
        await run(renewed, "reindex", model=True)
        await renewed.close()
        with pytest.raises(ModelMismatch, match=r"in Qdrant were made by words@1.*weavebot reindex --store qdrant"):
            async with open_on(server, tmp_path, embedder=OtherWords()):
                pass
        chosen = alone.model_copy(
            update={"qdrant_url": server.url, "qdrant_key": SecretStr("a key"), "qdrant_grpc_port": 0}
        )
        mending = await open_app(chosen, clock=HandClock(), embedder=OtherWords(), new_vectors=True)
        assert (await ask(mending)).reasons[0] == REPLACED
        assert "weavebot reindex --store qdrant" in (await finding(mending))["fix"]
        clock_of(mending).advance(AGAIN)
        assert (await results(mending, "reindex", store="qdrant"))[-1]["messages"] == 3
        await mending.close()
        async with open_on(server, tmp_path, embedder=OtherWords()) as app:
            assert (await finding(app))["ok"]
            assert REPLACED not in (await ask(app)).reasons


class TestNotConfigured:
    async def test_stores_that_are_not_there_are_refused_with_the_setting(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path) as app:
            events = await run(app, "doctor")
            assert any(one.get("result", {}).get("found") == "in this process" for one in events)
            with pytest.raises(Refused, match="WEAVEBOT_QDRANT_URL"):
                await run(app, "reindex", store="qdrant")
            with pytest.raises(Refused, match="WEAVEBOT_REDIS_URL"):
                await run(app, "reindex", store="redis")
