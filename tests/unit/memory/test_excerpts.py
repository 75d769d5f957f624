"""What was read of a room on a graph server is used again, and never something that is not the room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from memory.adapters import neo4j_cypher as cypher
from memory.adapters.neo4j import Neo4jGraphIndex
from memory.models import MessageLinks
from memory.pseudonyms import Pseudonyms
from tests.doubles import HandClock

pytestmark = pytest.mark.embedded  # nothing here depends on the database

ROOM, OTHER = 1, 9
ROWS: list[list[Any]] = [[serial, serial, None, None, "person 1", [], [], [], 0, False, 0] for serial in (1, 2)]
ANSWERS: dict[str, dict[str, Any]] = {
    cypher.SERVER: {"version": "5.26"},
    cypher.HOLD: {"scope": "here/9/1", "version": 0},
    cypher.REACH: {"version": 3},
    cypher.SCOPES: {"scopes": []},
}


class ScriptedTx:
    """A transaction on a room of two messages."""

    def __init__(self, link: ScriptedLink) -> None:
        self._link = link

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        return [found] if (found := await self.one(statement, **values)) else []

    async def one(self, statement: str, **values: Any) -> dict[str, Any]:
        if statement == cypher.LOOK and values["room"]:
            return {"scope": "here/1/1", "writes": 7, "messages": 2, "starts": [], "shared": []}
        if statement == cypher.WHOLE and values["scope"]:
            self._link.read_whole += 1
            return {"rows": ROWS, "nodes": []}
        return ANSWERS.get(statement, {})


class ScriptedLink:
    """Runs something between what a read has found and its end."""

    def __init__(self) -> None:
        self.read_whole = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    def check(self) -> None:
        """It is well."""

    async def schema(self, statement: str) -> None:
        """It has it."""

    async def write(self, work: Any) -> Any:
        return await work(ScriptedTx(self))

    async def read(self, work: Any) -> Any:
        found = await work(ScriptedTx(self))
        then, self.meanwhile = self.meanwhile, None
        if then is not None:
            await then()
        return found


@pytest.fixture
def link() -> ScriptedLink:
    return ScriptedLink()


@pytest.fixture
async def index(link: ScriptedLink) -> Neo4jGraphIndex:
    async def links_of(_room: int, _serials: Sequence[int]) -> list[MessageLinks]:
        return []

    made = Neo4jGraphIndex(link, Pseudonyms(b"k" * 32), links_of, HandClock())  # type: ignore[arg-type]
    await made.reach(OTHER, 1)
    return made


async def seen(index: Neo4jGraphIndex) -> int:
    """How many messages a question sees."""
    return len((await index.neighbourhood(ROOM, [1], []))._messages)


async def test_what_was_read_is_used_again(index: Neo4jGraphIndex, link: ScriptedLink) -> None:
    assert [await seen(index), await seen(index)] == [2, 2]
    assert link.read_whole == 1


async def test_a_write_to_another_room_does_not_empty_what_is_being_read(
    index: Neo4jGraphIndex, link: ScriptedLink
) -> None:
    async def write() -> None:
        await index.reach(OTHER, 3)

    await seen(index)
    link.meanwhile = write
    assert [await seen(index), await seen(index)] == [2, 2]


async def test_what_was_read_before_a_write_is_not_kept_after_it(index: Neo4jGraphIndex, link: ScriptedLink) -> None:
    async def write() -> None:
        await index.remove(ROOM, [2])

    link.meanwhile = write
    await seen(index)
    assert not index._excerpts
