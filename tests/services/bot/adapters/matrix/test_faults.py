"""A real homeserver that fails for a while: nothing is lost, nothing doubled, and it is not pressed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.adapters.matrix.timing import Timing
from bot.models import Gap, IncomingMessage
from memory.errors import Unavailable
from memory.models import Provenance
from tests.services.bot.adapters.matrix.bots import Bot, by_hand, room_with
from tests.services.matrix import Account as Registered
from tests.services.matrix import Person, said_by
from tests.services.synapse import Homeserver
from tests.standins.homeserver import Fault, FaultyHomeserver, faulty_homeserver

pytestmark = pytest.mark.services

PASSING = [Fault.BAD_GATEWAY, Fault.LIMITED_BY_HEADER, Fault.SLOW, Fault.CUT, Fault.NONSENSE]


@pytest.fixture
async def between(homeserver: Homeserver) -> AsyncIterator[FaultyHomeserver]:
    """A proxy before the real homeserver that fails when it is told to."""
    async with faulty_homeserver(homeserver.url) as server:
        yield server


@pytest.fixture
async def bot_behind(homeserver: Homeserver, between: FaultyHomeserver, tmp_path: Path) -> Bot:
    """An account of ours that sees the homeserver through the proxy."""
    timing = Timing(poll=1.0, first_pause=0.05, longest_pause=1.0, ready=2.0)
    return Bot(between.url, await homeserver.register("weave"), tmp_path, timing=timing)


class TestASyncThatFailsForAWhile:
    @pytest.mark.parametrize("fault", PASSING, ids=lambda one: one.name)
    async def test_loses_nothing(self, bot_behind: Bot, between: FaultyHomeserver, ana: Person, fault: Fault) -> None:
        async with bot_behind.running() as bot:
            place = await room_with(bot, ana)
            between.fault, between.only = fault, "/sync"
            await asyncio.sleep(1.2)  # the sync under way was let in before
            sent = [await ana.say(place.room, f"message {n}") for n in range(70)]
            await asyncio.sleep(2)
            between.fault = None
            await bot.sees(IncomingMessage, lambda one: one.event_id == sent[-1], seconds=20)
            missed = [one for one in bot.all(IncomingMessage) if one.event_id in sent]
            assert [one.event_id for one in missed] == sent
            assert bot.all(Gap) == []

    async def test_and_the_pages_of_a_gap_too(self, bot_behind: Bot, between: FaultyHomeserver, ana: Person) -> None:
        async with bot_behind.running() as bot:
            place = await room_with(bot, ana)
        sent = [await ana.say(place.room, f"message {n}") for n in range(120)]
        between.fault, between.only, between.times = Fault.BAD_GATEWAY, "/messages", 3
        async with bot_behind.running() as bot:
            await bot.sees(IncomingMessage, lambda one: one.event_id == sent[-1])
            missed = [one for one in bot.all(IncomingMessage) if one.event_id in sent]
            assert [one.event_id for one in missed] == sent
            assert {one.provenance for one in missed} == {Provenance.RECOVERED}


class TestAMessageThatFailsOnItsWay:
    @pytest.mark.parametrize("fault", [*PASSING, Fault.CUT_AFTER], ids=lambda one: one.name)
    async def test_is_sent_once_when_it_is_tried_again(
        self, bot_behind: Bot, between: FaultyHomeserver, ana: Person, fault: Fault
    ) -> None:
        async with bot_behind.running() as bot:
            place = await room_with(bot, ana)
            between.fault, between.only = fault, "/send/m.room.message/"
            for _ in range(2):
                with contextlib.suppress(Unavailable):
                    async with asyncio.timeout(40):
                        await bot.says(place, "In the shed.", transaction="question-1")
            between.fault = None
            event_id = await bot.says(place, "In the shed.", transaction="question-1")
            heard = [one for one in await ana.history(place.room) if said_by(bot.user_id)(one)]
            assert [one["event_id"] for one in heard] == [event_id]


class TestATokenThatIsRevoked:
    async def test_ends_us_with_what_to_do(self, resting_bot: Bot, ana: Person, homeserver: Homeserver) -> None:
        async def revoked() -> None:
            async with resting_bot.running() as bot:
                await room_with(bot, ana)
                await Person(ana._session, homeserver.url, by_hand(bot)).ask("POST", "v3/logout", {})
                await asyncio.sleep(3)

        with pytest.raises(Unavailable, match="log in again with `weavebot matrix login`"):
            await revoked()


class TestAMinuteOfADeadHomeserver:
    async def test_costs_less_than_30_requests_of_each_kind_of_death(self, tmp_path: Path) -> None:
        """The waits of production, at their real length."""

        async def requests(fault: Fault) -> int:
            async with faulty_homeserver() as server:
                server.fault = fault
                bot = Bot(
                    server.url,
                    Registered("@weave:localhost", "token", "DEVICE", ""),
                    tmp_path / fault.name,
                    timing=Timing(),
                )
                started = time.monotonic()
                async with bot.running():
                    await asyncio.sleep(60)
                return server.count(since=started)

        deaths = [*PASSING, Fault.PROXY_LOGIN, Fault.LIMITED_BARE, Fault.LIMITED_BY_BODY]
        counted = await asyncio.gather(*(requests(fault) for fault in deaths))
        assert all(1 <= number < 30 for number in counted), dict(zip(deaths, counted, strict=True))
