"""Matrix on a real Synapse: a flood of messages, the time to an answer, coming back after an absence, memory.

Needs a Synapse on this machine and real accounts on it::

    deploy/local-services run synapse -- python -m benchmarks.matrix

*Flood*: 1,000 messages by five people in ten rooms as fast as Synapse takes them. *Answers*: from the moment when
Synapse has taken the question to the moment when the asker's client has the answer, less the engine's own time (the
answer's ``ms``); one question at a time, and while the rooms chat. *Absence*: 2,000 messages and 50 reactions while the
bot is stopped, from its start to all of them being rows. *Memory*: the peak of a process of its own, without
the model, with an account in 200 rooms.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
from sqlalchemy import Table, func, select

from benchmarks.harness import Row, console, show, write
from bot import logs
from bot.adapters.matrix.accounts import Account, folder_of
from bot.adapters.matrix.port import MatrixPort
from bot.app import App
from bot.connections import Connections
from bot.notebook import SqlNotebook
from bot.settings import load as load_settings
from bot.wiring import open_app
from memory.tables import messages
from routing.tables import answers, votes
from tests.services.bot.adapters.matrix.measured import peak_memory
from tests.services.matrix import Person, said_by
from tests.services.synapse import Homeserver

ROOMS, FLOOD, MISSED, REACTIONS, QUESTIONS, MANY_ROOMS = 10, 1_000, 2_000, 50, 60, 200
URL = "WEAVEBOT_TEST_SYNAPSE_URL"
SUBJECTS = "hive queen honey smoker ladder frame extractor brood orchard meadow".split()
COLOURS = "red white blue green yellow".split()


@dataclass(slots=True)
class Scene:
    """A homeserver, people on it, and the bot in a folder."""

    homeserver: Homeserver
    folder: Path
    account: Account
    people: list[Person] = field(default_factory=list)
    rooms: list[str] = field(default_factory=list)

    @classmethod
    async def begun(cls, homeserver: Homeserver, folder: Path) -> Scene:
        """With the accounts and the rooms."""
        made = await homeserver.register("weave")
        account = Account(homeserver.url, made.user_id, made.device_id, made.token)
        scene = cls(homeserver, folder, account)
        await scene._fill()
        return scene

    async def _fill(self) -> None:
        self.people = [await self.homeserver.person(name) for name in ("Ana", "Ben", "Cleo", "Dan", "Eve")]
        others = tuple(person.user_id for person in self.people[1:])
        for number in range(ROOMS):
            invited = (self.account.user_id, *others)
            self.rooms.append(await self.people[0].create_room(name=f"hive {number}", invite=invited))
            for person in self.people[1:]:
                await person.join(self.rooms[-1])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[App]:
        """The bot, listening."""
        async with AsyncExitStack() as stack:
            app = await open_app(load_settings(None, data=self.folder))
            stack.push_async_callback(app.close)
            user = self.account.user_id
            notebook = SqlNotebook(app.database, app.clock, platform="matrix", account=user, team=user)
            port = MatrixPort(self.account, folder_of(self.folder, user), notebook, app.clock)
            await app.embedder.embed(["warm up"])
            await stack.enter_async_context(Connections(app, [port]).open(console.print))
            yield app

    async def say(self, count: int, *, at_once: int = 20) -> None:
        """That many messages by everybody in every room, as fast as Synapse takes them."""
        numbers = iter(range(count))

        async def talk() -> None:
            for number in numbers:
                person, room = self.people[number % len(self.people)], self.rooms[number % len(self.rooms)]
                subject, colour = SUBJECTS[number % len(SUBJECTS)], COLOURS[number // 7 % len(COLOURS)]
                await person.say(room, f"the {subject} number {number} is {colour}")

        await asyncio.gather(*(talk() for _ in range(at_once)))


async def rows(app: App, table: Table) -> int:
    """The number of rows of a table."""
    async with app.database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(table))).scalar_one())


async def until(app: App, table: Table, number: int, *, within: float = 300.0) -> float:
    """Seconds until a table has at least that many rows."""
    began = time.perf_counter()
    async with asyncio.timeout(within):
        while await rows(app, table) < number:  # noqa: ASYNC110 - what comes over the network is polled
            await asyncio.sleep(0.05)
    return time.perf_counter() - began


async def flood(scene: Scene) -> list[Row]:
    """1,000 messages in ten rooms."""
    async with scene.running() as app:
        await joined(scene)
        began = time.perf_counter()
        await scene.say(FLOOD)
        sent = time.perf_counter() - began
        lag = await until(app, messages, FLOOD)
        await asyncio.sleep(1.0)
        found = await rows(app, messages)
    figures: dict[str, float | str] = {
        "sent/s": FLOOD / sent,
        "journalled": f"{found:,} of {FLOOD:,}",
        "last one after, s": lag,
    }
    return [Row("flood: 1,000 messages in ten rooms", figures)]


async def joined(scene: Scene) -> None:
    """The bot is in every room."""
    for room in scene.rooms:
        while scene.account.user_id not in await scene.people[0].members(room):  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.1)


async def answer_times(scene: Scene, *, chatting: bool) -> Row:
    """Milliseconds from question to answer above the engine's own."""
    over: list[float] = []
    ana, room = scene.people[0], scene.rooms[0]
    async with scene.running() as app:
        await ana.sync()
        chat = asyncio.create_task(_murmur(scene)) if chatting else None
        for number in range(QUESTIONS):
            subject = SUBJECTS[number % len(SUBJECTS)]
            asked = await ana.say(room, f"!weave what colour is the {subject} number {number}?")
            began = time.perf_counter()
            await ana.hears(room, said_by(scene.account.user_id), within=60, after=asked)
            spent = (time.perf_counter() - began) * 1000
            async with app.database.read() as conn:
                own = (await conn.execute(select(answers.c.ms).order_by(answers.c.serial.desc()).limit(1))).scalar_one()
            over.append(spent - own)
        if chat is not None:
            chat.cancel()
    return Row("question to answer" + (", rooms chatting" if chatting else ""), _times("ms over the engine", over))


