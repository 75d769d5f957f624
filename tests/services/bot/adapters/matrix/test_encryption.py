"""Encrypted rooms, with a peer that trusts signed devices alone (matrix-js-sdk, as Element is built)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.models import Arrival, Deletion, Edit, IncomingMessage, Place, ReactionAdded, ReactionRemoved, Reply
from bot.pages import page, plain
from tests.services.bot.adapters.matrix.bots import Bot, label
from tests.services.bot.adapters.matrix.encryption import unsigned_port
from tests.services.peer import Peer, PeerFailed, peer_of
from tests.services.synapse import ROOM_VERSIONS, Homeserver

pytestmark = pytest.mark.services
SOON = 4.0  # seconds that a peer waits for what should not come


@pytest.fixture
async def peer(homeserver: Homeserver) -> AsyncIterator[Peer]:
    """Ana, whose client trusts signed devices alone."""
    async with peer_of(homeserver.url, await homeserver.register("Ana")) as running:
        yield running


async def shared_room(bot: Bot, peer: Peer, version: str = "12") -> Place:
    """An encrypted room of the peer's that the bot has come to."""
    room = await peer.create(bot.user_id, version=version)
    place = await bot.comes_to(room)
    await peer.joined(room, bot.user_id)
    return place


class TestAStrictClient:
    @pytest.mark.parametrize("version", ROOM_VERSIONS)
    async def test_it_is_heard_answered_and_its_reaction_arrives(self, bot: Bot, peer: Peer, version: str) -> None:
        place = await shared_room(bot, peer, version)
        assert await peer.signed(bot.user_id, bot.account.device_id)
        asked = await peer.say(place.room, "!weave where is the smoker?")
        seen = await bot.sees(IncomingMessage, lambda one: one.event_id == asked)
        assert seen.text == "!weave where is the smoker?"
        answer = await bot.says(place, "In the shed.", in_reply_to=asked, label=label(), transaction="t1")
        heard = await peer.hears(room=place.room, event=answer, timeout=SOON)
        assert heard["encrypted"]
        assert (heard["content"]["body"], heard["content"]["org.weavebot.answer"]["answer_id"]) == (
            "In the shed.",
            "answer-1",
        )
        reaction = await peer.do("react", room=place.room, event=answer, emoji="👍")
        added = await bot.sees(ReactionAdded)
        assert (added.event_id, added.target, added.actor.external_id) == (reaction, answer, peer.user_id)
        await peer.do("redact", room=place.room, event=reaction)
        assert (await bot.sees(ReactionRemoved)).reaction == reaction

    async def test_without_a_signed_device_neither_side_hears_the_other(
        self, homeserver: Homeserver, peer: Peer, tmp_path: Path
    ) -> None:
        registered = await homeserver.register("weave")
        port = unsigned_port(homeserver.url, registered, tmp_path / "unsigned")
        seen: list[object] = []
        reading = asyncio.create_task(_recorded(port, seen))
        try:
            room = await peer.create(registered.user_id)
            await peer.joined(room, registered.user_id)
            async with asyncio.timeout(10):
                while not any(isinstance(one, Arrival) for one in seen):  # noqa: ASYNC110 - the adapter gives no sign
                    await asyncio.sleep(0.05)
            assert not await peer.signed(registered.user_id, registered.device_id)
            await peer.say(room, "!weave where is the smoker?")
            place = Place("matrix", room, "", registered.user_id)
            answer = await port.send(Reply(place, page("In the shed.")), transaction="t1")
            with pytest.raises(PeerFailed):
                await peer.hears(room=room, event=answer, timeout=SOON)
            assert await peer.hears(room=room, event=answer, failed=True, timeout=SOON)
            assert not any(isinstance(one, IncomingMessage) for one in seen)
            told = plain(await port.health(room))
            assert "my account has no cross-signing identity" in told
            assert "1 of 1 encrypted message not decrypted (100.0%)" in told
            assert str(tmp_path) not in told
            assert "their client gives keys to signed devices alone" in told
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            await port.close()

    async def test_edits_and_redactions_go_both_ways(self, bot: Bot, peer: Peer) -> None:
        place = await shared_room(bot, peer)
        asked = await peer.say(place.room, "!weave where is the smokr?")
        edit = await peer.do("edit", room=place.room, event=asked, body="!weave where is the smoker?")
        seen = await bot.sees(Edit)
        assert (seen.event_id, seen.target, seen.text) == (edit, asked, "!weave where is the smoker?")
        answer = await bot.says(place, "In the shed.", label=label(), transaction="t1")
        await bot.says(place, "In the barn.", label=label(), replaces=answer, transaction="t2")
        heard = await peer.hears(room=place.room, replaces=answer, sender=bot.user_id)
        assert heard["content"]["m.new_content"]["body"] == "In the barn."
        await peer.do("redact", room=place.room, event=asked)
        assert (await bot.sees(Deletion)).target == asked

    async def test_what_an_answer_shows_is_read_back_from_the_ciphertext(self, bot: Bot, peer: Peer) -> None:
        place = await shared_room(bot, peer)
        answer = await bot.says(place, "In the shed.", label=label("answer-7"), transaction="t1")
        assert bot.port is not None
        assert await bot.port.shown_in(place, answer) == "answer-7"

    async def test_an_answer_after_a_restart_in_a_quiet_room_is_readable(self, resting_bot: Bot, peer: Peer) -> None:
        async with resting_bot.running() as bot:
            place = await shared_room(bot, peer)
        async with resting_bot.running() as bot:
            answer = await bot.says(place, "Good morning.", transaction="t1")
            heard = await peer.hears(room=place.room, event=answer)
        assert heard["content"]["body"] == "Good morning."

    async def test_what_was_said_while_away_is_read(self, resting_bot: Bot, peer: Peer) -> None:
        async with resting_bot.running() as bot:
            place = await shared_room(bot, peer)
        sent = [await peer.say(place.room, f"message {n}") for n in range(60)]
        async with resting_bot.running() as bot:
            await bot.sees(IncomingMessage, lambda one: one.event_id == sent[-1])
            assert [one.text for one in bot.all(IncomingMessage)] == [f"message {n}" for n in range(60)]

    async def test_somebody_who_comes_later_can_read_what_is_said_then(
        self, bot: Bot, peer: Peer, homeserver: Homeserver
    ) -> None:
        place = await shared_room(bot, peer)
        await bot.says(place, "Before.", transaction="t1")
        async with peer_of(homeserver.url, await homeserver.register("Ben")) as ben:
            await peer.do("invite", room=place.room, user=ben.user_id)
            await ben.do("join", room=place.room)
            await ben.joined(place.room, ben.user_id)
            for number in itertools.count():
                answer = await bot.says(place, f"After {number}.", transaction=f"after-{number}")
                with contextlib.suppress(PeerFailed):
                    assert (await ben.hears(room=place.room, event=answer, timeout=2))["encrypted"]
                    break
                assert number < 5


async def _recorded(port: object, seen: list[object]) -> None:
    async for batch in port.events():  # type: ignore[attr-defined]  # a port
        seen += batch
