"""A process that listens and one that works, as an operator starts them, on one PostgreSQL; the worker is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from bot.clock import SystemClock
from memory.adapters.sql import SqlDatabase
from memory.pseudonyms import pseudonyms_of
from tests.e2e.eventually import eventually
from tests.services.databases import bare_database, connect
from tests.services.queues import CORNERS
from tests.services.servers import address
from tests.standins.discord import Discord, Person, Place
from tests.standins.discord import running as stand_in

pytestmark = [pytest.mark.services, pytest.mark.model]

WEAVEBOT = Path(sys.executable).with_name("weavebot")
PATIENCE = 300.0  # seconds; the model is loaded meanwhile, and a dead worker's rooms stay its own for a while
LINES = 20


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with stand_in() as made:
        yield made


@pytest.fixture(params=["database", "redis", "rabbitmq"])
async def environment(request: pytest.FixtureRequest, discord: Discord) -> AsyncIterator[dict[str, str]]:
    """The settings of both processes; what they had on a queue's server is gone afterwards."""
    server = str(request.param)
    async with bare_database() as url:
        given = {
            "WEAVEBOT_DATABASE_URL": url,
            "WEAVEBOT_DISCORD_TOKEN": discord.token,
            "WEAVEBOT_DISCORD_API": discord.api_url,
            "WEAVEBOT_DISCORD_GATEWAY": discord.gateway_url,
        }
        if server != "database":
            given["WEAVEBOT_QUEUE_URL"] = address(f"{server.upper()}_URL")
        yield given
        if server != "database":
            await wipe(server, url)


async def wipe(server: str, url: str) -> None:
    connection = await connect(url)
    began = await connection.fetchval("SELECT to_regclass('pseudonym_keys') IS NOT NULL")
    await connection.close()
    if not began:
        return
    database = SqlDatabase(url)
    corner = CORNERS[server]((await pseudonyms_of(database, SystemClock())).installation)
    await database.close()
    corner.shards = 8  # as the program has them
    await corner.wipe()
    for queue in corner.opened:
        await queue.close()


@asynccontextmanager
async def running(folder: Path, only: str, given: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """``weavebot run --only``; it is killed at the end of the block when it still runs."""
    words = ("--data", str(folder), "run", "--only", only)
    pipe = asyncio.subprocess.PIPE
    environ = {**os.environ, **given, "OMP_NUM_THREADS": "1"}
    process = await asyncio.create_subprocess_exec(
        WEAVEBOT, *words, env=environ, stdout=asyncio.subprocess.DEVNULL, stderr=pipe
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> str:
    """Ends it in order, and gives what it said."""
    process.send_signal(signal.SIGTERM)
    _, said = await process.communicate()
    assert process.returncode == 0
    return said.decode()


async def test_everything_is_reflected_on_once_whatever_befalls_the_worker(
    tmp_path: Path, discord: Discord, environment: dict[str, str]
) -> None:
    server = discord.guild("hives")
    server.channel("welcome")  # notices go to the first one
    hives, ana = server.channel("general"), server.member("Ana")
    async with running(tmp_path / "ears", "adapters,jobs", environment) as ears:
        await server.channel("welcome").expect(patience=PATIENCE)
        async with running(tmp_path / "hands", "worker", environment) as hands:
            await say(ana, hives, 0)
            await eventually(lambda: number(environment, "memories"), bool, PATIENCE)
            hands.kill()
        await say(ana, hives, LINES)
        await eventually(lambda: number(environment, "messages"), lambda found: found == 2 * LINES)
        assert await number(environment, "index_outbox") >= LINES  # who listens does not work
        async with running(tmp_path / "hands", "worker", environment) as hands:
            await eventually(lambda: number(environment, "index_outbox"), lambda found: not found, PATIENCE)
            await eventually(lambda: number(environment, "reflection_queue"), lambda found: not found, PATIENCE)
            assert "Traceback" not in await ended(hands)
        assert "Traceback" not in await ended(ears)
    assert await number(environment, "memories") == 2 * LINES
    assert await number(environment, "memories", "DISTINCT message_serial") == 2 * LINES
    assert await number(environment, "embeddings") == 2 * LINES


async def say(who: Person, where: Place, first: int) -> None:
    for i in range(first, first + LINES):
        await who.says(where, f"The gate code number {i} is {1000 + i}")


async def number(given: dict[str, str], table: str, of: str = "*") -> int:
    """Rows of a table."""
    connection = await connect(given["WEAVEBOT_DATABASE_URL"])
    try:
        return int(await connection.fetchval(f"SELECT count({of}) FROM {table}"))  # noqa: S608 - our own words
    finally:
        await connection.close()
