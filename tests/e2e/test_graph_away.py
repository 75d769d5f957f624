"""A graph server that was never there costs a bot the graph and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.errors import BadInput
from memory.models import Scope
from routing.routes import LINKED
from tests.doubles import START
from tests.unit.bot.rooms import batch, history, open_bot, results, run

TALK = (("Ana", "the smoker is broken"), ("Ben", "Ana has the key of the smokehouse"))


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a port that is held and on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"bolt://127.0.0.1:{held.getsockname()[1]}"


class TestAway:
    async def test_the_bot_opens_imports_answers_and_forgets(self, tmp_path: Path, nobody: str) -> None:
        async with open_bot(tmp_path, neo4j_url=nobody) as app:
            imported = await run(app, "import", batch(*history(*TALK)))
            assert imported[-1]["result"]["imported"] == 2
            room = await app.directory.find_room(app.tenant, "hives")
            scope = Scope(app.tenant, (room.id,))
            answer = await app.shuttle.weave("Who has the key?", scope, asked_at=START, route=LINKED, seed=1)
            assert answer.citations[0].message_id == "h2"
            assert answer.reasons[0] == "graph search is down"
            events = await run(app, "forget", message="h1", room="hives")
            assert "Neo4j does not answer" in events[0]["note"]
            assert events[-1]["result"] == {"forgotten": 1}

    async def test_the_doctor_says_what_to_do(self, tmp_path: Path, nobody: str) -> None:
        async with open_bot(tmp_path, neo4j_url=nobody) as app:
            [found] = [one for one in await results(app, "doctor") if one["check"] == "graph"]
            assert not found["ok"]
            assert "start it, or correct WEAVEBOT_NEO4J_URL" in found["fix"]

    async def test_an_address_that_is_none_is_refused_with_the_right_form(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="WEAVEBOT_NEO4J_URL is not right: write bolt://HOST:7687"):
            async with open_bot(tmp_path, neo4j_url="http://127.0.0.1:7474"):
                pass
