"""What was missed on Discord is read back after a restart, a lost session, an outage: once, in order, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from structlog.testing import capture_logs

from bot.models import ChatEvent
from memory.errors import Unavailable
from tests.e2e.bot.adapters.discord.bots import QUICK, weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, Permission, Person, Place


class TestRestart:
    async def test_what_was_said_meanwhile_is_remembered_and_answered_once(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            await bot.keeps(hives.id, 1)
        await ana.says(hives, "the ladder is in the shed")
        await ana.says(hives, "!weave where is the ladder?")
        async with weavebot(discord, tmp_path) as bot:
            assert await bot.kept(hives.id) == ["the gate code is 4471", "the ladder is in the shed"]
            assert "shed" in (await hives.expect()).content
        async with weavebot(discord, tmp_path) as bot:
            assert len(hives.answers) == 1
            assert len(await bot.kept(hives.id)) == 2

    async def test_what_was_there_before_we_came_is_not_read(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        await ana.says(hives, "long ago")
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "now")
            assert await bot.keeps(hives.id, 1) == ["now"]

    async def test_channels_threads_and_conversations_of_the_meantime_are_read(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        guild = discord.guild("hives")
        async with weavebot(discord, tmp_path) as bot:
            old = await ana.opens_thread(hives, "old")
            await ana.says(old, "before")
            await ana.dms("remember one")
            await ana.talk.expect()
            await bot.keeps(hives.id, 1)
        discord.later(1)
        await ana.says(old, "in the old thread")
        made = guild.channel("made")
        await ana.says(made, "in a new channel")
        thread = await ana.opens_thread(hives, "new")
        await ana.says(thread, "in a new thread")
        await ana.dms("remember two")
        async with weavebot(discord, tmp_path) as bot:
            assert await bot.kept(made.id) == ["in a new channel"]
            assert await bot.kept(hives.id) == ["before", "in the old thread", "in a new thread"]
            assert "Kept" in (await ana.talk.expect(count=2)).content

    async def test_a_thread_that_was_archived_meanwhile_is_read_after_a_long_absence(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            thread = await ana.opens_thread(hives, "plans")
            await ana.says(thread, "before")
            await bot.keeps(hives.id, 1)
            long_ago = thread.id - (2 * 3_600_000 << 22)
            await bot.port._cursors.note_alive(long_ago)
        await ana.says(thread, "meanwhile")
        thread.archives()
        async with weavebot(discord, tmp_path) as bot:
            assert await bot.kept(hives.id) == ["before", "meanwhile"]

    async def test_more_than_the_bound_is_a_gap_and_the_newest_are_read(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "first")
            await bot.keeps(hives.id, 1)
        for number in range(60):
            await ana.says(hives, f"missed {number}")
        with capture_logs() as logs:
            async with weavebot(discord, tmp_path, pace=replace(QUICK, missed=20)) as bot:
                kept = await bot.kept(hives.id)
        assert kept == ["first", *(f"missed {number}" for number in range(40, 60))]
        assert [one["event"] for one in logs if one["event"] == "room.gap"] == ["room.gap"]


class TestSessions:
    async def test_resuming_reads_no_history(self, discord: Discord, hives: Place, ana: Person, tmp_path: Path) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "one")
            await bot.keeps(hives.id, 1)
            discord.drop_sockets()
            await ana.says(hives, "two")
            assert await bot.keeps(hives.id, 2) == ["one", "two"]
            await discord.ask_reconnect()
            await ana.says(hives, "three")
            assert await bot.keeps(hives.id, 3) == ["one", "two", "three"]
            assert discord.asked(f"GET /channels/{hives.id}/messages") == 0
            assert discord.gateway.sessions.started == 1

    async def test_a_lost_session_is_made_up_from_history_and_live_messages_keep_their_order(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "0")
            await bot.keeps(hives.id, 1)
            with discord.offline():
                for number in range(1, 150):
                    await ana.says(hives, str(number))
            discord.delay(f"GET /channels/{hives.id}/messages", 0.2, times=3)
            number = 150
            while discord.asked(f"GET /channels/{hives.id}/messages") < 2:
                await ana.says(hives, str(number))
                number += 1
                await bot.kept(hives.id)
            assert await bot.keeps(hives.id, number) == [str(one) for one in range(number)]

    async def test_ready_twice_reads_and_answers_nothing_twice(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "the gate code is 4471")
            await ana.says(hives, "!weave what is the gate code?")
            await hives.expect()
            for _ in range(2):
                started = discord.gateway.sessions.started
                await discord.invalidate(resumable=False)
                await another_session(discord, started)
                await bot.settled()
            assert len(hives.answers) == 1
            assert len(await bot.kept(hives.id)) == 1

    async def test_a_history_that_fails_is_read_later(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "one")
            await bot.keeps(hives.id, 1)
        await ana.says(hives, "two")
        discord.fail(f"GET /channels/{hives.id}/messages", 503, times=2)
        async with weavebot(discord, tmp_path) as bot:
            assert await bot.keeps(hives.id, 2) == ["one", "two"]

    async def test_a_channel_that_we_may_not_read_is_left_alone(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        board = discord.guild("hives").channel("board")
        board.lets_bot(deny=Permission.READ_MESSAGE_HISTORY)
        async with weavebot(discord, tmp_path) as bot:
            await ana.says(hives, "one")
            await bot.keeps(hives.id, 1)
        await ana.says(board, "unread")
        await ana.says(hives, "two")
        async with weavebot(discord, tmp_path) as bot:
            assert await bot.keeps(hives.id, 2) == ["one", "two"]
            assert discord.asked(f"GET /channels/{board.id}") == 0
            assert discord.invalid_requests == 0


async def another_session(discord: Discord, before: int) -> None:
    """Returns when the bot has identified again."""

    async def count() -> int:
        return discord.gateway.sessions.started

    await eventually(count, lambda now: now > before)


class TestFloods:
    async def test_more_than_can_wait_is_read_from_history_and_nothing_is_lost(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path, pace=replace(QUICK, waiting=50)) as bot:
            for number in range(1000):
                await ana.says(hives, str(number))
            assert await bot.keeps(hives.id, 1000) == [str(number) for number in range(1000)]
            assert bot.port.feed.peak <= 50 + 10

    async def test_while_the_database_is_away_commands_are_still_deferred_at_once(
        self, discord: Discord, hives: Place, ana: Person, tmp_path: Path
    ) -> None:
        async with weavebot(discord, tmp_path) as bot:
            taking = bot.connections.all[0].dispatch
            really = taking.take

            async def away(batch: Sequence[ChatEvent]) -> None:
                raise Unavailable(f"the database does not answer ({len(batch)} wait)")

            taking.take = away  # type: ignore[method-assign] # the database is away
            for number in range(300):
                await ana.says(hives, str(number))
            used = await ana.slash("weave", hives, question="are you there?")
            assert ((await used.acknowledged()).answered_after or 9) < 1.0
            taking.take = really  # type: ignore[method-assign] # it is back
            await used.expect()
            assert len(await bot.keeps(hives.id, 300)) == 300
