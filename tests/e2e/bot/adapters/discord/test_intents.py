"""With the message content intent and without it; and what is said when the portal and the settings disagree."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.bot.adapters.discord.bots import weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, Person, Place


class TestMentionsOnly:
    async def test_only_what_is_said_to_the_bot_is_heard(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        discord.world.app.privileged.clear()
        async with weavebot(discord, tmp_path, discord_memory="mentions") as bot:
            secret = await ana.says(hives, "the gate code is 4471")
            await ana.edits(secret, "the gate code is 9876")
            await ana.says(hives, f"{discord.bot_mention} remember the ladder is in the shed")
            assert "Kept" in (await hives.expect()).content
            await bot.app.engine.settle()
            assert await bot.kept(hives.id) == ["the ladder is in the shed"]
            await ana.says(hives, f"{discord.bot_mention} where is the ladder?")
            answer = await hives.expect(count=2)
            assert "shed" in answer.content
            used = await ana.slash("weave", hives, question="where is the ladder?")
            assert "shed" in (await used.expect()).content

    async def test_an_update_that_is_blank_for_want_of_the_intent_erases_nothing(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        discord.world.app.privileged.clear()
        async with weavebot(discord, tmp_path, discord_memory="mentions") as bot:
            message = await ana.says(hives, "the gate code is 4471")
            await (await ana.menu("Remember this", message)).expect()
            await ana.edits(message, "the gate code is 9876")
            discord.unfurls(message)
            await ana.says(hives, f"{discord.bot_mention} help")
            await hives.expect()
            assert await bot.kept(hives.id) == ["the gate code is 4471"]

    async def test_what_was_missed_is_made_up_for_as_far_as_it_may_be_read(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        discord.world.app.privileged.clear()
        async with weavebot(discord, tmp_path, discord_memory="mentions"):
            pass
        await ana.says(hives, "unread")
        await ana.says(hives, f"{discord.bot_mention} remember the ladder is in the shed")
        async with weavebot(discord, tmp_path, discord_memory="mentions") as bot:
            await hives.expect()
            assert await bot.kept(hives.id) == ["the ladder is in the shed"]


class TestFullMemory:
    async def test_a_mention_asks_like_the_prefix(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            await bot.keeps(hives.id, 1)
            await bot.app.engine.settle()
            asked = await ana.says(hives, f"{discord.bot_mention} what is the gate code?")
            assert "4471" in (await hives.expect()).content
            assert await bot.kept(hives.id) == ["the gate code is 4471"]
            await ana.edits(asked, f"{discord.bot_mention} help")
            await hives.expect(lambda message: "remember" in message.content and message.edited_at is not None)


class TestDisagreement:
    async def test_an_intent_that_is_not_switched_on_names_the_switch(self, discord: Discord, tmp_path: Path) -> None:
        discord.world.app.privileged.clear()
        async with weavebot(discord, tmp_path, wait=False) as bot:

            async def told() -> list[str]:
                return bot.told

            [sentence] = await eventually(told, bool)
            assert "Message Content Intent" in sentence
            assert "WEAVEBOT_DISCORD_MEMORY=mentions" in sentence
            assert discord.gateway.sessions.started == 0

    async def test_a_wrong_token_says_where_to_get_another(self, discord: Discord, tmp_path: Path) -> None:
        async with weavebot(discord, tmp_path, wait=False, token="wrong") as bot:  # noqa: S106 - it opens nothing

            async def told() -> list[str]:
                return bot.told

            [sentence] = await eventually(told, bool)
            assert "Reset Token" in sentence
            assert discord.invalid_requests == 1
            assert bot.port.team is None

    async def test_while_discord_is_away_at_the_start_it_is_tried_again(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        discord.fail("GET /users/@me", 503, times=2)
        discord.fail("GET /gateway/bot", 503, times=2)
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "here we are")
            await bot.keeps(hives.id, 1)
