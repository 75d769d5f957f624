"""Malformed frames from the gateway, made from real ones: none ends the client, none sends it round in circles."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bot.adapters.discord.bots import weavebot
from tests.e2e.eventually import eventually
from tests.standins.discord import Discord, Person, Place

COUNT = 10_000
SEED = 20_260_302
VALUES: list[Any] = [None, "", "x", -1, 0, 1.5, 2**70, True, [], {}, [[]], {"id": None}, "\ud800", "9" * 30]


class Mutations:
    """Frames with one to three things in them changed, at random but always the same."""

    def __init__(self, frames: list[dict[str, Any]]) -> None:
        self._random = random.Random(SEED)  # noqa: S311 - for repeatable tests
        self._frames = frames

    def make(self) -> str:
        """A frame; seldom one that is no JSON at all."""
        frame = copy.deepcopy(self._random.choice(self._frames))
        for _ in range(self._random.randint(1, 3)):
            self._change(frame)
        text = json.dumps(frame)
        dice = self._random.random()
        if dice < 0.02:
            return text[: self._random.randrange(len(text))]
        return "[" * 5000 if dice < 0.021 else text

    def _change(self, frame: dict[str, Any]) -> None:
        where: Any = frame
        while True:
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            if not keys:
                return
            key = self._random.choice(keys)
            inner = where[key]
            if isinstance(inner, dict | list) and inner and self._random.random() < 0.8:
                where = inner
                continue
            if isinstance(where, dict) and self._random.random() < 0.3:
                del where[key]
            else:
                where[key] = copy.deepcopy(self._random.choice(VALUES))
            return


async def real_frames(discord: Discord, hives: Place, ana: Person) -> list[dict[str, Any]]:
    """Every kind of frame that the gateway sends, as it really sends it."""
    guild = discord.guild("hives")
    message = await ana.says(hives, "the gate code is 4471", files=[("a.txt", b"a")])
    await ana.says(hives, f"{discord.bot_mention} what is it?", reply_to=message)
    await ana.edits(message, "the gate code is 9876")
    discord.unfurls(message)
    for burst in (False, True):
        await ana.reacts(message, "👍", burst=burst)
        await ana.unreacts(message, "👍", burst=burst)
    await ana.clears(message, "👍")
    await ana.clears(message)
    thread = await ana.opens_thread(hives, "apart", on=message)
    await ana.says(thread, "inside")
    thread.archives()
    await ana.dms("hello")
    await ana.slash("weave", hives, question="what?")
    await ana.menu("Remember this", message)
    await ana.deletes(await ana.says(hives, "gone"))
    await ana.deletes(await ana.says(hives, "gone"), await ana.says(hives, "gone too"))
    hives.set_nsfw(nsfw=False)
    guild.role("keepers")
    guild.goes_away()
    guild.comes_back()
    [session] = discord.gateway.sessions.known()
    frames = [json.loads(text) for _, text in session.after(0)]
    hello = {"op": 10, "d": {"heartbeat_interval": 41250, "_trace": []}, "s": None, "t": None}
    return [*frames, hello, {"op": 11, "d": None, "s": None, "t": None}, {"op": 1, "d": None, "s": None, "t": None}]


async def test_10000_malformed_frames_cause_no_unhandled_error_and_no_reconnect_loop(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
    async with weavebot(discord, tmp_path) as bot:
        frames = await real_frames(discord, hives, ana)
        await eventually(lambda: waiting(bot), lambda found: not found)
        kinds = {frame["t"] for frame in frames}
        assert {"READY", "GUILD_CREATE", "MESSAGE_CREATE", "INTERACTION_CREATE", "MESSAGE_DELETE_BULK"} <= kinds
        mutations = Mutations(frames)
        before = discord.gateway.sessions.started
        with caplog.at_level(logging.ERROR):
            for number in range(COUNT):
                await discord.gateway.send_all(mutations.make())
                if number % 200 == 0:
                    await asyncio.sleep(0)
            await ana.says(hives, "still there?")
            await eventually(lambda: bot.kept(hives.id), lambda kept: "still there?" in kept, 60.0)
        guard = bot.port._guard
        assert guard.malformed > COUNT / 20
        # An op 7 or 9 among them is a well-formed order to come back; nothing else may make us do it.
        assert guard.returns <= 5
        assert discord.gateway.sessions.started - before <= guard.returns
        assert not bot.told
        assert [record.getMessage() for record in caplog.records if record.name.startswith("asyncio")] == []
    assert unhandled == []


async def waiting(bot: Any) -> int:
    """What is not committed yet."""
    return len(bot.port.feed)
