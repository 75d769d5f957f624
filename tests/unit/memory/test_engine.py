"""The engine reads the rooms of the scope, and no others."""

from __future__ import annotations

import pytest

from memory.errors import NotFound, Unavailable
from memory.models import Room
from tests.doubles import START
from tests.parts import Memory


class TestScopes:
    async def test_a_room_out_of_scope_is_refused_everywhere(self, memory: Memory, room: Room) -> None:
        other = await memory.room("secret")
        await memory.say(other, ("Zoe", "the party is on Friday"))
        query = await memory.engine.prepare("When is the party?", memory.scope(room), START, 5)
        for call in (
            memory.engine.nominate("keyword", query, other.id, 5),
            memory.engine.describe(query, other.id, []),
            memory.engine.look(query, other.id),
            memory.engine.paths(query, other.id, [1]),
        ):
            with pytest.raises(NotFound, match="scope"):
                await call

    async def test_an_unknown_source_names_the_known(self, memory: Memory, room: Room) -> None:
        query = await memory.engine.prepare("?", memory.scope(room), START, 5)
        with pytest.raises(NotFound, match=", ".join(memory.engine.sources)):
            await memory.engine.nominate("crystal ball", query, room.id, 5)


class TestLooking:
    async def test_a_look_tells_what_the_room_is_like(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "HV-07 swarmed at noon"), ("Ben", "HV-07 is calm"), ("Ana", "rain today"))
        query = await memory.engine.prepare("What happened to HV-07?", memory.scope(room), START, 5)
        look = await memory.engine.look(query, room.id)
        assert (look.messages, look.authors, look.linked, look.degree) == (3, 2, 1, 2.0)
        assert look.top >= look.gap >= 0
        assert look.mean_words > 0

    async def test_paths_lead_from_the_questions_names_to_messages(self, memory: Memory, room: Room) -> None:
        serials = await memory.say(room, ("Ana", "HV-07 swarmed at noon"), ("Ben", "rain today"))
        query = await memory.engine.prepare("What about HV-07?", memory.scope(room), START, 5)
        [path] = await memory.engine.paths(query, room.id, serials[:1])
        assert path.serial == serials[0]
        assert any("HV-07" in step for step in path.steps)

    async def test_versions_change_with_every_message(self, memory: Memory, room: Room) -> None:
        before = await memory.engine.versions(memory.scope(room))
        await memory.say(room, ("Ana", "hello"))
        assert await memory.engine.versions(memory.scope(room)) > before

    async def test_a_model_that_is_down_is_said(self, memory: Memory, room: Room) -> None:
        memory.embedder.broken = True
        with pytest.raises(Unavailable):
            await memory.engine.prepare("anything new?", memory.scope(room), START, 5)

    async def test_settling_does_what_waits(self, memory: Memory, room: Room) -> None:
        await memory.say(room)
        assert await memory.engine.settle() == 0
