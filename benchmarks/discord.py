"""Discord, on the local stand-in with Discord's usual limits: a flood, the time to an answer, coming back, memory.

Run it with ``python -m benchmarks.discord``. The bot is a process of its own, wired as ``weavebot run`` wires it, with
the real model and the real discord.py. *Flood*: a minute of 10,000 events (of a hundred, 94 messages, two edits, a
deletion, three reactions) by five people in ten channels, while one uses ``/weave`` every two seconds. *Answers*: from
the moment when the gateway tells of the question to the moment when the answer is posted, less the engine's own time
(the answer's ``ms``). *Absence*: 2,000 messages and 50 reactions while the bot is stopped, from the start of its
process to all of them being rows. *Memory*: the process's peak, without the model, in 200 servers.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import SecretStr
from sqlalchemy import Table, func, select

from benchmarks.harness import Row, console, show, write
from bot import logs
from bot.beside import beside
from bot.connections import Connections
from bot.settings import load as load_settings
from bot.wiring import open_app
from bot.wiring.chats import open_discord
from memory.adapters.sql import SqlDatabase
from memory.tables import message_revisions, messages, reactions
from routing.tables import answers, votes
from tests.services.bot.adapters.matrix.measured import peak_memory
from tests.standins.discord import Discord, Limits, Message, Person, Place, running

CHANNELS, MINUTE, EVENTS, MISSED, REACTIONS, QUESTIONS, MANY = 10, 60.0, 10_000, 2_000, 50, 60, 200
SUBJECTS = "hive queen honey smoker ladder frame extractor brood orchard meadow".split()
COLOURS = "red white blue green yellow".split()
KINDS = {17: "edit", 50: "edit", 60: "deletion", 70: "reaction", 80: "reaction", 90: "reaction"}
PATIENCE = 300.0  # seconds


@dataclass(slots=True)
class Bot:
    """The bot's process as seen from here: its rows, when it was started, how long (in seconds) until it had settled.

    ``figures`` are what it told at its end.
    """

    database: SqlDatabase
    began: float
    settled: float
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """A server with channels and people, and the bot on a folder."""

    discord: Discord
    folder: Path
    channels: list[Place] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)

    @classmethod
    def begun(cls, discord: Discord, folder: Path) -> Scene:
        """With everybody there."""
        guild = discord.guild("hives")
        guild.channel("welcome")
        channels = [guild.channel(f"hive-{number}") for number in range(CHANNELS)]
        return cls(discord, folder, channels, [guild.member(name) for name in ("Ana", "Ben", "Cleo", "Dan", "Eve")])

    @asynccontextmanager
    async def running(self, *, model: bool = True) -> AsyncIterator[Bot]:
        """The bot, with everything that it missed taken in."""
        context = multiprocessing.get_context("spawn")
        stop, told = context.Event(), context.Queue()
        names = {"discord_api": self.discord.api_url, "discord_gateway": self.discord.gateway_url}
        given = {"data": self.folder, **names}
        process = context.Process(target=serve, args=(given, self.discord.token, stop, told), kwargs={"model": model})
        began = time.perf_counter()
        process.start()
        try:
            await asyncio.to_thread(told.get, timeout=PATIENCE)
            bot = Bot(SqlDatabase.in_folder(self.folder), began, time.perf_counter() - began)
            yield bot
            await bot.database.close()
        finally:
            stop.set()
        bot.figures.update(await asyncio.to_thread(told.get, timeout=PATIENCE))
        await asyncio.to_thread(process.join)

    async def says(self, number: int) -> Message:
        """The message of that number."""
        person, place = self.people[number % len(self.people)], self.channels[number % len(self.channels)]
        subject, colour = SUBJECTS[number % len(SUBJECTS)], COLOURS[number // 7 % len(COLOURS)]
        return await person.says(place, f"the {subject} number {number} is {colour}")


async def rows(bot: Bot, table: Table) -> int:
    """The number of rows of a table."""
    async with bot.database.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(table))).scalar_one())


async def until(bot: Bot, table: Table, number: int) -> None:
    """Returns when a table has so many rows."""
    async with asyncio.timeout(PATIENCE):
        while await rows(bot, table) != number:  # noqa: ASYNC110 - what another process does is polled
            await asyncio.sleep(0.1)


def serve(given: dict[str, Any], token: str, stop: Any, told: Any, *, model: bool) -> None:
    """The bot's process: tells when it has settled, and at its end what it cost."""

    async def lives() -> None:
        async with AsyncExitStack() as stack:
            app = await open_app(load_settings(None, discord_token=SecretStr(token), **given))
            stack.push_async_callback(app.close)
            if model:
                await app.embedder.embed(["warm up"])
                await stack.enter_async_context(beside(app.indexer.run()))
            port = open_discord(app)
            await stack.enter_async_context(Connections(app, [port]).open(console.print))
            while not port.settled:  # noqa: ASYNC110 - polled
                await asyncio.sleep(0.05)
            told.put("settled")
            await asyncio.to_thread(stop.wait)
            figures = {"waiting at most": float(port.feed.peak), "lost": float(port.feed.lost)}
        told.put(figures | {"MiB": peak_memory() / 2**20})

    logs.set_up(level="error")
    asyncio.run(lives())


