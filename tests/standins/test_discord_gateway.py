"""The stand-in's gateway, as the real discord.py sees it, and as a bare websocket sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord as library
import pytest

from tests.standins.bots import Bot, Bots
from tests.standins.discord import Discord, Limits, running
from tests.standins.discord.waiting import until

INTENTS = 1 << 0 | 1 << 9 | 1 << 15


class Wire:
    """A bare websocket to the gateway, without compression."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def gets(self, wanted: int | str) -> dict[str, Any]:
        """The next frame of that opcode or event."""
        while True:
            message = await self.socket.receive(timeout=5)
            assert message.type is aiohttp.WSMsgType.TEXT, (message.type, self.socket.close_code)
            frame: dict[str, Any] = json.loads(message.data)
            if wanted in (frame["op"], frame["t"]):
                return frame

    async def sends(self, op: int, data: Any) -> None:
        await self.socket.send_str(json.dumps({"op": op, "d": data}))

    async def identifies(self, discord: Discord, **changes: Any) -> dict[str, Any]:
        await self.gets(10)
        await self.sends(2, {"token": discord.token, "intents": INTENTS, "properties": {}} | changes)
        ready: dict[str, Any] = (await self.gets("READY"))["d"]
        return ready

    async def close_code(self) -> int | None:
        """How the server ends the socket."""
        while not (await self.socket.receive(timeout=5)).type & aiohttp.WSMsgType.CLOSE:
            pass
        return self.socket.close_code


class Wires:
    """Opens bare websockets."""

    def __init__(self, discord: Discord, session: aiohttp.ClientSession) -> None:
        self._discord = discord
        self._session = session

    async def open(self) -> Wire:
        return Wire(await self._session.ws_connect(self._discord.gateway_url))


@pytest.fixture
async def wires(discord: Discord) -> AsyncIterator[Wires]:
    async with aiohttp.ClientSession() as session:
        yield Wires(discord, session)


class TestBeginning:
    async def test_a_bot_sees_its_servers_with_their_channels_and_roles(self, discord: Discord, bots: Bots) -> None:
        guild = discord.guild("hives")
        place = guild.channel("general", nsfw=True)
        guild.role("beekeepers")
        bot = await bots.start()
        seen = bot.get_guild(guild.id)
        assert seen is not None
        assert [channel.name for channel in seen.text_channels] == ["general"]
        assert seen.text_channels[0].id == place.id
        assert seen.text_channels[0].nsfw
        assert {role.name for role in seen.roles} == {"@everyone", "beekeepers"}

    @pytest.mark.parametrize("compress", ["zlib-stream", "zstd-stream"])
    async def test_frames_are_compressed_as_asked(self, discord: Discord, compress: str) -> None:
        discord.guild("hives").channel("general")
        url = f"{discord.gateway_url}?v=10&encoding=json&compress={compress}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            first = await socket.receive(timeout=5)
            assert first.type is aiohttp.WSMsgType.BINARY
            magic = first.data[:2] if compress == "zlib-stream" else first.data[:4]
            assert magic in (b"\x78\x9c", b"\x28\xb5\x2f\xfd")

    async def test_a_wrong_token_is_refused_by_rest_and_gateway(self, bots: Bots, wires: Wires) -> None:
        assert isinstance(await bots.end(bots.launch(token="wrong")), library.LoginFailure)  # noqa: S106 - none
        wire = await wires.open()
        await wire.gets(10)
        await wire.sends(2, {"token": "wrong", "intents": INTENTS})
        assert await wire.close_code() == 4004

    async def test_an_intent_that_the_portal_does_not_allow_ends_with_4014(self, discord: Discord, bots: Bots) -> None:
        discord.world.app.privileged.discard("message_content")
        bot = bots.launch()
        assert isinstance(await bots.end(bot), library.PrivilegedIntentsRequired)

    @pytest.mark.parametrize(
        ("op", "data", "code"),
        [
            (2, {"intents": 1 << 40}, 4013),
            (2, {"intents": INTENTS, "shard": [2, 2]}, 4010),
            (3, {}, 4003),
            (99, {}, 4001),
        ],
    )
    async def test_what_does_not_fit_ends_with_its_code(
        self, discord: Discord, wires: Wires, op: int, data: dict[str, Any], code: int
    ) -> None:
        wire = await wires.open()
        await wire.gets(10)
        await wire.sends(op, data | {"token": discord.token})
        assert await wire.close_code() == code

    async def test_a_bot_that_needs_shards_is_told_so(self) -> None:
        async with running(shards=2) as discord, aiohttp.ClientSession() as session:
            wire = await Wires(discord, session).open()
            await wire.gets(10)
            await wire.sends(2, {"token": discord.token, "intents": INTENTS})
            assert await wire.close_code() == 4011

    async def test_identifying_again_too_soon_is_an_invalid_session(self) -> None:
        limits = Limits(identify_every=60.0)
        async with running(limits=limits) as discord, aiohttp.ClientSession() as session:
            wires = Wires(discord, session)
            await (await wires.open()).identifies(discord)
            wire = await wires.open()
            await wire.gets(10)
            await wire.sends(2, {"token": discord.token, "intents": INTENTS})
            assert (await wire.gets(9))["d"] is False


