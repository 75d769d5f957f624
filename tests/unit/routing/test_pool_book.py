"""What answers chose from is kept in numbers, teaches the order, and goes with the messages that it describes."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import func, select

from memory.models import Person, Room
from routing.emoji import PLACES
from routing.fusion import LEARNED
from routing.pool_book import DEPTH, PoolBook
from routing.tables import pools
from routing.weights import START
from tests.doubles import START as NOON
from tests.parts import Memory, draft
from tests.unit.routing.test_shuttle import TALK

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


async def person(memory: Memory, name: str = "ana") -> Person:
    return await memory.directory.person(memory.tenant, name, name.title())


async def kept(memory: Memory) -> int:
    async with memory.database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(pools))).scalar_one())


class TestKeeping:
    async def test_an_answer_keeps_the_columns_of_its_candidates_those_shown_first(
        self, memory: Memory, room: Room
    ) -> None:
        await memory.say(room, *TALK)
        answer = await memory.shuttle.weave("Who will mend the extractor?", memory.scope(room), limit=3, route="chat")
        [shown] = (await PoolBook(memory.database).read([answer.serial])).values()
        assert shown.x.shape[1] == len(LEARNED)
        assert len(answer.citations) < len(shown.x) <= DEPTH
        order = shown.x[0] @ START
        assert order >= (shown.x[3:] @ START).max() - 0.01

    async def test_it_goes_with_a_message_that_it_describes_cited_or_not(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        await memory.shuttle.weave("Who will mend the extractor?", memory.scope(room), limit=1)
        assert await kept(memory) == 1
        await memory.privacy.forget_message(memory.tenant, "e4", room)
        assert await kept(memory) == 0

    async def test_it_goes_with_the_person_who_asked(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await person(memory)
        await memory.shuttle.weave("Who has the key?", memory.scope(room, asker=ana.id))
        await memory.privacy.forget_person(ana)
        assert await kept(memory) == 0


class TestPicks:
    async def test_a_pick_is_read_with_its_place_and_is_gone_when_taken_back(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        ana = await person(memory)
        answer = await memory.shuttle.weave("Who has the key?", memory.scope(room, asker=ana.id))
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "2️⃣")
        [pick] = await PoolBook(memory.database).picks(memory.tenant, PLACES)
        assert (pick.place, pick.vote.person, pick.vote.is_asker) == (1, ana.id, True)
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "2️⃣", remove=True)
        assert await PoolBook(memory.database).picks(memory.tenant, PLACES) == []

    async def test_a_pick_of_a_citation_that_there_is_not_is_none(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK[:2])
        ana = await person(memory)
        answer = await memory.shuttle.weave("Who has the key?", memory.scope(room, asker=ana.id))
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "9️⃣")
        assert await PoolBook(memory.database).picks(memory.tenant, PLACES) == []


class TestTeaching:
    async def _taught(self, memory: Memory, room: Room) -> list[str]:
        """Forty answers; people pick the longest message of each."""
        texts = [f"the {word} extractor {'hums and hums and hums again ' * (i % 3)}" for i, word in enumerate(ORDINALS)]
        drafts = [draft(f"m{i}", f"person{i}", text, NOON) for i, text in enumerate(texts)]
        await memory.journal.admit(room, drafts)
        await memory.indexer.drain()
        people = [await person(memory, f"voter{i}") for i in range(4)]
        ids = []
        for i in range(40):
            who = people[i % 4]
            asked = memory.scope(room, asker=who.id)
            answer = await memory.shuttle.weave(f"What about extractor number {i}?", asked, route="chat")
            longest = int(np.argmax([len(citation.text) for citation in answer.citations]))
            await memory.shuttle.vote(memory.tenant, answer.id, who, f"{longest + 1}\ufe0f\u20e3")
            ids.append(answer.id)
        return ids

    @pytest.mark.embedded
    async def test_picks_move_the_order_and_taking_them_back_moves_it_exactly_back(
        self, memory: Memory, room: Room
    ) -> None:
        ids = await self._taught(memory, room)
        taught = await memory.learner.weights(memory.tenant)
        assert taught.lessons == len(ids)
        assert np.abs(taught.common - START).max() > 0
        votes = [(ids[0], "voter0"), (ids[1], "voter1")]
        for answer, name in votes:
            for place in range(1, 10):
                emoji = f"{place}\ufe0f\u20e3"
                await memory.shuttle.vote(memory.tenant, answer, await person(memory, name), emoji)
        assert not np.array_equal((await memory.learner.weights(memory.tenant)).common, taught.common)
        picked = {answer: await self._first(memory, answer) for answer, _ in votes}
        for answer, name in votes:
            for place in range(1, 10):
                if place != picked[answer]:
                    emoji = f"{place}\ufe0f\u20e3"
                    await memory.shuttle.vote(memory.tenant, answer, await person(memory, name), emoji, remove=True)
        again = await memory.learner.weights(memory.tenant)
        assert np.abs(again.common - taught.common).max() <= 1e-8
        memory.learner.forget_all()
        rebuilt = await memory.learner.weights(memory.tenant)
        assert np.abs(rebuilt.common - taught.common).max() <= 1e-8

    async def _first(self, memory: Memory, answer: str) -> int:
        """The place of the citation that was picked at first: the longest."""
        told = await memory.shuttle.answer(memory.tenant, answer)
        return int(np.argmax([len(citation.text) for citation in told.citations])) + 1
