"""Where the real servers are, and how a test that is alone with one stops, kills or freezes it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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


@contextmanager
def alone_with(names: Sequence[str]) -> Iterator[None]:
    """Second servers of these names (none: of all) for the time of the block, which nobody else uses meanwhile.

    What `address` gives leads to them. Each is started when it is first wanted; those who want the same one take it in
    turn, and hold it by a lock of the system's (flock): it ends with the process, whatever becomes of that.
    """
    first = Services(Path(address("SERVICES")))
    with ExitStack() as stack:
        environ = stack.enter_context(pytest.MonkeyPatch.context())
        for name in sorted(names or first.names):  # the same order for all, so that no two wait for each other
            if name not in first.names:
                pytest.skip(f"{name} was not started: {HINT}")
            second = first.second(name)
            second.folder.mkdir(parents=True, exist_ok=True)
            turn = stack.enter_context((second.folder / "turn.lock").open("w"))
            fcntl.flock(turn, fcntl.LOCK_EX)
            second.start([name])
            for variable, value in second.addresses().items():
                if variable != f"{PREFIX}SERVICES":
                    environ.setenv(variable, value)
        yield


class Server:
    """One running server, by its name in ``deploy/local-services``. Whatever a test does, it runs again afterwards.

    ``alone``: the second one of that name, of a test that is marked so; the first must be left as it is, others use it.
    """

    def __init__(self, name: str, *, alone: bool = False) -> None:
        self.name = name
        self._alone = alone
        first = Services(Path(address("SERVICES")))
        self._services = first.second(name) if alone else first
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
        assert self._alone, f"others use {self.name} at the same time: mark this test alone({self.name!r})"
        self._disturbed = True
