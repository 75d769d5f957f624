"""Where the real servers are, and how a test stops, kills or freezes one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from deploy.local_services.recipes import PREFIX
from deploy.local_services.services import Services

HINT = "needs a real server: run make test-services"


def address(name: str) -> str:
    """The value of WEAVEBOT_TEST_name; without it the test is skipped, saying how to run it."""
    told = os.environ.get(PREFIX + name)
    if not told:
        pytest.skip(f"{PREFIX}{name} is not set: {HINT}")
    return told


class Server:
    """One running server, by its name in ``deploy/local-services``. Whatever a test does, it runs again afterwards.

    Others use it at the same time: a test that stops, kills or freezes it is marked ``alone``.
    """

    def __init__(self, name: str, *, alone: bool = False) -> None:
        self.name = name
        self._alone = alone
        self._services = Services(Path(address("SERVICES")))
        self._disturbed = False

    async def stop(self) -> None:
        """Stops it in an orderly way."""
        self._disturb()
        await asyncio.to_thread(self._services.stop, [self.name])

    async def start(self) -> None:
        """Starts it where it was, on the same port with the same data, and waits until it answers."""
        await asyncio.to_thread(self._services.start, [self.name])

    async def restart(self) -> None:
        """Stops and starts it."""
        self._disturb()
        await asyncio.to_thread(self._services.restart, self.name)

    async def kill(self) -> None:
        """Kills it with everything unsaved (SIGKILL)."""
        self._disturb()
        await asyncio.to_thread(self._services.kill, self.name)

    async def pause(self) -> None:
        """Freezes it: its connections stay open and nothing answers."""
        self._disturb()
        await asyncio.to_thread(self._services.pause, self.name)

    async def resume(self) -> None:
        """Lets it go on."""
        await asyncio.to_thread(self._services.resume, self.name)

    async def recover(self) -> None:
        """Running and answering, whatever was done to it."""
        if not self._disturbed:
            return
        if self._services.status()[self.name] == "running":
            await self.resume()
        await self.start()

    def _disturb(self) -> None:
        assert self._alone, f"others use {self.name} at the same time: mark this test alone"
        self._disturbed = True