async def _murmur(scene: Scene) -> None:
    """Two messages a second."""
    for number in itertools.count():
        await scene.people[1 + number % 4].say(scene.rooms[number % ROOMS], f"murmur {number}")
        await asyncio.sleep(0.5)


def _times(name: str, values: Sequence[float]) -> dict[str, float]:
    return {f"{name}, p50": statistics.median(values), "p95": float(np.percentile(values, 95))}


async def absence(scene: Scene) -> Row:
    """2,000 messages and 50 reactions that the bot missed."""
    async with scene.running() as app:
        before, rated = await rows(app, messages), await rows(app, votes)
    ana = scene.people[0]
    shown = [
        event
        for event in await ana.history(scene.rooms[0], 100)
        if event["sender"] == scene.account.user_id and event["type"] == "m.room.message"
    ]
    await scene.say(MISSED)
    for number in range(REACTIONS):
        person = scene.people[number % len(scene.people)]
        await person.react(scene.rooms[0], shown[number // len(scene.people)]["event_id"], "👍")
    began = time.perf_counter()
    async with scene.running() as app:
        await until(app, messages, before + MISSED)
        await until(app, votes, rated + REACTIONS)
        spent = time.perf_counter() - began
        await asyncio.sleep(1.0)
        found = await rows(app, messages) - before, await rows(app, votes) - rated
    figures: dict[str, float | str] = {
        "messages": f"{found[0]:,} of {MISSED:,}",
        "votes": f"{found[1]} of {REACTIONS}",
        "recovered after, s": spent,
    }
    return Row("after an absence", figures)


async def memory(scene: Scene) -> Row:
    """MiB of a whole process, the model not loaded, with an account in 200 rooms."""
    ana = scene.people[0]
    already = len(scene.rooms)
    for number in range(MANY_ROOMS - already):
        scene.rooms.append(await ana.create_room(name=f"many {number}", invite=(scene.account.user_id,)))
    told = json.dumps({name: getattr(scene.account, name) for name in Account.__dataclass_fields__})
    more = ["--folder", str(scene.folder), "--rooms", str(len(scene.rooms))]
    command = [sys.executable, "-m", "benchmarks.matrix", "--inside", told, *more]
    done = await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.PIPE, text=True)
    grown = json.loads(done.stdout.splitlines()[-1])
    return Row(f"an account in {len(scene.rooms)} rooms", {"MiB": grown["MiB"]})


async def inside(told: str, folder: Path, count: int) -> None:
    """In a process of its own, without the model: its peak of memory when the account has read all of its rooms."""
    account = Account(**json.loads(told))
    app = await open_app(load_settings(None, data=folder))
    user = account.user_id
    notebook = SqlNotebook(app.database, app.clock, platform="matrix", account=user, team=user)
    port = MatrixPort(account, folder_of(folder, user), notebook, app.clock)
    connections = Connections(app, [port])
    async with connections.open(console.print), asyncio.timeout(300):
        while len(await connections.rooms()) < count:  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.2)
        await asyncio.sleep(5)
    peak = peak_memory()
    await app.close()
    sys.stdout.write(json.dumps({"MiB": peak / 2**20}) + "\n")


async def main() -> None:
    """The table."""
    if URL not in os.environ:
        console.print("needs a Synapse: deploy/local-services run synapse -- python -m benchmarks.matrix")
        return
    async with aiohttp.ClientSession() as http:
        with tempfile.TemporaryDirectory(prefix="weavebot-bench-") as folder:
            scene = await Scene.begun(Homeserver(http), Path(folder))
            found = await flood(scene)
            found += [await answer_times(scene, chatting=chatting) for chatting in (False, True)]
            found.append(await absence(scene))
            show("so far", found)
            found.append(await memory(scene))
    show("Matrix, on a real Synapse on the same cores", found)
    write("matrix", {"rows": {row.name: dict(row.figures) for row in found}})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rooms", type=int, default=MANY_ROOMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    logs.set_up(level="warning")
    asyncio.run(inside(given.inside, given.folder, given.rooms) if given.inside else main())
