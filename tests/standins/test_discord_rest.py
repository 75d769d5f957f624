"""The stand-in's REST side: it takes what Discord takes, and refuses what Discord refuses."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import discord as library
import pytest

from tests.standins.bots import Bot, Bots
from tests.standins.discord import EVERYONE, Discord, Permission, Person, Place
from tests.standins.discord.snowflakes import Snowflakes, timestamp_of


@pytest.fixture
def place(discord: Discord) -> Place:
    return discord.guild("hives").channel("general")


@pytest.fixture
def ana(discord: Discord) -> Person:
    return discord.guild("hives").member("Ana")


class TestMessages:
    async def test_2000_characters_are_taken_and_2001_are_not(self, bot: Bot, place: Place) -> None:
        await bot.place(place.id).send("x" * 2000)
        with pytest.raises(library.HTTPException) as refused:
            await bot.place(place.id).send("x" * 2001)
        assert (refused.value.status, refused.value.code) == (400, 50035)
        assert len(place.answers) == 1

    async def test_an_empty_message_is_refused(self, bot: Bot, place: Place) -> None:
        with pytest.raises(library.HTTPException) as refused:
            await bot.place(place.id).send("")
        assert refused.value.code == 50006

    async def test_a_nonce_is_one_message_for_some_minutes(self, bot: Bot, discord: Discord, place: Place) -> None:
        channel = bot.place(place.id)
        first = await channel.send("once", nonce="a-nonce")
        assert (await channel.send("once", nonce="a-nonce")).id == first.id
        assert len(place.answers) == 1
        discord.later(301)
        assert (await channel.send("once", nonce="a-nonce")).id != first.id
        with pytest.raises(library.HTTPException) as refused:
            await channel.send("long", nonce="n" * 26)
        assert refused.value.code == 50035

    async def test_a_reply_to_what_is_gone_is_refused_unless_that_is_allowed(
        self, bot: Bot, place: Place, ana: Person
    ) -> None:
        message = await ana.says(place, "gone soon")
        heard = await bot.hears("message")
        await ana.deletes(message)
        with pytest.raises(library.HTTPException) as refused:
            await heard.reply("late")
        assert refused.value.code == 50035
        reference = heard.to_reference(fail_if_not_exists=False)
        assert (await bot.place(place.id).send("late", reference=reference)).reference is None

    async def test_who_is_pinged_follows_allowed_mentions(self, bot: Bot, place: Place, ana: Person) -> None:
        everybody = library.AllowedMentions.all()
        nobody = library.AllowedMentions.none()
        for allowed in (everybody, nobody):
            await bot.place(place.id).send(f"{ana.mention} and @everyone", allowed_mentions=allowed)
        loud, quiet = place.answers
        assert loud.pinged == {ana.id}  # everyone only where that is permitted
        assert quiet.pinged == set()

    async def test_an_edit_is_told_and_only_ones_own_can_be_edited(self, bot: Bot, place: Place, ana: Person) -> None:
        mine = await bot.place(place.id).send("first")
        await mine.edit(content="second")
        assert (place.answers[0].content, place.answers[0].edited_at is None) == ("second", False)
        theirs = await ana.says(place, "hers")
        with pytest.raises(library.Forbidden) as refused:
            await bot.place(place.id).get_partial_message(theirs.id).edit(content="mine")
        assert refused.value.code == 50005

    async def test_deleting_what_is_gone_is_an_unknown_message(self, bot: Bot, place: Place) -> None:
        mine = await bot.place(place.id).send("soon gone")
        await mine.delete()
        with pytest.raises(library.NotFound) as refused:
            await mine.delete()
        assert refused.value.code == 10008

    async def test_bulk_deletion_takes_2_to_100_young_messages(
        self, bot: Bot, discord: Discord, place: Place, ana: Person
    ) -> None:
        discord.guild("hives").bot_may(EVERYONE | Permission.MANAGE_MESSAGES)
        old = await ana.says(place, "old", at=datetime.fromtimestamp(discord.world.now(), UTC) - timedelta(days=15))
        young = [await ana.says(place, str(number)) for number in range(2)]
        with pytest.raises(library.HTTPException) as refused:
            await bot.http.delete_messages(place.id, [old.id, young[0].id])
        assert refused.value.code == 50034
        with pytest.raises(library.HTTPException) as refused:
            await bot.http.delete_messages(place.id, [young[0].id])
        assert refused.value.code == 50016
        await bot.http.delete_messages(place.id, [message.id for message in young])
        assert place.messages == [old]

    async def test_files_go_out_and_come_back(self, bot: Bot, place: Place) -> None:
        sent = await bot.place(place.id).send("see file", file=library.File(io.BytesIO(b"lines"), "rest.md"))
        assert place.answers[0].files[0].name == "rest.md"
        assert sent.attachments[0].size == 5
        assert await sent.attachments[0].read() == b"lines"

    async def test_a_file_that_is_too_large_is_refused(self, bot: Bot, place: Place) -> None:
        with pytest.raises(library.HTTPException) as refused:
            await bot.place(place.id).send(file=library.File(io.BytesIO(b"x" * (10 * 1024 * 1024 + 1)), "big"))
        assert (refused.value.status, refused.value.code) == (413, 40005)

    async def test_links_can_be_sent_without_embeds(self, bot: Bot, place: Place) -> None:
        sent = await bot.place(place.id).send("https://example.org", suppress_embeds=True)
        assert sent.flags.suppress_embeds


class TestHistory:
    async def test_pages_go_backwards_and_forwards(self, bot: Bot, place: Place, ana: Person) -> None:
        written = [await ana.says(place, str(number)) for number in range(250)]
        channel = bot.place(place.id)
        forwards = [m.content async for m in channel.history(limit=None, after=library.Object(written[99].id))]
        assert forwards == [str(number) for number in range(100, 250)]
        backwards = [m.content async for m in channel.history(limit=120, before=library.Object(written[200].id))]
        assert backwards == [str(number) for number in range(199, 79, -1)]

    async def test_messages_of_another_time_stand_at_their_place(self, bot: Bot, place: Place, ana: Person) -> None:
        await ana.says(place, "now")
        moment = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
        await ana.says(place, "then", at=moment)
        read = [message async for message in bot.place(place.id).history(oldest_first=True)]
        assert [message.content for message in read] == ["then", "now"]
        assert read[0].created_at == moment

    async def test_history_obeys_the_content_intent_of_the_portal(
        self, discord: Discord, bots: Bots, place: Place, ana: Person
    ) -> None:
        discord.world.app.privileged.discard("message_content")
        bot = await bots.start(library.Intents.default())
        await ana.says(place, "hidden")
        await ana.says(place, f"{discord.bot_mention} shown")
        read = [message.content async for message in bot.place(place.id).history(oldest_first=True)]
        assert read == ["", f"{discord.bot_mention} shown"]

    async def test_without_the_history_permission_there_is_nothing_to_read(
        self, bot: Bot, place: Place, ana: Person
    ) -> None:
        await ana.says(place, "hello")
        place.lets_bot(deny=Permission.READ_MESSAGE_HISTORY)
        assert [message async for message in bot.place(place.id).history()] == []


class TestAccess:
    async def test_a_channel_that_does_not_exist_is_unknown(self, bot: Bot) -> None:
        with pytest.raises(library.NotFound) as refused:
            await bot.place(42).send("hello")
        assert refused.value.code == 10003

    async def test_a_hidden_channel_is_missing_access(self, bot: Bot, place: Place) -> None:
        place.hides_from_bot()
        with pytest.raises(library.Forbidden) as refused:
            await bot.place(place.id).send("hello")
        assert refused.value.code == 50001

    @pytest.mark.parametrize(
        ("denied", "deed"),
        [(Permission.SEND_MESSAGES, "send"), (Permission.ATTACH_FILES, "attach"), (Permission.ADD_REACTIONS, "react")],
    )
    async def test_what_is_denied_is_missing_permissions(
        self, bot: Bot, place: Place, ana: Person, denied: Permission, deed: str
    ) -> None:
        message = await ana.says(place, "hello")
        place.lets_bot(deny=denied)
        channel = bot.place(place.id)
        deeds: dict[str, Callable[[], Awaitable[object]]] = {
            "send": lambda: channel.send("hello"),
            "attach": lambda: channel.send(file=library.File(io.BytesIO(b"x"), "x")),
            "react": lambda: channel.get_partial_message(message.id).add_reaction("👍"),
        }
        with pytest.raises(library.Forbidden) as refused:
            await deeds[deed]()
        assert refused.value.code == 50013

    async def test_roles_and_overwrites_combine_as_discord_says(self, discord: Discord, place: Place) -> None:
        guild = discord.guild("hives")
        keepers = guild.role("keepers", Permission.MANAGE_MESSAGES)
        ben = guild.member("Ben", roles=[keepers])
        admin = guild.member("Cleo", permissions=Permission.ADMINISTRATOR)
        for person in (ben, admin):
            place.closed_to(person)
        granted = {person.user.name: discord.world.permissions(person.user, place.channel) for person in (ben, admin)}
        assert not granted["Ben"] & Permission.VIEW_CHANNEL
        assert granted["Ben"] & Permission.MANAGE_MESSAGES
        assert granted["Cleo"] & Permission.VIEW_CHANNEL

    async def test_a_person_who_takes_no_direct_messages_is_left_alone(self, bot: Bot, ana: Person) -> None:
        ana.user.takes_direct_messages = False
        with pytest.raises(library.Forbidden) as refused:
            await bot.http.start_private_message(ana.id)
        assert refused.value.code == 50007

    async def test_a_server_that_was_left_is_missing_access(self, bot: Bot, discord: Discord) -> None:
        guild = discord.guild("hives")
        guild.kicks_bot()
        with pytest.raises(library.Forbidden) as refused:
            await bot.fetch_guild(guild.id)
        assert refused.value.code == 50001


class TestReactions:
    async def test_users_of_a_reaction_are_read_page_by_page(self, bot: Bot, discord: Discord, place: Place) -> None:
        guild = discord.guild("hives")
        message = await guild.member("Ana").says(place, "hello")
        people = [guild.member(f"person {number}") for number in range(120)]
        for person in people:
            await person.reacts(message, "👍")
        await people[0].reacts(message, "👍", burst=True)
        read = await bot.place(place.id).fetch_message(message.id)
        assert read.reactions[0].count == 121
        assert read.reactions[0].normal_count == 120
        assert {user.id async for user in read.reactions[0].users()} == {person.id for person in people}
        burst = [user.id async for user in read.reactions[0].users(type=library.ReactionType.burst)]
        assert burst == [people[0].id]

    async def test_what_is_no_emoji_is_unknown(self, bot: Bot, place: Place, ana: Person) -> None:
        message = await ana.says(place, "hello")
        with pytest.raises(library.HTTPException) as refused:
            await bot.place(place.id).get_partial_message(message.id).add_reaction("thumb")
        assert refused.value.code == 10014

    async def test_the_bot_reacts_and_takes_it_back(self, bot: Bot, place: Place, ana: Person) -> None:
        message = await ana.says(place, "hello")
        partial = bot.place(place.id).get_partial_message(message.id)
        await partial.add_reaction("👀")
        assert list(message.reactions) != []
        assert bot.user is not None
        await partial.remove_reaction("👀", bot.user)
        assert message.reactions == {}


class TestThreads:
    async def test_a_thread_on_a_message_has_its_id_and_comes_once(
        self, bots: Bots, discord: Discord, place: Place, ana: Person
    ) -> None:
        message = await ana.says(place, "a long story")
        bot = await bots.start()
        channel = bot.get_channel(place.id)
        assert isinstance(channel, library.TextChannel)
        heard = await channel.fetch_message(message.id)
        thread = await heard.create_thread(name="the rest")
        assert (thread.id, thread.parent_id) == (message.id, place.id)
        with pytest.raises(library.HTTPException) as refused:
            await heard.create_thread(name="again")
        assert refused.value.code == 160004
        assert discord.asked("POST /channels") == 2

    async def test_the_bot_opens_a_thread_and_a_forum_post(self, bots: Bots, discord: Discord, place: Place) -> None:
        forum = discord.guild("hives").forum("questions")
        bot = await bots.start()
        channel, board = bot.get_channel(place.id), bot.get_channel(forum.id)
        assert isinstance(channel, library.TextChannel)
        assert isinstance(board, library.ForumChannel)
        thread = await channel.create_thread(name="apart", type=library.ChannelType.public_thread)
        await thread.send("inside")
        post = await board.create_thread(name="The week", content="what happened")
        assert post.message.id == post.thread.id
        assert discord.world.channels[thread.id].parent is place.channel

    async def test_writing_in_an_archived_thread_takes_it_out_again(
        self, bot: Bot, discord: Discord, place: Place, ana: Person
    ) -> None:
        thread = await ana.opens_thread(place, "old")
        thread.archives()
        await bot.place(thread.id).send("one more")
        assert not thread.channel.archived
        guild = await bot.fetch_guild(discord.guild("hives").id)
        assert [one.id for one in await guild.active_threads()] == [thread.id]

    async def test_archived_threads_are_listed(self, bots: Bots, place: Place, ana: Person) -> None:
        thread = await ana.opens_thread(place, "old")
        thread.archives()
        bot = await bots.start()
        channel = bot.get_channel(place.id)
        assert isinstance(channel, library.TextChannel)
        assert [one.id async for one in channel.archived_threads()] == [thread.id]


class TestDirectMessages:
    async def test_the_bot_opens_a_conversation_and_writes(self, bot: Bot, ana: Person) -> None:
        user = await bot.fetch_user(ana.id)
        await user.send("psst")
        assert (await ana.talk.expect()).content == "psst"


class TestIds:
    def test_an_id_tells_its_time_and_later_ids_are_greater(self) -> None:
        ids = Snowflakes()
        moment = 1_700_000_000.123
        made = [ids.make(moment) for _ in range(5000)]
        assert made == sorted(set(made))
        assert timestamp_of(made[0]) == pytest.approx(moment, abs=0.001)
