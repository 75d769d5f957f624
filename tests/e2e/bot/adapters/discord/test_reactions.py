"""Votes by reactions on Discord: raw events alone, uncached messages, super reactions, what was missed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from bot.tables import send_outbox
from routing.tables import votes as table
from tests.e2e.bot.adapters.discord.bots import Weavebot, weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, Message, Person, Place
from tests.standins.discord.state import Emoji


async def votes(bot: Weavebot, wanted: int | list[str]) -> list[str]:
    """The emoji of the votes that stand, as soon as there are so many, or just these."""

    async def look() -> list[str]:
        async with bot.app.database.read() as conn:
            return sorted((await conn.execute(select(table.c.emoji))).scalars())

    return await eventually(look, lambda found: wanted in (len(found), found))


@pytest.fixture
async def bot(discord: Discord, tmp_path: Path) -> AsyncIterator[Weavebot]:
    async with weavebot(discord, tmp_path) as running:
        yield running


@pytest.fixture
async def answer(bot: Weavebot, hives: Place, ana: Person) -> Message:
    """An answer in the channel."""
    await ana.says(hives, "the gate code is 4471")
    await bot.keeps(hives.id, 1)
    await ana.says(hives, "!weave what is the gate code?")
    return await hives.expect()


class TestReactions:
    async def test_a_reaction_is_a_vote_and_can_be_taken_back_and_put_again(
        self, bot: Weavebot, answer: Message, ana: Person
    ) -> None:
        for _ in range(2):
            await ana.reacts(answer, "👍")
            assert await votes(bot, 1) == ["👍"]
            await ana.unreacts(answer, "👍")
            await votes(bot, 0)

    async def test_a_super_reaction_and_a_normal_one_are_one_vote(
        self, bot: Weavebot, answer: Message, discord: Discord, ana: Person
    ) -> None:
        ben = discord.guild("hives").member("Ben")
        await ana.reacts(answer, "👍")
        await ana.reacts(answer, "👍", burst=True)
        await ben.reacts(answer, "👎")
        assert await votes(bot, 2) == ["👍", "👎"]
        await ana.unreacts(answer, "👍")
        await ben.unreacts(answer, "👎")
        assert await votes(bot, 1) == ["👍"]
        await ana.unreacts(answer, "👍", burst=True)
        await votes(bot, 0)

    async def test_what_a_moderator_clears_is_taken_back(
        self, bot: Weavebot, answer: Message, discord: Discord, ana: Person
    ) -> None:
        ben = discord.guild("hives").member("Ben")
        await ana.reacts(answer, "👍")
        await ben.reacts(answer, "👎")
        await votes(bot, 2)
        await ana.clears(answer, "👎")
        assert await votes(bot, 1) == ["👍"]
        await ana.clears(answer)
        await votes(bot, 0)

    async def test_the_bots_own_reactions_are_no_votes(
        self, bot: Weavebot, answer: Message, discord: Discord, ana: Person
    ) -> None:
        discord.deeds.react(answer, discord.world.bot, Emoji("👎"))
        await ana.reacts(answer, "👍")
        assert await votes(bot, 1) == ["👍"]

    async def test_a_reaction_on_an_answer_that_only_the_message_knows_of_counts(
        self, bot: Weavebot, answer: Message, ana: Person
    ) -> None:
        async with bot.app.database.write() as conn:
            await conn.execute(delete(send_outbox))
        await ana.reacts(answer, "⭐")
        assert await votes(bot, 1) == ["⭐"]


class TestMissed:
    async def test_reactions_put_and_taken_back_while_away_are_put_right(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        ben = discord.guild("hives").member("Ben")
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            await bot.keeps(hives.id, 1)
            await ana.says(hives, "!weave what is the gate code?")
            answer = await hives.expect()
            await ana.reacts(answer, "👍")
            assert await votes(bot, 1) == ["👍"]
        await ana.unreacts(answer, "👍")
        await ben.reacts(answer, "👎")
        await ana.reacts(answer, "⭐", burst=True)
        async with weavebot(discord, tmp_path) as bot:
            assert await votes(bot, ["⭐", "👎"]) == ["⭐", "👎"]

    async def test_a_lost_session_is_put_right_without_a_restart(
        self, bot: Weavebot, answer: Message, discord: Discord, ana: Person
    ) -> None:
        await ana.reacts(answer, "👍")
        await votes(bot, 1)
        with discord.offline():
            await ana.unreacts(answer, "👍")
            await ana.reacts(answer, "👎")
        assert await votes(bot, ["👎"]) == ["👎"]
