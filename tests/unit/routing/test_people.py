"""What one person's votes add: little, exactly, and gone with the person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memory.directory import Directory
from memory.models import Room
from routing.explain import why
from routing.models import Advice, Decision, Evidence
from routing.policies.linear import DESIGN, Array, Posterior
from routing.policies.people import LARGEST, offsets, shares
from routing.policies.thompson import PERSON, ThompsonPolicy
from routing.routes import BLEND, CHAT, KEYWORD, MENU, VECTOR
from routing.shuttle import Shuttle
from routing.teaching import Teaching
from tests.doubles import START
from tests.parts import Memory, open_memory
from tests.unit.routing.asking import numbers
from tests.unit.routing.logs import keep_log
from tests.unit.routing.voting import QUESTIONS, rated

WHO = numbers(QUESTIONS[0])
ANA, BEN = 1, 2


def by(person: int | None, *evidence: Evidence) -> list[Evidence]:
    return [replace(one, person=person) for one in evidence]


TEAM = by(
    BEN, *(rated(i, VECTOR, y=0.3) for i in range(0, 40, 2)), *(rated(i, KEYWORD, y=0.7) for i in range(40, 80, 2))
)
FAN = by(ANA, *(rated(i, VECTOR, y=0.8) for i in range(1, 21, 2)))


def found(evidence: list[Evidence]) -> dict[int, Array]:
    return offsets(evidence, Posterior.from_votes(evidence, 100))


class TestOffsets:
    def test_who_likes_what_the_team_does_not_is_met_half_way(self) -> None:
        ana = found(TEAM + FAN)[ANA]
        assert ana[DESIGN.index[VECTOR]] > 0.01
        assert ana[DESIGN.index[KEYWORD]] == 0.0

    def test_routes_that_share_a_source_share_the_offset(self) -> None:
        ana = found(TEAM + FAN[:2])[ANA]
        assert 0 < ana[DESIGN.index[VECTOR]] < LARGEST
        assert ana[DESIGN.index[CHAT]] == pytest.approx(ana[DESIGN.index[VECTOR]] / 2)
        assert ana[DESIGN.index[BLEND]] == pytest.approx(ana[DESIGN.index[VECTOR]] / 3)

    def test_none_moves_a_route_by_more_than_the_margin(self) -> None:
        fans = by(ANA, *(rated(i, VECTOR, y=1.0, w=1.0) for i in range(1, 400, 2)))
        team = by(BEN, *(rated(i, VECTOR, y=0.0, w=1.0) for i in range(0, 400, 2)))
        assert max(float(np.abs(one).max()) for one in found(fans + team).values()) == LARGEST

    def test_they_are_a_function_of_the_votes_that_stand(self) -> None:
        whole = TEAM + FAN
        before = found(whole)
        shuffled = list(whole)
        np.random.default_rng(3).shuffle(shuffled)
        after = found(shuffled)
        assert before.keys() == after.keys()
        assert all(np.array_equal(before[person], after[person]) for person in before)
        assert ANA not in found(TEAM)

    def test_an_answer_that_nobody_in_particular_asked_for_makes_none(self) -> None:
        assert found(by(None, *TEAM)) == {}

    def test_each_source_is_an_even_part_of_its_route(self) -> None:
        assert shares(MENU).sum(axis=1) == pytest.approx(np.ones(len(MENU)))


class TestDecisions:
    def decided(self, offset: Array | None) -> Decision:
        posterior = Posterior.from_votes(TEAM + FAN, 100)
        return ThompsonPolicy(posterior).decide(WHO, Advice(CHAT, ("",)), seed=4, offset=offset)

    def test_the_terms_still_sum_to_the_lead(self) -> None:
        offset = found(TEAM + FAN)[ANA]
        decision = self.decided(offset)
        assert sum(term.amount for term in decision.contributions) == pytest.approx(decision.gap, abs=1e-9)
        plain = self.decided(None)
        if (plain.route, plain.runner_up) == (decision.route, decision.runner_up):
            [term] = [term.amount for term in decision.contributions if term.feature == PERSON]
            assert decision.gap - plain.gap == pytest.approx(term, abs=1e-12)

    def test_why_tells_it_when_it_matters(self) -> None:
        strong = np.zeros(len(MENU))
        strong[DESIGN.index[CHAT]] = LARGEST
        decision = self.decided(strong)
        assert "votes of whoever asked speak" in "\n".join(why(decision, ()))
        assert "whoever asked" not in "\n".join(why(self.decided(strong / 100), ()))


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with open_memory(tmp_path) as opened:
        yield opened


async def liking(memory: Memory, tenant: int, room: Room, name: str, good: dict[str, float]) -> int:
    """Somebody who has rated 20 answers so."""
    person = (await memory.directory.person(tenant, name, name)).id
    scope = replace(memory.scope(room), tenant=tenant)
    await keep_log(memory.database, scope, [person], good, {CHAT: 0.5, VECTOR: 0.5}, 20, at=START)
    return person


class TestInATeam:
    async def contribution(self, memory: Memory, shuttle: Shuttle, tenant: int, room: Room, person: int) -> list[str]:
        scope = replace(memory.scope(room, asker=person), tenant=tenant)
        answer = await shuttle.weave("what colour is the queen?", scope, seed=4)
        return [term.feature for term in answer.decision.contributions if term.feature == PERSON]

    async def test_the_asker_is_known_by_their_votes_until_they_are_forgotten(self, memory: Memory) -> None:
        room = await memory.room()
        await memory.say(room, ("Ana", "the queen is red"))
        ana = await liking(memory, memory.tenant, room, "ana", {CHAT: 1.0, VECTOR: 0.0})
        await liking(memory, memory.tenant, room, "ben", {CHAT: 0.0, VECTOR: 1.0})
        assert await self.contribution(memory, memory.shuttle, memory.tenant, room, ana) == [PERSON]

        await memory.privacy.forget_person(await memory.directory.find_person(memory.tenant, "ana"))

        again = (await memory.directory.person(memory.tenant, "ana", "ana")).id
        assert await self.contribution(memory, memory.shuttle, memory.tenant, room, again) == []

    async def test_where_profiles_are_forbidden_nobody_is(self, memory: Memory) -> None:
        tenant = await memory.directory.tenant("discord", "guild", "guild")
        room = await memory.directory.room(tenant, "hives", "hives")
        ana = await liking(memory, tenant, room, "ana", {CHAT: 1.0, VECTOR: 0.0})
        teaching = Teaching(Directory(memory.database, memory.clock))
        shuttle = Shuttle(memory.engine, memory.book, memory.learner, memory.clock, teaching=teaching)
        assert await self.contribution(memory, shuttle, tenant, room, ana) == []
        assert await self.contribution(memory, memory.shuttle, tenant, room, ana) == [PERSON]
