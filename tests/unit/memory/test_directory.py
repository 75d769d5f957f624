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

    async def test_a_new_name_renews_the_rooms_where_the_person_wrote_and_no_other(
        self, memory: Memory, room: Room
    ) -> None:
        quiet, other = await memory.room("quiet"), await memory.room("other")
        await memory.say(room, ("Ana", "the extractor is broken"))
        await memory.say(quiet, ("Ana", "the meadow floods"))
        await memory.say(other, ("Ben", "honey prices stay"))
        before = await memory.engine.versions(memory.scope(room, quiet, other))
        await memory.directory.person(memory.tenant, "ana", "Ana")
        assert await memory.engine.versions(memory.scope(room, quiet, other)) == before
        await memory.directory.person(memory.tenant, "ana", "Zora")
        after = await memory.engine.versions(memory.scope(room, quiet, other))
        assert [new > old for new, old in zip(after, before, strict=True)] == [True, True, False]
        assert "zora" in await memory.rooms.names(quiet.id)

    async def test_an_answer_tells_the_new_name(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "the extractor is broken"), ("Ben", "the meadow floods"))
        for old, new in (("Ana", "Zora"), ("Zora", "Mia")):
            told = await memory.shuttle.weave("what is broken?", memory.scope(room), route="chat", seed=1)
            await memory.directory.person(memory.tenant, "ana", new)
            again = await memory.shuttle.weave("what is broken?", memory.scope(room), route="chat", seed=1)
            assert told.context is not None
            assert again.context is not None
            assert (f"{old}:" in told.context.text, f"{new}:" in told.context.text) == (True, False)
            assert (f"{old}:" in again.context.text, f"{new}:" in again.context.text) == (False, True)
