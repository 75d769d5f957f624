"""Projections follow the rows, whatever happened to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memory.adapters.graph import RustworkxGraphIndex
from memory.models import Room
from memory.projections import Rooms
from memory.room import RoomView
from tests.doubles import START
from tests.parts import Memory, draft, open_memory


def contents(view: RoomView) -> dict[int, tuple[int, float, int]]:
    """What a view holds of each message, independent of the order of its rows."""
    rows = np.flatnonzero(view.alive)
    return {int(view.serials[r]): (int(view.authors[r]), float(view.sent_at[r]), int(view.lengths[r])) for r in rows}


class TestRefreshing:
    async def test_the_same_view_while_nothing_changed(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "hello bees"))
        assert await memory.rooms.view(room.id) is await memory.rooms.view(room.id)

    async def test_a_message_is_found_by_its_words_before_it_is_embedded(self, memory: Memory, room: Room) -> None:
        [serial] = (await memory.journal.admit(room, [draft("e1", "Ana", "the smoker is broken")])).serials
        query = await memory.engine.prepare("broken smoker", memory.scope(room), START, 5)
        assert (await memory.engine.nominate("keyword", query, room.id, 5)).serials.tolist() == [serial]
        assert (await memory.engine.nominate("vector", query, room.id, 5)).serials.tolist() == []
        await memory.indexer.drain()
        query = await memory.engine.prepare("broken smoker", memory.scope(room), START, 5)
        assert (await memory.engine.nominate("vector", query, room.id, 5)).serials.tolist() == [serial]

    async def test_a_view_brought_up_to_date_equals_one_loaded_afresh(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *[("Ana", f"message about topic {i}") for i in range(20)])
        await memory.rooms.view(room.id)
        await memory.say(room, *[("Ben", f"answer about topic {i}") for i in range(20)])
        await memory.journal.edit(room, "e3", "ana", "quite another topic", START)
        for gone in ("e5", "e6", "e21"):
            await memory.journal.delete(room, gone, START)
        await memory.indexer.drain()
        fresh = Rooms(memory.database, RustworkxGraphIndex(), memory.rooms._model)
        assert contents(await memory.rooms.view(room.id)) == contents(await fresh.view(room.id))

    async def test_a_wiped_projection_comes_back_without_embedding_anything(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "hello bees"), ("Ben", "hello hives"))
        before = contents(await memory.rooms.view(room.id))
        embedded = len(memory.embedder.embedded)
        await memory.rooms.wipe(room.id)
        assert contents(await memory.rooms.view(room.id)) == before
        assert len(memory.embedder.embedded) == embedded

    async def test_the_least_recently_used_room_goes_when_memory_is_short(self, memory: Memory) -> None:
        tight = Rooms(memory.database, RustworkxGraphIndex(), memory.rooms._model, limit=1)
        first, second = await memory.room("one"), await memory.room("two")
        for place in (first, second):
            await memory.say(place, ("Ana", "hello"))
        await tight.view(first.id)
        await tight.view(second.id)
        assert first.id not in tight._shelves
        assert (await tight.view(first.id)).messages == 1


class TestNames:
    async def test_names_are_those_of_the_people_who_wrote_in_the_room(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana Ferreira", "hello"))
        await memory.say(await memory.room("market"), ("Ben", "hello"))
        ana = await memory.directory.find_person(memory.tenant, "ana ferreira")
        names = await memory.rooms.names(room.id)
        assert {names["ana"], names["ana ferreira"]} == {ana.id}
        assert "ben" not in names


class TestRestarting:
    async def test_everything_is_found_again(self, tmp_path: Path) -> None:
        async with open_memory(tmp_path) as before:
            [serial] = await before.say(await before.room(), ("Ana", "the queen is marked blue"))
        async with open_memory(tmp_path) as after:
            room = await after.room()
            query = await after.engine.prepare("blue queen", after.scope(room), START, 5)
            for source in ("vector", "keyword", "recent"):
                assert (await after.engine.nominate(source, query, room.id, 5)).serials.tolist() == [serial]
