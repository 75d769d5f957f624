"""Fixtures of the real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.services.synapse import Homeserver


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
