"""Paths in an answer: noted for every route, ranked by where the graph is searched, told when somebody asks why."""

from __future__ import annotations

import pytest

from memory.models import Path as TypedPath
from memory.models import Room
from routing import finding
from routing.paths.evidence import SIMILARITY
from routing.paths.finding import BONUS, in_words
from routing.paths.learner import PathModel
from routing.paths.utility import BOUND
from routing.paths.weights import PathWeights
from routing.routes import CHAT, DOCUMENTS, route_named
from routing.weights import START as START_WEIGHTS
from tests.doubles import START
from tests.parts import Memory
from tests.unit.routing.paths.test_learner import QUESTIONS, TALK, voter

pytestmark = pytest.mark.embedded

ABOUT = ("hit", "mentions", "~about")
TAUGHT = PathModel("x", PathWeights({("any", ABOUT): 6.0}), {ABOUT: 400.0}, {ABOUT: 0.9}, 400.0)


async def found(
    memory: Memory, room: Room, route: str, model: PathModel | None, limit: int = 3, *, ranks: bool = True
) -> finding.Found:
    query = await memory.engine.prepare(QUESTIONS[0], memory.scope(room), START, limit)
    return await finding.find(memory.engine, query, route_named(route), (), finding.Taught(paths=model, ranks=ranks))


class TestRanking:
    async def test_without_votes_nothing_changes_but_paths_are_noted(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        for route in (CHAT, DOCUMENTS):
            plain, noted = [await found(memory, room, route, model) for model in (None, PathModel())]
            assert [(hit.serial, hit.score) for hit in noted.hits] == [(hit.serial, hit.score) for hit in plain.hits]
            assert any(name.startswith("path:") for name in noted.hits[0].features)
            assert noted.hits[0].features[SIMILARITY] == noted.hits[0].score

    async def test_a_path_that_was_liked_lifts_what_it_leads_to(self, memory: Memory, room: Room) -> None:
        serials = await memory.say(room, *TALK)
        plain, taught = [await found(memory, room, DOCUMENTS, model) for model in (PathModel(), TAUGHT)]
        meadow = serials[1]
        scores = [{hit.serial: hit for hit in each.hits}[meadow] for each in (plain, taught)]
        assert 0 < scores[1].score - scores[0].score <= BOUND
        assert scores[1].features[BONUS] == scores[1].score - scores[0].score
        told = finding.explained(taught, taught.hits[:3], "graph", START_WEIGHTS)
        assert any("paths to it led to liked answers before" in hit.why for hit in told)

    async def test_a_route_that_does_not_search_the_graph_is_not_ranked_by_paths(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        plain, taught = [await found(memory, room, CHAT, model) for model in (None, TAUGHT)]
        assert [hit.serial for hit in plain.hits] == [hit.serial for hit in taught.hits]

    async def test_where_votes_do_not_move_the_order_paths_are_only_noted(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        plain = await found(memory, room, DOCUMENTS, None)
        noted = await found(memory, room, DOCUMENTS, TAUGHT, ranks=False)
        assert [(hit.serial, hit.score) for hit in noted.hits] == [(hit.serial, hit.score) for hit in plain.hits]
        assert any(name.startswith("path:") for name in noted.hits[0].features)

    async def test_only_the_best_two_times_as_many_as_asked_for_are_reordered(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        plain, taught = [await found(memory, room, DOCUMENTS, model, limit=1) for model in (PathModel(), TAUGHT)]
        assert {hit.serial for hit in plain.hits[:2]} == {hit.serial for hit in taught.hits[:2]}
        assert [hit.serial for hit in plain.hits[2:]] == [hit.serial for hit in taught.hits[2:]]

    async def test_how_often_something_was_found_means_nothing(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave(QUESTIONS[0], memory.scope(room), route=DOCUMENTS)
        await memory.shuttle.vote(memory.tenant, answer.id, await voter(memory), "2️⃣")
        before = await memory.paths.model(memory.tenant)
        hits = (await found(memory, room, DOCUMENTS, before)).hits
        for seed in range(4):
            await memory.shuttle.weave(QUESTIONS[0], memory.scope(room), route=DOCUMENTS, seed=seed)
        after = await memory.paths.model(memory.tenant)
        assert after == before
        again = (await found(memory, room, DOCUMENTS, after)).hits
        assert [(hit.serial, hit.score) for hit in again] == [(hit.serial, hit.score) for hit in hits]


class TestTelling:
    async def test_why_tells_the_path_to_a_citation(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave(QUESTIONS[0], memory.scope(room), route=DOCUMENTS)
        await memory.shuttle.vote(memory.tenant, answer.id, await voter(memory), "2️⃣")
        lines = await memory.shuttle.why(memory.tenant, answer.id)
        paths = [line for line in lines if line.startswith("A path to ")]
        assert paths
        assert all("→ message of 2 Mar 2026" in line for line in paths)
        assert any("Hive 4" in line or "Oak Meadow" in line for line in paths)

    async def test_a_path_through_what_was_forgotten_is_not_told(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave(QUESTIONS[0], memory.scope(room), route=DOCUMENTS)
        for each in ("e1", "e2", "e4"):
            await memory.journal.delete(room, each, START)
        told = " ".join(await memory.shuttle.why(memory.tenant, answer.id))
        assert "Hive 4" not in told.replace(QUESTIONS[0], "")
        assert "Oak Meadow" not in told

    def test_a_path_is_one_line(self) -> None:
        path = TypedPath(1, ("Ana", "wrote", "message of 2 Mar 2026", "mentions", "Hive 4"), 0.5)
        assert in_words(path) == "Ana \u2013wrote→ message of 2 Mar 2026 \u2013mentions→ Hive 4"
