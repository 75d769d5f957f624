"""What joins a question: read off evidence, weighed less than its own words, and found by words, meaning and names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memory import ranking
from memory.errors import NotFound
from memory.expansion import ENTITIES, TERMS, WEIGHT
from memory.models import EntityKind, Expansion, Mention, Query, Room
from memory.sources import question_mentions
from tests.doubles import START
from tests.parts import Memory

pytestmark = pytest.mark.embedded  # nothing here depends on the database

TALK = (
    ("Ana", "the extractor was mended by Zebedee Crane with solder"),
    ("Ben", "Zebedee Crane keeps goats"),
    ("Cleo", "solder is dear"),
    ("Ana", "the weather is fine"),
)


async def asked(memory: Memory, room: Room, question: str) -> Query:
    return await memory.engine.prepare(question, memory.scope(room), START, 10)


class TestJoining:
    def test_the_larger_weight_counts_and_nothing_stands_twice(self) -> None:
        crane = Mention(EntityKind.NAME, "zebedee crane", "Zebedee Crane")
        one = Expansion((("goat", 0.3), ("jar", 0.6)), "goats jars", (crane,), ((1, 0.5),))
        other = Expansion((("goat", 0.5),), "goats", (crane,), ((1, 0.2), (2, 0.2)))
        both = one.joined(other)
        assert dict(both.terms) == {"goat": 0.5, "jar": 0.6}
        assert (both.words, both.mentions, dict(both.people)) == ("goats jars", (crane,), {1: 0.5, 2: 0.2})
        assert not Expansion()
        assert Expansion().joined(one) == one

    async def test_the_questions_own_terms_keep_their_weight(self, memory: Memory, room: Room) -> None:
        query = await asked(memory, room, "Who keeps goats?")
        joined = replace(query, expansion=Expansion((("goat", 0.3), ("jar", 0.6))))
        assert ranking.weighted_terms(joined) == {"keep": 1.0, "goat": 1.0, "jar": 0.6}
        assert ranking.query_terms(joined) == ["keep", "goat"]

    async def test_what_joins_is_embedded_with_the_question(self, memory: Memory, room: Room) -> None:
        query = await asked(memory, room, "Why?")
        more = await memory.engine.expanded(query, Expansion(words="goats"))
        assert query.embedding is not None
        assert more.embedding is not None
        assert not np.allclose(query.embedding.vectors, more.embedding.vectors)
        assert memory.embedder.embedded[-1] == "Why? goats"
        assert await memory.engine.expanded(more, Expansion()) is more

    async def test_words_names_and_authors_that_join_are_found(self, memory: Memory, room: Room) -> None:
        serials = await memory.say(room, *TALK)
        query = await asked(memory, room, "Why?")
        ben = query.people["ben"]
        crane = Mention(EntityKind.NAME, "zebedee crane", "Zebedee Crane")
        joined = await memory.engine.expanded(query, Expansion((("solder", 0.5),), "solder", (crane,), ((ben, 0.5),)))
        words = await memory.engine.nominate("keyword", joined, room.id, 10)
        assert set(words.serials.tolist()) >= {serials[0], serials[2]}
        assert crane in question_mentions(joined)
        found = await memory.engine.describe(joined, room.id, [words])
        spoken = dict(zip(found.serials.tolist(), found.features["spk"].tolist(), strict=True))
        assert spoken[serials[1]] > spoken[serials[0]] == 0


class TestLearning:
    async def test_rare_terms_and_shared_names_of_the_evidence(self, memory: Memory, room: Room) -> None:
        serials = await memory.say(room, *TALK)
        query = await asked(memory, room, "Who mended the extractor?")
        more = await memory.engine.learned(query, room.id, serials[:1])
        assert set(dict(more.terms)) <= {"zebede", "cran", "solder"}
        assert {"solder"} <= set(dict(more.terms))
        assert set(dict(more.terms).values()) == {WEIGHT}
        assert [mention.label for mention in more.mentions] == ["Zebedee Crane"]
        assert more.words.startswith("Zebedee Crane")
        assert len(more.terms) <= TERMS
        assert len(more.mentions) <= ENTITIES

    async def test_what_one_message_alone_has_leads_nowhere(self, memory: Memory, room: Room) -> None:
        serials = await memory.say(room, *TALK)
        more = await memory.engine.learned(await asked(memory, room, "Is it fine?"), room.id, serials[3:])
        assert not more

    async def test_no_other_room_is_read(self, memory: Memory, room: Room) -> None:
        other = await memory.room("secret")
        query = await asked(memory, room, "Who?")
        with pytest.raises(NotFound):
            await memory.engine.learned(query, other.id, [])
        with pytest.raises(NotFound):
            await memory.engine.sessions(query, other.id, 10)
