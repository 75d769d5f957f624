"""Keys that come late, get lost, run out or are caught by a kill; and messages that are meant to harm us."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import aiohttp
import pytest
import vodozemac

from bot.adapters.matrix.encryption import own_keys
from bot.adapters.matrix.signing import unpadded
from bot.adapters.matrix.undecryptable import _name
from bot.models import IncomingMessage, Place
from bot.pages import plain
from memory.models import Provenance
from tests.services.bot.adapters.matrix import killed_sync
from tests.services.bot.adapters.matrix.bots import Bot
from tests.services.bot.adapters.matrix.encryption import (
    Client,
    account_of,
    client_of,
    deliver,
    stolen_keys,
    to_device,
)
from tests.services.bot.adapters.matrix.killed_sync import POINTS
from tests.services.matrix import Account, Person
from tests.services.peer import peer_of
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services


class Ana:
    """Somebody whose client is nio, with the same account as plain HTTP."""

    def __init__(self, client: Client, person: Person) -> None:
        self.client = client
        self.person = person

    async def says(self, room: str, text: str, *, without: tuple[str, ...] = ()) -> str:
        """An encrypted message, perhaps without some of its fields."""
        content = await self.client.locked(room, text)
        return await self.person.send(room, "m.room.encrypted", {k: v for k, v in content.items() if k not in without})


async def meeting(bot: Bot, ana: Ana) -> Place:
    """An encrypted room of Ana's that the bot has come to, as Ana's client knows."""
    room = await ana.person.create_room("12", encrypted=True, invite=(bot.user_id,))
    place = await bot.comes_to(room)
    await ana.client.sync()
    return place


@contextlib.asynccontextmanager
async def somebody(homeserver: Homeserver, http: aiohttp.ClientSession, folder: Path) -> AsyncIterator[Ana]:
    """Ana."""
    registered = await homeserver.register("Ana")
    async with client_of(homeserver.url, registered, folder) as client:
        yield Ana(client, Person(http, homeserver.url, registered))


@pytest.fixture
async def ana(homeserver: Homeserver, http: aiohttp.ClientSession, tmp_path: Path) -> AsyncIterator[Ana]:
    """Ana with nio."""
    async with somebody(homeserver, http, tmp_path / "ana") as found:
        yield found


def raw(http: aiohttp.ClientSession, homeserver: Homeserver, account: Account) -> Person:
    """An account by plain HTTP."""
    return Person(http, homeserver.url, account)


@pytest.fixture
async def registered(homeserver: Homeserver) -> Account:
    """The bot's account."""
    return await homeserver.register("weave")


@pytest.fixture
def resting_bot(homeserver: Homeserver, registered: Account, tmp_path: Path) -> Bot:
    """An account of ours that does not read yet."""
    return Bot(homeserver.url, registered, tmp_path / "weave")


