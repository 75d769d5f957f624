"""Policies judged on a team's own log, promoted and taken out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from memory.engine import Engine
from memory.errors import BadInput, NotFound, Refused
from memory.models import Query, Room
from routing import finding
from routing.evaluation import Log
from routing.intervals import Interval
from routing.judging import Judge
from routing.models import Route
from routing.policy_book import PolicyBook, Reason
from routing.replay import target_named
from routing.routes import CHAT, DOCUMENTS, VECTOR
from routing.shuttle import Shuttle
from routing.weights import UNTAUGHT, Weights
from tests.doubles import START
from tests.parts import Memory, open_memory
from tests.unit.routing.logs import keep_log

EVEN: Final = {CHAT: 0.5, VECTOR: 0.5}
VECTOR_IS_WORSE: Final = {CHAT: 0.8, VECTOR: 0.2}
VECTOR_IS_BETTER: Final = {CHAT: 0.2, VECTOR: 0.9}


@dataclass
class Team:
    """A team with a log."""

    memory: Memory
    room: Room
    policies: PolicyBook
    judge: Judge
    people: list[int] = field(default_factory=list)

    async def votes(self, good: dict[str, float], n: int, *, policy: str = "thompson", seed: int = 0) -> list[int]:
        scope = self.memory.scope(self.room)
        database = self.memory.database
        return await keep_log(database, scope, self.people, good, EVEN, n, at=START, policy=policy, seed=seed)


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    async with open_memory(tmp_path) as memory:
        policies = PolicyBook(memory.database, memory.clock)
        judge = Judge(memory.learner, memory.book, policies)
        found = Team(memory, await memory.room(), policies, judge)
        for name in "abcdefghijklmnopqrst":
            found.people.append((await memory.directory.person(memory.tenant, name, name)).id)
        yield found


class TestTheLog:
    async def test_it_holds_what_was_decided_and_earned(self, team: Team) -> None:
        await team.votes(VECTOR_IS_WORSE, 40)
        log = await team.judge.log(team.memory.tenant)
        assert len(log) == 40
        assert log.propensity.tolist() == [0.5] * 40
        assert log.policies == ("thompson",) * 40

    async def test_a_vote_that_is_taken_back_leaves_it(self, team: Team) -> None:
        serials = await team.votes(VECTOR_IS_WORSE, 40)
        for emoji in ("👍", "👎"):
            await team.memory.book.retract(serials[0], team.people[0], emoji)
        assert len(await team.judge.log(team.memory.tenant)) == 39

    async def test_what_people_chose_themselves_is_not_in_it(self, team: Team) -> None:
        await team.votes(VECTOR_IS_WORSE, 5, policy="chosen")
        assert len(await team.judge.log(team.memory.tenant)) == 0

    async def test_votes_of_one_person_past_the_cap_are_told_apart_from_none(self, team: Team) -> None:
        scope, database = team.memory.scope(team.room), team.memory.database
        await keep_log(database, scope, team.people[:1], VECTOR_IS_BETTER, {VECTOR: 1.0}, 300, at=START)
        kept = len(await team.judge.log(team.memory.tenant))
        assert 10 <= kept < 30
        with pytest.raises(
            Refused, match=rf"Only {kept} decisions have votes that weigh something \({300 - kept} more"
        ):
            await team.judge.evaluate(team.memory.tenant)
        await keep_log(database, scope, team.people[1:], VECTOR_IS_BETTER, EVEN, 60, at=START)
        judged = await team.judge.evaluate(team.memory.tenant, ["vector"])
        assert judged.evaluations[0].decisions + judged.weightless == 360
        assert judged.weightless > 200

    async def test_rooms_and_time_narrow_it(self, team: Team) -> None:
        await team.votes(VECTOR_IS_WORSE, 10)
        half = await team.judge.log(team.memory.tenant, since=START.replace(hour=14))
        assert len(half) == 5
        assert len(await team.judge.log(team.memory.tenant, rooms=[team.room.id + 1])) == 0

    @pytest.mark.parametrize("by_room", [False, True])
    async def test_what_was_learned_before_or_elsewhere_was_known(self, team: Team, *, by_room: bool) -> None:
        await team.votes(VECTOR_IS_BETTER, 60)
        other = replace(team, room=await team.memory.room("other"))
        serials = await other.votes(VECTOR_IS_BETTER, 40)
        if by_room:
            part = await team.judge.log(team.memory.tenant, rooms=[other.room.id])
        else:
            part = await team.judge.log(team.memory.tenant, since=START + timedelta(hours=30))
        whole = await team.judge.log(team.memory.tenant)
        there = {one.answer: i for i, one in enumerate(whole.evidence)}
        places = [there[one.answer] for one in part.evidence]
        assert len(places) == 40
        assert not by_room or [one.answer for one in part.evidence] == serials
        greedy = target_named("greedy")
        assert np.array_equal(greedy(part), greedy(whole)[places])
        assert np.array_equal(part.expected, whole.expected[places])
        assert part.learned.digest == whole.learned.digest


class TestPromoting:
    async def test_a_policy_that_the_votes_prove_better_is_put_in_force_and_back(self, team: Team) -> None:
        await team.votes(VECTOR_IS_BETTER, 260)
        made, lead = await team.judge.promote(team.memory.tenant, "greedy")
        assert lead.low > 0
        assert (made.before, await team.policies.in_force(team.memory.tenant)) == ("thompson", "greedy")
        assert (await team.policies.back(team.memory.tenant)).policy == "thompson"
        assert await team.policies.in_force(team.memory.tenant) == "thompson"

    async def test_each_taking_back_takes_one_promotion_back(self, team: Team) -> None:
        tenant = team.memory.tenant
        for name, reason in (("greedy", Reason.PROMOTED), ("cautious", Reason.PROMOTED), ("rules", Reason.FALLEN)):
            await team.policies.promote(tenant, name, reason)
        assert [(await team.policies.back(tenant)).policy for _ in range(2)] == ["cautious", "greedy"]
        await team.policies.promote(tenant, "formula", Reason.PROMOTED)
        assert [(await team.policies.back(tenant)).policy for _ in range(2)] == ["greedy", "thompson"]
        with pytest.raises(Refused, match="Every promotion was taken back already; thompson decides"):
            await team.policies.back(tenant)
        assert await team.policies.in_force(tenant) == "thompson"

    async def test_what_was_put_in_force_after_it_was_asked_for_is_not_taken_back(self, team: Team) -> None:
        tenant, asked_at = team.memory.tenant, team.memory.clock.now()
        for name in ("greedy", "cautious"):
            await team.policies.promote(tenant, name, Reason.PROMOTED)
        team.memory.clock.advance(timedelta(seconds=1))
        await team.policies.back(tenant, asked_at=asked_at)
        with pytest.raises(Refused, match="greedy was put in force after that was asked for"):
            await team.policies.back(tenant, asked_at=asked_at)
        assert await team.policies.in_force(tenant) == "greedy"

    async def test_a_proof_against_one_policy_replaces_no_other(
        self, team: Team, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await team.votes(VECTOR_IS_BETTER, 260)
        prove = team.judge._lead_on_log

        async def meanwhile(tenant: int, wanted: str, incumbent: str) -> Interval:
            lead = await prove(tenant, wanted, incumbent)
            await team.policies.promote(tenant, "cautious", Reason.PROMOTED)
            return lead

        monkeypatch.setattr(team.judge, "_lead_on_log", meanwhile)
        with pytest.raises(Refused, match="cautious was put in force meanwhile; try again"):
            await team.judge.promote(team.memory.tenant, "greedy")
        assert await team.policies.in_force(team.memory.tenant) == "cautious"

    async def test_one_that_they_do_not_is_refused_with_the_numbers(self, team: Team) -> None:
        await team.votes(VECTOR_IS_BETTER, 260)
        with pytest.raises(
            Refused, match=r"rules earned -0\.\d+ against thompson over 260 .* lower bound of that is -0"
        ):
            await team.judge.promote(team.memory.tenant, "rules")
        assert await team.policies.in_force(team.memory.tenant) == "thompson"

    async def test_with_few_votes_none_is(self, team: Team) -> None:
        await team.votes(VECTOR_IS_BETTER, 60)
        with pytest.raises(Refused, match=r"too few for any bound: that takes 100, .* about six people who vote"):
            await team.judge.promote(team.memory.tenant, "greedy")
        with pytest.raises(Refused, match="weavebot experiment start thompson formula"):
            await team.judge.promote(team.memory.tenant, "formula")

    async def test_mistakes_are_told(self, team: Team) -> None:
        tenant = team.memory.tenant
        with pytest.raises(BadInput, match="in force already"):
            await team.judge.promote(tenant, "thompson")
        with pytest.raises(NotFound, match="no policy 'best'"):
            await team.judge.promote(tenant, "best")
        with pytest.raises(BadInput, match="Nothing was promoted yet"):
            await team.policies.back(tenant)
        with pytest.raises(Refused, match="Only 0 decisions"):
            await team.judge.promote(tenant, "greedy")


class TestTheTripwire:
    async def test_a_policy_that_is_worse_than_the_rules_is_taken_out(self, team: Team) -> None:
        await team.votes(VECTOR_IS_WORSE, 200)
        trip = await team.judge.trip(team.memory.tenant)
        assert trip is not None
        assert trip.fell
        assert trip.lead.high < 0
        newest = await team.policies.newest(team.memory.tenant)
        assert newest is not None
        assert (newest.policy, newest.before, newest.reason) == ("rules", "thompson", Reason.FALLEN)

    async def test_one_that_is_better_stays(self, team: Team) -> None:
        await team.votes(VECTOR_IS_BETTER, 200)
        trip = await team.judge.trip(team.memory.tenant)
        assert trip is not None
        assert not trip.fell
        assert await team.policies.in_force(team.memory.tenant) == "thompson"

    @pytest.mark.parametrize("other", ["cautious", "rules"])
    async def test_what_is_put_in_force_during_the_look_stays(
        self, team: Team, monkeypatch: pytest.MonkeyPatch, other: str
    ) -> None:
        await team.votes(VECTOR_IS_WORSE, 200)
        log = team.judge.log

        async def meanwhile(tenant: int, *, after: int) -> Log:
            await team.policies.promote(tenant, other, Reason.PROMOTED)
            return await log(tenant, after=after)

        monkeypatch.setattr(team.judge, "log", meanwhile)
        assert await team.judge.trip(team.memory.tenant) is None
        newest = await team.policies.newest(team.memory.tenant)
        assert newest is not None
        assert (newest.policy, newest.reason) == (other, Reason.PROMOTED)

    async def test_a_fall_ends_the_experiment_that_would_go_on_deciding(self, team: Team) -> None:
        memory = team.memory
        shuttle = Shuttle(memory.engine, memory.book, memory.learner, memory.clock, policies=team.policies)
        await memory.say(team.room, ("Ana", "the queen is red"))
        await team.votes(VECTOR_IS_WORSE, 200)
        tried = await team.policies.start(memory.tenant, "thompson", "greedy")
        trip = await team.judge.trip(memory.tenant)
        assert trip is not None
        assert trip.ended is not None
        assert trip.ended.id == tried.id
        assert await team.policies.running(memory.tenant) is None
        decided = {
            (await shuttle.weave("queen?", memory.scope(team.room), thread=f"${i}")).decision.policy for i in range(8)
        }
        assert decided == {"rules"}

    async def test_nothing_is_looked_at_twice(self, team: Team) -> None:
        await team.votes(VECTOR_IS_BETTER, 20)
        assert await team.judge.trip(team.memory.tenant) is not None
        assert await team.judge.trip(team.memory.tenant) is None

    async def test_what_was_taken_back_is_judged_by_what_comes_after(self, team: Team) -> None:
        await team.votes(VECTOR_IS_WORSE, 200)
        await team.judge.trip(team.memory.tenant)
        await team.policies.back(team.memory.tenant)
        trip = await team.judge.trip(team.memory.tenant)
        assert trip is not None
        assert (trip.policy, trip.decisions, trip.fell) == ("thompson", 0, False)


class TestWhatDecides:
    async def test_the_policy_in_force_decides_the_next_question(self, team: Team) -> None:
        await team.memory.say(team.room, ("Ana", "the queen is red"))
        scope = team.memory.scope(team.room, asker=team.people[0])
        answer = await team.memory.shuttle.weave("what colour is the queen?", scope)
        assert answer.decision.policy == "thompson"
        for name in ("rules", "greedy", "cautious", "formula"):
            await team.policies.promote(team.memory.tenant, name, Reason.PROMOTED)
            answer = await team.memory.shuttle.weave("what colour is the queen?", scope)
            assert answer.decision.policy == name
            assert sum(answer.decision.propensities.values()) == pytest.approx(1.0)

    @pytest.mark.parametrize("route", [None, DOCUMENTS])
    async def test_it_says_whether_votes_move_the_order(
        self, team: Team, monkeypatch: pytest.MonkeyPatch, route: str | None
    ) -> None:
        memory, seen = team.memory, list[finding.Taught]()
        await memory.say(team.room, ("Ana", "the queen is red"))
        learned, find = replace(UNTAUGHT, digest="votes"), finding.find

        async def weights(_tenant: int, _seen: object = None) -> Weights:
            return learned

        async def watched(
            engine: Engine, query: Query, taken: Route, down: tuple[str, ...], taught: finding.Taught, *, seed: int
        ) -> finding.Found:
            seen.append(taught)
            return await find(engine, query, taken, down, taught, seed=seed)

        monkeypatch.setattr(memory.learner, "weights", weights)
        monkeypatch.setattr(finding, "find", watched)
        shuttle = Shuttle(
            memory.engine, memory.book, memory.learner, memory.clock, paths=memory.paths, policies=team.policies
        )
        await shuttle.weave("queen?", memory.scope(team.room), route=route)
        await team.policies.promote(memory.tenant, "formula", Reason.PROMOTED)
        await shuttle.weave("queen?", memory.scope(team.room), route=route)
        assert [(taught.weights is learned, taught.ranks) for taught in seen] == [(True, True), (False, False)]
        assert all(taught.paths is not None for taught in seen)

    async def test_an_experiment_gives_each_thread_its_policy_and_logs_it(self, team: Team) -> None:
        memory = team.memory
        shuttle = Shuttle(memory.engine, memory.book, memory.learner, memory.clock, policies=team.policies)
        await memory.say(team.room, ("Ana", "the queen is red"))
        tried = await team.policies.start(memory.tenant, "rules", "greedy")
        seen = set()
        for thread in [f"${i}" for i in range(12)] * 2:
            answer = await shuttle.weave("queen?", memory.scope(team.room), thread=thread)
            kept, _ = await memory.book.decision(answer.serial)
            assert (kept.experiment, kept.arm_propensity) == (tried.id, 0.5)
            assert kept.policy == tried.assign(team.room.id, thread, None, memory.clock.now()).policy
            seen.add((thread, kept.policy, kept.unit))
        assert len(seen) == 12
        assert {policy for _, policy, _ in seen} == {"rules", "greedy"}
        await team.policies.stop(memory.tenant)
        after = await shuttle.weave("queen?", memory.scope(team.room), thread="$0")
        assert (after.decision.policy, after.decision.experiment) == ("thompson", None)

    async def test_only_one_experiment_runs_and_it_has_two_sides(self, team: Team) -> None:
        tenant = team.memory.tenant
        with pytest.raises(BadInput, match="two different"):
            await team.policies.start(tenant, "rules", "rules")
        await team.policies.start(tenant, "rules", "greedy")
        with pytest.raises(BadInput, match="rules against greedy is being tried"):
            await team.policies.start(tenant, "rules", "thompson")

    async def test_what_is_left_of_somebody_who_was_forgotten_names_no_unit(self, team: Team) -> None:
        memory = team.memory
        shuttle = Shuttle(memory.engine, memory.book, memory.learner, memory.clock, policies=team.policies)
        await memory.say(team.room, ("Ana", "the queen is red"))
        await team.policies.start(memory.tenant, "rules", "greedy")
        answer = await shuttle.weave("queen?", memory.scope(team.room, asker=team.people[0]))
        assert answer.decision.unit is not None
        person = await memory.directory.find_person(memory.tenant, "a")
        await memory.privacy.forget_person(person)
        kept, _ = await memory.book.decision(answer.serial)
        assert kept.unit is None
        assert kept.contributions == ()
