"""Evidence is held against the question: its terms, its people, and the kind of answer it asks for."""

from __future__ import annotations

import pytest

from memory.models import Room
from routing.patterns.checking import Check, check
from tests.doubles import START
from tests.parts import Memory

pytestmark = pytest.mark.embedded  # nothing here depends on the database

TALK = (
    ("Ana", "the extractor is broken"),
    ("Ben", "Cleo mends the gear because a tooth is lost"),
    ("Cleo", "the market is on Saturday at 9:30"),
    ("Ben", "the key hangs behind the door"),
    ("Ben", "seven jars are left"),
)


async def held(memory: Memory, room: Room, question: str, *places: int) -> Check:
    """The verdict on some of the messages."""
    serials = await memory.say(room, *TALK)
    query = await memory.engine.prepare(question, memory.scope(room), START, 10)
    pool = await memory.engine.describe(query, room.id, [await memory.engine.nominate("keyword", query, room.id, 50)])
    said = await memory.engine.read(serials)
    return check(query, pool, [said[serials[place]] for place in places])


class TestChecking:
    @pytest.mark.parametrize(
        ("question", "place"),
        [
            ("Is the extractor broken?", 0),
            ("Why is the gear mended?", 1),
            ("When is the market?", 2),
            ("Where does the key hang?", 3),
            ("How many jars are left?", 4),
            ("What did Cleo do with the gear?", 1),
        ],
    )
    async def test_the_right_message_passes(self, memory: Memory, room: Room, question: str, place: int) -> None:
        verdict = await held(memory, room, question, place)
        assert verdict.passed
        assert verdict.missing == 0

    async def test_terms_that_the_room_knows_and_the_evidence_lacks_are_named(self, memory: Memory, room: Room) -> None:
        verdict = await held(memory, room, "Are the jars beside the extractor?", 0)
        assert verdict.terms == ("jar",)
        assert 0 < verdict.covered < 1

    async def test_a_word_that_nobody_used_is_not_missed(self, memory: Memory, room: Room) -> None:
        assert (await held(memory, room, "Is the extractor transmogrified?", 0)).terms == ()

    @pytest.mark.parametrize(
        ("question", "place"), [("How many jars are there?", 3), ("When is the extractor due?", 0), ("Where is it?", 0)]
    )
    async def test_the_wrong_kind_of_answer_is_missed(
        self, memory: Memory, room: Room, question: str, place: int
    ) -> None:
        assert not (await held(memory, room, question, place)).kind

    async def test_a_person_who_neither_wrote_nor_is_named_is_missed(self, memory: Memory, room: Room) -> None:
        assert (await held(memory, room, "What did Cleo break?", 0)).people == 1
        assert (await held(memory, room, "What did Cleo say of the market?", 2)).people == 0

    async def test_without_evidence_nothing_is_covered(self, memory: Memory, room: Room) -> None:
        assert not (await held(memory, room, "Who?")).passed
