"""A server from the bot's arrival to its departure: the notice, what is kept for how long, erasure after a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.operations import perform
from tests.e2e.bot.adapters.discord.bots import Weavebot, weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, Limits, Permission, Person, Place, running


async def people(bot: Weavebot) -> list[str]:
    """Everybody whose name is kept, in all teams."""
    teams = await bot.app.directory.tenants()
    found = [await bot.app.directory.people(team.id) for team in teams]
    return sorted(one.name for team in found for one in team if one.name)


async def job(bot: Weavebot, name: str) -> None:
    """Runs a job now, as the operator does."""
    async for _ in perform(bot.app, "job", {"name": name}, None):
        pass


class TestArrival:
    async def test_the_notice_says_what_is_kept_and_how_long_once(
        self, discord: Discord, hives: Place, tmp_path: Path
    ) -> None:
        welcome = discord.guild("hives").channel("welcome")
        for _ in range(2):
            async with weavebot(discord, tmp_path):
                notice = await welcome.expect()
        assert len(welcome.answers) == 1
        assert "I remember what is written here" in notice.content
        assert "30 days" in notice.content
        assert "optout" in notice.content
        assert hives.answers == []

    async def test_without_the_intent_the_notice_says_that_only_what_is_said_to_it_is_kept(
        self, discord: Discord, hives: Place, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path, discord_memory="mentions"):
            notice = await discord.guild("hives").channel("welcome").expect()
        assert "I remember what is said to me here" in notice.content
        assert "`/weave`, or mention me" in notice.content
        assert "!weave" not in notice.content
        assert hives.answers == []

    async def test_coming_to_a_server_while_running_brings_its_notice(self, discord: Discord, tmp_path: Path) -> None:
        async with weavebot(discord, tmp_path) as bot:
            orchard = discord.guild("orchard", with_bot=False)
            trees = orchard.channel("trees")
            ana = orchard.member("Ana")
            await ana.says(trees, "before")
            orchard.invites_bot()
            await trees.expect()
            await ana.says(trees, "after")
            assert await bot.keeps(trees.id, 1) == ["after"]


class TestManyServers:
    async def test_notices_to_all_of_them_stay_below_what_discord_takes(self, tmp_path: Path) -> None:
        async with running(limits=Limits()) as discord:
            places = [discord.guild(f"server {number}").channel("general") for number in range(120)]
            async with weavebot(discord, tmp_path):
                for place in places:
                    await place.expect()
            assert discord.invalid_requests == 0


class TestRetention:
    async def test_messages_are_erased_after_30_days_unless_the_owner_chooses_otherwise(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        guild = discord.guild("hives")
        boss = guild.member("Boss", permissions=Permission.MANAGE_GUILD)
        now = datetime.fromtimestamp(discord.world.now(), UTC)
        async with weavebot(discord, tmp_path) as bot:
            for days in (100, 40, 1):
                old = await ana.says(hives, f"{days} days old", at=now - timedelta(days=days))
                await (await ana.menu("Remember this", old)).expect()
            await bot.keeps(hives.id, 3)
            command = {"name": "retention", "value": "60 days", "whole_server": True}
            said = await (await boss.slash("weavebot-admin settings", hives, **command)).expect()
            assert "in all rooms" in said.content
            await job(bot, "retention")
            assert sorted(await bot.kept(hives.id)) == ["1 days old", "40 days old"]
            said = await (
                await boss.slash("weavebot-admin settings", hives, **(command | {"value": "default"}))
            ).expect()
            await job(bot, "retention")
            assert await bot.kept(hives.id) == ["1 days old"]

    async def test_only_admins_change_the_whole_server(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path):
            await ana.says(hives, "!weave server retention off")
            assert "admins" in (await hives.expect()).content


class TestDeparture:
    async def test_what_a_server_left_behind_is_erased_after_a_while(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        orchard = discord.guild("orchard")
        trees = orchard.channel("trees")
        eve = orchard.member("Eve")
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            await eve.says(trees, "the apples are ripe")
            await bot.keeps(hives.id, 1)
            await bot.keeps(trees.id, 1)
            orchard.kicks_bot()
            await eventually(lambda: departed(bot), bool)
            await job(bot, "departed")
            assert await bot.kept(trees.id) == ["the apples are ripe"]
        async with weavebot(discord, tmp_path, departed=0) as bot:
            await job(bot, "departed")
            assert await bot.kept(trees.id) == []
            assert await bot.kept(hives.id) == ["the gate code is 4471"]
            assert await people(bot) == ["Ana"]

    async def test_put_out_while_away_it_is_noticed_at_the_next_start(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            await bot.keeps(hives.id, 1)
        discord.guild("hives").kicks_bot()
        async with weavebot(discord, tmp_path, departed=0) as bot:
            assert await eventually(lambda: departed(bot), bool)
            await job(bot, "departed")
            assert await bot.kept(hives.id) == []

    async def test_who_takes_the_bot_back_in_time_keeps_everything(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        guild = discord.guild("hives")
        async with weavebot(discord, tmp_path, departed=0) as bot:
            await ana.says(hives, "the gate code is 4471")
            await bot.keeps(hives.id, 1)
            guild.kicks_bot()
            await eventually(lambda: departed(bot), bool)
            discord.later(2)
            await ana.says(hives, "you were not here")
            guild.invites_bot()
            await eventually(lambda: departed(bot), lambda found: not found)
            await job(bot, "departed")
            assert await bot.kept(hives.id) == ["the gate code is 4471"]

    async def test_an_outage_of_a_server_is_no_departure(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        guild = discord.guild("hives")
        async with weavebot(discord, tmp_path) as bot:
            guild.goes_away()
            guild.comes_back()
            await ana.says(hives, "still here")
            await bot.keeps(hives.id, 1)
            assert await departed(bot) == []


async def departed(bot: Weavebot) -> list[int]:
    return await bot.app.departures.since(bot.app.clock.now() + timedelta(days=1))
