"""Fixtures of the stand-ins' tests: a Discord, and a bot of the real library in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_socket

from tests.standins.bots import Bot, Bots
from tests.standins.discord import Discord, running


@pytest.fixture(autouse=True)
def _loopback() -> Iterator[None]:
    """Sockets reach this machine alone."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"], allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    """A Discord of its own; a request that it does not know fails the test."""
    async with running() as stand_in:
        yield stand_in
    assert not stand_in.rest.unknown


@pytest.fixture
async def bots(discord: Discord) -> AsyncIterator[Bots]:
    """Starts bots of the real library."""
    starter = Bots(discord)
    yield starter
    await starter.close()


@pytest.fixture
async def bot(bots: Bots) -> Bot:
    """A bot with all intents, ready."""
    return await bots.start()
