"""The file of the cross-signing seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.adapters.matrix import seeds
from bot.adapters.matrix.seeds import Identity, Seeds
from bot.adapters.matrix.signing import signed_by
from memory.errors import Unavailable

ME = "@weave:example.org"


class TestTheFile:
    def test_holds_what_was_saved_closed_to_others(self, tmp_path: Path) -> None:
        kept = Seeds(Identity.fresh(), Identity.fresh())
        kept.save(tmp_path, ME)
        assert seeds.read(tmp_path, ME) == kept
        assert (tmp_path / seeds.FILE).stat().st_mode & 0o777 == 0o600

    def test_that_is_not_there_holds_nothing(self, tmp_path: Path) -> None:
        assert seeds.read(tmp_path, ME) == Seeds()

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "{}", '{"user_id": "@weave:example.org", "current": {}, "coming": null}']
    )
    def test_that_is_damaged_is_no_reason_to_begin_anew(self, tmp_path: Path, text: str) -> None:
        (tmp_path / seeds.FILE).write_text(text)
        with pytest.raises(Unavailable, match="restore the file from a copy"):
            seeds.read(tmp_path, ME)

    def test_with_a_seed_cut_short_is_damaged(self, tmp_path: Path) -> None:
        Seeds(Identity.fresh()).save(tmp_path, ME)
        value = json.loads((tmp_path / seeds.FILE).read_text())
        value["current"]["master"] = value["current"]["master"][:-4]
        (tmp_path / seeds.FILE).write_text(json.dumps(value))
        with pytest.raises(Unavailable, match="restore the file from a copy"):
            seeds.read(tmp_path, ME)

    def test_of_another_account_is_not_taken(self, tmp_path: Path) -> None:
        Seeds(Identity.fresh()).save(tmp_path, "@other:example.org")
        with pytest.raises(Unavailable, match=r"belong to @other:example\.org"):
            seeds.read(tmp_path, ME)


class TestWhatIsPublished:
    def test_the_master_signs_the_two_others_and_no_seed_is_in_it(self) -> None:
        identity = Identity.fresh()
        published = identity.published(ME)
        assert list(published) == ["master_key", "self_signing_key", "user_signing_key"]
        for role in ("self_signing", "user_signing"):
            assert signed_by(published[f"{role}_key"], ME, identity.master.public)
            assert published[f"{role}_key"]["usage"] == [role]
        assert "signatures" not in published["master_key"]
        assert published["master_key"]["keys"] == {identity.master.id: identity.master.public}
        kept = json.dumps(published)
        assert not any(json.dumps(one)[1:-1] in kept for one in seeds._text(identity).values())  # type: ignore[union-attr]
