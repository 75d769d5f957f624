"""Sessions that speak of a question."""

from __future__ import annotations

from datetime import timedelta

from memory.models import Room
from memory.stretches import COUNT
from tests.doubles import START
from tests.parts import Memory


class TestBest:
    async def test_the_session_that_speaks_of_it_is_chosen_whole(self, memory: Memory, room: Room) -> None:
        said = []
        for day in range(COUNT + 4):
            topic = "the swarm hangs in the plum tree" if day == 5 else f"nothing but weather number {day}"
            lines = (("Ana", topic), ("Ben", "fine, thanks"))
            said.append(await memory.say(room, *lines, start=START + timedelta(days=day)))
        query = await memory.engine.prepare("Where does the swarm hang?", memory.scope(room), START, 10)
        inside, best = await memory.engine.sessions(query, room.id, 3)
        assert set(said[5]) <= set(inside.tolist())
        assert len(inside) == 2 * COUNT
        assert best.serials[0] == said[5][0]
        assert len(best.serials) == 3
        assert best.scores.tolist() == sorted(best.scores.tolist(), reverse=True)

    async def test_an_erased_message_is_in_none(self, memory: Memory, room: Room) -> None:
        serials = await memory.say(room, ("Ana", "the swarm hangs in the plum tree"), ("Ben", "fine"))
        await memory.privacy.forget_message(memory.tenant, "e1", room)
        query = await memory.engine.prepare("Where does the swarm hang?", memory.scope(room), START, 10)
        inside, _ = await memory.engine.sessions(query, room.id, 3)
        assert inside.tolist() == serials[1:]

    async def test_an_empty_room_has_none(self, memory: Memory, room: Room) -> None:
        query = await memory.engine.prepare("Where?", memory.scope(room), START, 10)
        inside, best = await memory.engine.sessions(query, room.id, 3)
        assert (len(inside), len(best.serials)) == (0, 0)
