"""Fixtures of the adapter on a real homeserver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.bot.adapters.matrix.bots import Bot
from tests.services.matrix import Person
from tests.services.synapse import Homeserver


@pytest.fixture
async def resting_bot(homeserver: Homeserver, tmp_path: Path) -> Bot:
    """An account of ours that does not read yet."""
    return Bot(homeserver.url, await homeserver.register("weave"), tmp_path / "weave")


@pytest.fixture
async def bot(resting_bot: Bot) -> AsyncIterator[Bot]:
    """The adapter, reading."""
    async with resting_bot.running() as running:
        yield running


@pytest.fixture
async def ana(homeserver: Homeserver) -> Person:
    """Somebody with an account."""
    return await homeserver.person("Ana")


@pytest.fixture
async def ben(homeserver: Homeserver) -> Person:
    """Somebody else."""
    return await homeserver.person("Ben")
