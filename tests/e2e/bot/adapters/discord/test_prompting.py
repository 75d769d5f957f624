"""Asked for votes on Discord: two buttons for everybody, a press is a vote of whoever pressed; the mark on a star."""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import select

from memory.tables import people
from routing.tables import decisions
from routing.tables import votes as table
from tests.e2e.bot.adapters.discord.bots import Weavebot, weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, Message, Permission, Person, Place
from tests.standins.discord.state import Emoji


async def votes(bot: Weavebot, *wanted: tuple[str, str]) -> None:
    """Returns when these votes stand, as (person, emoji), and no others."""

    async def look() -> list[tuple[str, str]]:
        query = select(people.c.name, table.c.emoji).join(people, people.c.id == table.c.person_id)
        async with bot.app.database.read() as conn:
            return sorted((row[0], row[1]) for row in await conn.execute(query))

    await eventually(look, lambda found: found == sorted(wanted))


async def asked(bot: Weavebot, hives: Place, ana: Person) -> Message:
    """An answer in the channel."""
    await ana.says(hives, "the gate code is 4471")
    await bot.keeps(hives.id, 1)
    await bot.app.engine.settle()
    await ana.says(hives, "!weave what is the gate code?")
    return await hives.expect()


def buttons(message: Message) -> list[str]:
    parts = [part for row in message.components for part in row.get("components", [])]
    return [part.get("label") or part["emoji"]["name"] for part in parts]


async def test_a_press_is_a_vote_of_whoever_pressed_and_is_taken_back_by_the_same(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    ben = discord.guild("hives").member("Ben")
    async with weavebot(discord, tmp_path, solicit=1.0) as bot:
        answer = await asked(bot, hives, ana)
        assert "Did this answer it?" in answer.content
        assert buttons(answer) == ["Why?", "👍", "👎"]
        thanks = await (await ana.clicks(answer, "👍")).expect()
        assert thanks.ephemeral
        assert "counts" in thanks.content
        await (await ben.clicks(answer, "👎")).expect()
        await votes(bot, ("Ana", "👍"), ("Ben", "👎"))
        async with bot.app.database.read() as conn:
            assert (await conn.execute(select(decisions.c.solicited))).scalars().all() == [True]
        assert buttons(answer) == ["Why?", "👍", "👎"]  # as it was, for everybody
        await (await ana.clicks(thanks, "Take it back")).acknowledged()
        await votes(bot, ("Ben", "👎"))


async def test_pressed_again_it_is_one_vote_and_the_last_press_counts(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    async with weavebot(discord, tmp_path, solicit=1.0) as bot:
        answer = await asked(bot, hives, ana)
        for emoji in ("👍", "👍", "👎"):
            await (await ana.clicks(answer, emoji)).expect()
        await votes(bot, ("Ana", "👍"), ("Ana", "👎"))
        room = await bot.room(hives.id)
        assert room is not None
        [reward] = (await bot.app.learner.rewards(room.tenant)).values()
        assert reward.y < 0.5


async def test_an_answer_that_does_not_ask_has_no_buttons_for_votes(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    async with weavebot(discord, tmp_path, solicit=0.0) as bot:
        answer = await asked(bot, hives, ana)
        assert buttons(answer) == ["Why?"]
        assert "Did this answer it?" not in answer.content


async def test_a_star_is_marked_where_the_bot_may_react(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    async with weavebot(discord, tmp_path, solicit=0.0) as bot:
        answer = await asked(bot, hives, ana)
        await ana.reacts(answer, "⭐")

        async def marks() -> bool:
            return Emoji("📌") in answer.reactions

        assert await eventually(marks, bool)
        await votes(bot, ("Ana", "⭐"))


async def test_where_it_may_not_it_says_nothing_and_goes_on(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    ben = discord.guild("hives").member("Ben")
    async with weavebot(discord, tmp_path, solicit=0.0) as bot:
        answer = await asked(bot, hives, ana)
        hives.lets_bot(deny=Permission.ADD_REACTIONS)
        with structlog.testing.capture_logs() as logged:
            for person in (ana, ben):
                await person.reacts(answer, "⭐")
            await votes(bot, ("Ana", "⭐"), ("Ben", "⭐"))
            await ana.says(hives, "!weave why")
            await hives.expect(lambda message: "I took the route" in message.content)
        assert [one["event"] for one in logged].count("mark.refused") == 1
        assert Emoji("📌") not in answer.reactions


async def test_a_press_outlives_that_others_take_their_reactions_back(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    ben = discord.guild("hives").member("Ben")
    async with weavebot(discord, tmp_path, solicit=1.0) as bot:
        answer = await asked(bot, hives, ana)
        await (await ana.clicks(answer, "👍")).expect()
        await ben.reacts(answer, "👎")
        await votes(bot, ("Ana", "👍"), ("Ben", "👎"))
        await ben.unreacts(answer, "👎")
        await votes(bot, ("Ana", "👍"))
    async with weavebot(discord, tmp_path, solicit=1.0) as bot:  # reads what stands on its answers again
        await ben.reacts(answer, "⭐")
        await votes(bot, ("Ana", "👍"), ("Ben", "⭐"))


async def test_pressed_twice_it_is_taken_back_once(discord: Discord, hives: Place, ana: Person, tmp_path: Path) -> None:
    async with weavebot(discord, tmp_path, solicit=1.0) as bot:
        answer = await asked(bot, hives, ana)
        thanks = [await (await ana.clicks(answer, "👍")).expect() for _ in range(2)]
        await votes(bot, ("Ana", "👍"))
        await (await ana.clicks(thanks[0], "Take it back")).acknowledged()
        await votes(bot)
        await (await ana.clicks(answer, "👍")).expect()
        await votes(bot, ("Ana", "👍"))


async def test_a_press_and_a_reaction_of_one_person_are_one_vote(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    async with weavebot(discord, tmp_path, solicit=1.0) as bot:
        answer = await asked(bot, hives, ana)
        thanks = await (await ana.clicks(answer, "👍")).expect()
        await votes(bot, ("Ana", "👍"))
        await ana.reacts(answer, "👍")
        await ana.reacts(answer, "🤔")
        await votes(bot, ("Ana", "👍"), ("Ana", "🤔"))
        await (await ana.clicks(thanks, "Take it back")).acknowledged()
        await ana.unreacts(answer, "🤔")
        await votes(bot, ("Ana", "👍"))
        await ana.unreacts(answer, "👍")
        await votes(bot)


WRONG = "what did you expect?"


async def test_an_answer_that_changes_leaves_what_was_asked_about_it(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    async with weavebot(discord, tmp_path, solicit=0.0) as bot:
        answer = await asked(bot, hives, ana)
        await ana.reacts(answer, "👎")
        prompt = await hives.expect(lambda message: WRONG in message.content)
        assert answer.reply_to is not None
        before = answer.content
        await ana.edits(answer.reply_to, "!weave what is the code of the gate?")

        async def content() -> str:
            return answer.content

        await eventually(content, lambda text: text != before)
        assert prompt in hives.answers
        assert WRONG in prompt.content
