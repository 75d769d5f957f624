"""A vote is what stands of a person's reactions, in the order of the newest of each."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import select

from memory.models import Person, Room
from routing import rewards
from routing.tables import votes
from tests.doubles import START
from tests.parts import Memory

SPELLINGS = ("👍", "👍🏽", "👍️", "👎", "👎🏿", "⭐")


async def asked(memory: Memory, room: Room) -> tuple[str, Person]:
    await memory.say(room, ("Ana", "the key hangs behind the door"))
    answer = await memory.shuttle.weave("Where is the key?", memory.scope(room))
    return answer.id, await memory.directory.find_person(memory.tenant, "ana")


async def standing(memory: Memory) -> str | None:
    found = await memory.book.standing(memory.tenant, rewards.RATINGS)
    return found[0].emoji if found else None


class Reactions:
    """What a person's reactions on one message are on a platform, and what the votes make of them."""

    def __init__(self, memory: Memory, answer: str, person: Person) -> None:
        self.memory, self.answer, self.person = memory, answer, person
        self.there: list[str] = []

    async def add(self, emoji: str) -> None:
        if emoji not in self.there:
            await self.memory.shuttle.vote(self.memory.tenant, self.answer, self.person, emoji, at=START)
            self.there.append(emoji)

    async def take_back(self, emoji: str) -> None:
        if emoji in self.there:
            self.there.remove(emoji)
            await self.memory.shuttle.vote(
                self.memory.tenant, self.answer, self.person, emoji, remove=True, left=self.there
            )

    @property
    def counts(self) -> str | None:
        return rewards.normalise(self.there[-1]) if self.there else None


class TestSpellings:
    async def test_a_thumb_stands_while_another_of_its_spellings_does(self, memory: Memory, room: Room) -> None:
        reactions = Reactions(memory, *await asked(memory, room))
        for emoji in ("👍", "👍🏽", "👍️"):
            await reactions.add(emoji)
        for emoji in ("👍🏽", "👍"):
            await reactions.take_back(emoji)
            assert await standing(memory) == "👍"
        await reactions.take_back("👍️")
        assert await standing(memory) is None

    async def test_the_newest_spelling_places_the_vote_and_taking_it_back_moves_it_again(
        self, memory: Memory, room: Room
    ) -> None:
        reactions = Reactions(memory, *await asked(memory, room))
        for emoji, counts in (("👍", "👍"), ("👎", "👎"), ("👍🏽", "👍")):
            await reactions.add(emoji)
            assert await standing(memory) == counts
        await reactions.take_back("👍🏽")
        assert await standing(memory) == "👎"

    @pytest.mark.parametrize("seed", range(20))
    async def test_the_vote_is_what_stands_after_any_course(self, memory: Memory, room: Room, seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311 - a course of events to try, the same in each run
        reactions = Reactions(memory, *await asked(memory, room))
        for _ in range(12):
            await draw.choice((reactions.add, reactions.take_back))(draw.choice(SPELLINGS))
            assert await standing(memory) == reactions.counts
        for emoji in list(reactions.there):
            await reactions.take_back(emoji)
        async with memory.database.read() as conn:
            assert (await conn.execute(select(votes))).all() == []


class TestPicks:
    async def test_a_pick_stands_beside_a_rating_and_moves_none(self, memory: Memory, room: Room) -> None:
        answer, ana = await asked(memory, room)
        for emoji in ("👎", "👍", "1️⃣"):
            await memory.shuttle.vote(memory.tenant, answer, ana, emoji)
        for emoji in ("👍", "1️⃣"):
            assert not (await memory.shuttle.vote(memory.tenant, answer, ana, emoji)).changed
        assert await standing(memory) == "👍"
