"""Killed after any step and started again: every message is kept once, one answer stands, one vote counts."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.bot.adapters.discord.crashing_bot import NONE, STEPS
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, Message, Person, Place

ROOT = Path(__file__).parents[5]
MODULE = "tests.e2e.bot.adapters.discord.crashing_bot"
WITH_A_VOTE = ("reaction kept", "voted")


@asynccontextmanager
async def running(discord: Discord, folder: Path, step: str = NONE) -> AsyncIterator[asyncio.subprocess.Process]:
    """The bot's process; killed at the end of the block when it still runs."""
    given = {
        "WEAVEBOT_DISCORD_TOKEN": discord.token,
        "WEAVEBOT_DISCORD_API": discord.api_url,
        "WEAVEBOT_DISCORD_GATEWAY": discord.gateway_url,
    }
    command = [sys.executable, "-W", "ignore", "-m", MODULE, str(folder), step]
    output = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**os.environ, **given}, stdout=output)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


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
    await eventually(lambda: rows(folder, table), lambda found: found == number, 60.0)


async def began(discord: Discord, hives: Place, ana: Person, folder: Path) -> None:
    """The bot has come to the channel and has heard something."""
    async with running(discord, folder):
        await ana.says(hives, "hello")
        await counts(folder, "messages", 1)
        welcome = discord.guild("hives").channel("welcome")
        await welcome.expect(patience=30.0)
        await counts(folder, "inbox", 0)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_after_a_step(discord: Discord, hives: Place, ana: Person, tmp_path: Path, step: str) -> None:
    await began(discord, hives, ana, tmp_path)

    async with running(discord, tmp_path, step) as doomed:
        await ana.says(hives, "the queen of hive three is red")
        await ana.says(hives, "!weave which queen is red?")
        if step in WITH_A_VOTE:
            await ana.reacts(await hives.expect(patience=60.0), "👍")
        async with asyncio.timeout(60.0):
            assert await doomed.wait() == -signal.SIGKILL

    async with running(discord, tmp_path):
        await counts(tmp_path, "messages", 2)
        answer = await hives.expect(patience=60.0)
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
        async with asyncio.timeout(60.0):
            assert await doomed.wait() == -signal.SIGKILL
        assert used.interaction.deferred

    async with running(discord, tmp_path):
        answer: Message = await used.expect(patience=60.0)
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
        answer = await hives.expect(patience=60.0)
        await ana.reacts(answer, "👍")
        await doomed.wait()
    await ana.unreacts(answer, "👍")
    ben = discord.guild("hives").member("Ben")
    await ben.reacts(answer, "👎")
    async with running(discord, tmp_path):
        await counts(tmp_path, "votes", 1)
        await ben.unreacts(answer, "👎")
        await counts(tmp_path, "votes", 0)