class TestShards:
    async def test_each_shard_hears_of_its_servers_and_the_first_of_direct_messages(self) -> None:
        async with running(shards=2) as discord, aiohttp.ClientSession() as session:
            guilds = [discord.guild(f"guild {i}", shard=(i, 2)) for i in range(2)]
            wires = [await Wires(discord, session).open() for _ in guilds]
            ready = [
                await wire.identifies(discord, shard=[i, 2], intents=INTENTS | 1 << 12) for i, wire in enumerate(wires)
            ]
            assert [[int(guild["id"]) for guild in one["guilds"]] for one in ready] == [[g.id] for g in guilds]
            for guild in guilds:
                await guild.member("Ana").says(guild.channel("general"), guild.guild.name)
            await discord.person("Ana").dms("directly")
            assert (await wires[1].gets("MESSAGE_CREATE"))["d"]["content"] == "guild 1"
            assert (await wires[0].gets("MESSAGE_CREATE"))["d"]["content"] == "guild 0"
            assert (await wires[0].gets("MESSAGE_CREATE"))["d"]["content"] == "directly"

    async def test_the_sharded_client_asks_how_many_it_should_start(self) -> None:
        async with running() as discord:
            bots = Bots(discord)
            await bots.start()
            assert discord.asked("GET /gateway/bot") == 1
            await bots.close()


class TestHeartbeats:
    async def test_a_client_that_does_not_beat_is_put_out(self) -> None:
        async with running(heartbeat=0.1) as discord, aiohttp.ClientSession() as session:
            wire = await Wires(discord, session).open()
            await wire.identifies(discord)
            assert await wire.close_code() == 4009

    async def test_a_heartbeat_is_acknowledged_and_can_be_demanded(self, bot: Bot, discord: Discord) -> None:
        def beats() -> list[dict[str, Any]]:
            return [frame for frame in discord.gateway.received if frame["op"] == 1]

        first = await until(discord.world, lambda: len(beats()) or None, lambda: "no heartbeat", 5.0)
        await discord.demand_heartbeat()
        await until(discord.world, lambda: len(beats()) == first + 1 or None, lambda: "no second heartbeat", 5.0)
        assert bot.latency < 5

    async def test_without_acknowledgements_the_client_comes_back_by_itself(self) -> None:
        async with running(heartbeat=0.1) as discord:
            bots = Bots(discord)
            bot = await bots.start(heartbeat_timeout=0.3)
            discord.gateway.answers_heartbeats = False
            await bot.hears("resumed")
            await bots.close()


