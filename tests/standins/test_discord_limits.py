"""The stand-in's limits and faults, as the real discord.py meets them."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import discord as library
import pytest

from tests.standins.bots import Bot, Bots
from tests.standins.discord import Discord, Limits, Place, running

SEND = "POST /channels/*/messages"


@pytest.fixture
def place(discord: Discord) -> Place:
    return discord.guild("hives").channel("general")


class TestBuckets:
    async def test_the_headers_let_the_library_keep_within_the_bucket(self) -> None:
        limits = Limits(routes={"POST /channels/{channel}/messages": (2, 0.3)}, identify_every=0)
        async with running(limits=limits) as discord:
            place = discord.guild("hives").channel("general")
            bots = Bots(discord)
            bot = await bots.start()
            start = time.monotonic()
            for number in range(5):
                await bot.place(place.id).send(str(number))
            await bots.close()
            assert time.monotonic() - start > 0.55
            assert {one.status for one in discord.requests if "messages" in one.request} == {200}

    async def test_who_ignores_the_headers_gets_429_with_retry_after_and_scope(self) -> None:
        limits = Limits(routes={"POST /channels/{channel}/messages": (1, 60.0)})
        async with running(limits=limits) as discord, aiohttp.ClientSession() as session:
            place = discord.guild("hives").channel("general")
            url = f"{discord.api_url}/channels/{place.id}/messages"
            headers = {"Authorization": f"Bot {discord.token}"}
            async with session.post(url, json={"content": "1"}, headers=headers) as first:
                assert first.headers["X-RateLimit-Remaining"] == "0"
                assert first.headers["Content-Type"] == "application/json"
            async with session.post(url, json={"content": "2"}, headers=headers) as second:
                assert second.status == 429
                assert second.headers["Via"]
                assert second.headers["X-RateLimit-Scope"] == "user"
                body = await second.json()
                assert 0 < body["retry_after"] <= 60
                assert body["global"] is False
            assert discord.invalid_requests == 1

    async def test_channels_have_buckets_of_their_own(self) -> None:
        limits = Limits(routes={"POST /channels/{channel}/messages": (1, 60.0)})
        async with running(limits=limits) as discord, aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bot {discord.token}"}
            for name in ("general", "random"):
                url = f"{discord.api_url}/channels/{discord.guild('hives').channel(name).id}/messages"
                async with session.post(url, json={"content": "1"}, headers=headers) as answer:
                    assert answer.status == 200

    async def test_the_51st_request_in_a_second_is_limited_globally(self) -> None:
        async with running(limits=Limits(routes={}, usual=(1000, 1.0))) as discord, aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bot {discord.token}"}

            async def ask() -> tuple[int, str | None]:
                async with session.get(f"{discord.api_url}/users/@me", headers=headers) as answer:
                    return answer.status, answer.headers.get("X-RateLimit-Global")

            answers = await asyncio.gather(*(ask() for _ in range(51)))
            assert [status for status, _ in answers].count(200) == 50
            assert (429, "true") in answers

    async def test_10000_invalid_requests_bring_the_ban_that_the_library_takes_for_cloudflare(self) -> None:
        async with running(limits=Limits(invalid=3, identify_every=0)) as discord:
            place = discord.guild("hives").channel("general")
            bots = Bots(discord)
            bot = await bots.start()
            place.hides_from_bot()
            for _ in range(3):
                with pytest.raises(library.Forbidden):
                    await bot.place(place.id).send("hello")
            with pytest.raises(library.HTTPException) as refused:
                await bot.fetch_user(bot.application_id or 0)
            assert refused.value.status == 429
            assert "1015" in refused.value.text
            await bots.close()


class TestFaults:
    async def test_a_429_with_via_is_waited_out_by_the_library(self, bot: Bot, discord: Discord, place: Place) -> None:
        discord.fail(SEND, 429, times=2, retry_after=0.05)
        await bot.place(place.id).send("hello")
        assert [one.status for one in discord.requests if "messages" in one.request] == [429, 429, 200]

    async def test_a_429_without_via_is_raised_at_once(self, bot: Bot, discord: Discord, place: Place) -> None:
        discord.fail(SEND, 429, via=False)
        with pytest.raises(library.HTTPException) as refused:
            await bot.place(place.id).send("hello")
        assert refused.value.status == 429
        assert place.answers == []

    async def test_a_503_is_not_tried_again_by_the_library(self, bot: Bot, discord: Discord, place: Place) -> None:
        discord.fail(SEND, 503)
        with pytest.raises(library.DiscordServerError):
            await bot.place(place.id).send("hello")
        assert discord.asked("POST /channels") == 1

    async def test_a_lost_reply_leaves_the_message_in_the_channel(
        self, bot: Bot, discord: Discord, place: Place
    ) -> None:
        discord.lose_reply(SEND)
        with pytest.raises(aiohttp.ClientError):
            await bot.place(place.id).send("hello", nonce="n")
        assert len(place.answers) == 1
        await bot.place(place.id).send("hello", nonce="n")
        assert len(place.answers) == 1

    async def test_a_slow_reply_takes_its_time(self, bot: Bot, discord: Discord, place: Place) -> None:
        discord.delay(SEND, 0.2)
        start = time.monotonic()
        await bot.place(place.id).send("hello")
        assert time.monotonic() - start >= 0.2

    async def test_a_route_that_is_not_known_is_noted(self) -> None:
        async with running() as discord, aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bot {discord.token}"}
            async with session.get(f"{discord.api_url}/voice/regions", headers=headers) as answer:
                assert answer.status == 404
            assert discord.rest.unknown == ["GET /api/v10/voice/regions"]
