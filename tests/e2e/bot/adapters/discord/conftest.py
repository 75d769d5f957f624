"""A Discord for each test; sockets reach this machine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_socket

from tests.standins.discord import Discord, Person, Place, running


@pytest.fixture(autouse=True)
def _loopback() -> Iterator[None]:
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"], allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    """A request that the stand-in does not know fails the test."""
    async with running() as stand_in:
        yield stand_in
    assert not stand_in.rest.unknown


@pytest.fixture
def hives(discord: Discord) -> Place:
    """A channel of a server with the bot in it; notices to all go to another."""
    discord.guild("hives").channel("welcome")
    return discord.guild("hives").channel("general")


@pytest.fixture
def ana(discord: Discord) -> Person:
    """Somebody in that server."""
    return discord.guild("hives").member("Ana")
