"""Fixtures of the real servers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from deploy.local_services.recipes import PREFIX
from tests.services.synapse import Homeserver
from tests.services.turns import turn


@pytest.fixture(autouse=True)
def _turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Made before the other fixtures and undone after them, so that servers are mended before anybody else goes on."""
    folder = os.environ.get(PREFIX + "SERVICES")
    if folder is None:  # the test is about to be skipped
        yield
        return
    with turn(Path(folder), alone=_alone(request)):
        yield


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A session for the test's own requests."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def homeserver(http: aiohttp.ClientSession, request: pytest.FixtureRequest) -> AsyncIterator[Homeserver]:
    """A real Synapse without rate limits; it runs again after the test, whatever the test did to it."""
    found = Homeserver(http, alone=_alone(request))
    yield found
    await found.recover()


@pytest.fixture
async def limited_homeserver(http: aiohttp.ClientSession, request: pytest.FixtureRequest) -> AsyncIterator[Homeserver]:
    """A real Synapse with its default rate limits."""
    found = Homeserver(http, limited=True, alone=_alone(request))
    yield found
    await found.recover()


def _alone(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("alone") is not None
