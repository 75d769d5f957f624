"""Fixtures of the bot's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import App
from tests.unit.bot.rooms import Chat, open_bot


@pytest.fixture
async def app(tmp_path: Path, database_url: str | None) -> AsyncIterator[App]:
    """A bot on an empty folder; on both databases."""
    async with open_bot(tmp_path, database_url=database_url) as opened:
        yield opened


@pytest.fixture
def chat(app: App) -> Chat:
    """A room with that bot in it."""
    return Chat(app)
