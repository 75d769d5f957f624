"""Sessions are ended by silence, linked, resumed and cleaned up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from memory.models import Draft, Room
from memory.sessions import GAP
from tests.doubles import START
from tests.parts import Memory, draft, open_memory

SECOND = timedelta(seconds=1)


class TestPlacing:
    async def test_messages_within_the_gap_share_a_session(self, memory: Memory, room: Room) -> None:
        times = [START, START + GAP, START + 2 * GAP]
        await memory.journal.admit(room, [draft(f"e{i}", "Ana", "hi", at) for i, at in enumerate(times)])
        [session] = await memory.sessions.of_room(room.id)
        assert (session.messages, session.last_message_at) == (3, times[-1])

    async def test_silence_ends_a_session_and_links_the_next_to_it(self, memory: Memory, room: Room) -> None:
        later = START + GAP + SECOND
        await memory.journal.admit(room, [draft("e1", "Ana", "hi"), draft("e2", "Ben", "hi", later)])
        first, second = await memory.sessions.of_room(room.id)
        assert (first.ended_at, second.ended_at) == (START, None)
        assert (first.previous, second.previous) == (None, first.id)

    async def test_a_restart_resumes_the_session(self, tmp_path: Path) -> None:
        async with open_memory(tmp_path) as before:
            await before.journal.admit(await before.room(), [draft("e1", "Ana", "hi")])
        async with open_memory(tmp_path) as after:
            room = await after.room()
            await after.journal.admit(room, [draft("e2", "Ana", "back", START + GAP)])
            [session] = await after.sessions.of_room(room.id)
            assert session.messages == 2

    async def test_older_history_opens_a_session_between_its_neighbours(self, memory: Memory, room: Room) -> None:
        day = timedelta(days=1)
        for i, at in enumerate([START, START + 2 * day, START + day]):
            await memory.journal.admit(room, [draft(f"e{i}", "Ana", "hi", at)])
        first, middle, last = await memory.sessions.of_room(room.id)
        assert [s.started_at for s in (first, middle, last)] == [START, START + day, START + 2 * day]
        assert (middle.previous, last.previous) == (first.id, middle.id)

    async def test_older_history_next_to_a_session_extends_it_backwards(self, memory: Memory, room: Room) -> None:
        for i, at in enumerate([START, START + 10 * GAP, START - GAP]):
            await memory.journal.admit(room, [draft(f"e{i}", "Ana", "hi", at)])
        first, _ = await memory.sessions.of_room(room.id)
        assert (first.started_at, first.messages) == (START - GAP, 2)

    async def test_rooms_have_sessions_of_their_own(self, memory: Memory) -> None:
        for name in ("hives", "market"):
            await memory.journal.admit(await memory.room(name), [draft("e1", "Ana", "hi")])
        assert await memory.sessions.count([1]) == await memory.sessions.count([2]) == 1


class TestThreads:
    async def test_a_thread_is_one_session_beside_the_rooms_own(self, memory: Memory, room: Room) -> None:
        def said(number: int, at: timedelta, thread: str | None = None) -> Draft:
            return replace(draft(f"e{number}", "Ana", "hi", START + at), thread=thread)

        first = [said(0, 0 * GAP), said(1, GAP / 2, "post"), said(2, GAP), said(3, GAP, "other")]
        await memory.journal.admit(room, first)
        memory.clock.advance(10 * GAP)
        assert await memory.sessions.clean_up() == (3, 0)
        await memory.journal.admit(room, [said(4, 20 * GAP, "post"), said(5, 20 * GAP)])
        found = await memory.sessions.of_room(room.id)
        assert [(one.messages, one.ended_at is None) for one in found] == [
            (2, False),
            (2, True),  # the post goes on, a day later too
            (1, False),
            (1, True),
        ]
        assert [one.previous for one in found] == [None, None, None, found[0].id]


class TestCleaningUp:
    async def test_the_job_ends_what_fell_silent_and_nothing_else(self, memory: Memory, room: Room) -> None:
        await memory.journal.admit(room, [draft("e1", "Ana", "hi")])
        assert await memory.sessions.clean_up() == (0, 0)
        memory.clock.advance(GAP + SECOND)
        assert await memory.sessions.clean_up() == (1, 0)
        assert await memory.sessions.clean_up() == (0, 0)

    async def test_sessions_without_messages_go_and_their_followers_are_relinked(
        self, memory: Memory, room: Room
    ) -> None:
        for i in range(4):
            await memory.journal.admit(room, [draft(f"e{i}", "Ana", "hi", START + 10 * i * GAP)])
        first, _, _, last = await memory.sessions.of_room(room.id)
        for gone in ("e1", "e2"):
            await memory.journal.delete(room, gone, START)
        assert (await memory.sessions.clean_up())[1] == 2
        assert [(s.id, s.previous) for s in await memory.sessions.of_room(room.id)] == [
            (first.id, None),
            (last.id, first.id),
        ]