class TestComingBack:
    async def test_a_dropped_socket_is_resumed_and_nothing_is_missed(self, bot: Bot, discord: Discord) -> None:
        place = discord.guild("hives").channel("general")
        ana = discord.guild("hives").member("Ana")
        discord.drop_sockets()
        for number in range(5):
            await ana.says(place, str(number))
        await bot.hears("resumed")
        await bot.hears("message", count=5)
        assert [message.content for message in bot.heard["message"]] == list("01234")
        assert discord.gateway.sessions.started == 1

    async def test_op_7_sends_the_client_round_with_resume(self, bot: Bot, discord: Discord) -> None:
        await discord.ask_reconnect()
        await bot.hears("resumed")
        assert discord.gateway.sessions.started == 1

    async def test_a_resumable_invalid_session_is_resumed(self, bot: Bot, discord: Discord) -> None:
        await discord.invalidate(resumable=True)
        await bot.hears("resumed")
        assert discord.gateway.sessions.started == 1

    async def test_a_lost_session_begins_anew_and_what_happened_between_is_not_told(
        self, bot: Bot, discord: Discord
    ) -> None:
        guild = discord.guild("hives")
        place, ana = guild.channel("general"), guild.member("Ana")
        discord.restart()
        await ana.says(place, "missed")
        await bot.hears("ready", count=2)
        await ana.says(place, "heard")
        await bot.hears("message")
        assert [message.content for message in bot.heard["message"]] == ["heard"]
        history = [message.content async for message in bot.place(place.id).history(limit=5)]
        assert history == ["heard", "missed"]

    async def test_resuming_tells_again_what_came_after_the_number(self, discord: Discord, wires: Wires) -> None:
        guild = discord.guild("hives")
        place, ana = guild.channel("general"), guild.member("Ana")
        wire = await wires.open()
        ready = await wire.identifies(discord)
        for number in range(3):
            await ana.says(place, str(number))
        first = await wire.gets("MESSAGE_CREATE")
        await wire.socket.close(code=4000)
        again = await wires.open()
        await again.gets(10)
        await again.sends(6, {"token": discord.token, "session_id": ready["session_id"], "seq": first["s"]})
        told = [await again.gets("MESSAGE_CREATE") for _ in range(2)]
        assert [frame["d"]["content"] for frame in told] == ["1", "2"]
        assert [frame["s"] for frame in told] == [first["s"] + 1, first["s"] + 2]
        assert (await again.gets("RESUMED"))["s"] == first["s"] + 3

    async def test_a_sequence_from_the_future_ends_with_4007(self, discord: Discord, wires: Wires) -> None:
        wire = await wires.open()
        ready = await wire.identifies(discord)
        await wire.socket.close(code=4000)
        again = await wires.open()
        await again.gets(10)
        await again.sends(6, {"token": discord.token, "session_id": ready["session_id"], "seq": 999})
        assert await again.close_code() == 4007

    @pytest.mark.parametrize("parting", ["politely", "for too long"])
    async def test_a_session_ends_with_a_polite_goodbye_or_with_time(
        self, discord: Discord, wires: Wires, parting: str
    ) -> None:
        wire = await wires.open()
        ready = await wire.identifies(discord)
        await wire.socket.close(code=1000 if parting == "politely" else 4000)
        again = await wires.open()
        await again.gets(10)
        if parting == "for too long":
            discord.later(181)
        await again.sends(6, {"token": discord.token, "session_id": ready["session_id"], "seq": 1})
        assert (await again.gets(9))["d"] is False

    async def test_while_discord_is_away_people_go_on_writing(self, bot: Bot, discord: Discord) -> None:
        guild = discord.guild("hives")
        place, ana = guild.channel("general"), guild.member("Ana")
        with discord.offline():
            await ana.says(place, "meanwhile")
            with pytest.raises(aiohttp.ClientError):
                await bot.place(place.id).send("hello?")
        await bot.hears("ready", count=2)
        assert [message.content async for message in bot.place(place.id).history()] == ["meanwhile"]


