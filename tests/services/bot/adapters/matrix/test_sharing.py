"""A room's key reaches everybody who can be given it, before anything is said; until it does, nothing is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.adapters.matrix.encryption import machine
from bot.adapters.matrix.timing import Timing
from bot.models import Membership
from memory.errors import Unavailable
from tests.services.bot.adapters.matrix.bots import Bot, room_with
from tests.services.bot.adapters.matrix.encryption import Whisperer, client_of
from tests.services.matrix import Event, Person, said_by
from tests.services.synapse import Homeserver
from tests.standins.homeserver import Fault, FaultyHomeserver, faulty_homeserver

pytestmark = pytest.mark.services


@pytest.fixture
async def cleo(homeserver: Homeserver, tmp_path: Path) -> AsyncIterator[Whisperer]:
    """Somebody who reads encrypted rooms."""
    async with Whisperer.of(homeserver, "Cleo", tmp_path / "cleo") as person:
        yield person


@pytest.fixture
async def between(homeserver: Homeserver) -> AsyncIterator[FaultyHomeserver]:
    """A proxy before the real homeserver that fails when it is told to."""
    async with faulty_homeserver(homeserver.url) as server:
        yield server


@pytest.fixture
async def bot_behind(homeserver: Homeserver, between: FaultyHomeserver, tmp_path: Path) -> AsyncIterator[Bot]:
    """An account of ours, reading, that sees the homeserver through the proxy."""
    timing = Timing(poll=1.0, first_pause=0.05, longest_pause=1.0, ready=2.0)
    async with Bot(between.url, await homeserver.register("weave"), tmp_path / "weave", timing=timing).running() as bot:
        yield bot


async def joins(person: Person, room: str) -> None:
    """Waits for the invitation and comes."""
    while room not in person.invited:
        await person.sync(500)
    await person.join(room)


async def as_read(person: Whisperer, room: str, event_id: str) -> Event:
    """An event as the person reads it."""
    return next(one for one in await person.history(room) if one["event_id"] == event_id)


class TestWhoGetsTheKey:
    async def test_who_is_invited_before_we_come_and_comes_after_we_spoke(
        self, bot: Bot, ana: Person, cleo: Whisperer
    ) -> None:
        room = await ana.create_room("12", encrypted=True, invite=(cleo.user_id, bot.user_id))
        place = await bot.comes_to(room)
        said = await bot.says(place, "In the shed.")
        await joins(cleo, room)
        assert (await as_read(cleo, room, said))["content"]["body"] == "In the shed."

    async def test_the_guest_of_a_room_of_two_before_they_come(self, bot: Bot, ana: Person, cleo: Whisperer) -> None:
        place = await room_with(bot, ana, encrypted=True)
        await ana.invite(place.room, cleo.user_id)
        await joins(cleo, place.room)
        await cleo.say(place.room, "hello")  # so that we know her devices already, and nothing holds the key back
        await bot.says(place, "Only for you.", private=True, to=cleo.user_id)
        while not (direct := next((room for room in cleo.invited if room != place.room), "")):
            await cleo.sync(500)
        await cleo.join(direct)
        await cleo.hears(direct, said_by(bot.user_id, "Only for you."))

    async def test_a_device_that_offers_no_key_holds_up_nobody_else(
        self, homeserver: Homeserver, bot: Bot, ana: Person, cleo: Whisperer, tmp_path: Path
    ) -> None:
        async with client_of(homeserver.url, ana.account, tmp_path / "mute", publish=False) as mute:
            await ana.ask("POST", "v3/keys/upload", {"device_keys": machine(mute.nio).share_keys()["device_keys"]})
        place = await room_with(bot, ana, encrypted=True)
        await ana.invite(place.room, cleo.user_id)
        await joins(cleo, place.room)
        said = await bot.says(place, "In the shed.")
        assert (await as_read(cleo, place.room, said))["content"]["body"] == "In the shed."


class TestAKeyThatDoesNotArrive:
    @pytest.mark.parametrize("fault", [Fault.BAD_GATEWAY, Fault.NONSENSE, Fault.CUT], ids=lambda one: one.name)
    @pytest.mark.parametrize("what", ["/sendToDevice/", "/keys/query", "/keys/claim", "/joined_members", "/members"])
    async def test_holds_the_message_back_until_it_does(
        self, bot_behind: Bot, between: FaultyHomeserver, ana: Person, cleo: Whisperer, what: str, fault: Fault
    ) -> None:
        place = await room_with(bot_behind, ana, encrypted=True)
        between.fault, between.only = fault, what
        await ana.invite(place.room, cleo.user_id)
        await joins(cleo, place.room)
        await bot_behind.sees(Membership, lambda one: one.actor.external_id == cleo.user_id)
        assert bot_behind.port is not None
        bot_behind.port._rooms.outdated(place.room)  # as after a gap: the members are read again
        with pytest.raises(Unavailable):
            await bot_behind.says(place, "In the shed.", transaction="q1")
        assert not any(one["sender"] == bot_behind.user_id and _is_said(one) for one in await ana.history(place.room))
        between.fault = None
        said = await bot_behind.says(place, "In the shed.", transaction="q1")
        assert (await as_read(cleo, place.room, said))["content"]["body"] == "In the shed."


def _is_said(event: Event) -> bool:
    return event["type"] in {"m.room.message", "m.room.encrypted"}
