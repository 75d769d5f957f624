"""Events that wait for their keys: counted, kept in bounds, asked for once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from nio import AsyncClient

from bot.adapters.matrix import undecryptable
from bot.adapters.matrix.encryption import machine
from bot.adapters.matrix.undecryptable import Figures, Undecryptable
from tests.doubles import HandClock
from tests.notebooks import MemoryNotebook
from tests.unit.bot.adapters.matrix.devices import ANA, ROOM, WEAVE, device, hand_over, introduce, locked, parsed


@pytest.fixture
def weave(tmp_path: Path) -> AsyncClient:
    return device(tmp_path, WEAVE, "WEAVE")


@pytest.fixture
def ana(tmp_path: Path) -> AsyncClient:
    return device(tmp_path, ANA, "PHONE")


@pytest.fixture
def notebook() -> MemoryNotebook:
    return MemoryNotebook()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def unread(weave: AsyncClient, notebook: MemoryNotebook, clock: HandClock) -> Undecryptable:
    return Undecryptable(weave, notebook, clock)


class TestWaiting:
    async def test_what_waits_is_known_after_a_restart(
        self, weave: AsyncClient, ana: AsyncClient, unread: Undecryptable, notebook: MemoryNotebook, clock: HandClock
    ) -> None:
        unread.missed(ROOM, parsed(locked(ana, "one", "$1")))
        unread.missed(ROOM, parsed(locked(ana, "two", "$2")), before_us=True)
        await unread.note()
        again = Undecryptable(weave, notebook, clock)
        await again.recall()
        assert (again.figures(ROOM).waiting, again.figures(ROOM).before_us) == (1, 1)

    async def test_nothing_of_the_message_is_kept_but_two_ids(
        self, ana: AsyncClient, unread: Undecryptable, notebook: MemoryNotebook
    ) -> None:
        source = locked(ana, "one", "$1")
        unread.missed(ROOM, parsed(source))
        await unread.note()
        kept = " ".join(notebook.notes.values())
        assert "$1" in kept
        assert source["content"]["session_id"] in kept
        assert source["content"]["ciphertext"] not in kept
        assert ANA not in kept

    async def test_the_same_one_twice_waits_once(self, ana: AsyncClient, unread: Undecryptable) -> None:
        event = parsed(locked(ana, "one", "$1"))
        unread.missed(ROOM, event)
        unread.missed(ROOM, event)
        assert unread.figures(ROOM).waiting == 1

    async def test_one_that_is_redacted_waits_no_longer(
        self, ana: AsyncClient, unread: Undecryptable, notebook: MemoryNotebook
    ) -> None:
        unread.missed(ROOM, parsed(locked(ana, "one", "$1")))
        await unread.note()
        unread.forget(ROOM, "$1")
        await unread.note()
        assert "$1" not in " ".join(notebook.notes.values())
        assert unread.figures(ROOM) == Figures()

    async def test_too_many_or_too_old_ones_are_given_up_oldest_first(
        self, ana: AsyncClient, unread: Undecryptable, clock: HandClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(undecryptable, "MOST_IN_A_ROOM", 3)
        for number in range(5):
            unread.missed(ROOM, parsed(locked(ana, "one", f"${number}")))
        await unread.note()
        assert (unread.figures(ROOM).waiting, unread.figures(ROOM).given_up) == (3, 2)
        clock.advance(undecryptable.OLDEST + timedelta(seconds=1))
        unread.missed(ROOM, parsed(locked(ana, "one", "$new")))
        await unread.note()
        assert (unread.figures(ROOM).waiting, unread.figures(ROOM).given_up) == (1, 5)

    async def test_the_name_of_a_note_fits_however_long_the_id_of_the_room(
        self, ana: AsyncClient, unread: Undecryptable, notebook: MemoryNotebook
    ) -> None:
        unread.missed("!" + "x" * 254, parsed(locked(ana, "one", "$1")))
        await unread.note()
        assert max(map(len, notebook.notes)) < 64


class TestCounting:
    async def test_rooms_are_counted_apart_and_together(
        self, weave: AsyncClient, ana: AsyncClient, unread: Undecryptable
    ) -> None:
        introduce(weave, ana)
        unread.missed(ROOM, parsed(locked(ana, "one", "$1")))
        unread.missed("!other:example.org", parsed(locked(ana, "two", "$2")))
        hand_over(ana, weave)
        opened = unread.unlock(ROOM, parsed(locked(ana, "three", "$3")))
        assert opened.source["content"]["body"] == "three"
        here, everywhere = unread.figures(ROOM), unread.figures()
        assert (here.read, here.waiting, here.rate) == (1, 1, 0.5)
        assert (everywhere.read, everywhere.waiting) == (1, 2)
        assert Figures().rate == 0.0

    async def test_our_own_words_are_not_counted(self, weave: AsyncClient, unread: Undecryptable) -> None:
        unread.unlock(ROOM, parsed(locked(weave, "mine", "$1")))
        assert unread.figures(ROOM).read == 0


class TestAsking:
    async def test_the_device_that_made_the_key_is_asked_once(
        self, weave: AsyncClient, ana: AsyncClient, unread: Undecryptable
    ) -> None:
        for number in range(3):
            unread.missed(ROOM, parsed(locked(ana, "one", f"${number}")))
        [request] = machine(weave).outgoing_to_device_messages
        assert (request.recipient, request.recipient_device) == (ANA, "PHONE")
        assert request.content["body"]["session_id"] == machine(ana).outbound_group_sessions[ROOM].id

    async def test_nobody_is_asked_for_what_was_said_before_we_came(
        self, weave: AsyncClient, ana: AsyncClient, unread: Undecryptable
    ) -> None:
        unread.missed(ROOM, parsed(locked(ana, "one", "$1")), before_us=True)
        assert not machine(weave).outgoing_to_device_messages
