"""Many messages, many rooms, a long absence: the numbers that the adapter has to keep."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter

import pytest

from bot.models import Gap, IncomingMessage, Place, ReactionAdded, ReactionsStanding
from memory.models import Provenance
from tests.services.bot.adapters.matrix.bots import Bot, by_hand, label, room_with
from tests.services.matrix import Person
from tests.services.synapse import Homeserver

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

ROOMS = 10
MOST_MEMORY = 150 * 2**20
MOST_SECONDS = 60.0


async def places(bot: Bot, ana: Person) -> list[Place]:
    return [await room_with(bot, ana, name=f"room {n}") for n in range(ROOMS)]


class TestAThousandMessages:
    async def test_in_ten_rooms_arrive_exactly_once_and_in_order(self, bot: Bot, ana: Person) -> None:
        rooms = await places(bot, ana)

        async def talk(place: Place) -> list[str]:
            return [await ana.say(place.room, f"message {n}") for n in range(100)]

        sent = await asyncio.gather(*(talk(place) for place in rooms))
        for place, ids in zip(rooms, sent, strict=True):
            await bot.sees(IncomingMessage, lambda one, last=ids[-1]: one.event_id == last, seconds=60)  # type: ignore[misc]
            assert [one.event_id for one in bot.all(IncomingMessage, place.room)] == ids
        assert max(Counter(one.event_id for one in bot.all(IncomingMessage)).values()) == 1


@pytest.mark.alone("synapse")
class TestALongAbsence:
    async def test_of_2000_messages_and_50_reactions_is_made_up_within_a_minute(
        self, resting_bot: Bot, ana: Person
    ) -> None:
        async with resting_bot.running() as bot:
            rooms = await places(bot, ana)
            for place in rooms:
                shown = [await bot.says(place, f"Answer {n}.", label=label()) for n in range(5)]
                bot.notebook.shown[place.room] = shown[::-1]

        async def talk(place: Place) -> list[str]:
            for answer in resting_bot.notebook.shown[place.room]:
                await ana.react(place.room, answer, "👍")
            return [await ana.say(place.room, f"message {n}") for n in range(200)]

        sent = await asyncio.gather(*(talk(place) for place in rooms))
        started = time.monotonic()
        async with resting_bot.running() as bot:
            for ids in sent:
                await bot.sees(IncomingMessage, lambda one, last=ids[-1]: one.event_id == last, seconds=MOST_SECONDS)  # type: ignore[misc]
            answers = {one for shown in bot.notebook.shown.values() for one in shown}
            for answer in answers:
                await bot.sees(ReactionsStanding, lambda one, which=answer: one.target == which, seconds=MOST_SECONDS)  # type: ignore[misc]
            took = time.monotonic() - started
            assert took <= MOST_SECONDS
            assert {one.event_id for one in bot.all(IncomingMessage)} == {one for ids in sent for one in ids}
            assert {one.provenance for one in bot.all(IncomingMessage)} == {Provenance.RECOVERED}
            assert {one.target for one in bot.all(ReactionAdded)} == answers
            assert all(len(one.standing) == 1 for one in bot.all(ReactionsStanding))
            assert bot.all(Gap) == []


class TestTwoHundredRooms:
    async def test_cost_no_more_than_150_mib_of_memory(
        self, resting_bot: Bot, homeserver: Homeserver, ana: Person
    ) -> None:
        ours = Person(ana._session, homeserver.url, by_hand(resting_bot))
        for n in range(200):
            room = await ana.create_room("12", name=f"room {n}", invite=(resting_bot.user_id,))
            await ours.join(room)
            for text in ("hello", "a message about hives"):
                await ana.say(room, text)
        account = resting_bot.account
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.services.bot.adapters.matrix.measured",
            account.homeserver,
            account.user_id,
            account.device_id,
            str(resting_bot.folder),
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate(f"{account.access_token}\n".encode())
        rooms, peak = (int(one) for one in told.splitlines()[-1].split())
        assert rooms == 200
        assert peak <= MOST_MEMORY
