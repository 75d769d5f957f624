"""Slash commands, menus and buttons: deferred at once, answered where they were used, in private where that is due."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from routing.tables import votes as table
from tests.e2e.bot.adapters.discord.bots import Weavebot, weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, NotOffered, Permission, Person, Place


async def votes(bot: Weavebot) -> list[str]:
    async with bot.app.database.read() as conn:
        return sorted((await conn.execute(select(table.c.emoji))).scalars())


async def knowing(bot: Weavebot, hives: Place, ana: Person) -> None:
    """The bot has heard something worth asking for."""
    await ana.says(hives, "the gate code is 4471")
    await bot.keeps(hives.id, 1)
    await bot.app.engine.settle()


class TestCommands:
    async def test_a_question_is_deferred_at_once_and_answered_for_all(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            used = await ana.slash("weave", hives, question="what is the gate code?")
            first = await used.acknowledged()
            assert first.deferred
            assert (first.answered_after or 9) < 1.0
            answer = await used.expect()
            assert "4471" in answer.content
            assert not answer.ephemeral
            assert hives.answers == [answer]
            await ana.reacts(answer, "👍")
            assert await eventually(lambda: votes(bot), bool) == ["👍"]

    async def test_a_private_question_is_answered_to_the_asker_alone_who_rates_by_button(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            answer = await (await ana.slash("weave", hives, question="what is the gate code?", private=True)).expect()
            assert answer.ephemeral
            assert hives.answers == []
            await (await ana.clicks(answer, "👎")).acknowledged()
            assert await eventually(lambda: votes(bot), bool) == ["👎"]
            await (await ana.clicks(answer, "👍")).acknowledged()
            await eventually(lambda: votes(bot), lambda found: found == ["👍", "👎"])
            await (await ana.clicks(answer, "👎")).acknowledged()
            assert await eventually(lambda: votes(bot), lambda found: len(found) == 1) == ["👍"]

    async def test_a_command_of_the_table_is_a_part_of_weavebot(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            public = await (await ana.slash("weavebot stats", hives)).expect()
            assert not public.ephemeral
            for command, options, words in (
                ("know", {}, "messages"),
                ("forget", {"what": "last"}, "Forgotten everywhere"),
                ("optout", {}, "nothing that you write"),
                ("help", {"command": "forget"}, "forget"),
            ):
                said = await (await ana.slash(f"weavebot {command}", hives, **options)).expect()
                assert words in said.content
                assert said.ephemeral
            assert await bot.kept(hives.id) == []

    async def test_an_export_is_a_file_that_one_person_sees(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            said = await (await ana.slash("weavebot export", hives)).expect()
            assert said.ephemeral
            assert "4471" in said.files[0].data.decode()

    async def test_what_turns_out_to_be_private_is_not_shown_to_all(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        board = discord.guild("hives").channel("board")
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(board, "the treasurer leaves in May")
            await bot.keeps(board.id, 1)
            await bot.app.engine.settle()
            used = await ana.slash("weave", hives, question=f"who leaves? in:{board.id}")
            answer = await used.expect(lambda message: "treasurer" in message.content)
            assert answer.ephemeral
            assert all("treasurer" not in message.content for message in hives.answers)

    async def test_in_a_direct_conversation_one_asks_too(self, discord: Discord, ana: Person, tmp_path: Path) -> None:
        async with weavebot(discord, tmp_path):
            said = await (await ana.slash("weavebot remember", ana.talk, text="my queen is Beatrix")).expect()
            assert "Kept" in said.content

    async def test_commands_are_registered_once_and_not_at_every_start(self, discord: Discord, tmp_path: Path) -> None:
        for _ in range(2):
            async with weavebot(discord, tmp_path):
                pass
        assert discord.asked("PUT /applications") == 1
        assert {one["name"] for one in discord.commands} == {
            "weave",
            "weavebot",
            "weavebot-admin",
            "Remember this",
            "Why this answer?",
        }


class TestDeadlines:
    async def test_an_answer_that_takes_long_still_comes(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            discord.delay("PATCH /webhooks/*", 0.5)
            used = await ana.slash("weave", hives, question="what is the gate code?")
            await used.acknowledged()
            discord.later(10 * 60)
            assert "4471" in (await used.expect()).content

    async def test_after_a_restart_the_answer_goes_where_it_was_asked(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            discord.fail("PATCH /webhooks/*", 503, times=50)
            used = await ana.slash("weave", hives, question="what is the gate code?", private=True)
            await used.acknowledged()
            await eventually(lambda: tried(discord), bool)
        discord.faults.rules.clear()
        async with weavebot(discord, tmp_path) as bot:
            answer = await used.expect()
            assert "4471" in answer.content
            assert answer.ephemeral

    async def test_when_the_conversation_is_over_a_public_answer_comes_to_the_channel(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            discord.delay("PATCH /webhooks/*", 0.3)
            used = await ana.slash("weave", hives, question="what is the gate code?")
            await used.acknowledged()
            discord.later(16 * 60)
            answer = await hives.expect(lambda message: "4471" in message.content)
            assert answer.interaction is None

    async def test_when_the_conversation_is_over_a_private_answer_comes_to_the_asker_alone(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            discord.delay("PATCH /webhooks/*", 0.3)
            used = await ana.slash("weave", hives, question="what is the gate code?", private=True)
            await used.acknowledged()
            discord.later(16 * 60)
            await ana.talk.expect(lambda message: "4471" in message.content)
            assert hives.answers == []


class TestCompletion:
    async def test_earlier_questions_of_ones_own_are_offered(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        ben = discord.guild("hives").member("Ben")
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            await (await ana.slash("weave", hives, question="what is the gate code?")).expect()
            offered = await ana.completes("weave", hives, "question", "GATE")
            assert offered == [{"name": "what is the gate code?", "value": "what is the gate code?"}]
            assert await ben.completes("weave", hives, "question", "gate") == []
            offered = await ana.completes("weavebot why", hives, "answer", "")
            assert offered == [{"name": "#1 what is the gate code?", "value": "1"}]
            assert [one["value"] for one in await ana.completes("weavebot forget", hives, "what", "")] == ["last", "me"]


class TestMenus:
    @pytest.mark.parametrize("memory", ["full", "mentions"])
    async def test_a_message_is_remembered_on_request(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path, memory: str
    ) -> None:
        ben = discord.guild("hives").member("Ben")
        message = await ben.says(hives, "the gate code is 4471")
        async with weavebot(discord, tmp_path, discord_memory=memory) as bot:
            said = await (await ana.menu("Remember this", message)).expect()
            assert (said.content, said.ephemeral) == ("I remember it.", True)
            [kept] = await bot.messages(hives.id)
            people = await bot.app.directory.people(1 if memory == "" else 2)
            author = next(person for person in people if person.id == kept.author)
            assert (kept.text, author.name) == ("the gate code is 4471", "Ben")

    async def test_who_opted_out_is_not_remembered_by_others_either(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        ben = discord.guild("hives").member("Ben")
        async with weavebot(discord, tmp_path) as bot:
            await (await ben.slash("weavebot optout", hives)).expect()
            message = await ben.says(hives, "my secret")
            said = await (await ana.menu("Remember this", message)).expect()
            assert "asked me not to" in said.content
            assert await bot.kept(hives.id) == []

    async def test_an_answer_is_explained_by_menu_and_by_button_also_after_a_restart(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await knowing(bot, hives, ana)
            await ana.says(hives, "!weave what is the gate code?")
            answer = await hives.expect()
        async with weavebot(discord, tmp_path):
            by_menu = await (await ana.menu("Why this answer?", answer)).expect()
            by_button = await (await ana.clicks(answer, "Why?")).expect()
            assert by_menu.content == by_button.content
            assert "what is the gate code?" in by_menu.content
            assert by_menu.ephemeral
            assert by_button.ephemeral
            other = await (await ana.menu("Why this answer?", hives.messages[0])).expect()
            assert "shows no answer of mine" in other.content


class TestAdmins:
    async def test_only_those_who_may_manage_the_server_are_offered_the_admin_commands(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        boss = discord.guild("hives").member("Boss", permissions=Permission.MANAGE_GUILD)
        async with weavebot(discord, tmp_path):
            with pytest.raises(NotOffered):
                await ana.slash("weavebot-admin settings", hives)
            said = await (await boss.slash("weavebot-admin settings", hives, name="digest", value="off")).expect()
            assert "digest is now **off**" in said.content
            assert said.ephemeral
            health = await (await boss.slash("weavebot-admin health", hives)).expect()
            assert "connected" in health.content
            assert "all permissions that I need" in health.content


async def tried(discord: Discord) -> int:
    return discord.asked("PATCH /webhooks")
