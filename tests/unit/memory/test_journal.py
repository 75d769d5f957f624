"""The journal admits each event exactly once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select

from memory.errors import BadInput
from memory.journal import LONGEST_TEXT
from memory.models import Room
from memory.tables import index_outbox, message_revisions, messages
from tests.doubles import START
from tests.parts import Memory, draft

STRANGE = [
    "🐝" * 40,
    "\x00\x01\x1b[31m",
    "שלום עולם",
    "\u202eright to left",
    "\ud800 lone",
    "'; DROP TABLE messages; --",
]


async def count(memory: Memory, table: object) -> int:
    async with memory.database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]  # any table


class TestAdmitting:
    async def test_a_repeated_event_is_a_no_op(self, memory: Memory, room: Room) -> None:
        first = await memory.journal.admit(room, [draft("e1", "Ana", "hello there")])
        again = await memory.journal.admit(room, [draft("e1", "Ana", "something else")])
        assert (len(first.serials), first.known) == (1, 0)
        assert (len(again.serials), again.known) == (0, 1)
        assert await count(memory, messages) == 1

    async def test_one_more_message_takes_few_statements_however_long_the_room_is(
        self, memory: Memory, room: Room
    ) -> None:
        """Each is a way to the database and back: they are what the fast path costs."""
        await memory.say(room, *(("Ana", f"line {i}") for i in range(20)))
        seen: list[str] = []
        event.listen(memory.database._engine.sync_engine, "before_cursor_execute", lambda *told: seen.append(told[2]))
        await memory.journal.admit(room, [draft("e99", "Ana", "hello", START + timedelta(minutes=21))])
        beyond = 1 if memory.database.is_embedded else 4  # BEGIN; on a server also the gate, and the lock of the room
        assert len(seen) <= 7 + beyond, seen

    async def test_an_event_twice_in_one_batch_is_admitted_once(self, memory: Memory, room: Room) -> None:
        admitted = await memory.journal.admit(room, [draft("e1", "Ana", "a"), draft("e1", "Ana", "b")])
        assert (len(admitted.serials), admitted.known) == (1, 1)

    async def test_the_same_event_id_in_two_rooms_is_two_messages(self, memory: Memory) -> None:
        for name in ("hives", "market"):
            await memory.journal.admit(await memory.room(name), [draft("e1", "Ana", f"in {name}")])
        assert await count(memory, messages) == 2

    async def test_message_and_outbox_row_commit_together(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft(f"e{i}", "Ana", f"text {i}") for i in range(1000)])
        assert await count(memory, messages) == await count(memory, index_outbox) == 1000

    async def test_a_batch_with_a_bad_message_leaves_no_trace(self, memory: Memory, room: Room) -> None:
        with pytest.raises(BadInput, match="empty"):
            await memory.journal.admit(room, [draft("e1", "Ana", "fine"), draft("e2", "Ana", " \n ")])
        assert await count(memory, messages) == await count(memory, index_outbox) == 0

    @pytest.mark.parametrize("text", STRANGE)
    async def test_strange_texts_come_back_as_they_were(self, memory: Memory, room: Room, text: str) -> None:
        [serial] = (await memory.journal.admit(room, [draft("e1", "Ana", text)])).serials
        await memory.indexer.drain()
        assert (await memory.engine.read([serial]))[serial].text == text

    async def test_a_megabyte_is_taken_and_more_is_not(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "x " * (LONGEST_TEXT // 2))])
        with pytest.raises(BadInput, match="1 MiB"):
            await memory.journal.admit(room, [draft("e2", "Ana", "é" * (LONGEST_TEXT // 2 + 1))])

    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            (draft("", "Ana", "x"), "id"),
            (draft("e" * 256, "Ana", "x"), "id"),
            (draft("e1", "", "x"), "author"),
            (replace(draft("e1", "Ana", "x"), sent_at=datetime(2026, 1, 1)), "time zone"),  # noqa: DTZ001 - the point
        ],
    )
    async def test_what_cannot_be_kept_says_why(self, memory: Memory, room: Room, bad: object, reason: str) -> None:
        with pytest.raises(BadInput, match=reason):
            await memory.journal.admit(room, [bad])  # type: ignore[list-item]  # drafts of the table above

    async def test_a_new_name_of_a_person_is_taken_over(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "hi")])
        await memory.journal.admit(room, [replace(draft("e2", "Ana", "hi again"), author_name="Ana Ferreira")])
        assert [person.name for person in await memory.directory.people(memory.tenant)] == ["Ana Ferreira"]

    async def test_who_opted_out_is_not_kept(self, memory: Memory, room: Room) -> None:
        person = await memory.directory.person(memory.tenant, "ana", "Ana")
        await memory.privacy.opt_out(person, out=True)
        admitted = await memory.journal.admit(room, [draft("e1", "Ana", "secret"), draft("e2", "Ben", "open")])
        assert (len(admitted.serials), admitted.refused) == (1, 1)


class TestEditing:
    async def test_an_edit_replaces_the_text_and_counts_revisions(self, memory: Memory, room: Room) -> None:
        [serial] = await memory.say(room, ("Ana", "the gate code is 1234"))
        assert await memory.journal.edit(room, "e1", "ana", "the gate code is 9876", START + timedelta(hours=1))
        await memory.indexer.drain()
        message = (await memory.engine.read([serial]))[serial]
        assert (message.text, message.revision) == ("the gate code is 9876", 2)
        assert await count(memory, message_revisions) == 1

    async def test_somebody_elses_edit_is_refused(self, memory: Memory, room: Room) -> None:
        [serial] = await memory.say(room, ("Ana", "mine"))
        assert not await memory.journal.edit(room, "e1", "ben", "yours", START)
        assert (await memory.engine.read([serial]))[serial].text == "mine"

    async def test_one_of_somebody_who_opted_out_erases_the_message(self, memory: Memory, room: Room) -> None:
        [serial] = await memory.say(room, ("Ana", "mine"))
        person = await memory.directory.person(memory.tenant, "ana", "Ana")
        await memory.privacy.opt_out(person, out=True)
        assert not await memory.journal.edit(room, "e1", "ben", "yours", START)
        assert not await memory.journal.edit(room, "e1", "ana", "mine", START)
        assert serial in await memory.engine.read([serial])
        assert await memory.journal.edit(room, "e1", "ana", "my secret", START)
        assert await memory.engine.read([serial]) == {}
        assert await memory.journal.buried(room, "e1")

    async def test_the_same_text_or_an_unknown_message_changes_nothing(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "mine"))
        before = (await memory.directory.find_room(memory.tenant, "hives")).version
        assert not await memory.journal.edit(room, "e1", "ana", "mine", START)
        assert not await memory.journal.edit(room, "e99", "ana", "what", START)
        assert (await memory.directory.find_room(memory.tenant, "hives")).version == before

    async def test_an_edited_message_is_found_by_its_new_words_only(self, memory: Memory, room: Room) -> None:
        [serial] = await memory.say(room, ("Ana", "the smoker is in the barn"))
        await memory.journal.edit(room, "e1", "ana", "the ladder leans on the oak", START)
        await memory.indexer.drain()
        for question, expected in (("smoker barn", []), ("ladder oak", [serial])):
            query = await memory.engine.prepare(question, memory.scope(room), START, 10)
            found = await memory.engine.nominate("keyword", query, room.id, 10)
            assert found.serials.tolist() == expected


class TestDeleting:
    async def test_a_deleted_message_is_gone_and_stays_out(self, memory: Memory, room: Room) -> None:
        await memory.say(room, ("Ana", "delete me"), ("Ben", "keep me"))
        assert await memory.journal.delete(room, "e1", START)
        late = await memory.journal.admit(room, [draft("e1", "Ana", "delete me")])
        assert (late.serials, late.refused) == ((), 1)
        assert await count(memory, messages) == 1

    async def test_a_deletion_before_its_message_keeps_it_out(self, memory: Memory, room: Room) -> None:
        assert not await memory.journal.delete(room, "e7", START)
        late = await memory.journal.admit(room, [draft("e7", "Ana", "too late")])
        assert (late.serials, late.refused) == ((), 1)

    async def test_deleting_while_it_waits_to_be_indexed_leaves_nothing(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "short lived")])
        await memory.journal.delete(room, "e1", START)
        await memory.indexer.drain()
        assert await count(memory, index_outbox) == 0
        assert (await memory.rooms.view(room.id)).messages == 0


class TestReactions:
    async def test_a_reaction_is_kept_once_and_taken_back_once(self, memory: Memory, room: Room) -> None:
        ana = await memory.directory.person(memory.tenant, "ana", "Ana")
        at = datetime(2026, 3, 2, tzinfo=UTC)
        assert await memory.journal.react(room, "r1", "e1", ana, "👍", at)
        assert not await memory.journal.react(room, "r1", "e1", ana, "👍", at)
        assert await memory.journal.unreact(room, "r1", at) == ("e1", ana.id, "👍")
        assert await memory.journal.unreact(room, "r1", at) is None
