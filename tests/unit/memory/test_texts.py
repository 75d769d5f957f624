"""What SQLite takes without a word PostgreSQL takes too: long names, NUL characters, halves of surrogate pairs."""

from __future__ import annotations

import pytest

from memory.errors import BadInput
from memory.models import Draft, Room
from tests.doubles import START
from tests.parts import Memory, draft

STRANGE = {
    "a NUL": "the gate\0code is 4471",
    "half a pair": "the gate \ud83d code is 4471",
    "a long link": "see https://example.org/" + "a" * 3000,
    "a long name": "ask " + "Wilhelmina" * 60 + " about it",
    "a long quotation": '"' + "the old shed by the oak " * 40 + '" is open',
    "a long file": "x" * 400 + ".pdf is in /" + "folder/" * 90,
    "a long code": "HV-" + "7" * 500,
    "many emoji": "thanks" + "👍🏽" * 400,
    "a long hashtag": "#" + "b" * 700 + " @" + "c" * 700,
}


class TestStrange:
    @pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
    async def test_texts_are_kept_found_and_answered(self, memory: Memory, room: Room, text: str) -> None:
        await memory.say(room, ("Ana", text), ("Ben", "good morning"))
        answer = await memory.shuttle.weave(text, memory.scope(room), asked_at=START)
        assert text in [one.text for one in answer.citations]
        assert await memory.journal.edit(room, "e2", "ben", text, START)
        await memory.indexer.drain()
        assert await memory.journal.delete(room, "e1", START)

    async def test_names_and_what_else_is_said_about_a_message_are_kept_as_far_as_they_go(
        self, memory: Memory, room: Room
    ) -> None:
        strange = Draft(
            "e1", "ana", "Ana\0 \ud83d" + "a" * 400, "hello", START, reply_to="x\0" * 300, thread="t\0\ud83d" * 300
        )
        assert (await memory.journal.admit(room, [strange])).serials
        ana = await memory.directory.find_person(memory.tenant, "ana")
        assert ana.name.startswith("Ana ")
        assert await memory.journal.react(room, "r1", "e1", ana, "👍" * 100, START)
        named = await memory.directory.room(memory.tenant, "!other", "a room\0 of " + "b" * 400)
        assert named.name.startswith("a room of b")

    @pytest.mark.parametrize("part", ["\0", "\ud83d"])
    async def test_ids_that_cannot_be_kept_are_refused(self, memory: Memory, room: Room, part: str) -> None:
        for one in (draft(f"e{part}", "Ana", "hello"), draft("e1", f"Ana{part}", "hello")):
            with pytest.raises(BadInput, match="characters that"):
                await memory.journal.admit(room, [one])
