"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from memory.models import Room
from tests.parts import Memory, open_memory

settings.register_profile("shared", deadline=None)  # machines are shared and noisy: time is a benchmark's matter
settings.load_profile("shared")


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    """The memory and the router on an empty folder."""
    async with open_memory(tmp_path) as parts:
        yield parts


@pytest.fixture
async def room(memory: Memory) -> Room:
    """A room of that memory."""
    return await memory.room()