@dataclass(slots=True)
class Told:
    """What people did in the flood."""

    messages: int = 0
    edits: int = 0
    deletions: int = 0
    reactions: int = 0


async def flood(scene: Scene) -> list[Row]:
    """A minute of 10,000 events, and what /weave took meanwhile."""
    deferrals: list[float] = []
    async with scene.running() as bot:
        began = time.perf_counter()
        asking = asyncio.create_task(_keeps_asking(scene, deferrals))
        told = await _flood(scene, began)
        sent = time.perf_counter() - began
        asking.cancel()
        await until(bot, messages, told.messages - told.deletions)
        await until(bot, reactions, told.reactions)
        lag = time.perf_counter() - began - sent
        await asyncio.sleep(1.0)
        found = await rows(bot, messages), await rows(bot, message_revisions), await rows(bot, reactions)
    figures: dict[str, float | str] = {
        "events/min": EVENTS / sent * 60,
        "messages": f"{found[0]:,} of {told.messages - told.deletions:,}",
        "edits": f"{found[1]:,} of {told.edits:,}",
        "reactions": f"{found[2]:,} of {told.reactions:,}",
        "last one after, s": lag,
        **bot.figures,
    }
    slowest = {"p50": statistics.median(deferrals), "slowest": max(deferrals), "commands": float(len(deferrals))}
    return [Row("flood", figures), Row("deferral in the flood, s", slowest)]


async def _flood(scene: Scene, began: float) -> Told:
    """Events evenly over a minute: of a hundred, 94 messages, two edits, a deletion, three reactions."""
    told = Told()
    lately: list[Message] = []
    for number in range(EVENTS):
        ahead = began + number * MINUTE / EVENTS - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        kind, who = KINDS.get(number % 100), scene.people[number % len(scene.people)]
        if kind == "edit":
            told.edits += 1
            await scene.discord.person(lately[0].author.name).edits(lately[0], f"{lately[0].content}, corrected")
        elif kind == "deletion":
            told.deletions += 1
            await who.deletes(lately[1])
        elif kind == "reaction":
            told.reactions += 1
            await who.reacts(lately[2], "🐝")
        else:
            told.messages += 1
            lately = [*lately[-4:], await scene.says(number)]
    return told


async def _keeps_asking(scene: Scene, deferrals: list[float]) -> None:
    """A slash command every two seconds; in seconds, how long its first response took."""
    while True:
        used = await scene.people[0].slash("weave", scene.channels[0], question="what colour is the queen?")
        first = await used.acknowledged()
        deferrals.append(first.answered_after or PATIENCE)
        await asyncio.sleep(2.0)


