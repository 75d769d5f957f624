"""On a platform that forbids it nothing is learned from what messages and questions say."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from memory.models import Scope
from routing.features import COLUMNS
from routing.shuttle import Shuttle
from routing.tables import citations, pools
from routing.teaching import Teaching
from tests.parts import Memory, draft

pytestmark = pytest.mark.embedded

TEXTUAL = [column.name for column in COLUMNS if column.reads_text]


@pytest.mark.parametrize("platform", ["matrix", "discord"])
async def test_a_decision_rests_on_what_the_platform_allows(memory: Memory, platform: str) -> None:
    tenant = await memory.directory.tenant(platform, "team", "team")
    room = await memory.directory.room(tenant, "hives", "hives")
    await memory.journal.admit(room, [draft("e1", "Ana", "Ben fed hive three yesterday")])
    await memory.indexer.drain()
    shuttle = Shuttle(memory.engine, memory.book, memory.learner, memory.clock, teaching=Teaching(memory.directory))

    answer = await shuttle.weave("Who fed hive three yesterday?", Scope(tenant, (room.id,)), seed=1)

    numbers = answer.decision.features.as_mapping()
    allowed = platform == "matrix"
    assert any(numbers[name] for name in TEXTUAL) is allowed
    assert any(numbers.values())


async def test_a_question_asked_again_is_recognised_by_its_words_only_where_that_is_allowed(memory: Memory) -> None:
    chosen: dict[str, bool] = {}
    for platform in ("matrix", "discord"):
        tenant = await memory.directory.tenant(platform, "team", "team")
        room = await memory.directory.room(tenant, "hives", "hives")
        await memory.journal.admit(room, [draft("e1", "Ana", "Ben fed hive three yesterday")])
        await memory.indexer.drain()
        shuttle = Shuttle(memory.engine, memory.book, memory.learner, memory.clock, teaching=Teaching(memory.directory))
        ana = await memory.directory.person(tenant, "ana", "Ana")
        scope = Scope(tenant, (room.id,), ana.id)
        first = await shuttle.weave("Who fed hive three?", scope, seed=1)
        await shuttle.vote(tenant, first.id, ana, "👎")
        bearings = await memory.book.bearings(scope)
        query = await memory.engine.prepare("Who fed hive three?", scope, memory.clock.now(), 3, bearings.versions)
        _, _, situation = await shuttle._situation(query, bearings)
        chosen[platform] = bool(situation.disliked)
    assert chosen == {"matrix": True, "discord": False}


@pytest.mark.parametrize("platform", ["matrix", "discord"])
async def test_columns_and_paths_that_are_read_off_messages_are_kept_only_where_that_is_allowed(
    memory: Memory, platform: str
) -> None:
    tenant = await memory.directory.tenant(platform, "team", "team")
    room = await memory.directory.room(tenant, "hives", "hives")
    texts = ("Ben fed hive three yesterday", "Cleo was with Ben at hive three", "the smoker is lost")
    await memory.journal.admit(room, [draft(f"e{n}", "Ana", text) for n, text in enumerate(texts)])
    await memory.indexer.drain()
    teaching = Teaching(memory.directory)
    shuttle = Shuttle(memory.engine, memory.book, memory.learner, memory.clock, paths=memory.paths, teaching=teaching)
    ana = await memory.directory.person(tenant, "ana", "Ana")

    answer = await shuttle.weave("Who fed hive three?", Scope(tenant, (room.id,)), route="linked", seed=1)
    await shuttle.vote(tenant, answer.id, ana, "2️⃣")

    async with memory.database.read() as conn:
        held = (await conn.execute(select(func.count()).select_from(pools))).scalar_one()
        noted = [name for row in await conn.execute(select(citations.c.features)) for name in row.features]
    allowed = platform == "matrix"
    assert bool(held) is allowed
    assert any(name.startswith("path:") for name in noted) is allowed
    assert ((await memory.learner.weights(tenant)).lessons > 0) is allowed
