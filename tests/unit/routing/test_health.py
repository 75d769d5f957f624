"""A source that is down costs the answer that source, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from memory.adapters.graph import RustworkxGraphIndex
from memory.breaker import Breaker
from memory.engine import PATIENCE, Engine
from memory.errors import Unavailable
from memory.models import Mention, Nominations, Query, Room, Scope
from memory.ports import GraphIndex, Source
from memory.projections import Rooms
from memory.sources import GraphSource, array_sources
from routing.features import AWAY, away_in
from routing.health import REST, Health, routes_without
from routing.models import Answer
from routing.routes import BLEND, CHAT, DOCUMENTS, KEYWORD, LINKED, MENU, RECENT
from routing.shuttle import Shuttle
from tests.doubles import START, HandClock
from tests.parts import Memory

pytestmark = pytest.mark.embedded

TALK = (
    ("Ana", "Søren will mend the extractor on Sunday"),
    ("Ben", "the extractor is broken again"),
    ("Cleo", "the key hangs behind the door"),
)
QUESTION = "Who will mend the extractor?"


class Faulty:
    """A source that answers only while it is well; counts how often it was asked."""

    def __init__(self, inner: Source) -> None:
        self.inner = inner
        self.name = inner.name
        self.well = False
        self.asked = 0

    async def find(self, query: Query, room: int, limit: int) -> Nominations:
        self.asked += 1
        if not self.well:
            raise Unavailable(f"the {self.name} server does not answer")
        return await self.inner.find(query, room, limit)


class Silent(Faulty):
    """A source that never answers."""

    async def find(self, query: Query, room: int, limit: int) -> Nominations:
        await asyncio.Event().wait()
        return await self.inner.find(query, room, limit)


class LostGraph(RustworkxGraphIndex):
    """A graph whose server is away."""

    async def known(self, room: int, mentions: Sequence[Mention]) -> list[tuple[Mention, int]]:
        raise Unavailable(f"the graph server does not answer for room {room} ({len(mentions)} names)")


class Desk:
    """A shuttle whose sources can be made to fail."""

    def __init__(
        self,
        memory: Memory,
        *faulty: str,
        double: type[Faulty] = Faulty,
        graph: GraphIndex | None = None,
        patience: float = PATIENCE,
    ) -> None:
        rooms = memory.rooms if graph is None else Rooms(memory.database, graph, memory.rooms._model)
        sources: dict[str, Source] = {**array_sources(rooms), "graph": GraphSource(rooms)}
        self.faulty = {name: double(sources[name]) for name in faulty}
        engine = Engine(
            memory.database, rooms, memory.embedder, {**sources, **self.faulty}, memory.indexer, patience=patience
        )
        self.memory, self.shuttle = memory, Shuttle(engine, memory.book, memory.learner, memory.clock)

    async def ask(self, scope: Scope, *, route: str | None = None, question: str = QUESTION) -> Answer:
        return await self.shuttle.weave(question, scope, asked_at=START, route=route, seed=1)


class TestFailing:
    @pytest.mark.parametrize("route", [DOCUMENTS, LINKED, BLEND])
    async def test_the_answer_comes_from_what_is_left_and_says_so(self, memory: Memory, room: Room, route: str) -> None:
        await memory.say(room, *TALK)
        answer = await Desk(memory, "graph").ask(memory.scope(room), route=route)
        assert answer.citations[0].message_id == "e1"
        assert answer.reasons[0] == "graph search is down"

    async def test_several_that_are_down_are_named(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await Desk(memory, "graph", "vector").ask(memory.scope(room), route=LINKED)
        assert answer.citations[0].message_id == "e1"
        assert answer.reasons[0] == "graph and vector search is down"

    async def test_a_route_whose_first_source_is_down_goes_on_to_the_next(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await Desk(memory, "recent").ask(memory.scope(room), route=RECENT)
        assert answer.citations[0].message_id == "e1"
        assert answer.reasons[0] == "recent search is down"

    async def test_with_every_source_down_it_is_said_in_the_sources_words(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, "vector", "keyword", "graph", "recent")
        for _ in range(2):
            with pytest.raises(Unavailable, match="server does not answer"):
                await desk.ask(memory.scope(room))

    async def test_a_source_that_never_answers_is_left_after_a_while(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await Desk(memory, "graph", double=Silent, patience=0.2).ask(memory.scope(room), route=DOCUMENTS)
        assert answer.citations[0].message_id == "e1"
        assert answer.reasons[0] == "graph search is down"

    async def test_what_was_found_without_a_source_is_not_found_again_once_it_is_well(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, "graph")
        await desk.ask(memory.scope(room), route=DOCUMENTS)
        desk.faulty["graph"].well = True
        memory.clock.advance(REST)
        answer = await desk.ask(memory.scope(room), route=DOCUMENTS)
        assert desk.faulty["graph"].asked == 2
        assert "graph search is down" not in answer.reasons


class TestMasking:
    async def test_routes_that_need_it_are_outside_the_safe_set_and_the_decision_keeps_the_mask(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, "graph")
        first = await desk.ask(memory.scope(room), route=DOCUMENTS)
        assert first.decision.down == ()
        for seed in range(20):
            answer = await desk.shuttle.weave(QUESTION, memory.scope(room), asked_at=START, seed=seed)
            assert not {DOCUMENTS, LINKED, BLEND} & set(answer.decision.propensities)
            assert sum(answer.decision.propensities.values()) == pytest.approx(1)
            kept, _ = await memory.book.decision(answer.serial)
            assert kept.down == answer.decision.down == ("graph",)
            assert answer.reasons[0] == "graph search is down"
        assert desk.faulty["graph"].asked == 1, "it is left alone while it rests"

    async def test_a_graph_that_is_lost_is_noticed_before_the_route_is_chosen(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await Desk(memory, graph=LostGraph()).ask(memory.scope(room))
        assert answer.decision.down == ("graph",)
        assert answer.citations[0].message_id == "e1"

    async def test_after_its_rest_it_is_tried_again(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, "vector")
        assert (await desk.ask(memory.scope(room), route=CHAT)).reasons[0] == "vector search is down"
        assert (await desk.ask(memory.scope(room))).decision.route == KEYWORD
        memory.clock.advance(REST)
        desk.faulty["vector"].well = True
        answer = await desk.ask(memory.scope(room))
        assert answer.decision.down == ()
        assert CHAT in answer.decision.propensities
        assert not [reason for reason in answer.reasons if "down" in reason]


class TestStores:
    async def test_one_that_rests_is_logged_with_the_decision_and_told(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        redis = Breaker("Redis", memory.clock)
        shuttle = Shuttle(memory.engine, memory.book, memory.learner, memory.clock, breakers=[redis])
        well = await shuttle.weave(QUESTION, memory.scope(room), seed=1)
        assert well.decision.features.as_mapping()[AWAY] == 0.0
        with pytest.raises(Unavailable), redis.watched():
            raise Unavailable("no answer")
        answer = await shuttle.weave(QUESTION, memory.scope(room), seed=1)
        kept, _ = await memory.book.decision(answer.serial)
        assert away_in(kept.features) == 1
        assert kept.down == ()
        assert "One store or source was down then." in await shuttle.why(memory.tenant, answer.id)
        assert not [one for one in await shuttle.why(memory.tenant, well.id) if "down then" in one]

    async def test_a_source_is_named(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, "graph")
        await desk.ask(memory.scope(room), route=DOCUMENTS)
        answer = await desk.ask(memory.scope(room))
        told = await desk.shuttle.why(memory.tenant, answer.id)
        assert "One store or source was down then, among them graph search." in told


class TestHealth:
    def test_a_source_rests_after_a_failure_and_is_well_after_an_answer(self) -> None:
        clock = HandClock()
        health = Health(clock)
        seen = []
        health.saw(missing=["graph", "vector"])
        seen.append(health.down)
        health.saw(there=["vector"])
        seen.append(health.down)
        clock.advance(REST - timedelta(seconds=1))
        seen.append(health.down)
        clock.advance(timedelta(seconds=1))
        seen.append(health.down)
        assert seen == [("graph", "vector"), ("graph",), ("graph",), ()]

    def test_a_clock_that_goes_back_keeps_no_source_down(self) -> None:
        clock = HandClock()
        health = Health(clock)
        health.saw(missing=["graph"])
        clock.advance(timedelta(hours=-3))
        assert health.down == ()

    def test_a_store_that_rests_is_away_though_every_source_answers(self) -> None:
        clock = HandClock()
        redis, neo4j, queue = Breaker("Redis", clock), Breaker("Neo4j", clock), Breaker("Redis", clock)
        health = Health(clock, [redis, neo4j, queue])
        assert not health.away
        with pytest.raises(Unavailable), redis.watched():
            raise Unavailable("no answer")
        assert not health.down
        assert [*health.away] == ["Redis"]
        with pytest.raises(Unavailable), queue.watched():
            raise Unavailable("no answer")
        assert [*health.away] == ["Redis"]  # one server, though it is used for two things
        health.saw(missing=["graph"])
        assert [*health.away] == ["graph", "Redis"]
        clock.advance(timedelta(minutes=1))
        assert not health.away

    def test_routes_that_need_nothing_that_is_down_are_up(self) -> None:
        assert routes_without(()) == {route.name for route in MENU}
        assert DOCUMENTS not in routes_without(["graph"])
        assert CHAT in routes_without(["graph"])

    def test_with_nothing_left_any_route_may_be_tried(self) -> None:
        assert routes_without(["vector", "keyword"]) == {route.name for route in MENU}
