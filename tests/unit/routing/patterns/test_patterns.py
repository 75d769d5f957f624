"""What each pattern finds and how it goes about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from memory.errors import Unavailable
from memory.models import Room
from routing.finding import Taught, find
from routing.fusion import CHANCE, FUSIONS, Scores
from routing.models import Budget
from routing.patterns import PATTERNS, SEEDED
from routing.patterns.run import best_of
from routing.patterns.trace import Act, Ended, Trace
from routing.routes import PATTERNED, route_named
from routing.weights import PLAIN, Weights
from routing.weights import START as START_WEIGHTS
from tests.doubles import START
from tests.parts import Memory
from tests.unit.routing.patterns.desk import EVERYWHERE, Desk

pytestmark = pytest.mark.embedded  # nothing here depends on the database

FILLER = tuple(("Ben", f"the {word} stands in the yard") for word in "barrow bench bucket crate ladder rake".split())
TALK = (
    ("Ana", "the extractor was mended by Zebedee Crane"),
    *FILLER,
    ("Cleo", "we like Zebedee Crane, and so do goats"),
    *FILLER,
)
LEAD = "Who mended the extractor?"
LATER = 8
"""The place of what is said about whoever mended it."""


class TestEvery:
    @pytest.mark.parametrize("pattern", list(PATTERNS))
    async def test_the_same_seed_finds_the_same(self, memory: Memory, room: Room, pattern: str) -> None:
        await memory.say(room, *TALK)
        first, second = [(await Desk(memory).run(pattern, LEAD, room, seed=7))[0] for _ in range(2)]
        assert first.serials.tolist() == second.serials.tolist()
        for name, column in first.features.items():
            np.testing.assert_array_equal(column, second.features[name])

    @pytest.mark.parametrize("pattern", list(PATTERNS))
    async def test_the_message_that_says_it_comes_first(self, memory: Memory, room: Room, pattern: str) -> None:
        serials = await memory.say(room, *TALK)
        pool, run = await Desk(memory).run(pattern, LEAD, room)
        assert best_of(pool)[0] == serials[0]
        assert run.trace.calls

    @pytest.mark.parametrize("pattern", list(PATTERNS))
    async def test_an_empty_room_gives_nothing(self, memory: Memory, room: Room, pattern: str) -> None:
        pool, run = await Desk(memory).run(pattern, LEAD, room)
        assert len(pool.serials) == 0
        assert Trace.read(run.trace.compact()).steps

    @pytest.mark.parametrize("pattern", sorted(set(PATTERNS) - SEEDED))
    async def test_only_those_named_so_depend_on_the_seed(self, memory: Memory, room: Room, pattern: str) -> None:
        await memory.say(room, *TALK)
        pools = [(await Desk(memory).run(pattern, LEAD, room, seed=seed))[0] for seed in (1, 2)]
        assert best_of(pools[0], 20) == best_of(pools[1], 20)


class TestOrder:
    async def test_the_evidence_that_leads_on_is_the_best_by_the_weights_that_votes_taught(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        backwards = -PLAIN
        pool, run = await Desk(memory).run("parallel", LEAD, room, weights=backwards)
        assert run.best(pool) == best_of(pool, weights=backwards)
        assert run.best(pool, 1) != best_of(pool, 1)
        _, plain = await Desk(memory).run("beam", LEAD, room)
        _, turned = await Desk(memory).run("beam", LEAD, room, weights=backwards)
        assert plain.steps
        assert turned.steps

    @pytest.mark.parametrize("weights", [PLAIN, START_WEIGHTS])
    async def test_sampling_is_around_the_weights(self, memory: Memory, room: Room, weights: Scores) -> None:
        await memory.say(room, *TALK)
        first, _ = await Desk(memory).run("Monte Carlo", LEAD, room, seed=3, weights=weights)
        other, _ = await Desk(memory).run("Monte Carlo", LEAD, room, seed=3, weights=-weights)
        best = [int(pool.serials[int(np.argmax(pool.features[CHANCE]))]) for pool in (first, other)]
        assert best[0] == best_of(first, 1, weights)[0]
        assert best[0] != best[1]

    @pytest.mark.parametrize("route", [route.name for route in PATTERNED])
    async def test_votes_on_the_order_move_what_is_found_on_request(
        self, memory: Memory, room: Room, route: str
    ) -> None:
        await memory.say(room, *TALK)
        query = await memory.engine.prepare(LEAD, memory.scope(room), START, 10)
        taken = replace(route_named(route), budget=Budget(60, 60_000))
        plain = await find(memory.engine, query, taken, seed=1)
        turned = await find(memory.engine, query, taken, (), Taught(Weights(-START_WEIGHTS)), seed=1)
        assert plain.hits[0].serial != turned.hits[0].serial


class TestRecursive:
    async def test_what_it_found_leads_to_what_the_question_does_not_name(self, memory: Memory, room: Room) -> None:
        serials = await memory.say(room, *TALK)
        plain, _ = await Desk(memory).run("parallel", LEAD, room, ("keyword",))
        again, run = await Desk(memory).run("recursive", LEAD, room, ("keyword",))
        assert serials[LATER - 1] not in plain.serials
        assert serials[LATER - 1] in best_of(again, 3)
        assert [step.act for step in run.steps][:3] == ["keyword", Act.REFINE, "keyword"]

    async def test_it_ends_when_the_best_stay_the_best(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        _, run = await Desk(memory).run("recursive", LEAD, room, budget=Budget(60, 60_000))
        assert run.ended in {Ended.SETTLED, Ended.NOTHING_NEW}

    async def test_evidence_that_adds_nothing_ends_it(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "bees"), ("Ben", "wasps"))
        _, run = await Desk(memory).run("recursive", "bees?", room)
        assert run.ended is Ended.NOTHING_NEW
        assert run.calls == 3


class TestStrangeLoop:
    async def test_evidence_that_covers_the_question_is_enough(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        _, run = await Desk(memory).run("strange loop", LEAD, room)
        assert (run.calls, run.ended) == (3, Ended.COVERED)

    async def test_what_is_missed_is_asked_for_again(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        question = "Did the barrow, the bucket, the ladder, the crate, the rake and the bench annoy him?"
        _, run = await Desk(memory).run("strange loop", question, room)
        acts = [step.act for step in run.steps]
        assert acts.count(Act.CHECK) == 2
        assert next(step.found for step in run.steps if step.act == Act.CHECK) > 0
        assert run.calls == 6


class TestBeam:
    async def test_no_more_than_two_sources_go_deeper(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        _, run = await Desk(memory).run("beam", LEAD, room)
        deeper = [step.act for step in run.steps if step.round == 2 and step.act != Act.REFINE]
        assert 1 <= len(deeper) <= 2
        assert set(deeper) <= {"vector", "keyword", "graph"}


class TestMonteCarlo:
    async def test_candidates_share_one_chance(self, memory: Memory, room: Room) -> None:
        serials = await memory.say(room, *TALK)
        pool, _ = await Desk(memory).run("Monte Carlo", LEAD, room, seed=1)
        assert pool.features[CHANCE].sum() == pytest.approx(1.0)
        assert pool.serials[int(np.argmax(FUSIONS["probable"](pool)))] == serials[0]

    async def test_another_seed_draws_other_samples(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        one, other = [(await Desk(memory).run("Monte Carlo", LEAD, room, seed=seed))[0] for seed in (1, 2)]
        assert not np.array_equal(one.features[CHANCE], other.features[CHANCE])

    async def test_each_seed_has_evidence_of_its_own(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        query = await memory.engine.prepare(LEAD, memory.scope(room), START, 10)
        route = replace(route_named("monte-carlo"), budget=Budget())  # a slow machine must not tell here
        found = [await find(memory.engine, query, route, seed=seed) for seed in (1, 2, 1)]
        scores = [[hit.score for hit in one.hits] for one in found]
        assert scores[0] == scores[2] != scores[1]

    async def test_what_was_kept_of_one_seed_is_not_shown_for_another(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answers = [
            await memory.shuttle.weave(LEAD, memory.scope(room), route="monte-carlo", seed=seed) for seed in (1, 2)
        ]
        scores = [[citation.hit.score for citation in answer.citations] for answer in answers]
        assert scores[0] != scores[1]


class TestHierarchical:
    async def test_only_messages_of_the_best_sessions_are_candidates(self, memory: Memory, room: Room) -> None:
        said = []
        for day in range(12):
            talk = [("Ana", f"the extractor broke and needs gear number {day}")] if day % 6 == 0 else [FILLER[day % 6]]
            said.append(await memory.say(room, *talk, ("Ben", "fine, thanks"), start=START + timedelta(days=day)))
        pool, run = await Desk(memory).run("hierarchical", "What gear does the extractor need?", room)
        inside = {day for day, serials in enumerate(said) if set(serials) & set(pool.serials.tolist())}
        assert {0, 6} <= inside
        assert len(inside) <= 8
        assert run.steps[0].act == Act.SESSIONS
        assert said[6][1] in pool.serials  # beside it, though it holds no word of the question


class TestAdaptive:
    async def test_it_stops_as_soon_as_the_question_is_covered(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        _, run = await Desk(memory).run("adaptive", LEAD, room, ("keyword", "vector", "graph"))
        assert [step.act for step in run.steps] == ["keyword", Act.CHECK]
        assert run.ended is Ended.COVERED

    async def test_a_source_that_is_down_is_passed_over(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        desk = Desk(memory, down=("keyword",))
        pool, run = await desk.run("adaptive", LEAD, room, ("keyword", "vector", "graph"))
        assert [step.act for step in run.steps][:2] == ["keyword", "vector"]
        assert len(pool.serials) > 0
        assert pool.missing == ("keyword",)
        with pytest.raises(Unavailable, match="keyword is down"):
            await Desk(memory, down=EVERYWHERE).run("adaptive", LEAD, room, ("keyword", "vector", "graph"))

    async def test_where_things_are_named_the_graph_comes_next(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        question = "What do Zebedee Crane, the rake, the bench, the crate and the bucket have in common?"
        _, run = await Desk(memory).run("adaptive", question, room, ("keyword", "vector", "graph"))
        sources = [step.act for step in run.steps if step.act not in set(Act)]
        assert sources[:3] == ["keyword", "graph", "vector"]
        assert len(sources) == 6  # and once more with what was missed
