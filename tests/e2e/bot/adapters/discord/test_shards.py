"""Several shards: in one process, and a process for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory.errors import BadInput
from tests.e2e.bot.adapters.discord.bots import weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import running


async def test_two_shards_of_one_process_serve_their_servers(tmp_path: Path) -> None:
    async with running(shards=2) as discord:
        guilds = [discord.guild(f"guild {number}", shard=(number, 2)) for number in range(2)]
        places = [guild.channel("general") for guild in guilds]
        async with weavebot(discord, tmp_path) as bot:
            for guild, place in zip(guilds, places, strict=True):
                await guild.member("Ana").says(place, f"the code of {guild.guild.name} is 4471")
                await bot.keeps(place.id, 1)
            await bot.app.engine.settle()
            for guild, place in zip(guilds, places, strict=True):
                await guild.member("Ana").says(place, "!weave what is the code?")
                answer = await place.expect(lambda message: "4471" in message.content)
                assert guild.guild.name in answer.content
            assert discord.gateway.sessions.started == 2
            await guilds[0].member("Ana").dms("help")
            await guilds[0].member("Ana").talk.expect()
        for guild, place in zip(guilds, places, strict=True):
            await guild.member("Ana").says(place, "missed")
        async with weavebot(discord, tmp_path) as bot:
            for place in places:
                assert "missed" in await bot.keeps(place.id, 2)


async def test_a_process_for_each_shard_hears_its_own_servers(tmp_path: Path) -> None:
    async with running(shards=2) as discord:
        guilds = [discord.guild(f"guild {number}", shard=(number, 2)) for number in range(2)]
        places = [guild.channel("general") for guild in guilds]
        folders = [tmp_path / str(number) for number in range(2)]
        for folder in folders:
            folder.mkdir()
        async with (
            weavebot(discord, folders[0], discord_shard_count=2, discord_shards=(0,)) as first,
            weavebot(discord, folders[1], discord_shard_count=2, discord_shards=(1,)) as second,
        ):
            for guild, place in zip(guilds, places, strict=True):
                await guild.member("Ana").says(place, f"in {guild.guild.name}")
            assert await first.keeps(places[0].id, 1) == ["in guild 0"]
            assert await second.keeps(places[1].id, 1) == ["in guild 1"]
            assert await first.kept(places[1].id) == await second.kept(places[0].id) == []
            started = discord.gateway.sessions.started
            discord.restart()

            async def again() -> int:
                return discord.gateway.sessions.started

            await eventually(again, lambda now: now == started + 2)


async def test_shards_need_to_know_of_how_many(tmp_path: Path) -> None:
    async with running() as discord:
        with pytest.raises(BadInput, match="WEAVEBOT_DISCORD_SHARD_COUNT"):
            async with weavebot(discord, tmp_path, discord_shards=(0,)):
                pass
