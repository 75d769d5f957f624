"""Rooms: who lets us in, who is who there, who may do what, and how we leave."""

from __future__ import annotations

import asyncio

import pytest

from bot.models import Arrival, IncomingMessage, Membership, ReactionAdded, Role
from tests.services.bot.adapters.matrix.bots import Bot, room_with
from tests.services.matrix import Person
from tests.services.synapse import ROOM_VERSIONS, Homeserver

pytestmark = pytest.mark.services


async def role_of(bot: Bot, person: Person, room: str) -> Role:
    event_id = await person.say(room, "hello")
    return (await bot.sees(IncomingMessage, lambda one: one.event_id == event_id)).actor.role


class TestInvitations:
    """Row 19."""

    @pytest.mark.parametrize("version", ROOM_VERSIONS)
    async def test_we_come_once_and_say_by_whom(self, bot: Bot, ana: Person, version: str) -> None:
        place = await room_with(bot, ana, version)
        assert place.room in await _joined(bot, ana)
        arrival = bot.all(Arrival)[0]
        assert arrival.by is not None
        assert (arrival.by.external_id, arrival.by.name, arrival.by.role) == (ana.user_id, "Ana", Role.ADMIN)
        await ana.say(place.room, "hello")
        await bot.sees(IncomingMessage)
        assert len(bot.all(Arrival)) == 1

    async def test_from_somebody_who_may_not_invite_us_waits(self, resting_bot: Bot, ana: Person, ben: Person) -> None:
        async with resting_bot.running(allow=[ben.user_id]) as bot:
            unwanted = await ana.create_room("12", invite=(bot.user_id,))
            wanted = await ben.create_room("12", invite=(bot.user_id,))
            await bot.comes_to(wanted)
            await asyncio.sleep(0.5)
            assert await ana.members(unwanted) == {ana.user_id}
            assert bot.port is not None
            shown = "\n".join("".join(text for _, text in line) for line in await bot.port.health())
            assert f"add {ana.user_id} to the setting matrix_allow" in shown
        async with resting_bot.running(allow=["*:localhost"]) as bot:  # the operator allows more, and starts again
            await bot.comes_to(unwanted)

    async def test_is_not_what_the_coming_of_the_inviter_is(self, bot: Bot, ana: Person, ben: Person) -> None:
        place = await room_with(bot, ana)
        await ana.invite(place.room, ben.user_id)
        await ben.join(place.room)
        seen = await bot.sees(Membership, lambda one: one.actor.external_id == ben.user_id)
        assert seen.joined
        assert [one.place.room for one in bot.all(Arrival)] == [place.room]

    async def test_that_came_while_we_were_away(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running():
            await asyncio.sleep(0.5)
        room = await ana.create_room("12", invite=(resting_bot.user_id,))
        async with resting_bot.running() as bot:
            await bot.comes_to(room)


class TestLeaving:
    async def test_a_kick_is_told_with_who_did_it(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        await ana.kick(place.room, bot.user_id)
        left = await bot.sees(Arrival, lambda one: not one.joined)
        assert left.by is not None
        assert (left.by.external_id, left.place.name) == (ana.user_id, "hives")
        assert bot.port is not None
        assert not await bot.port.may_read(place.room, ana.user_id)

    async def test_a_ban_while_we_were_away(self, resting_bot: Bot, ana: Person) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana)
        await ana.ban(place.room, resting_bot.user_id)
        async with resting_bot.running() as bot:
            left = await bot.sees(Arrival, lambda one: not one.joined)
            assert (left.place.room, left.place.name) == (place.room, "hives")

    async def test_and_coming_again(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        await ana.kick(place.room, bot.user_id)
        await bot.sees(Arrival, lambda one: not one.joined)
        missed = await ana.say(place.room, "behind our back")
        await ana.invite(place.room, bot.user_id)
        await bot.sees(Arrival, lambda one: one.joined and one is not bot.all(Arrival)[0])
        event_id = await ana.say(place.room, "hello again")
        await bot.sees(IncomingMessage, lambda one: one.event_id == event_id)
        how = {one.event_id: one.provenance for one in bot.all(IncomingMessage)}
        assert how.get(missed, "history") == "history"


class TestRoles:
    """Row 14."""

    @pytest.mark.parametrize("version", ROOM_VERSIONS)
    async def test_follow_creation_and_power_levels(self, bot: Bot, ana: Person, ben: Person, version: str) -> None:
        place = await room_with(bot, ana, version)
        await ana.invite(place.room, ben.user_id)
        await ben.join(place.room)
        assert await role_of(bot, ana, place.room) is Role.ADMIN
        assert await role_of(bot, ben, place.room) is Role.MEMBER
        levels = await ana.state(place.room, "m.room.power_levels")
        levels["users"][ben.user_id] = 50
        await ana.set_state(place.room, "m.room.power_levels", levels)
        assert await role_of(bot, ben, place.room) is Role.MODERATOR

    async def test_of_further_creators_in_version_12(self, resting_bot: Bot, ana: Person, ben: Person) -> None:
        room = await ana.create_room(
            "12", invite=(resting_bot.user_id, ben.user_id), creation_content={"additional_creators": [ben.user_id]}
        )
        await ben.join(room)
        async with resting_bot.running() as bot:
            await bot.comes_to(room)
            assert ":" not in room
            assert await role_of(bot, ben, room) is Role.ADMIN
        async with resting_bot.running() as bot:  # also when the creation event comes with the full state alone
            assert await role_of(bot, ben, room) is Role.ADMIN

    async def test_of_a_creator_who_gave_the_power_away_in_version_11(self, bot: Bot, ana: Person, ben: Person) -> None:
        place = await room_with(bot, ana, "11")
        await ana.invite(place.room, ben.user_id)
        await ben.join(place.room)
        levels = await ana.state(place.room, "m.room.power_levels")
        levels["users"] = {ben.user_id: 100, ana.user_id: 0}
        await ana.set_state(place.room, "m.room.power_levels", levels)
        assert await role_of(bot, ana, place.room) is Role.MEMBER


class TestARestartInAQuietRoom:
    """Row 18."""

    @pytest.mark.parametrize("encrypted", [False, True])
    async def test_knows_its_rooms_at_once(
        self, resting_bot: Bot, ana: Person, ben: Person, *, encrypted: bool
    ) -> None:
        async with resting_bot.running() as bot:
            place = await room_with(bot, ana, encrypted=encrypted)
            await ana.invite(place.room, ben.user_id)
            await ben.join(place.room)
            await bot.sees(Membership)
        async with resting_bot.running() as bot:
            event_id = await bot.says(place, "I am back.")
            kind = "m.room.encrypted" if encrypted else "m.room.message"
            assert (await ana.event(place.room, event_id))["type"] == kind
            await ben.react(place.room, event_id, "👍")
            assert (await bot.sees(ReactionAdded)).place.name == "hives"


class TestWhoMayRead:
    async def test_is_who_is_in_the_room_now(self, bot: Bot, ana: Person, ben: Person) -> None:
        place = await room_with(bot, ana)
        assert bot.port is not None
        assert await bot.port.may_read(place.room, ana.user_id)
        assert not await bot.port.may_read(place.room, ben.user_id)
        await ana.invite(place.room, ben.user_id)
        assert not await bot.port.may_read(place.room, ben.user_id)  # invited is not there yet
        await ben.join(place.room)
        assert await bot.port.may_read(place.room, ben.user_id)
        await ben.leave(place.room)
        assert not await bot.port.may_read(place.room, ben.user_id)
        assert not await bot.port.may_read("!nowhere", ana.user_id)


class TestTyping:
    async def test_is_seen_and_goes(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        assert bot.port is not None
        await bot.port.busy(place, on=True)
        assert await _typing(ana, place.room, wanted=[bot.user_id]) == [bot.user_id]
        await bot.port.busy(place, on=False)
        assert await _typing(ana, place.room, wanted=[]) == []

    async def test_in_a_room_that_we_are_not_in_harms_nobody(self, bot: Bot, ana: Person) -> None:
        place = await room_with(bot, ana)
        await ana.kick(place.room, bot.user_id)
        assert bot.port is not None
        await bot.port.busy(place, on=True)


class TestNames:
    async def test_two_of_the_same_name_are_told_apart(self, bot: Bot, ana: Person, homeserver: Homeserver) -> None:
        place = await room_with(bot, ana)
        other = await homeserver.person("Ana")
        await ana.invite(place.room, other.user_id)
        await other.join(place.room)
        event_id = await other.say(place.room, "hello")
        seen = await bot.sees(IncomingMessage, lambda one: one.event_id == event_id)
        assert seen.actor.name == f"Ana ({other.user_id})"


async def _typing(person: Person, room: str, *, wanted: list[str]) -> list[str]:
    """Who types in a room, as the person sees it, waiting for what is wanted."""
    found: list[str] = ["nobody has said anything about typing"]
    for _ in range(20):
        told = await person.sync(500)
        for one in told.get("rooms", {}).get("join", {}).get(room, {}).get("ephemeral", {}).get("events", []):
            if one["type"] == "m.typing":
                found = list(one["content"]["user_ids"])
        if found == wanted:
            break
    return found


async def _joined(bot: Bot, asking: Person) -> list[str]:
    room = bot.all(Arrival)[0].place.room
    return [room] if bot.user_id in await asking.members(room) else []