class TestWhatIsTold:
    async def test_without_the_intent_what_is_written_is_blank_but_for_the_exceptions(
        self, discord: Discord, bots: Bots
    ) -> None:
        guild = discord.guild("hives")
        place, ana = guild.channel("general"), guild.member("Ana")
        intents = library.Intents.default()
        bot = await bots.start(intents)
        mine = await bot.place(place.id).send("mine")
        await ana.says(place, "hidden", files=[("notes.txt", b"notes")])
        await ana.says(place, f"{discord.bot_mention} shown")
        await ana.says(place, "a reply that pings", reply_to=discord.world.channels[place.id].messages[mine.id])
        await ana.says(place, "a quiet one", reply_to=place.messages[0], ping=False)
        await ana.dms("a direct one")
        await bot.hears("message", count=6)
        assert [message.content for message in bot.heard["message"]] == [
            "mine",
            "",
            f"{discord.bot_mention} shown",
            "a reply that pings",
            "",
            "a direct one",
        ]
        assert bot.heard["message"][1].attachments == []

    async def test_only_what_the_intents_cover_is_told(self, discord: Discord, bots: Bots) -> None:
        guild = discord.guild("hives")
        place, ana = guild.channel("general"), guild.member("Ana")
        bot = await bots.start(library.Intents(guilds=True, guild_reactions=True))
        await ana.reacts(await ana.says(place, "hello"), "👍")
        await ana.dms("hello")
        await ana.reacts(await ana.says(place, "again"), "⭐")
        await bot.hears("raw_reaction_add", count=2)
        assert bot.heard["message"] == []

    async def test_a_channel_that_the_bot_cannot_see_is_silent(self, bot: Bot, discord: Discord) -> None:
        guild = discord.guild("hives")
        hidden, open_one, ana = guild.channel("board"), guild.channel("general"), guild.member("Ana")
        hidden.hides_from_bot()
        await ana.says(hidden, "secret")
        await ana.says(open_one, "open")
        await bot.hears("message")
        assert [message.content for message in bot.heard["message"]] == ["open"]

    async def test_an_unfurl_is_an_update_without_an_edit(self, bot: Bot, discord: Discord) -> None:
        guild = discord.guild("hives")
        place, ana = guild.channel("general"), guild.member("Ana")
        message = await ana.says(place, "see https://example.org/")
        discord.unfurls(message)
        await ana.edits(message, "see there")
        await bot.hears("raw_message_edit", count=2)
        unfurl, edit = bot.heard["raw_message_edit"]
        assert (unfurl.message.edited_at, unfurl.message.content) == (None, "see https://example.org/")
        assert len(unfurl.message.embeds) == 1
        assert edit.message.edited_at is not None
        assert edit.message.content == "see there"

    async def test_deletions_come_one_by_one_or_in_bulk(self, bot: Bot, discord: Discord) -> None:
        guild = discord.guild("hives")
        place, ana = guild.channel("general"), guild.member("Ana")
        one, two, three = [await ana.says(place, str(number)) for number in range(3)]
        await ana.deletes(one)
        await ana.deletes(two, three)
        assert (await bot.hears("raw_message_delete")).message_id == one.id
        assert (await bot.hears("raw_bulk_message_delete")).message_ids == {two.id, three.id}

    async def test_reactions_are_told_with_their_kind_and_are_cleared(self, bot: Bot, discord: Discord) -> None:
        guild = discord.guild("hives")
        place, ana = guild.channel("general"), guild.member("Ana")
        message = await ana.says(place, "hello")
        await ana.reacts(message, "👍")
        await ana.reacts(message, "👍")
        await ana.reacts(message, "👍", burst=True)
        await ana.unreacts(message, "👍")
        await ana.clears(message, "👍")
        await ana.clears(message)
        await bot.hears("raw_reaction_clear")
        assert [(one.burst, one.message_author_id) for one in bot.heard["raw_reaction_add"]] == [
            (False, ana.id),
            (True, ana.id),
        ]
        assert [one.burst for one in bot.heard["raw_reaction_remove"]] == [False]
        assert [one.emoji.name for one in bot.heard["raw_reaction_clear_emoji"]] == ["👍"]

    async def test_threads_and_forum_posts_are_told_with_what_is_written_in_them(
        self, bot: Bot, discord: Discord
    ) -> None:
        guild = discord.guild("hives")
        place, forum, ana = guild.channel("general"), guild.forum("questions"), guild.member("Ana")
        start = await ana.says(place, "who?")
        thread = await ana.opens_thread(place, "the who", on=start)
        await ana.says(thread, "inside")
        post = await ana.posts(forum, "How?", "how do I …")
        await bot.hears("message", lambda message: message.content == "how do I …")
        assert [one.id for one in bot.heard["thread_create"]] == [thread.id, post.id]
        assert thread.id == start.id
        inside = next(message for message in bot.heard["message"] if message.content == "inside")
        assert inside.channel.parent_id == place.id
        assert post.messages[0].id == post.id

    async def test_joining_leaving_and_outages_of_servers_are_told(self, bot: Bot, discord: Discord) -> None:
        guild = discord.guild("orchard")
        await bot.hears("guild_join")
        guild.goes_away()
        await bot.hears("guild_unavailable")
        guild.comes_back()
        await bot.hears("guild_available")
        guild.kicks_bot()
        assert (await bot.hears("guild_remove")).id == guild.id
        assert bot.get_guild(guild.id) is None

    async def test_members_can_be_asked_for(self, bot: Bot, discord: Discord) -> None:
        guild = discord.guild("hives")
        guild.member("Ana")
        guild.member("Anselm")
        guild.member("Ben")
        await bot.hears("guild_join")
        seen = bot.get_guild(guild.id)
        assert seen is not None
        assert {member.display_name for member in await seen.query_members("an", limit=5)} == {"Ana", "Anselm"}

    async def test_malformed_frames_reach_the_client_as_they_are(self, discord: Discord, wires: Wires) -> None:
        wire = await wires.open()
        await wire.identifies(discord)
        await discord.gateway.send_all('{"op":0,"t":"MESSAGE_CREATE","s":7,"d":{"id":"x"}}')
        assert (await wire.gets("MESSAGE_CREATE"))["d"] == {"id": "x"}
