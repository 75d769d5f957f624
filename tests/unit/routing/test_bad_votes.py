"""Votes as they should not come: far too many, late, on what is gone, by a clock that goes back, in any order."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from memory.models import Person, Room
from routing import rewards
from routing.answers import AnswerBook
from routing.bearings import Bearings
from routing.emoji import PLACES
from routing.features import AWAY, VERSION
from routing.learner import Learner
from routing.models import Answer
from routing.policies.linear import DESIGN, Array, Posterior
from routing.pool_book import PoolBook
from routing.tables import answers, decisions, learner_snapshots, votes
from tests.doubles import START
from tests.parts import Memory
from tests.unit.routing.test_shuttle import TALK
from tests.unit.routing.voting import largest, vote

QUESTIONS = ("Where is the key?", "Who will mend the extractor?", "What does honey cost?", "Why were the hives moved?")
EMOJI = ("👍", "👍🏽", "👎", "⭐", "🤔", "1️⃣", "2️⃣", "🍕", "<:party:12345>")


async def person(memory: Memory, name: str = "ana") -> Person:
    return await memory.directory.person(memory.tenant, name, name.title())


async def asked(memory: Memory, room: Room, question: str = QUESTIONS[0], who: str = "ana") -> Answer:
    asker = await person(memory, who)
    return await memory.shuttle.weave(question, memory.scope(room, asker=asker.id), seed=1)


async def differs(memory: Memory) -> float:
    """How far everything that the votes taught the live learner is from what a new one reads off the rows."""
    fresh = Learner(memory.database, AnswerBook(memory.database), memory.clock)
    there = await memory.book.bearings(memory.scope(await memory.room()))
    live, rebuilt = [await one.posterior(memory.tenant) for one in (memory.learner, fresh)]
    assert live.digest == rebuilt.digest
    far = [largest(live.mean - rebuilt.mean)]
    orders = [await one.weights(memory.tenant, there) for one in (memory.learner, fresh)]
    assert orders[0].by_kind.keys() == orders[1].by_kind.keys()
    far.append(largest(orders[0].common - orders[1].common))
    for one in await memory.directory.people(memory.tenant):
        mine, theirs = await _offsets(memory, fresh, one.id, there)
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            far.append(largest(mine - theirs))
    return max(far)


async def _offsets(memory: Memory, fresh: Learner, person_id: int, there: Bearings) -> list[Array | None]:
    posterior = await fresh.posterior(memory.tenant)
    return [await one.offset(memory.tenant, person_id, posterior, there) for one in (memory.learner, fresh)]


class TestTooMany:
    def test_ten_thousand_votes_of_one_person_weigh_five_on_a_route(self) -> None:
        flood = [vote(answer, "👎", days=answer / 5) for answer in range(10_000)]
        standing = rewards.Standing(dict.fromkeys(range(10_000), "chat"), {1: 10_000})
        found = rewards.rewards(flood, standing)
        assert len(found) == 10_000
        assert sum(one.w for one in found) == pytest.approx(rewards.ROUTE_CAP, abs=0.01)
        assert min(one.answer for one in found if one.w > 0) > 9_900  # the newest are heard

    async def test_ten_thousand_reactions_on_one_answer_are_one_vote(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer, ana = await asked(memory, room), await person(memory)
        async with memory.database.write() as conn:  # each stood for a moment: the newest of each emoji is what stands
            for number, emoji in enumerate(("👍", "👎") * 5_000):
                if number >= 9_998:
                    row = {"answer_serial": answer.serial, "person_id": ana.id, "emoji": emoji, "cast_at": START}
                    await conn.execute(votes.insert().values(**row))
        for emoji in ("👍", "👎") * 20:
            await memory.shuttle.vote(memory.tenant, answer.id, ana, emoji)
        [standing] = await memory.book.standing(memory.tenant, rewards.RATINGS)
        assert standing.emoji == "👎"
        assert await differs(memory) <= 1e-8


class TestOnWhatIsGone:
    async def test_an_answer_whose_source_was_deleted_is_rated_and_teaches_no_order(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        answer, ana = await asked(memory, room), await person(memory)
        await memory.journal.delete(room, answer.citations[0].message_id, START)
        told = await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎")
        assert told.changed
        assert told.after < told.before
        assert await PoolBook(memory.database).read([answer.serial]) == {}
        assert await differs(memory) <= 1e-8

    async def test_a_pick_of_a_source_that_it_never_had_or_has_no_more_does_nothing_and_says_so(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        answer, ana = await asked(memory, room), await person(memory)
        sources = len(answer.citations)
        told = await memory.shuttle.vote(memory.tenant, answer.id, ana, f"{sources + 1}️⃣")
        assert (told.changed, told.pick, told.sources) == (False, sources + 1, sources)
        await memory.journal.delete(room, answer.citations[0].message_id, START)
        kept = await memory.shuttle.vote(memory.tenant, answer.id, ana, f"{sources}️⃣")
        assert kept.changed  # the others keep their numbers
        assert [one.place for one in await PoolBook(memory.database).picks(memory.tenant, PLACES)] == [sources - 1]

    async def test_an_answer_whose_asker_was_forgotten_can_still_be_rated(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer, ben = await asked(memory, room), await person(memory, "ben")
        await memory.privacy.forget_person(await person(memory))
        assert (await memory.shuttle.vote(memory.tenant, answer.id, ben, "👍")).changed
        assert await differs(memory) <= 1e-8


class TestAClockThatGoesBack:
    async def test_the_vote_that_came_last_stands_whatever_its_time_says(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer, ana = await asked(memory, room), await person(memory)
        for hours, emoji in ((5, "👍"), (-40, "👎"), (-90, "🤔")):
            await memory.shuttle.vote(memory.tenant, answer.id, ana, emoji, at=START + timedelta(hours=hours))
        assert [one.emoji for one in await memory.book.standing(memory.tenant, rewards.RATINGS)] == ["🤔"]
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "🤔", remove=True)
        assert [one.emoji for one in await memory.book.standing(memory.tenant, rewards.RATINGS)] == ["👎"]

    async def test_questions_go_on_and_nothing_that_was_learned_is_lost(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        first, ana = await asked(memory, room), await person(memory)
        await memory.shuttle.vote(memory.tenant, first.id, ana, "👎")
        before = await memory.learner.posterior(memory.tenant)
        memory.clock.advance(timedelta(days=-3))
        again = await asked(memory, room, QUESTIONS[1])
        assert again.serial > first.serial
        assert (await memory.learner.posterior(memory.tenant)).digest == before.digest
        assert await differs(memory) <= 1e-8


class TestLearnedBefore:
    async def test_a_vote_on_a_decision_of_the_first_features_still_counts_and_counts_alike(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        answer, ana = await asked(memory, room), await person(memory)
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎")
        now = await memory.learner.posterior(memory.tenant)
        row = {name: value for name, value in answer.decision.features.as_mapping().items() if name != AWAY}
        async with memory.database.write() as conn:
            await conn.execute(update(decisions).values(features_version=VERSION - 1, features=row))
        memory.learner.forget_all()
        assert (await memory.learner.posterior(memory.tenant)).digest == now.digest
        told = await memory.shuttle.vote(memory.tenant, answer.id, ana, "👍")
        assert told.after > told.before
        assert await memory.shuttle.why(memory.tenant, answer.id)

    async def test_a_snapshot_of_older_features_or_a_damaged_one_is_never_believed(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        answer, ana = await asked(memory, room), await person(memory)
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎")
        await memory.learner.recompute(memory.tenant)
        before = await memory.learner.posterior(memory.tenant)
        async with memory.database.write() as conn:
            await conn.execute(update(learner_snapshots).values(state=b"spoiled", posterior="0" * 16))
        fresh = Learner(memory.database, memory.book, memory.clock)
        assert (await fresh.posterior(memory.tenant)).digest == before.digest
        assert await fresh.recompute(memory.tenant) == 0.0
        async with memory.database.read() as conn:
            [row] = (await conn.execute(select(learner_snapshots.c.posterior))).all()
        assert row.posterior == before.digest  # and the spoiled one is written over


class TestTwoProcesses:
    async def test_that_learn_and_keep_snapshots_at_once_agree(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        given, ana = [await asked(memory, room, question) for question in QUESTIONS], await person(memory)
        both = [Learner(memory.database, AnswerBook(memory.database), memory.clock) for _ in range(2)]
        for number, answer in enumerate(given):
            await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎" if number % 2 else "⭐")
            drifts = await asyncio.gather(*(one.recompute(memory.tenant) for one in both))
            assert max(drifts) == 0.0
        digests = {(await one.posterior(memory.tenant)).digest for one in (*both, memory.learner)}
        async with memory.database.read() as conn:
            [row] = (await conn.execute(select(learner_snapshots))).all()
        assert {row.posterior, Posterior.from_bytes(row.state).digest} == digests


class TestAnyInterleaving:
    @pytest.mark.parametrize("seed", range(4))
    async def test_what_is_learned_live_is_what_the_rows_teach(self, memory: Memory, room: Room, seed: int) -> None:
        """Votes, picks, changes, removals of what was there and what never was, replays, erasures, in any order."""
        rng = random.Random(seed)  # noqa: S311 - nothing to guess
        await memory.say(room, *TALK)
        names = ("ana", "ben", "cleo", "dan")
        given = [await asked(memory, room, QUESTIONS[n % 4], names[n % 3]) for n in range(8)]
        for step in range(70):
            answer, who = rng.choice(given), await person(memory, rng.choice(names))
            at = START + timedelta(minutes=rng.randint(-9_000, 9_000))
            emoji, remove = rng.choice(EMOJI), rng.random() < 0.3
            for _ in range(rng.choice((1, 1, 2))):  # delivered twice, now and then
                await memory.shuttle.vote(memory.tenant, answer.id, who, emoji, remove=remove, at=at)
            if rng.random() < 0.1:
                await memory.learner.posterior(memory.tenant)
            if step == 35:
                await memory.journal.delete(room, "e5", START)
            if step == 50:
                await memory.privacy.forget_person(await person(memory, "dan"))
        assert len(await memory.book.standing(memory.tenant, rewards.RATINGS)) > 5
        assert await differs(memory) <= 1e-8
        before = (await memory.learner.posterior(memory.tenant)).digest
        assert await memory.learner.recompute(memory.tenant) == 0.0
        assert (await memory.learner.posterior(memory.tenant)).digest == before

    async def test_without_votes_everything_is_as_it_was_at_first(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        given = [await asked(memory, room, question) for question in QUESTIONS]
        start = await memory.learner.posterior(memory.tenant)
        for answer in given:
            for emoji in EMOJI:
                await memory.shuttle.vote(memory.tenant, answer.id, await person(memory), emoji)
        assert largest((await memory.learner.posterior(memory.tenant)).mean - start.mean) > 1e-3
        for answer in given:
            for emoji in reversed(EMOJI):
                await memory.shuttle.vote(memory.tenant, answer.id, await person(memory), emoji, remove=True)
        assert (await memory.learner.posterior(memory.tenant)).digest == start.digest
        assert start.design == DESIGN

    async def test_an_answer_that_is_gone_with_its_votes_teaches_nothing(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        start = await memory.learner.posterior(memory.tenant)
        answer = await asked(memory, room)
        await memory.shuttle.vote(memory.tenant, answer.id, await person(memory), "👎")
        async with memory.database.write() as conn:  # as a restored backup may have it
            await conn.execute(delete(votes))
            await conn.execute(delete(decisions))
            await conn.execute(delete(answers).where(answers.c.serial == answer.serial))
        memory.learner.forget_all()
        assert (await memory.learner.posterior(memory.tenant)).digest == start.digest
