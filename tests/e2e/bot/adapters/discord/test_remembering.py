"""What is remembered of a Discord server, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.bot.adapters.discord.bots import weavebot
from tests.standins.discord import Discord, Permission, Person, Place


class TestMessages:
    async def test_what_people_write_is_kept_with_names_for_mentions(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        ben = discord.guild("hives").member("Ben")
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, f"{ben.mention} has the key, see <#{hives.id}>")
            assert await bot.keeps(hives.id, 1) == ["@Ben has the key, see #general"]
            [message] = await bot.messages(hives.id)
            assert message.external_id == f"{hives.id}-{hives.messages[0].id}"
            people = await bot.app.directory.people((await bot.app.directory.tenants())[-1].id)
            assert [(one.external_id, one.name) for one in people] == [(str(ana.id), "Ana")]

    async def test_bots_and_pictures_without_words_are_not_kept(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        other = discord.guild("hives").member("Robot")
        other.user.bot = True
        async with weavebot(discord, tmp_path) as bot:
            await other.says(hives, "beep")
            await ana.says(hives, "", files=[("hive.png", b"png")])
            await ana.says(hives, "words")
            assert await bot.keeps(hives.id, 1) == ["words"]

    async def test_an_edit_is_followed_and_a_link_preview_is_none(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            first = await ana.says(hives, "see https://example.org/a_b")
            second = await ana.says(hives, "the code is 4471")
            await bot.keeps(hives.id, 2)
            discord.unfurls(first)
            await ana.edits(second, "the code is 9876")
            await ana.says(hives, "done")
            assert await bot.keeps(hives.id, 3) == ["see https://example.org/a_b", "the code is 9876", "done"]

    async def test_deleted_messages_are_forgotten_one_by_one_and_in_bulk(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            written = [await ana.says(hives, f"message {number}") for number in range(4)]
            await bot.keeps(hives.id, 4)
            await ana.deletes(written[0])
            await ana.deletes(*written[1:3])
            assert await bot.keeps(hives.id, 1) == ["message 3"]

    async def test_a_channel_that_is_deleted_takes_its_messages_with_it(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            thread = await ana.opens_thread(hives, "plans")
            await ana.says(hives, "outside")
            await ana.says(thread, "inside")
            await bot.keeps(hives.id, 2)
            thread.vanishes()
            assert await bot.keeps(hives.id, 1) == ["outside"]
            hives.vanishes()
            assert await bot.keeps(hives.id, 0) == []


class TestPlaces:
    async def test_threads_and_forum_posts_are_conversations_in_the_room_of_their_channel(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        forum = discord.guild("hives").forum("questions")
        async with weavebot(discord, tmp_path) as bot:
            thread = await ana.opens_thread(hives, "plans")
            inside = await ana.says(thread, "the plan is to wait")
            post = await ana.posts(forum, "How to feed?", "what do you feed in autumn?")
            await ana.says(post, "sugar water")
            assert await bot.keeps(hives.id, 1) == ["the plan is to wait"]
            assert await bot.keeps(forum.id, 2) == ["How to feed?\nwhat do you feed in autumn?", "sugar water"]
            [kept] = await bot.messages(hives.id)
            assert kept.external_id == f"{thread.id}-{inside.id}"
            await ana.says(hives, "outside of it")
            await bot.keeps(hives.id, 2)
            assert (await bot.messages(hives.id))[1].session != kept.session
            assert len({message.session for message in await bot.messages(forum.id)}) == 1
            await bot.app.engine.settle()
            asked = await ana.says(thread, "!weave what is the plan?")
            answer = await thread.expect()
            assert answer.reply_to is asked
            assert f"/{thread.id}/{inside.id}" in answer.content

    async def test_a_private_thread_is_a_room_of_its_own(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        ben = discord.guild("hives").member("Ben")
        async with weavebot(discord, tmp_path) as bot:
            made = discord.deeds.open_thread(hives.channel, ana.user, "board", private=True)
            made.thread_members.add(discord.world.bot.id)
            thread = Place(discord, made)
            await ana.says(thread, "the treasurer leaves")
            assert await bot.keeps(made.id, 1) == ["the treasurer leaves"]
            assert await bot.kept(hives.id) == []
            assert await bot.port.may_read(str(made.id), str(ana.id))
            assert not await bot.port.may_read(str(made.id), str(ben.id))

    async def test_a_direct_message_is_said_to_the_bot_and_not_remembered(
        self, discord: Discord, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.dms("remember my queen is called Beatrix")
            assert "Kept" in (await ana.talk.expect()).content
            await bot.app.engine.settle()
            await ana.dms("what is my queen called?")
            assert "Beatrix" in (await ana.talk.expect(count=2)).content
            assert await bot.kept(ana.talk.id) == ["my queen is called Beatrix"]

    async def test_age_restricted_channels_are_off(self, discord: Discord, ana: Person, tmp_path: Path) -> None:
        guild = discord.guild("hives")
        night = guild.channel("night", nsfw=True)
        boss = guild.member("Boss", permissions=Permission.MANAGE_GUILD)
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(night, "unheard")
            used = await ana.slash("weave", night, question="what?")
            assert "switched off" in (await used.expect()).content
            await (await boss.slash("weavebot-admin age-restricted", night, switch="on")).expect()
            await ana.says(night, "heard")
            assert await bot.keeps(night.id, 1) == ["heard"]

    async def test_admins_choose_the_channels(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        guild = discord.guild("hives")
        random, boss = guild.channel("random"), guild.member("Boss", permissions=Permission.MANAGE_GUILD)
        async with weavebot(discord, tmp_path) as bot:
            used = await boss.slash("weavebot-admin channels", hives, channel=random, rule="never")
            assert "#random" in (await used.expect()).content
            await ana.says(random, "unheard")
            await ana.says(hives, "heard")
            await bot.keeps(hives.id, 1)
            await (await boss.slash("weavebot-admin channels", hives, channel=random, rule="only")).expect()
            await ana.says(hives, "unheard too")
            await ana.says(random, "heard now")
            assert await bot.keeps(random.id, 1) == ["heard now"]
            assert await bot.kept(hives.id) == ["heard"]
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "still unheard")
            await ana.says(random, "still heard")
            assert await bot.keeps(random.id, 2) == ["heard now", "still heard"]
            assert await bot.kept(hives.id) == ["heard"]


class TestRoles:
    @pytest.mark.parametrize(
        ("permissions", "may"),
        [(Permission.NONE, False), (Permission.MANAGE_MESSAGES, True), (Permission.MANAGE_GUILD, True)],
    )
    async def test_what_somebody_may_do_follows_from_their_permissions(
        self, discord: Discord, hives: Place, tmp_path: Path, permissions: Permission, *, may: bool
    ) -> None:
        who = discord.guild("hives").member("Somebody", permissions=permissions)
        async with weavebot(discord, tmp_path):
            await who.says(hives, "!weave settings digest off")
            answer = await hives.expect()
            assert ("digest is now" in answer.content) is may

    async def test_only_who_sees_a_channel_may_ask_it(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        board = discord.guild("hives").channel("board")
        ben = discord.guild("hives").member("Ben")
        board.closed_to(ben)
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(board, "the treasurer leaves in May")
            await bot.keeps(board.id, 1)
            await bot.app.engine.settle()
            assert not await bot.port.may_read(str(board.id), str(ben.id))
            used = await ana.slash("weave", hives, question="who leaves?", channel=board)
            mine = await used.expect()
            assert "treasurer" in mine.content
            assert mine.ephemeral
            used = await ben.slash("weave", hives, question="who leaves?", channel=board)
            assert "treasurer" not in (await used.expect()).content
