"""How replies reach Discord: once, cut to its measure, in private, and never against a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.models import Label, Place, Reply
from bot.pages import page
from memory.errors import Refused, Unavailable
from tests.e2e.bot.adapters.discord.bots import Weavebot, weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, Permission, Person
from tests.standins.discord import Place as Channel

SEND = "POST /channels/*/messages"
LABEL = Label("a1b2", 7, "chat", "p1")


def reply_in(channel: Channel, text: str, **more: object) -> Reply:
    """A reply of one plain text in a channel."""
    place = Place("discord", str(channel.id), channel.channel.name)
    return Reply(place, page(*text.split("\n")), **more)  # type: ignore[arg-type] # fields by name


class TestMeasure:
    async def test_a_long_answer_is_two_messages_and_the_whole_as_a_file(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        text = "\n".join(f"line {number} of a long answer" for number in range(400))
        async with weavebot(discord, tmp_path) as bot:
            await bot.port.send(reply_in(hives, text, label=LABEL), transaction="t1")
        first, second = hives.answers
        assert len(first.content) <= 2000
        assert len(second.content) <= 2000
        assert second.reply_to is first
        assert first.content.startswith("line 0 of")
        assert second.content.endswith("the rest stands in the file")
        assert second.files[0].data.decode().count("line ") == 400

    async def test_an_answer_of_two_messages_needs_no_file(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await bot.port.send(reply_in(hives, "\n".join(["a" * 100] * 30)), transaction="t1")
        assert [message.files for message in hives.answers] == [[], []]
        assert "".join(message.content for message in hives.answers).count("a") == 3000

    async def test_nobody_is_pinged_and_no_preview_is_shown(
        self, discord: Discord, hives: Channel, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            text = f"{ana.mention} @everyone see https://example.org/x_y"
            await bot.port.send(reply_in(hives, text), transaction="t1")
        [sent] = hives.answers
        assert sent.pinged == set()
        assert sent.flags & 4
        assert "<https://example.org/x_y>" in sent.content

    async def test_a_digest_in_a_forum_is_a_post(self, discord: Discord, tmp_path: Path) -> None:
        forum = discord.guild("hives").forum("questions")
        async with weavebot(discord, tmp_path) as bot:
            await bot.port.send(reply_in(forum, "This week\nnothing happened"), transaction="t1")
        [post] = [one for one in discord.world.channels.values() if one.parent is forum.channel]
        assert post.name == "This week"


class TestOnce:
    async def test_a_reply_whose_answer_was_lost_is_sent_once(
        self, discord: Discord, hives: Channel, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            discord.lose_reply(SEND)
            await ana.says(hives, "!weave what is the gate code?")
            await hives.expect()
            room = await bot.room(hives.id)
            assert room is not None
            known = await eventually(lambda: bot.app.outbox.newest_answer(room), bool)
            assert known == 1
            assert len(hives.answers) == 1

    async def test_sent_before_a_crash_it_is_found_again_also_after_the_nonce_has_expired(
        self, discord: Discord, hives: Channel, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            asked_by = await ana.says(hives, "hello")
            reply = reply_in(hives, "\n".join(["b" * 100] * 30), in_reply_to=f"{hives.id}-{asked_by.id}", label=LABEL)
            first = await bot.port.send(reply, transaction="t1")
            discord.later(400)
            bot.port._sender._unsure.add("t1")
            assert await bot.port.send(reply, transaction="t1") == first
        assert len(hives.answers) == 2

    async def test_the_same_reason_in_two_channels_is_two_messages(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        orders = discord.guild("hives").channel("orders")
        async with weavebot(discord, tmp_path) as bot:
            for place in (hives, orders):
                await bot.port.send(reply_in(place, f"to {place.channel.name}"), transaction="t1")
        assert [len(place.answers) for place in (hives, orders)] == [1, 1]

    async def test_what_is_said_beside_a_long_answer_is_not_taken_for_its_second_message(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            first = await bot.port.send(reply_in(hives, "\n".join(["b" * 100] * 30), label=LABEL), transaction="t1")
            discord.later(400)
            bot.port._sender._unsure.add("t2")
            await bot.port.send(reply_in(hives, "what?", in_reply_to=first, beside=True), transaction="t2")
        assert [message.content[0] for message in hives.answers] == ["b", "b", "w"]

    async def test_killed_between_its_two_messages_the_second_follows(
        self, discord: Discord, hives: Channel, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            asked_by = await ana.says(hives, "hello")
            reply = reply_in(hives, "\n".join(["b" * 100] * 30), in_reply_to=f"{hives.id}-{asked_by.id}")
            await bot.port.send(reply, transaction="t1")
            discord.deeds.delete([hives.answers[1]])
            discord.later(400)
            bot.port._sender._unsure.add("t1")
            await bot.port.send(reply, transaction="t1")
        assert len(hives.answers) == 2
        assert hives.answers[1].reply_to is hives.answers[0]

    async def test_a_post_without_a_question_is_found_by_its_words(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            first = await bot.port.send(reply_in(hives, "This week in general"), transaction="digest")
        discord.later(400)
        async with weavebot(discord, tmp_path) as bot:
            assert await bot.port.send(reply_in(hives, "This week in general"), transaction="digest") == first
        assert len(hives.answers) == 1

    async def test_an_answer_that_is_replaced_keeps_its_message_and_loses_its_second(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            first = await bot.port.send(reply_in(hives, "\n".join(["c" * 100] * 30), label=LABEL), transaction="t1")
            await bot.port.send(reply_in(hives, "taken back", label=LABEL, replaces=first), transaction="t2")
            assert [message.content for message in hives.answers] == ["taken back"]
            longer = "\n".join(["d" * 100] * 30)
            await bot.port.send(reply_in(hives, longer, label=LABEL, replaces=first), transaction="t3")
            assert [message.content[0] for message in hives.answers] == ["d", "d"]


class TestPrivately:
    async def test_what_is_for_one_person_comes_as_a_direct_message_with_its_file(
        self, discord: Discord, hives: Channel, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            await bot.keeps(hives.id, 1)
            await ana.says(hives, "!weave export")
            sent = await ana.talk.expect()
            assert sent.files[0].name == "export.jsonl"
            assert "4471" in sent.files[0].data.decode()
            assert hives.answers == []

    async def test_who_takes_no_direct_messages_is_told_what_to_do(
        self, discord: Discord, hives: Channel, ana: Person, tmp_path: Path
    ) -> None:
        ana.user.takes_direct_messages = False
        async with weavebot(discord, tmp_path):
            await ana.says(hives, "!weave know")
            assert "use the slash command instead" in (await hives.expect()).content


class TestRefusals:
    async def test_a_revoked_token_stops_everything_and_says_what_to_do(
        self, discord: Discord, hives: Channel, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            discord.world.app.token = "another"  # noqa: S105 - opens nothing
            await ana.says(hives, "!weave what?")
            with pytest.raises(Unavailable, match="Reset Token"):
                await eventually(lambda: sent(bot, reply_in(hives, "x")), lambda _: False)
            before = discord.invalid_requests
            for _ in range(50):
                with pytest.raises(Unavailable, match="Reset Token"):
                    await bot.port.send(reply_in(hives, "x"), transaction="")
            assert discord.invalid_requests == before
            discord.restart()
            await eventually(lambda: told(bot), bool)
            assert "Reset Token" in bot.told[0]

    async def test_a_channel_that_refuses_us_is_left_alone_until_permissions_change(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            hives.lets_bot(deny=Permission.SEND_MESSAGES)
            await bot.settled()
            for _ in range(20):
                with pytest.raises(Refused):
                    await bot.port.send(reply_in(hives, "x"), transaction="")
            assert discord.invalid_requests == 1
            hives.lets_bot()
            await eventually(lambda: open_again(bot, hives), bool)
            await bot.port.send(reply_in(hives, "x"), transaction="")
            assert len(hives.answers) == 1

    async def test_a_server_error_is_tried_again_later(
        self, discord: Discord, hives: Channel, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            await bot.keeps(hives.id, 1)
            discord.fail(SEND, 503, times=2)
            await ana.says(hives, "!weave what is the gate code?")
            await hives.expect()
            assert len(hives.answers) == 1

    async def test_a_429_without_via_brings_silence_for_as_long_as_it_says(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            discord.fail(SEND, 429, via=False, retry_after=30)
            with pytest.raises(Unavailable):
                await bot.port.send(reply_in(hives, "x"), transaction="")
            requests = len(discord.requests)
            for _ in range(20):
                with pytest.raises(Unavailable, match="next request"):
                    await bot.port.send(reply_in(hives, "x"), transaction="")
            assert len(discord.requests) == requests

    async def test_long_before_the_ban_nothing_more_is_sent(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            for _ in range(1_000):
                bot.port._standing.budget.note(403)
            with pytest.raises(Unavailable, match="refused too much"):
                await bot.port.send(reply_in(hives, "x"), transaction="")
            assert discord.asked(f"POST /channels/{hives.id}") == 0

    async def test_a_channel_that_is_gone_is_refused_for_good(
        self, discord: Discord, hives: Channel, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            reply = reply_in(hives, "x")
            hives.vanishes()
            with pytest.raises(Refused):
                await bot.port.send(reply, transaction="t1")


async def sent(bot: Weavebot, reply: Reply) -> str:
    return await bot.port.send(reply, transaction="")


async def told(bot: Weavebot) -> list[str]:
    return bot.told


async def open_again(bot: Weavebot, channel: Channel) -> bool:
    return not bot.port._standing.is_closed(channel.id)
