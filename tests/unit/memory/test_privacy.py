"""Forgetting reaches every byte; export and know tell what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory import erasure, privacy
from memory.adapters.sql import SqlDatabase
from memory.columns import pack_text
from memory.embedding import content_hash
from memory.errors import Ambiguous, NotFound
from memory.models import Person, Room
from memory.tables import embeddings, messages, people, sessions, tombstones
from tests.doubles import START
from tests.parts import Memory, draft

SECRET = "the padlock of the honey shed opens with 4471 says Wilhelmina"  # noqa: S105 - a message, not a password
LONG = "Wilhelmina keeps the spare keys under the blue flowerpot beside the greenhouse door. " * 4


async def traces(memory: Memory, text: str) -> dict[str, bytes]:
    """Every form in which a text is kept, read from the rows before they go."""
    async with memory.database.read() as conn:
        row = (await conn.execute(select(embeddings).where(embeddings.c.content_hash == content_hash(text)))).one()
    return {
        "text": pack_text(text),
        "vectors": row.vectors,
        "token ids": row.token_ids,
        "codes": row.codes,
        "terms": row.terms,
        "hash": row.content_hash,
    }


def found_in(folder: Path, needle: bytes) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file() and needle in file.read_bytes()]


class TestForgettingMuch:
    async def test_nobody_waits_for_all_of_it(
        self, memory: Memory, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody else's message is admitted between two transactions."""
        monkeypatch.setattr(erasure, "SLICE", 2)
        await memory.say(room, *[("Ana", f"note {i}") for i in range(4)], ("Ben", "weather"), ("Ana", "the last"))
        ana = await memory.directory.find_person(memory.tenant, "ana")
        drop = memory.rooms.drop
        left: list[int] = []

        async def count(number: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
            await drop(number, serials, hashes)
            async with memory.database.write() as conn:
                left.append(len((await conn.execute(select(messages.c.serial))).all()))

        monkeypatch.setattr(memory.rooms, "drop", count)
        assert await memory.privacy.forget_person(ana) == 5
        assert left == [4, 2, 1]
        async with memory.database.read() as conn:
            assert (await conn.execute(select(sessions.c.messages))).scalars().all() == [1]
            buried = await conn.execute(select(tombstones.c.serial).order_by(tombstones.c.serial))
            assert buried.scalars().all() == [1, 2, 3, 4, 6]


class TestForgettingAMessage:
    @pytest.mark.embedded
    @pytest.mark.parametrize("text", [SECRET, LONG])
    async def test_no_byte_of_it_is_left_in_the_folder(
        self, memory: Memory, room: Room, tmp_path: Path, text: str
    ) -> None:
        await memory.say(room, ("Ana", text), ("Ben", "unrelated talk about the weather"))
        await memory.shuttle.weave("Where is the padlock of Wilhelmina?", memory.scope(room), asked_at=START)
        needles = {**await traces(memory, text), "entity": b"Wilhelmina"}
        assert all(found_in(tmp_path, needle) for needle in needles.values()), "the search itself must work"
        await memory.privacy.forget_message(memory.tenant, "e1")
        needles.pop("entity")  # the question still names her: it is the asker's own text
        assert {name: found_in(tmp_path, needle) for name, needle in needles.items()} == {name: [] for name in needles}

    async def test_the_same_text_of_somebody_else_keeps_its_vector(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", SECRET), ("Ben", SECRET))
        await memory.privacy.forget_message(memory.tenant, "e1")
        assert await traces(memory, SECRET)

    async def test_arrays_and_graph_forget_at_once(self, memory: Memory, room: Room) -> None:
        [serial] = await memory.say(room, ("Ana", SECRET))
        before = await memory.rooms.view(room.id)
        graph = await memory.rooms.graph(room.id)
        assert before.messages == 1
        await memory.privacy.forget_message(memory.tenant, "e1")
        after = await memory.rooms.view(room.id)
        assert after.messages == 0
        assert after.rows_of([serial]).tolist() == [-1]
        assert not np.any(before.vectors), "an older snapshot shares the storage, which is overwritten"
        assert len(after.postings.vocabulary) == 0
        query = await memory.engine.prepare("Wilhelmina", memory.scope(room), START, 5)
        assert (await graph.known(room.id, [])) == []
        assert (await memory.engine.nominate("graph", query, room.id, 5)).serials.tolist() == []

    async def test_an_answer_that_cited_it_says_so(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", SECRET))
        answer = await memory.shuttle.weave("Which number opens the padlock?", memory.scope(room), asked_at=START)
        assert [c.message_id for c in answer.citations] == ["e1"]
        await memory.privacy.forget_message(memory.tenant, "e1")
        after = await memory.shuttle.answer(memory.tenant, answer.id)
        assert after.citations == ()
        assert "deleted" in after.text
        again = await memory.shuttle.weave("Which number opens the padlock?", memory.scope(room), asked_at=START)
        assert again.citations == ()

    async def test_an_unknown_id_is_not_found_and_two_rooms_are_ambiguous(self, memory: Memory, room: Room) -> None:
        with pytest.raises(NotFound, match="e404"):
            await memory.privacy.forget_message(memory.tenant, "e404")
        other = await memory.room("market")
        for place in (room, other):
            await memory.journal.admit(place, [draft("e1", "Ana", "hello")])
        with pytest.raises(Ambiguous, match="--room"):
            await memory.privacy.forget_message(memory.tenant, "e1")
        assert await memory.privacy.forget_message(memory.tenant, "e1", other) == 1

    async def test_another_tenant_cannot_forget_it(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", SECRET))
        stranger = await memory.directory.tenant("local", "elsewhere", "another team")
        with pytest.raises(NotFound):
            await memory.privacy.forget_message(stranger, "e1")


class Late:
    """Says one thing more after the first messages of the forgotten went, as a chat goes on meanwhile."""

    def __init__(self, memory: Memory, room: Room) -> None:
        self.memory = memory
        self.room = room
        self.said = False

    async def drop(self, _room: int, _serials: Sequence[int], _hashes: Sequence[bytes]) -> None:
        if not self.said:
            self.said = True
            await self.memory.journal.admit(self.room, [draft("late", "Wilhelmina", "one thing more")])

    async def drop_person(self, _person: int) -> None:
        pass


class TestForgettingAPerson:
    async def person(self, memory: Memory) -> Person:
        return await memory.directory.find_person(memory.tenant, "Wilhelmina")

    async def test_everything_they_wrote_asked_and_voted_goes(self, memory: Memory, room: Room, tmp_path: Path) -> None:
        await memory.say(
            room, ("Wilhelmina", "the extractor is mended"), ("Wilhelmina", "come on Sunday"), ("Ben", "thanks a lot")
        )
        person = await self.person(memory)
        asked = await memory.shuttle.weave("Who mended the extractor?", memory.scope(room, asker=person.id))
        await memory.shuttle.vote(memory.tenant, asked.id, person, "👍")
        assert await memory.privacy.forget_person(person) == 2
        assert found_in(tmp_path, b"Wilhelmina") == found_in(tmp_path, b"wilhelmina") == []
        assert found_in(tmp_path, pack_text("Who mended the extractor?")) == []
        assert await memory.book.standing(memory.tenant, ["👍"]) == []
        async with memory.database.read() as conn:
            assert [row.name for row in await conn.execute(select(people))] == ["Ben"]
            assert len((await conn.execute(select(messages))).all()) == 1

    async def test_what_they_write_while_they_are_forgotten_goes_too(
        self, memory: Memory, room: Room, tmp_path: Path
    ) -> None:
        await memory.say(room, ("Wilhelmina", "the extractor is mended"), ("Ben", "thanks a lot"))
        late = Late(memory, room)
        memory.erasure.droppers.append(late)

        assert await memory.privacy.forget_person(await self.person(memory)) == 2

        assert late.said
        assert found_in(tmp_path, b"Wilhelmina") == []
        async with memory.database.read() as conn:
            assert [row.name for row in await conn.execute(select(people))] == ["Ben"]

    async def test_their_opt_out_outlives_them(self, memory: Memory, room: Room, tmp_path: Path) -> None:
        await memory.say(room, ("Wilhelmina", "remember nothing of me"))
        person = await self.person(memory)
        await memory.privacy.opt_out(person, out=True)
        await memory.privacy.forget_person(person)
        assert found_in(tmp_path, b"ilhelmina") == []
        admitted = await memory.journal.admit(room, [draft("e9", "Wilhelmina", "here I am again")])
        assert (admitted.serials, admitted.refused) == ((), 1)
        assert found_in(tmp_path, b"ilhelmina") == []

    async def test_others_are_left_alone(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Wilhelmina", "bye"), ("Ben", "ask Wilhelmina about the ladder"))
        await memory.privacy.forget_person(await self.person(memory))
        query = await memory.engine.prepare("ladder", memory.scope(room), START, 5)
        assert len((await memory.engine.nominate("keyword", query, room.id, 5)).serials) == 1


class TestKnowingAndExporting:
    async def test_export_tells_everything_and_know_counts_it(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "one"), ("Ben", "two"), ("Ana", "three"))
        ana = await memory.directory.find_person(memory.tenant, "ana")
        answer = await memory.shuttle.weave("one or three?", memory.scope(room, asker=ana.id))
        await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎")
        await memory.journal.react(room, "r1", "e2", ana, "🐝", START)
        items = [item async for item in memory.privacy.export(ana)]
        assert [item["kind"] for item in items] == ["person", "message", "message", "reaction", "answer", "vote"]
        assert [item["text"] for item in items if item["kind"] == "message"] == ["one", "three"]
        known = await memory.privacy.know(ana)
        assert (known["messages"], known["answers"], known["votes"], known["reactions"]) == (2, 1, 1, 1)


class TestExporting:
    async def test_it_is_read_in_pages_and_holds_no_transaction(
        self, memory: Memory, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(privacy, "_PAGE", 2)
        await memory.say(room, *[("Ana", f"note {i}") for i in range(4)])
        ana = await memory.directory.find_person(memory.tenant, "ana")
        await memory.shuttle.weave("which note?", memory.scope(room, asker=ana.id), asked_at=START)
        read, opened = SqlDatabase.read, [0]

        @asynccontextmanager
        async def counted(database: SqlDatabase) -> AsyncIterator[AsyncConnection]:
            async with read(database) as conn:
                opened[0] += 1
                yield conn
                opened[0] -= 1

        monkeypatch.setattr(SqlDatabase, "read", counted)
        told = []
        async for item in memory.privacy.export(ana):
            assert opened == [0]
            told.append(item["kind"])
        assert told == ["person", *["message"] * 4, "answer"]
