"""A folder whose data were moved is not opened by mistake, and goes on when somebody wants it to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.moved import MARK, mark
from memory.errors import Refused
from tests.doubles import START
from tests.unit.bot.rooms import open_bot


async def test_a_marked_folder_is_not_opened_until_the_mark_is_removed(tmp_path: Path) -> None:
    mark(tmp_path, START)
    with pytest.raises(Refused, match=f"set WEAVEBOT_DATABASE_URL.*remove .*{MARK}"):
        async with open_bot(tmp_path):
            pass
    (tmp_path / MARK).unlink()
    async with open_bot(tmp_path):
        pass


def test_a_mark_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written"):
        mark(tmp_path / "no such folder", START)
