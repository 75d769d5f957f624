"""People and rooms are found by the names that people use."""

from __future__ import annotations

import pytest

from memory.errors import Ambiguous, NotFound
from memory.models import Room
from tests.parts import Memory


class TestRooms:
    async def test_a_room_is_made_once_and_renamed(self, memory: Memory) -> None:
        first = await memory.directory.room(memory.tenant, "!abc", "hives")
        again = await memory.directory.room(memory.tenant, "!abc", "Hives and honey")
        assert (again.id, again.name) == (first.id, "Hives and honey")

    async def test_a_room_is_found_by_name_or_id(self, memory: Memory) -> None:
        room = await memory.directory.room(memory.tenant, "!abc", "Hives")
        assert (await memory.directory.find_room(memory.tenant, "hives")).id == room.id
        assert (await memory.directory.find_room(memory.tenant, "!abc")).id == room.id
        assert (await memory.directory.room_by_id(room.id)).name == "Hives"

    async def test_an_unknown_room_names_those_that_exist(self, memory: Memory, room: Room) -> None:
        with pytest.raises(NotFound, match=f"the rooms are {room.name}"):
            await memory.directory.find_room(memory.tenant, "kitchen")
        with pytest.raises(NotFound):
            await memory.directory.room_by_id(404)

    async def test_two_rooms_of_one_name_are_ambiguous(self, memory: Memory) -> None:
        for key in ("!a", "!b"):
            await memory.directory.room(memory.tenant, key, "general")
        with pytest.raises(Ambiguous, match="!a, !b"):
            await memory.directory.find_room(memory.tenant, "general")

    async def test_tenants_do_not_see_each_others_rooms(self, memory: Memory, room: Room) -> None:
        stranger = await memory.directory.tenant("discord", "42", "strangers")
        with pytest.raises(NotFound, match="no room has any message"):
            await memory.directory.find_room(stranger, room.name)


class TestPeople:
    async def test_a_person_is_found_by_id_name_or_first_name(self, memory: Memory) -> None:
        ana = await memory.directory.person(memory.tenant, "@ana:here", "Ana Ferreira")
        for name in ("@ana:here", "ana ferreira", "Ana", "@Ana"):
            assert (await memory.directory.find_person(memory.tenant, name)).id == ana.id

    async def test_an_ambiguous_name_lists_the_ids(self, memory: Memory) -> None:
        for key in ("u1", "u2"):
            await memory.directory.person(memory.tenant, key, "Sam")
        with pytest.raises(Ambiguous, match=r"u1 \(Sam\), u2 \(Sam\)"):
            await memory.directory.find_person(memory.tenant, "sam")

    async def test_a_stranger_is_not_found(self, memory: Memory) -> None:
        with pytest.raises(NotFound, match="nobody"):
            await memory.directory.find_person(memory.tenant, "Zoe")

    async def test_a_new_name_replaces_the_old_and_everybody_is_counted(self, memory: Memory) -> None:
        first = await memory.directory.person(memory.tenant, "u1", "Sam")
        again = await memory.directory.person(memory.tenant, "u1", "Samira")
        assert (again.id, again.name) == (first.id, "Samira")
        assert await memory.directory.count_people(memory.tenant) == 1
