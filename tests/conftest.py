"""Fixtures for all tests."""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from structlog.dev import ConsoleRenderer, plain_traceback

from memory.models import Room
from tests.parts import Memory, open_memory
from tests.services.databases import empty_database
from tests.services.servers import alone_with

settings.register_profile("shared", deadline=None)  # machines are shared and noisy: time is a benchmark's matter
settings.load_profile("shared")
ConsoleRenderer.get_active().exception_formatter = plain_traceback  # one that is drawn for the screen takes seconds


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test about the embedded files is not run on PostgreSQL; those that are alone with a server come first.

    They take turns: in one worker, one after another, none waits for the other, and nobody waits for them at the end.
    """
    off = [one for one in items if one.get_closest_marker("embedded") and one.get_closest_marker("services")]
    config.hook.pytest_deselected(items=off)
    items[:] = sorted((one for one in items if one not in off), key=lambda one: not one.get_closest_marker("alone"))


@pytest.fixture(autouse=True)
def _servers_of_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """Made before the other fixtures and undone after them, so that a server is mended before another test has it."""
    marker = request.node.get_closest_marker("alone")
    if marker is None:
        yield
        return
    with alone_with(marker.args):
        yield


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """What a command set up for its logs ends with the test, as its streams do."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


@pytest.fixture(autouse=True)
def draws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeds that questions draw are the same at every run of a test: one that passes today passes tomorrow."""
    drawn = random.Random(request.node.nodeid)  # noqa: S311 - the same each time is what it is for
    monkeypatch.setattr(secrets, "randbits", drawn.getrandbits)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
async def database_url(request: pytest.FixtureRequest) -> AsyncIterator[str | None]:
    """Where a test's rows are: in its folder (None), or, among the tests on servers, in a database of its own."""
    if request.param == "sqlite":
        yield None
        return
    async with empty_database() as url:
        yield url


@pytest.fixture
async def memory(tmp_path: Path, database_url: str | None) -> AsyncIterator[Memory]:
    """The memory and the router on an empty folder; on both databases."""
    async with open_memory(tmp_path, database_url) as parts:
        yield parts


@pytest.fixture
async def room(memory: Memory) -> Room:
    """A room of that memory."""
    return await memory.room()
