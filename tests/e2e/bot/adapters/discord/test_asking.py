"""Asking and answering on Discord."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.bot.adapters.discord.bots import weavebot
from tests.standins.discord import Discord, Person, Place


class TestAsking:
    async def test_a_question_is_answered_with_links_to_the_messages(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            told = await ana.says(hives, "the gate code is 4471")
            await bot.keeps(hives.id, 1)
            await bot.app.engine.settle()
            asked = await ana.says(hives, "!weave what is the gate code?")
            answer = await hives.expect()
            assert answer.reply_to is asked
            assert "4471" in answer.content
            guild = discord.guild("hives").id
            assert f"](<https://discord.com/channels/{guild}/{hives.id}/{told.id}>)" in answer.content
            assert "\n-# #1 " in answer.content
            assert answer.pinged == set()
