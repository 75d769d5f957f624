"""A room is loaded from what is kept of its texts; the texts are read only where nothing is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import event, select, update

from memory import lexicon
from memory.loading import changes, renew_terms
from memory.models import Room
from memory.room_rows import RoomRows
from memory.tables import embeddings
from tests.doubles import START
from tests.parts import Memory, draft, open_memory

TALK = (("Ana", "the smoker is broken"), ("Ben", "Shall we mend my smoker?"), ("Ana", "the smoker is broken"))


async def loaded(memory: Memory, room: Room, since: int = 0) -> RoomRows:
    async with memory.database.read() as conn:
        return (await changes(conn, room.id, since, memory.rooms._model)).rows


def same(left: RoomRows, right: RoomRows) -> None:
    for name in RoomRows.__slots__:
        for one, other in zip(_arrays(getattr(left, name)), _arrays(getattr(right, name)), strict=True):
            assert np.array_equal(one, other), name


def _arrays(column: Any) -> list[NDArray[Any]]:
    if isinstance(column, np.ndarray):
        return [column]
    if isinstance(column, lexicon.Words):
        return [column.asks, column.selves, *_arrays(column.terms)]
    return [column.values, column.counts]


class TestLoading:
    async def test_texts_that_are_embedded_are_not_read(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        asked: list[str] = []

        def note(*arguments: Any) -> None:
            asked.append(arguments[2])

        event.listen(memory.database._engine.sync_engine, "before_cursor_execute", note)
        rows = await loaded(memory, room)
        assert len(rows) == len(TALK)
        assert asked
        assert not [statement for statement in asked if "messages.text" in statement]

    async def test_messages_without_a_vector_have_their_words(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK[:1])
        await memory.journal.admit(room, [draft("n1", "Ben", "Shall we mend my smoker?", START)])
        rows = await loaded(memory, room)
        assert rows.words.asks.tolist() == [False, True]
        assert rows.words.terms.counts.tolist() == [2, 2]
        assert rows.vectors.counts.tolist() == [1, 0]

    async def test_only_what_changed_since_is_given(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        async with memory.database.read() as conn:
            seen = (await changes(conn, room.id, 0, memory.rooms._model)).version
        [serial] = await memory.say(room, ("Ben", "mended it"))
        assert (await loaded(memory, room, seen)).serials.tolist() == [serial]
        assert len(await loaded(memory, room, seen + 2)) == 0

    async def test_a_reply_points_to_its_message(self, memory: Memory, room: Room) -> None:
        [first, *_] = await memory.say(room, *TALK)
        await memory.journal.admit(room, [draft("n1", "Ben", "by whom?", START, reply_to="e1")])
        assert (await loaded(memory, room)).replies.tolist() == [-1, -1, -1, first]


class TestRenewing:
    async def test_older_terms_are_read_from_the_text_and_written_anew(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        before = await loaded(memory, room)
        for old in (None, bytes((lexicon.VERSION + 1, 0, 9, 9, 9, 9))):
            async with memory.database.write() as conn:
                await conn.execute(update(embeddings).values(terms=old))
            same(await loaded(memory, room), before)
            assert await renew_terms(memory.database) == 2
            same(await loaded(memory, room), before)
            assert await renew_terms(memory.database) == 0
            async with memory.database.read() as conn:
                kept = (await conn.execute(select(embeddings.c.terms))).scalars().all()
            assert sorted(kept) == sorted(lexicon.pack(text) for text in {text for _, text in TALK})

    async def test_a_deleted_text_leaves_no_terms(self, tmp_path: Path) -> None:
        async with open_memory(tmp_path) as memory:
            room = await memory.room()
            await memory.say(room, ("Ana", "the padlock opens with 4471"))
            await memory.journal.delete(room, "e1", START)
            assert await renew_terms(memory.database) == 0
            async with memory.database.read() as conn:
                assert (await conn.execute(select(embeddings))).all() == []


class TestWarming:
    async def test_a_room_that_was_warmed_is_not_loaded_again(self, memory: Memory, room: Room) -> None:
        await memory.say(room, *TALK)
        await memory.engine.warm([room.id])
        view = await memory.rooms.view(room.id)
        asked: list[str] = []

        def note(*arguments: Any) -> None:
            asked.append(arguments[2])

        event.listen(memory.database._engine.sync_engine, "before_cursor_execute", note)
        query = await memory.engine.prepare("smoker?", memory.scope(room), START, 5)
        assert (await memory.engine.look(query, room.id)).messages == len(TALK)
        assert await memory.rooms.view(room.id, query.versions[room.id]) is view
        assert not [statement for statement in asked if "embeddings" in statement or "mentions" in statement]

    async def test_the_liveliest_rooms_are_loaded_first(self, memory: Memory) -> None:
        rooms = [await memory.room(name) for name in ("one", "two", "three")]
        for place, day in zip(rooms, (2, 3, 1), strict=True):
            await memory.say(place, *TALK, start=START + timedelta(days=day))
        await memory.engine.warm([place.id for place in rooms], most=2)
        assert list(memory.rooms._shelves) == [rooms[1].id, rooms[0].id]
