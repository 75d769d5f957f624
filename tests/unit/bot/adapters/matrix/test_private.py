"""Files that hold a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.adapters.matrix import private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


class TestWriting:
    def test_a_file_is_closed_to_others_whatever_the_umask(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            private.write(tmp_path / "key", "secret")
        finally:
            os.umask(before)
        assert mode(tmp_path / "key") == 0o600
        assert (tmp_path / "key").read_text() == "secret"

    def test_a_file_that_was_open_is_closed_when_it_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("old")
        (tmp_path / "key").chmod(0o644)
        private.write(tmp_path / "key", "new")
        assert mode(tmp_path / "key") == 0o600
        assert (tmp_path / "key").read_text() == "new"

    def test_what_cannot_be_put_in_place_leaves_the_old_one_and_nothing_else(self, tmp_path: Path) -> None:
        (tmp_path / "key").mkdir()
        with pytest.raises(OSError, match="directory"):
            private.write(tmp_path / "key", "new")
        assert [one.name for one in tmp_path.iterdir()] == ["key"]


class TestClosing:
    def test_a_folder_and_a_file_are_made_closed_and_keep_what_they_hold(self, tmp_path: Path) -> None:
        folder = private.folder(tmp_path / "a" / "b")
        assert mode(folder) == 0o700
        folder.chmod(0o755)
        (folder / "store").write_text("rows")
        (folder / "store").chmod(0o666)
        assert private.loose(folder) == "0755"
        assert private.loose(folder / "store") == "0666"
        private.folder(folder)
        private.close(folder / "store")
        assert private.loose(folder) is None
        assert private.loose(folder / "store") is None
        assert (folder / "store").read_text() == "rows"

    def test_what_is_not_there_is_not_open(self, tmp_path: Path) -> None:
        assert private.loose(tmp_path / "nothing") is None
