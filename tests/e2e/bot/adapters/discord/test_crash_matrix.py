"""Killed after any step and started again: every message is kept once, one answer stands, one vote counts."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests.e2e.bot.adapters.discord.bots import weavebot
from tests.e2e.bot.adapters.discord.crashing_bot import NONE, STEPS, started
from tests.e2e.eventually import PATIENCE, eventually
from tests.standins.discord import Discord, Message, Person, Place

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")
WITH_A_VOTE = ("reaction kept", "voted")


@asynccontextmanager
async def running(discord: Discord, folder: Path, step: str = NONE) -> AsyncIterator[ForkServerProcess]:
    """The bot's process, connected; killed at the end of the block when it still runs."""
    before = discord.gateway.sessions.started
    settings = {
        "data": folder,
        "discord_token": discord.token,
        "discord_api": discord.api_url,
        "discord_gateway": discord.gateway_url,
    }
    process = await asyncio.to_thread(started, settings, step)
    try:
        await eventually(lambda: sessions(discord), lambda now: now > before or process.exitcode is not None)
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
        process.close()


async def sessions(discord: Discord) -> int:
    """How often a bot has come to Discord."""
    return discord.gateway.sessions.started


async def dies(process: ForkServerProcess) -> None:
    """Returns when the process has killed itself."""

    async def look() -> int | None:
        return process.exitcode

    assert await eventually(look, lambda status: status is not None) == -signal.SIGKILL


async def rows(folder: Path, table: str) -> int:
    """Rows of a table; 0 while there is none."""
    try:
        with sqlite3.connect(folder / "weavebot.sqlite3") as conn:
            [(found,)] = conn.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 - our own names
    except sqlite3.OperationalError:
        return 0
    conn.close()
    return int(found)


async def counts(folder: Path, table: str, number: int) -> None:
    """Returns when a table has so many rows."""
    await eventually(lambda: rows(folder, table), lambda found: found == number)


async def began(discord: Discord, hives: Place, ana: Person, folder: Path) -> None:
    """The bot has come to the channel and has heard something."""
    async with weavebot(discord, folder) as bot:
        await discord.guild("hives").channel("welcome").expect()
        await ana.says(hives, "hello")
        await bot.keeps(hives.id, 1)
        await counts(folder, "inbox", 0)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_after_a_step(discord: Discord, hives: Place, ana: Person, tmp_path: Path, step: str) -> None:
    await began(discord, hives, ana, tmp_path)

    async with running(discord, tmp_path, step) as doomed:
        await ana.says(hives, "the queen of hive three is red")
        await ana.says(hives, "!weave which queen is red?")
        if step in WITH_A_VOTE:
            await ana.reacts(await hives.expect(patience=PATIENCE), "👍")
        await dies(doomed)

    async with running(discord, tmp_path):
        await counts(tmp_path, "messages", 2)
        answer = await hives.expect(patience=PATIENCE)
        if step not in WITH_A_VOTE:
            await ana.reacts(answer, "👍")
        await counts(tmp_path, "votes", 1)
        await ana.says(hives, "so far")
        await counts(tmp_path, "messages", 3)
        await counts(tmp_path, "inbox", 0)

    assert hives.answers == [answer]
    assert await rows(tmp_path, "answers") == 1
    assert await rows(tmp_path, "votes") == 1
    assert "the queen of hive three is red" in answer.content


@pytest.mark.parametrize("step", ["asked", "answered", "sent", "noted as sent"])
async def test_killed_while_a_slash_command_waits(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path, step: str
) -> None:
    await began(discord, hives, ana, tmp_path)

    async with running(discord, tmp_path, step) as doomed:
        used = await ana.slash("weave", hives, question="what did somebody say?", private=True)
        await dies(doomed)
        assert used.interaction.deferred

    async with running(discord, tmp_path):
        answer: Message = await used.expect(patience=PATIENCE)
        await counts(tmp_path, "inbox", 0)

    assert used.messages == [answer]
    assert answer.ephemeral
    assert hives.answers == []
    assert await rows(tmp_path, "answers") == 1


async def test_a_reaction_taken_back_while_dead_leaves_no_vote(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    await began(discord, hives, ana, tmp_path)
    async with running(discord, tmp_path, "reaction kept") as doomed:
        await ana.says(hives, "!weave what did somebody say?")
        answer = await hives.expect(patience=PATIENCE)
        await ana.reacts(answer, "👍")
        await dies(doomed)
    await ana.unreacts(answer, "👍")
    ben = discord.guild("hives").member("Ben")
    await ben.reacts(answer, "👎")
    async with running(discord, tmp_path):
        await counts(tmp_path, "votes", 1)
        await ben.unreacts(answer, "👎")
        await counts(tmp_path, "votes", 0)
