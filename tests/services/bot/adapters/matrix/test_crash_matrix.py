"""Killed after any step and started again: every message is kept once, one answer stands, one vote counts."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.services.bot.adapters.matrix.crashing_bot import STEPS
from tests.services.bot.adapters.matrix.scenario_driver import PATIENCE, eventually, joined_by
from tests.services.matrix import Event, Person, said_by
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services
ROOT = Path(__file__).parents[5]
MODULE = "tests.services.bot.adapters.matrix.crashing_bot"


class Case:
    """A room with Ana and the bot, whose process may die."""

    def __init__(self, homeserver: Homeserver, ana: Person, folder: Path) -> None:
        self.homeserver = homeserver
        self.ana = ana
        self.folder = folder
        self.room = ""
        self.account = ""
        self.user = ""

    async def begin(self) -> None:
        """The bot comes to the room and has seen it."""
        registered = await self.homeserver.register("weave")
        self.user = registered.user_id
        told = {
            "homeserver": self.homeserver.url,
            "user_id": registered.user_id,
            "device_id": registered.device_id,
            "access_token": registered.token,
        }
        self.account = json.dumps(told)
        self.room = await self.ana.create_room(invite=(self.user,))
        async with self.running():
            await self.ana.hears(self.room, joined_by(self.user), within=PATIENCE)
            await self.ana.say(self.room, "hello")
            await eventually(lambda: self.counts("messages", 1))

    @asynccontextmanager
    async def running(self, step: str | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
        """The bot's process; stopped at the end of the block when it still runs."""
        command = [sys.executable, "-m", MODULE, str(self.folder), self.account, *([step] if step else [])]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def counts(self, table: str, number: int) -> bool:
        """Whether a table has that many rows."""
        database = self.folder / "weavebot.sqlite3"
        if not database.exists():
            return False
        with sqlite3.connect(database) as conn:
            try:
                [(found,)] = conn.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 - our own names
            except sqlite3.OperationalError:  # not migrated yet
                return False
        conn.close()
        return bool(found == number)

    async def answers(self) -> list[Event]:
        """What the bot has said in the room."""
        return [e for e in await self.ana.history(self.room) if e["sender"] == self.user and "body" in e["content"]]


@pytest.fixture
async def case(homeserver: Homeserver, ana: Person, tmp_path: Path) -> Case:
    """The bot has come to the room."""
    made = Case(homeserver, ana, tmp_path)
    await made.begin()
    return made


@pytest.mark.parametrize("step", STEPS)
async def test_killed_after_a_step(case: Case, step: str) -> None:
    async with case.running(step) as doomed:
        await case.ana.say(case.room, "the queen of hive three is red")
        await case.ana.say(case.room, "!weave which queen is red?")
        if step in ("voted", "reaction kept"):
            await case.ana.hears(case.room, said_by(case.user), within=PATIENCE)
            [answer] = await case.answers()
            await case.ana.react(case.room, answer["event_id"], "👍")
        async with asyncio.timeout(PATIENCE):
            assert await doomed.wait() == -signal.SIGKILL

    async with case.running():
        await eventually(lambda: case.counts("messages", 2))
        await case.ana.hears(case.room, said_by(case.user), within=PATIENCE)
        [answer] = await case.answers()
        if step not in ("voted", "reaction kept"):
            await case.ana.react(case.room, answer["event_id"], "👍")
        await eventually(lambda: case.counts("votes", 1))
        await case.ana.say(case.room, "so far")
        await eventually(lambda: case.counts("messages", 3))
        await eventually(lambda: case.counts("inbox", 0))

    assert len(await case.answers()) == 1
    assert await case.counts("answers", 1)
    assert await case.counts("votes", 1)
    assert "the queen of hive three is red" in answer["content"]["body"]
