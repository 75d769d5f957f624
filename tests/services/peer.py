"""Somebody with a client as strict as Element's "only signed devices": matrix-js-sdk in Node, driven over its stdin."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.services.matrix import Account
from tests.services.servers import address

SCRIPT = Path(__file__).parent.parent / "standins" / "peer" / "peer.mjs"
STARTS_WITHIN = 60.0
ANSWERS_WITHIN = 60.0
LONGEST_LINE = 1 << 20


class PeerFailed(AssertionError):
    """The peer could not do what it was told, in its words."""


class Peer:
    """A running peer. Its commands are those of the script."""

    def __init__(self, process: asyncio.subprocess.Process, account: Account) -> None:
        self.account = account
        self._process = process
        self._count = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    @property
    def user_id(self) -> str:
        """Such as ``@ana:localhost``."""
        return self.account.user_id

    async def do(self, action: str, **what: Any) -> Any:
        """One command; gives its value. Raises PeerFailed."""
        number = next(self._count)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps({"id": number, "do": action, **what}).encode() + b"\n")
        await stdin.drain()
        return await asyncio.wait_for(future, ANSWERS_WITHIN)

    async def create(self, *invite: str, encrypted: bool = True, version: str = "10") -> str:
        """A room of the peer's; gives its id."""
        return str(await self.do("create", invite=list(invite), encrypted=encrypted, version=version))

    async def joined(self, room: str, user: str) -> None:
        """Waits until somebody is in the room."""
        await self.hears(room=room, sender=user, type="m.room.member", timeout=50)

    async def say(self, room: str, body: str) -> str:
        """A message; gives its event id."""
        return str(await self.do("send", room=room, body=body))

    async def hears(self, **wanted: Any) -> dict[str, Any]:
        """The first event that fits, decrypted; with ``failed=True`` one that cannot be. Raises PeerFailed."""
        found: dict[str, Any] = await self.do("expect", **wanted)
        return found

    async def signed(self, user: str, device: str) -> bool:
        """Whether the peer finds that device signed by its owner."""
        shown = await self.do("devices", user=user)
        return bool(shown[device]["signed"])

    async def end(self) -> None:
        """Ends the process."""
        self._reader.cancel()
        with suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()
        with suppress(asyncio.CancelledError):
            await self._reader

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        async for line in stdout:
            told = json.loads(line)
            future = self._answers.pop(told["id"])
            if future.done():
                continue
            if told["ok"]:
                future.set_result(told["value"])
            else:
                future.set_exception(PeerFailed(told["error"]))
        for future in self._answers.values():
            future.set_exception(PeerFailed("the peer ended"))


@asynccontextmanager
async def peer_of(url: str, account: Account, *, strict: bool = True, sign: bool = True) -> AsyncIterator[Peer]:
    """A peer for the account, logged in on its device and signed; with ``strict`` it trusts signed devices alone."""
    node = shutil.which("node")
    assert node is not None
    who = {
        "homeserver": url,
        "user": account.user_id,
        "device": account.device_id,
        "token": account.token,
        "password": account.password,
        "strict": strict,
        "sign": sign,
    }
    environ = {**os.environ, "WEAVEBOT_TEST_NODE_PEER": address("NODE_PEER")}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node, str(SCRIPT), json.dumps(who), stdin=pipe, stdout=pipe, env=environ, limit=LONGEST_LINE
    )
    assert process.stdout is not None
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), STARTS_WITHIN) or b'{"error": "it ended"}')
    assert first.get("ready"), f"the peer did not start: {first.get('error')}"
    peer = Peer(process, account)
    try:
        yield peer
    finally:
        await peer.end()