class TestLateKeys:
    async def test_a_message_waits_over_a_restart_and_is_read_when_its_key_comes(
        self, resting_bot: Bot, ana: Ana, registered: Account, homeserver: Homeserver, http: aiohttp.ClientSession
    ) -> None:
        async with resting_bot.running() as bot:
            place = await meeting(bot, ana)
        sent = await ana.says(place.room, "The smoker is in the shed.")
        keys = await stolen_keys(raw(http, homeserver, registered))
        assert keys
        async with resting_bot.running() as bot:
            await waits_for(bot, place, sent)
            assert bot.port is not None
            told = plain(await bot.port.health(place.room))
            assert "1 of 1 encrypted message not decrypted (100.0%)" in told
            assert "/discardsession" in told
            assert "the keys of this room go to 1 device of 1 person; 0 signed" in told
            assert str(bot.folder) not in told
        assert sent in resting_bot.notebook.notes[_name(place.room)]
        assert "ciphertext" not in json.dumps(resting_bot.notebook.notes)
        async with resting_bot.running() as bot:
            await deliver(ana.person, registered, keys)
            seen = await bot.sees(IncomingMessage, lambda one: one.event_id == sent)
            assert (seen.text, seen.provenance) == ("The smoker is in the shed.", Provenance.RECOVERED)
            await settled(bot, ana, place)
            assert bot.port is not None
            assert "all of 3 encrypted messages since my start, 1 of them late" in plain(
                await bot.port.health(place.room)
            )
        assert sent not in resting_bot.notebook.notes[_name(place.room)]
        assert [one.event_id for one in resting_bot.all(IncomingMessage)].count(sent) == 1

    async def test_the_device_that_made_a_key_is_asked_for_it_and_sends_it(
        self, resting_bot: Bot, homeserver: Homeserver, registered: Account, http: aiohttp.ClientSession
    ) -> None:
        async with peer_of(homeserver.url, await homeserver.register("Ana")) as peer:
            async with resting_bot.running() as bot:
                room = await peer.create(bot.user_id)
                await bot.comes_to(room)
                await peer.joined(room, bot.user_id)
                await bot.sees(IncomingMessage, lambda _: True) if await peer.say(room, "Hello.") else None
                await peer.do("discard", room=room)
            sent = await peer.say(room, "The smoker is in the shed.")
            assert await stolen_keys(raw(http, homeserver, registered))
            async with resting_bot.running() as bot:
                seen = await bot.sees(IncomingMessage, lambda one: one.event_id == sent, seconds=30)
                assert seen.text == "The smoker is in the shed."

    async def test_a_message_that_is_redacted_meanwhile_gives_nothing_away(
        self, resting_bot: Bot, ana: Ana, registered: Account, homeserver: Homeserver, http: aiohttp.ClientSession
    ) -> None:
        async with resting_bot.running() as bot:
            place = await meeting(bot, ana)
            first = await ana.says(place.room, "one")
            await bot.sees(IncomingMessage, lambda one: one.event_id == first)
        await ana.client.nio.joined_members(place.room)
        ana.client.nio.invalidate_outbound_session(place.room)
        sent = await ana.says(place.room, "The safe's number is 1234.")
        keys = await stolen_keys(raw(http, homeserver, registered))
        async with resting_bot.running() as bot:
            await waits_for(bot, place, sent)
            await ana.person.redact(place.room, sent)
            await deliver(ana.person, registered, keys)
            last = await ana.says(place.room, "three")
            await bot.sees(IncomingMessage, lambda one: one.event_id == last)
            assert [one.text for one in bot.all(IncomingMessage)] == ["one", "three"]
        assert resting_bot.notebook.notes[_name(place.room)] == "[]"


class TestDeprecatedFields:
    async def test_a_message_without_sender_key_and_device_is_read(self, bot: Bot, ana: Ana) -> None:
        place = await meeting(bot, ana)
        sent = await ana.says(place.room, "No such fields.", without=("sender_key", "device_id"))
        assert (await bot.sees(IncomingMessage, lambda one: one.event_id == sent)).text == "No such fields."

    async def test_without_its_key_it_is_counted_and_waits(
        self, resting_bot: Bot, ana: Ana, registered: Account, homeserver: Homeserver, http: aiohttp.ClientSession
    ) -> None:
        async with resting_bot.running() as bot:
            place = await meeting(bot, ana)
        sent = await ana.says(place.room, "No such fields.", without=("sender_key", "device_id"))
        keys = await stolen_keys(raw(http, homeserver, registered))
        async with resting_bot.running() as bot:
            await waits_for(bot, place, sent)
            await deliver(ana.person, registered, keys)
            assert (await bot.sees(IncomingMessage, lambda one: one.event_id == sent)).text == "No such fields."


