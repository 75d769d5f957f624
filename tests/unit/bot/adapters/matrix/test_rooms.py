"""Who may do what in a room."""

from __future__ import annotations

from typing import Any

import pytest
from nio import MatrixRoom

from bot.adapters.matrix.rooms import View, above_levels, creators_of, local_part, server_of
from bot.models import Place, Role

ME, ANA, BEN = "@weave:example.org", "@ana:example.org", "@ben:example.org"


def view(version: str = "10", levels: dict[str, int] | None = None, *, creators: tuple[str, ...] = (ANA,)) -> View:
    room = MatrixRoom("!room:example.org" if int(version) < 12 else "!room", ME)
    room.room_version = version
    room.power_levels.users.update(levels or {})
    return View(ME, Place("matrix", room.room_id, "hives", ME), room, frozenset(creators), {})


class TestRoles:
    @pytest.mark.parametrize(
        ("level", "role"),
        [(0, Role.MEMBER), (49, Role.MEMBER), (50, Role.MODERATOR), (99, Role.MODERATOR), (100, Role.ADMIN)],
    )
    def test_follow_power_levels(self, level: int, role: Role) -> None:
        assert view(levels={BEN: level}).role(BEN) is role

    @pytest.mark.parametrize(("version", "role"), [("10", Role.MEMBER), ("11", Role.MEMBER), ("12", Role.ADMIN)])
    def test_creators_stand_above_the_levels_since_version_12(self, version: str, role: Role) -> None:
        assert view(version, {BEN: 100}).role(ANA) is role

    def test_a_room_without_power_levels_belongs_to_its_creator(self) -> None:
        assert view().role(ANA) is Role.ADMIN
        assert view().role(BEN) is Role.MEMBER

    @pytest.mark.parametrize(
        ("version", "room", "above"),
        [
            ("12", "!x", True),
            ("13", "!x", True),
            ("11", "!x:y", False),
            ("org.v12", "!x", True),
            ("org.v1", "!x:y", False),
        ],
    )
    def test_versions_that_are_no_numbers_are_told_by_the_room_id(self, version: str, room: str, above: bool) -> None:  # noqa: FBT001 - a case's outcome
        assert above_levels(version, room) is above


class TestCreators:
    @pytest.mark.parametrize(
        ("content", "named"),
        [
            ({}, {ANA}),
            ({"additional_creators": [BEN]}, {ANA, BEN}),
            ({"additional_creators": "nobody"}, {ANA}),
            (None, {ANA}),
        ],
    )
    def test_are_the_sender_and_those_named(self, content: Any, named: set[str]) -> None:
        assert creators_of({"sender": ANA, "content": content}) == named


class TestNames:
    def test_of_strangers_are_taken_from_their_ids(self) -> None:
        assert view().actor("@carla:example.org").name == "carla"
        assert (local_part("@a:b:8448"), server_of("@a:b:8448")) == ("a", "b:8448")
