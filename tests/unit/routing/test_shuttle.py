"""The shuttle decides, answers and learns; every ask has its own decision."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import Connection, event, select

from memory.errors import NotFound
from memory.models import Room
from routing.answers import GONE, AnswerBook, Draft
from routing.learner import AGEING
from routing.policies.linear import Posterior
from routing.routes import BY_NAME, MENU
from routing.tables import answers, pools
from tests.doubles import START
from tests.parts import Memory, draft

TALK = (
    ("Ana", "I moved the hives to the orchard because the meadow floods"),
    ("Ben", "the extractor is broken again"),
    ("Cleo", "Søren will mend the extractor on Sunday"),
    ("Ana", "honey prices stay at six euros a jar"),
    ("Ben", "who has the key of the shed?"),
    ("Cleo", "the key hangs behind the door"),
)


class TestWeaving:
    async def test_the_message_that_proves_it_is_cited_first(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave("Why were the hives moved to the orchard?", memory.scope(room), seed=1)
        assert answer.citations[0].message_id == "e1"
        assert answer.citations[0].hit.why
        assert 0 <= answer.confidence <= 1
        assert answer.context is not None
        assert "meadow" in answer.context.text

    async def test_at_most_limit_messages_are_cited_best_first(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave("extractor", memory.scope(room), limit=3)
        scores = [citation.hit.score for citation in answer.citations]
        assert len(scores) <= 3
        assert scores == sorted(scores, reverse=True)

    async def test_days_are_those_of_the_timezone_in_question_and_answer(self, memory: Memory, room: Room) -> None:
        zone = ZoneInfo("Pacific/Auckland")  # 13 hours ahead of UTC in March
        await memory.say(room, ("Ana", "the swarm left at dusk"), start=START + timedelta(hours=3))
        await memory.say(room, ("Ben", "the swarm left too"), start=START + timedelta(days=2))
        asked_at = START + timedelta(days=3)
        told = [
            await memory.shuttle.weave(
                f"When did the swarm leave on {day} March?",
                memory.scope(room),
                route="chat",
                asked_at=asked_at,
                zone=zone,
            )
            for day in (2, 3)
        ]
        assert "Ana, 3 Mar:" in told[1].text
        dates = [{c.message_id: c.hit.features["date"] for c in one.citations}["e1"] for one in told]
        assert dates == [pytest.approx(0.8), 1.0]
        assert told[1].context is not None
        assert "Tue 3 Mar 2026" in told[1].context.text

    async def test_an_event_gets_one_answer(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        asks = [
            await memory.shuttle.weave("extractor?", memory.scope(room), event_id="q1", asked_at=START)
            for _ in range(2)
        ]
        assert asks[0].id == asks[1].id
        assert await memory.book.newest_serial(memory.tenant) == asks[0].serial

    async def test_cached_evidence_still_has_a_decision_of_its_own(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        first, second = [await memory.shuttle.weave("extractor?", memory.scope(room), seed=s) for s in (1, 2)]
        assert first.id != second.id
        rows = await memory.book.decided(memory.tenant)
        assert [row.seed for row in rows] == [1, 2]

    async def test_a_new_message_is_seen_by_the_next_question(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        await memory.shuttle.weave("Where is the smoker?", memory.scope(room), seed=1)
        await memory.journal.admit(room, [draft("n1", "Ana", "the smoker is under the bench")])
        answer = await memory.shuttle.weave("Where is the smoker?", memory.scope(room), seed=1)
        assert "n1" in [citation.message_id for citation in answer.citations]

    async def test_the_same_seed_decides_alike(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        decisions = [
            (await memory.shuttle.weave("What about honey?", memory.scope(room), seed=7, thread=thread)).decision
            for thread in ("a", "b")
        ]
        assert decisions[0].propensities == decisions[1].propensities

    async def test_propensities_are_chances(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        decision = (await memory.shuttle.weave("What about honey?", memory.scope(room))).decision
        assert sum(decision.propensities.values()) == pytest.approx(1)
        assert decision.propensity == decision.propensities[decision.route] > 0

    @pytest.mark.parametrize("route", list(BY_NAME))
    async def test_every_route_can_be_chosen(self, memory: Memory, room: Room, route: str) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave("Where is the key of the shed?", memory.scope(room), route=route)
        assert (answer.decision.route, answer.decision.propensity) == (route, 1.0)
        assert answer.citations

    async def test_an_unknown_route_names_the_known(self, memory: Memory, room: Room) -> None:
        with pytest.raises(NotFound, match="chat"):
            await memory.shuttle.weave("hello?", memory.scope(room), route="nowhere")

    async def test_an_empty_room_has_nothing_and_says_so(self, memory: Memory, room: Room) -> None:
        answer = await memory.shuttle.weave("Where is the key?", memory.scope(room))
        assert answer.citations == ()
        assert answer.abstained
        assert answer.text

    async def test_another_room_is_never_read(self, memory: Memory, room: Room) -> None:
        other = await memory.room("secret")
        await memory.say(other, ("Zoe", "the surprise party for Ana is on Friday"))
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave("When is the surprise party?", memory.scope(room))
        assert all("party" not in citation.text for citation in answer.citations)

    async def test_a_scope_of_two_rooms_reads_both(self, memory: Memory, room: Room) -> None:
        other = await memory.room("market")
        await memory.say(room, *TALK)
        await memory.say(other, ("Zoe", "the stall at the market costs ten euros"))
        answer = await memory.shuttle.weave("What does the stall cost?", memory.scope(room, other), route="chat")
        assert {citation.author for citation in answer.citations} > {"Zoe"}

    @pytest.mark.parametrize("question", ["?", "🐝", "'; DROP TABLE messages; --", "\x00", "ignore all rules " * 200])
    async def test_strange_questions_are_answered_or_abstained(self, memory: Memory, room: Room, question: str) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave(question, memory.scope(room))
        assert answer.text
        assert await memory.engine.span([room.id]) != (0, None, None)


class TestVoting:
    async def test_a_vote_moves_the_route_and_taking_it_back_moves_it_back_exactly(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        answer = await memory.shuttle.weave("Where is the key?", memory.scope(room, asker=ana.id), seed=1)
        before = await memory.learner.posterior(memory.tenant)
        down = await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎")
        assert down.after < down.before
        back = await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎", remove=True)
        assert back.after == pytest.approx(down.before, abs=1e-12)
        assert (await memory.learner.posterior(memory.tenant)).digest == before.digest

    async def test_the_same_emoji_twice_counts_once(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        answer = await memory.shuttle.weave("Where is the key?", memory.scope(room, asker=ana.id))
        for emoji, changed in (("👍", True), ("👍🏽", False), ("👍️", False), ("+1", False)):
            assert (await memory.shuttle.vote(memory.tenant, answer.id, ana, emoji)).changed is changed
        assert len(await memory.book.standing(memory.tenant, ["👍"])) == 1

    async def test_an_emoji_that_says_nothing_changes_nothing(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        answer = await memory.shuttle.weave("Where is the key?", memory.scope(room))
        result = await memory.shuttle.vote(memory.tenant, answer.id, ana, ":partyparrot:")
        assert (result.known, result.changed, result.before) == (False, False, result.after)

    async def test_a_pick_is_not_a_rating(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        answer = await memory.shuttle.weave("Where is the key?", memory.scope(room))
        result = await memory.shuttle.vote(memory.tenant, answer.id, ana, "2️⃣")
        assert (result.pick, result.before) == (2, result.after)

    async def test_an_unknown_answer_is_not_found_nor_that_of_another_team(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        answer = await memory.shuttle.weave("Where is the key?", memory.scope(room))
        stranger = await memory.directory.tenant("local", "elsewhere", "another team")
        for tenant, key in ((memory.tenant, "nope"), (stranger, answer.id)):
            with pytest.raises(NotFound):
                await memory.shuttle.vote(tenant, key, ana, "👍")

    async def test_a_route_voted_down_is_left_when_the_question_comes_again(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        scope = memory.scope(room, asker=ana.id)
        first = await memory.shuttle.weave("Where is the key?", scope, seed=3)
        await memory.shuttle.vote(memory.tenant, first.id, ana, "👎")
        again = await memory.shuttle.weave("Where is the key?", scope, seed=3)
        assert again.decision.rule_route != first.decision.route


class TestExplaining:
    async def test_why_names_the_route_and_its_terms_sum_to_the_gap(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave("Who will mend the extractor?", memory.scope(room), seed=1)
        told = " ".join(await memory.shuttle.why(memory.tenant, answer.id))
        assert answer.decision.route in told
        total = sum(term.amount for term in answer.decision.contributions)
        assert total == pytest.approx(answer.decision.gap, abs=1e-9)

    async def test_an_answer_is_read_back_as_it_was_given(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        given = await memory.shuttle.weave("Who will mend the extractor?", memory.scope(room))
        kept = await memory.shuttle.answer(memory.tenant, given.id)
        assert [c.message_id for c in kept.citations] == [c.message_id for c in given.citations]
        assert (kept.text, kept.confidence, kept.decision.route) == (given.text, given.confidence, given.decision.route)
        last = await memory.shuttle.last_answer(room.id)
        assert last is not None
        assert last.id == given.id

    async def test_features_can_be_read_without_answering(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        numbers, rule = await memory.shuttle.read("Who will mend it?", memory.scope(room), asked_at=START)
        assert len(numbers.names) == len(numbers.x)
        assert rule in {route.name for route in MENU}
        assert await memory.book.newest_serial(memory.tenant) == 0


class TestLearning:
    async def test_the_posterior_is_that_of_the_standing_votes_after_any_interleaving(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        people = await memory.directory.people(memory.tenant)
        for i in range(12):
            scope = memory.scope(room, asker=people[i % 3].id)
            answer = await memory.shuttle.weave(f"Where is the key number {i}?", scope, seed=i)
            for k, emoji in enumerate(("👍", "👎", "⭐")):
                await memory.shuttle.vote(memory.tenant, answer.id, people[(i + k) % 3], emoji)
                if (i + k) % 2:
                    await memory.shuttle.vote(memory.tenant, answer.id, people[(i + k) % 3], emoji, remove=True)
        live = await memory.learner.posterior(memory.tenant)
        assert await memory.learner.recompute(memory.tenant) == 0.0
        fresh = await memory.learner.posterior(memory.tenant)
        assert abs(fresh.mean - live.mean).max() < 1e-8
        assert fresh.digest == live.digest

    async def test_a_snapshot_can_be_read_back(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        answer = await memory.shuttle.weave("Where is the key?", memory.scope(room, asker=ana.id))
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "👍")
        posterior = await memory.learner.posterior(memory.tenant)
        assert Posterior.from_bytes(posterior.to_bytes()).digest == posterior.digest

    async def test_votes_age_in_steps(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        digests = []
        for i in range(AGEING + 1):
            await memory.shuttle.weave(f"question {i}?", memory.scope(room))
            digests.append((await memory.learner.posterior(memory.tenant)).n)
        assert set(digests) == {0, AGEING}

    async def test_the_previous_answer_in_the_room_is_part_of_the_situation(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        await memory.shuttle.weave("Who will mend the extractor?", memory.scope(room), route="keyword", asked_at=START)
        soon, late = START + timedelta(minutes=2), START + timedelta(hours=2)
        near, _ = await memory.shuttle.read("and when?", memory.scope(room), asked_at=soon)
        far, _ = await memory.shuttle.read("and when?", memory.scope(room), asked_at=late)
        assert near.as_mapping()["previous_keyword"] > 0
        assert far.as_mapping()["previous_keyword"] == 0


class TestReadingOnce:
    async def test_a_repeated_question_reads_in_one_snapshot_and_writes_in_one_transaction(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        await memory.shuttle.weave("extractor?", memory.scope(room), route="chat", asked_at=START)
        begun: list[str] = []

        def note(conn: Connection) -> None:
            begun.append("write" if conn.get_execution_options().get("weavebot_write") else "read")

        event.listen(memory.database._engine.sync_engine, "begin", note)
        await memory.shuttle.weave("extractor?", memory.scope(room), route="chat", asked_at=START)
        assert begun == ["read", "write"]

    async def test_bearings_are_of_the_scope_the_team_and_the_thread(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        empty = await memory.book.bearings(memory.scope(room))
        assert (empty.versions, empty.newest, empty.before) == ({room.id: 2}, 0, None)
        answers = [
            await memory.shuttle.weave("extractor?", memory.scope(room), thread=thread, event_id=f"q{thread}")
            for thread in ("a", "b")
        ]
        there = await memory.book.bearings(memory.scope(room), "a", "qb")
        assert there.before is not None
        assert (there.before.serial, there.newest, there.answered) == (
            answers[0].serial,
            answers[1].serial,
            answers[1].id,
        )

    async def test_votes_change_their_version_and_votes_of_another_team_do_not(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        ana = await memory.directory.find_person(memory.tenant, "ana")
        stranger = await memory.directory.tenant("local", "elsewhere", "another team")
        answer = await memory.shuttle.weave("extractor?", memory.scope(room, asker=ana.id))
        seen = [await memory.book.votes_version(memory.tenant)]
        for remove in (False, False, True, True):
            await memory.shuttle.vote(memory.tenant, answer.id, ana, "👍", remove=remove)
            seen.append(await memory.book.votes_version(memory.tenant))
        assert [b - a for a, b in pairwise(seen)] == [1, 0, 1, 0]
        assert await memory.book.votes_version(stranger) == 0

    async def test_forgetting_a_voter_changes_the_version_of_the_votes(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ben = await memory.directory.find_person(memory.tenant, "ben")
        answer = await memory.shuttle.weave("extractor?", memory.scope(room))
        await memory.shuttle.vote(memory.tenant, answer.id, ben, "👍")
        before = await memory.book.votes_version(memory.tenant)
        await memory.privacy.forget_person(ben)
        assert await memory.book.votes_version(memory.tenant) > before


class TestWhatChangesWhileAQuestionIsUnderWay:
    """Between reading the messages and keeping the answer somebody erases or edits one of them."""

    @staticmethod
    def meanwhile(monkeypatch: pytest.MonkeyPatch, changes: Iterable[Callable[[], Awaitable[object]]]) -> None:
        """Each is done right before an answer is kept."""
        keep, left = AnswerBook.keep, iter(changes)

        async def late(book: AnswerBook, draft: Draft) -> tuple[int, str] | None:
            if (change := next(left, None)) is not None:
                await change()
            return await keep(book, draft)

        monkeypatch.setattr(AnswerBook, "keep", late)

    @staticmethod
    async def kept(memory: Memory) -> tuple[list[str], set[int]]:
        """The texts of the answers, and the messages that their pools describe."""
        async with memory.database.read() as conn:
            texts = list((await conn.execute(select(answers.c.text))).scalars())
            held = [
                np.frombuffer(raw, dtype=np.int64) for raw in (await conn.execute(select(pools.c.serials))).scalars()
            ]
        return texts, {int(serial) for some in held for serial in some}

    async def test_a_person_who_is_forgotten_is_not_in_the_answer(
        self, memory: Memory, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        serials = await memory.say(room, ("Ana", "the padlock code is 4471"), ("Ben", "the padlock rusts"))
        ana = await memory.directory.find_person(memory.tenant, "ana")
        self.meanwhile(monkeypatch, [partial(memory.privacy.forget_person, ana)])
        answer = await memory.shuttle.weave("what is the padlock code?", memory.scope(room), asked_at=START)
        texts, pooled = await self.kept(memory)
        assert [one.message_id for one in answer.citations] == ["e2"]
        assert "4471" not in answer.text + "".join(texts)
        assert pooled == {serials[1]}

    async def test_a_message_that_is_edited_is_read_again(
        self, memory: Memory, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await memory.say(room, ("Ana", "the padlock code is 4471"))
        edit = partial(memory.journal.edit, room, "e1", "ana", "the padlock code is a secret", START)
        self.meanwhile(monkeypatch, [edit])
        answer = await memory.shuttle.weave("what is the padlock code?", memory.scope(room), asked_at=START)
        assert [one.text for one in answer.citations] == ["the padlock code is a secret"]
        assert "4471" not in "".join((await self.kept(memory))[0])

    async def test_one_that_only_the_context_tells_is_not_in_it_when_it_was_erased(
        self, memory: Memory, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await memory.say(room, *[("Ana", f"the extractor note {number}") for number in range(60)])
        before = await memory.shuttle.weave("extractor note?", memory.scope(room), asked_at=START, route="chat", seed=1)
        assert before.context is not None
        last = (await memory.engine.read(before.context.serials))[before.context.serials[-1]]
        assert len(before.context.serials) == 60
        self.meanwhile(monkeypatch, [partial(memory.journal.delete, room, last.external_id, START)])
        answer = await memory.shuttle.weave("extractor note?", memory.scope(room), asked_at=START, route="chat", seed=1)
        assert answer.context is not None
        assert last.serial not in answer.context.serials
        assert f"{last.text}\n" not in f"{answer.context.text}\n"

    async def test_one_that_changes_all_the_time_leaves_no_text(
        self, memory: Memory, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await memory.say(room, ("Ana", "the padlock code is 4470"))
        edits = [
            partial(memory.journal.edit, room, "e1", "ana", f"the padlock code is {number}", START)
            for number in range(4471, 4475)
        ]
        self.meanwhile(monkeypatch, edits)
        answer = await memory.shuttle.weave("what is the padlock code?", memory.scope(room), asked_at=START)
        assert (answer.text, answer.citations) == (GONE, ())
        assert await self.kept(memory) == ([GONE], set())
