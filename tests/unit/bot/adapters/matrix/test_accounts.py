"""Accounts in files that nobody else reads."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bot.adapters.matrix.accounts import CRYPTO, FILE, Account, drop, folder_of, keep, stored
from memory.errors import Unavailable

ONE = Account("https://example.org", "@weave:example.org", "DEVICE/1", "secret-token")
TWO = Account("https://example.net", "@weave:example.net", "OTHER", "other-token")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestAccounts:
    def test_are_kept_apart_and_closed(self, tmp_path: Path) -> None:
        folders = [keep(tmp_path, one) for one in (TWO, ONE)]
        assert stored(tmp_path) == [TWO, ONE]
        assert [mode(one) for one in folders] == [0o700, 0o700]
        assert mode(tmp_path / "matrix") == 0o700
        assert mode(folders[0] / FILE) == 0o600

    def test_are_replaced_by_a_new_login(self, tmp_path: Path) -> None:
        keep(tmp_path, ONE)
        keep(tmp_path, Account(ONE.homeserver, ONE.user_id, "NEW", "new-token"))
        assert [one.device_id for one in stored(tmp_path)] == ["NEW"]
        assert [one.name for one in folder_of(tmp_path, ONE.user_id).iterdir()] == [FILE]

    def test_are_dropped_with_their_keys_but_not_their_identity(self, tmp_path: Path) -> None:
        folder = keep(tmp_path, ONE)
        (folder / CRYPTO).mkdir()
        for name in ("DEVICE%2F1.db", "DEVICE%2F1.db-wal", "DEVICE%2F10.db", "cross_signing.json"):
            (folder / CRYPTO / name).touch()
        drop(tmp_path, ONE)
        assert stored(tmp_path) == []
        assert sorted(one.name for one in (folder / CRYPTO).iterdir()) == ["DEVICE%2F10.db", "cross_signing.json"]

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"homeserver": 1, "more": 2}'])
    def test_that_are_damaged_are_named_with_the_fix(self, tmp_path: Path, text: str) -> None:
        (keep(tmp_path, ONE) / FILE).write_text(text)
        with pytest.raises(Unavailable, match=r"account\.json cannot be read; log in again"):
            stored(tmp_path)

    def test_never_show_their_token(self) -> None:
        assert "secret-token" not in repr(ONE)

    def test_have_a_folder_of_their_own_for_every_user_id(self, tmp_path: Path) -> None:
        ids = ["@a:b", "@a/b:c", "@a%2Fb:c", "@../x:y", "@A:b"]
        folders = [folder_of(tmp_path, one) for one in ids]
        assert len(set(folders)) == len(ids)
        assert all(one.parent == tmp_path / "matrix" for one in folders)
        with pytest.raises(Unavailable, match="too long"):
            folder_of(tmp_path, "@" + "ü" * 100 + ":example.org")