async def answer_times(scene: Scene) -> list[Row]:
    """Milliseconds from question to answer above the engine's own: by prefix, and by command."""
    over: dict[str, list[float]] = {"!weave": [], "/weave": []}
    deferrals: list[float] = []
    ana = scene.people[0]
    async with scene.running() as bot:
        for number in range(QUESTIONS):
            place = scene.channels[number % CHANNELS]
            question = f"what colour is the {SUBJECTS[number % len(SUBJECTS)]} number {number}?"
            began = time.perf_counter()
            if number % 2:
                used = await ana.slash("weave", place, question=question)
                await used.expect(patience=60)
                deferrals.append(used.interaction.answered_after or PATIENCE)
            else:
                asked = await ana.says(place, f"!weave {question}")
                await place.expect(lambda message, asked=asked: message.reply_to is asked, patience=60)  # type: ignore[misc] # a default binds it
            spent = (time.perf_counter() - began) * 1000
            async with bot.database.read() as conn:
                own = (await conn.execute(select(answers.c.ms).order_by(answers.c.serial.desc()).limit(1))).scalar_one()
            over["/weave" if number % 2 else "!weave"].append(spent - own)
            await asyncio.sleep(0.6)  # five messages in five seconds are a channel's bucket
    found = [Row(f"{kind} to answer, ms over the engine", _times(values)) for kind, values in over.items()]
    return [*found, Row("deferral, ms", _times([1000 * one for one in deferrals]))]


def _times(values: Sequence[float]) -> dict[str, float | str]:
    return {"p50": statistics.median(values), "p95": float(np.percentile(values, 95)), "slowest": max(values)}


async def absence(scene: Scene) -> Row:
    """2,000 messages and 50 reactions that the bot missed."""
    async with scene.running() as bot:
        before, rated = await rows(bot, messages), await rows(bot, votes)
    shown = scene.channels[0].answers
    for number in range(MISSED):
        await scene.says(EVENTS + number)
    for number in range(REACTIONS):
        await scene.people[number % len(scene.people)].reacts(shown[-1 - number // len(scene.people)], "👍")
    asked = len(scene.discord.requests)
    async with scene.running() as bot:
        await until(bot, messages, before + MISSED)
        await until(bot, votes, rated + REACTIONS)
        spent = time.perf_counter() - bot.began
        await asyncio.sleep(1.0)
        found = await rows(bot, messages) - before, await rows(bot, votes) - rated
    figures: dict[str, float | str] = {
        "messages": f"{found[0]:,} of {MISSED:,}",
        "votes": f"{found[1]} of {REACTIONS}",
        "recovered after, s": spent,
        "requests": float(len(scene.discord.requests) - asked),
    }
    return Row("after an absence", figures)


async def memory(scene: Scene) -> Row:
    """MiB of a process of its own, the model not loaded, with the bot in 200 servers more."""
    for number in range(MANY):
        scene.discord.guild(f"server {number}").channel("general")
    async with scene.running(model=False) as bot:
        await asyncio.sleep(3)
    return Row(f"in {MANY + 1} servers", {"MiB": bot.figures["MiB"]})


async def main() -> None:
    """The table."""
    async with running(limits=Limits()) as discord:
        with tempfile.TemporaryDirectory(prefix="weavebot-bench-") as folder:
            scene = Scene.begun(discord, Path(folder))
            found = await flood(scene)
            discord.later(3600)
            found += await answer_times(scene)
            found.append(await absence(scene))
            found.append(await memory(scene))
            found.append(Row("requests refused, of all", {"count": float(discord.invalid_requests)}))
    for row in found:
        show(row.name, [row])
    write("discord", {"rows": {row.name: json.loads(json.dumps(dict(row.figures))) for row in found}})


if __name__ == "__main__":
    logs.set_up(level="error")
    asyncio.run(main())
