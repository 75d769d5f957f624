"""The graph indexes keep their promises, and what only the one in this process promises."""

from __future__ import annotations

import asyncio
import gc

import numpy as np
import pytest

from memory.adapters.graph import RustworkxGraphIndex
from memory.models import EntityKind
from tests.contract.graph_index import (
    ANA,
    BEN,
    CLEO,
    HIVE,
    LOT,
    ROOM,
    TALK,
    GraphIndexContract,
    everything,
    link,
    name,
    person,
    steps,
)


class TestRustworkxGraphIndex(GraphIndexContract):
    @pytest.fixture
    def index(self) -> RustworkxGraphIndex:
        return RustworkxGraphIndex()


def held(index: RustworkxGraphIndex) -> tuple[set[str], set[int]]:
    """Every string, and every serial above 1,000, that can be reached from the index."""
    strings: set[str] = set()
    numbers: set[int] = set()
    seen: set[int] = set()
    todo: list[object] = [vars(index)]
    while todo:
        here = todo.pop()
        if id(here) in seen or isinstance(here, type) or callable(here):
            continue
        seen.add(id(here))
        if isinstance(here, str):
            strings.add(here)
        elif isinstance(here, int):
            numbers.add(here)
        elif isinstance(here, np.ndarray):
            numbers.update(here[here > 1000].tolist())
        todo += gc.get_referents(here)
    return strings, {number for number in numbers if number > 1000}


class TestForgetting:
    """Nothing of a message that was removed stays in the process."""

    async def test_no_label_key_or_serial_of_a_removed_message_remains(self) -> None:
        index = RustworkxGraphIndex()
        secret = (
            name("Secret Meadow"),
            name("HIVE FOUR!", "hive 4"),
            name("example.org/x", kind=EntityKind.LINK),
            person(4711, "Dana"),
        )
        await index.put(ROOM, [*TALK, link(5005, person(4712, "Erin"), *secret, session=9009, days=77)])
        await index.put(ROOM, [link(6006, BEN, HIVE, reply_to=5005)])
        everywhere, serials = held(index)
        forms = {"Secret Meadow", "secret meadow", "HIVE FOUR!", "example.org/x", "4711", "Dana", "4712", "Erin"}
        assert forms < everywhere
        assert "2026-07-31" in everywhere
        assert {5005, 6006, 9009} <= serials
        await index.remove(ROOM, [5005])
        everywhere, serials = held(index)
        assert not forms & everywhere
        assert "2026-07-31" not in everywhere
        assert serials == {6006}
        assert {"Hive 4", "Lot 26-03", "Ana"} < everywhere

    async def test_the_earlier_version_of_an_edited_message_is_gone(self) -> None:
        index = RustworkxGraphIndex()
        await index.put(ROOM, [link(1, ANA, name("Secret Meadow"))])
        await index.put(ROOM, [link(1, ANA, HIVE)])
        assert not {"Secret Meadow", "secret meadow"} & held(index)[0]

    async def test_a_room_whose_messages_all_went_holds_nothing(self) -> None:
        index = RustworkxGraphIndex()
        await index.put(ROOM, TALK)
        await index.remove(ROOM, [each.serial for each in TALK])
        assert not held(index)[0] & {"Ana", "1", "Hive 4", "hive 4", "2026-05-12"}

    async def test_taking_out_many_leaves_what_building_afresh_gives(self) -> None:
        index, fresh = RustworkxGraphIndex(), RustworkxGraphIndex()
        many = [
            link(
                i,
                (ANA, BEN, CLEO)[i % 3],
                name(f"Name {i % 40}"),
                HIVE,
                reply_to=i - 7 if i % 5 == 0 else None,
                session=i // 9,
            )
            for i in range(1, 2001)
        ]
        await index.put(ROOM, many)
        await index.remove(ROOM, range(1, 1801))
        stay = [each for each in many if each.serial > 1800]
        await fresh.put(ROOM, stay)
        await fresh.remove(ROOM, range(1, 1801))  # replies to what is not there
        asked = [HIVE, ANA, name("Name 7")]
        assert await everything(index, range(1795, 1850), asked) == await everything(fresh, range(1795, 1850), asked)


class TestConcurrency:
    async def test_readers_and_writers_do_not_disturb_each_other(self) -> None:
        index = RustworkxGraphIndex()
        await index.put(ROOM, TALK)

        async def write() -> None:
            for i in range(10, 60):
                await index.put(ROOM, [link(i, BEN, LOT)])
                await index.remove(ROOM, [i])

        async def read() -> None:
            for _ in range(50):
                assert 1 in steps(await index.paths(ROOM, [HIVE], [1]))
                assert len(await index.known(ROOM, [HIVE])) == 1
                assert len((await index.rank(ROOM, {1: 1.0}, [HIVE], 3)).serials)

        await asyncio.gather(write(), read(), read())
        assert await index.known(ROOM, [LOT]) == [(LOT, 2)]
