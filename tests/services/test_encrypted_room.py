"""From an account to an answer in an encrypted room, by the commands of docs/matrix.md.

Ana's client trusts signed devices alone (matrix-js-sdk, as Element is built).
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.services.matrix import Account
from tests.services.peer import Peer, peer_of
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services
PROGRAM = Path(sys.executable).with_name("weavebot")
SAID = (
    "We moved the release to Thursday because the load test failed.",
    "Ana ordered three new hives from the carpenter in Ghent.",
    "The smoker is in the shed behind the house.",
)


async def weavebot(data: Path, *words: str, given: str = "") -> list[dict[str, Any]]:
    """One command of the operator's; its lines."""
    pipe = asyncio.subprocess.PIPE
    command = (str(PROGRAM), *words, "--data", str(data), "--json")
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await process.communicate(given.encode())
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.decode().splitlines()]


@asynccontextmanager
async def running(data: Path, end: signal.Signals = signal.SIGTERM) -> AsyncIterator[None]:
    """``weavebot run`` for the time of the block, and how it ends then."""
    with (data / "run.log").open("ab") as log:
        command = (str(PROGRAM), "run", "--data", str(data))
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(end)
        await process.wait()


@pytest.fixture
async def registered(homeserver: Homeserver) -> Account:
    """The bot's account."""
    return await homeserver.register("weave")


@pytest.fixture
async def peer(homeserver: Homeserver) -> AsyncIterator[Peer]:
    """Ana, whose client trusts signed devices alone."""
    async with peer_of(homeserver.url, await homeserver.register("Ana")) as found:
        yield found


async def votes(data: Path, expected: int) -> dict[str, Any]:
    """The numbers, once there are that many votes."""
    async with asyncio.timeout(20):
        while True:
            [numbers] = await weavebot(data, "stats")
            if numbers["votes"] == expected:
                return numbers
            await asyncio.sleep(0.2)


async def test_an_encrypted_room_is_remembered_answered_and_learned_from(
    homeserver: Homeserver, registered: Account, peer: Peer, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    login = ("matrix", "login", homeserver.url, "--user", registered.user_id, "--password-file", "-")
    [row] = await weavebot(data, *login, given=registered.password + "\n")
    async with running(data):
        room = await peer.create(registered.user_id, version="12")
        await peer.joined(room, registered.user_id)
        assert await peer.signed(registered.user_id, row["device"])
        for text in SAID:
            await peer.say(room, text)
        question = await peer.say(room, "!weave where is the smoker?")
        answer = await peer.hears(room=room, answers=question, timeout=60)
        assert answer["encrypted"]
        assert "shed" in answer["content"]["body"]
        reaction = await peer.do("react", room=room, event=answer["event"], emoji="👍")
        numbers = await votes(data, 1)
        assert sum(route["votes"] for route in numbers["routes"]) == 1
        await peer.do("redact", room=room, event=reaction)
        await votes(data, 0)
        await peer.say(room, "!weave e2ee")
        told = await peer.hears(room=room, sender=registered.user_id, contains="identity", timeout=20)
        assert f"my device {row['device']} is signed" in told["content"]["body"]
        assert "wrong" not in told["content"]["body"]
    async with running(data):  # started again, in a room that is quiet
        edited = "!weave what did Ana order?"
        await peer.do("edit", room=room, event=question, body=edited)
        fresh = await peer.hears(room=room, sender=registered.user_id, replaces=answer["event"], timeout=60)
        assert "hives" in fresh["content"]["m.new_content"]["body"]
    log = (data / "run.log").read_text()
    assert not any(text in log for text in (*SAID, "smoker", registered.password))


async def test_what_is_said_after_a_kill_is_read_and_answered_once(
    homeserver: Homeserver, registered: Account, peer: Peer, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    login = ("matrix", "login", homeserver.url, "--user", registered.user_id, "--password-file", "-")
    await weavebot(data, *login, given=registered.password + "\n")
    async with running(data, end=signal.SIGKILL):
        room = await peer.create(registered.user_id, version="12")
        await peer.joined(room, registered.user_id)
        for text in SAID:
            await peer.say(room, text)
        await peer.do("discard", room=room)  # so that a new key is under way when it is killed
        question = await peer.say(room, "!weave where is the smoker?")
    await peer.say(room, "The smoker was cleaned on Monday.")
    async with running(data):
        assert "shed" in (await peer.hears(room=room, answers=question, timeout=60))["content"]["body"]
        late = await peer.say(room, "!weave when was the smoker cleaned?")
        assert "Monday" in (await peer.hears(room=room, answers=late, timeout=60))["content"]["body"]
        seen = await peer.do("seen", room=room)
        answered = [
            one["content"]["m.relates_to"]["m.in_reply_to"]["event_id"]
            for one in seen
            if one["sender"] == registered.user_id and one["type"] == "m.room.message"
        ]
        assert sorted(answered) == sorted([question, late])
