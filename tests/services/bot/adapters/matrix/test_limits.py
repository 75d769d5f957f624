"""Row 13: a homeserver with Synapse's own rate limits (a burst of 10, then one message in five seconds)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.adapters.matrix.timing import Timing
from bot.models import Place, ReactionAdded
from memory.errors import Unavailable
from tests.services.bot.adapters.matrix.bots import QUICK, Bot, label, room_with
from tests.services.matrix import said_by
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services


class TestDefaultLimits:
    async def test_answers_wait_for_their_turn_and_none_is_lost_or_doubled(
        self, limited_homeserver: Homeserver, tmp_path: Path
    ) -> None:
        bot = Bot(limited_homeserver.url, await limited_homeserver.register("weave"), tmp_path)
        ana = await limited_homeserver.person("Ana")
        async with bot.running():
            place = await room_with(bot, ana)
            started = time.monotonic()
            sent = [await bot.says(place, f"Answer {n}.", label=label(), transaction=f"q{n}") for n in range(13)]
            assert time.monotonic() - started > 5  # the limit was met
            await ana.react(place.room, sent[-1], "👍")
            assert (await bot.sees(ReactionAdded)).target == sent[-1]
            await ana.hears(place.room, said_by(bot.user_id, "Answer 12."))
            heard = [one for one in await ana.history(place.room) if said_by(bot.user_id)(one)]
            assert [one["event_id"] for one in heard] == sent

    async def test_a_longer_wait_than_ours_goes_back_to_the_outbox(
        self, limited_homeserver: Homeserver, tmp_path: Path
    ) -> None:
        hasty = Timing(poll=QUICK.poll, first_pause=0.05, longest_pause=1.0, ready=10.0, limited=0.5)
        bot = Bot(limited_homeserver.url, await limited_homeserver.register("weave"), tmp_path, timing=hasty)
        ana = await limited_homeserver.person("Ana")
        async with bot.running():
            place = await room_with(bot, ana)
            with pytest.raises(Unavailable, match="limits our rate"):
                await _say_many(bot, place, 20)


async def _say_many(bot: Bot, place: Place, number: int) -> None:
    for n in range(number):
        await bot.says(place, f"Answer {n}.")