class TestHostileMessages:
    @pytest.mark.parametrize(
        "content",
        [
            {"type": 0, "body": "!!!"},
            {"type": 0, "body": "AwogAAAA"},
            {"type": 1, "body": "!!!"},
            {"type": 7, "body": ""},
            {"type": 0},
            {"type": 1, "body": "AwogAAAA"},
        ],
        ids=json.dumps,
    )
    async def test_a_malformed_message_to_our_device_harms_nobody(
        self, bot: Bot, ana: Ana, registered: Account, content: dict[str, object]
    ) -> None:
        place = await meeting(bot, ana)
        assert bot.port is not None
        key = bot.port._client.olm.account.identity_keys["curve25519"]
        message = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": "A" * 43, "ciphertext": {key: content}}
        await to_device(ana.person, registered, "m.room.encrypted", message)
        sent = await ana.says(place.room, "Still here?")
        assert (await bot.sees(IncomingMessage, lambda one: one.event_id == sent)).text == "Still here?"

    async def test_what_was_left_aside_is_told(self, bot: Bot, ana: Ana, registered: Account) -> None:
        place = await meeting(bot, ana)
        assert bot.port is not None
        key = own_keys(bot.port._client).curve25519
        ciphertext = {key: {"type": 0, "body": "!!!"}}
        message = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": "A" * 43, "ciphertext": ciphertext}
        await to_device(ana.person, registered, "m.room.encrypted", message)
        sent = await ana.says(place.room, "Still here?")
        await bot.sees(IncomingMessage, lambda one: one.event_id == sent)
        assert "1 malformed message from other devices left aside" in plain(await bot.port.health(place.room))

    async def test_a_message_for_a_one_time_key_that_is_gone_harms_nobody(
        self, bot: Bot, ana: Ana, registered: Account
    ) -> None:
        place = await meeting(bot, ana)
        assert bot.port is not None
        key, account = own_keys(bot.port._client).curve25519, vodozemac.Account()
        account.generate_one_time_keys(1)
        gone = next(iter(account.one_time_keys.values()))
        session = account.create_outbound_session(vodozemac.Curve25519PublicKey.from_base64(key), gone)
        kind, body = session.encrypt(b"{}").to_parts()
        ciphertext = {key: {"type": kind, "body": unpadded(body)}}
        sender = account.curve25519_key.to_base64()
        message = {"algorithm": "m.olm.v1.curve25519-aes-sha2", "sender_key": sender, "ciphertext": ciphertext}
        await to_device(ana.person, registered, "m.room.encrypted", message)
        sent = await ana.says(place.room, "Still here?")
        assert (await bot.sees(IncomingMessage, lambda one: one.event_id == sent)).text == "Still here?"

    async def test_a_message_under_another_persons_name_is_not_taken(self, bot: Bot, ana: Ana, ben: Person) -> None:
        place = await meeting(bot, ana)
        await ana.person.invite(place.room, ben.user_id)
        await ben.join(place.room)
        await ana.client.sync()
        forged = await ben.send(place.room, "m.room.encrypted", await ana.client.locked(place.room, "Ben said this."))
        sent = await ana.says(place.room, "I said this.")
        await bot.sees(IncomingMessage, lambda one: one.event_id == sent)
        assert [one.event_id for one in bot.all(IncomingMessage)] == [sent]
        await waits_for(bot, place, forged)


class TestOneTimeKeys:
    async def test_they_are_made_anew_when_all_were_taken(self, bot: Bot, ana: Ana, registered: Account) -> None:
        place = await meeting(bot, ana)
        wanted = {"one_time_keys": {registered.user_id: {registered.device_id: "signed_curve25519"}}}
        assert bot.port is not None
        olm = bot.port._client.olm
        for _ in range(olm.account.max_one_time_keys):
            await ana.person.ask("POST", "v3/keys/claim", wanted)
        told = await ana.person.ask("POST", "v3/keys/claim", wanted)
        assert not told["one_time_keys"].get(registered.user_id)
        await ana.person.say(place.room, "something happens")  # a sync
        async with asyncio.timeout(15):
            while not told["one_time_keys"].get(registered.user_id):
                told = await ana.person.ask("POST", "v3/keys/claim", wanted)
                await asyncio.sleep(0.2)


class TestAKill:
    @pytest.mark.parametrize("point", POINTS)
    async def test_between_the_sync_and_its_note_loses_no_key(
        self, point: str, homeserver: Homeserver, registered: Account, ana: Ana, tmp_path: Path
    ) -> None:
        async with client_of(homeserver.url, registered, tmp_path / "weave") as weave:
            room = await ana.person.create_room("12", encrypted=True, invite=(registered.user_id,))
            await weave.nio.join(room)
            await weave.sync()
            since = weave.since
        await ana.client.sync()
        content = await ana.client.locked(room, "The smoker is in the shed.")
        sent = await ana.person.send(room, "m.room.encrypted", content)
        account = asdict(account_of(homeserver.url, registered))
        await killed(account=account, folder=str(tmp_path / "weave"), since=since, point=point, bare=False)
        async with client_of(homeserver.url, registered, tmp_path / "weave") as weave:
            response = await weave.nio.sync(0, since=since, full_state=True)
            events = response.rooms.join[room].timeline.events
            [text] = [one.body for one in events if one.event_id == sent]
            assert text == "The smoker is in the shed."


async def killed(**told: object) -> None:
    """Syncs in another process, which is killed at the point."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", killed_sync.__name__, json.dumps(told))
    assert await process.wait() == -signal.SIGKILL


async def waits_for(bot: Bot, place: Place, event_id: str) -> None:
    """Until the adapter has noted that an event waits for its key."""
    async with asyncio.timeout(15):
        while event_id not in bot.notebook.notes.get(_name(place.room), ""):  # noqa: ASYNC110 - a notebook gives no sign
            await asyncio.sleep(0.05)


async def settled(bot: Bot, ana: Ana, place: Place) -> None:
    """Until the adapter has noted how far it has read, past what it has seen by now."""
    for text in ("one more", "and one more"):  # what was given is noted with the sync after it
        await ana.says(place.room, text)
        await bot.sees(IncomingMessage, lambda one, text=text: one.text == text)  # type: ignore[misc]  # its default
