"""The Olm machine: what it opens, and whom it does not believe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import vodozemac
from nio import AsyncClient
from nio.exceptions import EncryptionError

from bot.adapters.matrix.encryption import machine, own_keys
from tests.unit.bot.adapters.matrix.devices import ANA, ROOM, WEAVE, device, hand_over, introduce, locked, parsed

BEN = "@ben:example.org"


@pytest.fixture
def weave(tmp_path: Path) -> AsyncClient:
    return device(tmp_path, WEAVE, "WEAVE")


@pytest.fixture
def ana(tmp_path: Path) -> AsyncClient:
    return device(tmp_path, ANA, "PHONE")


class TestOpening:
    def test_a_message_whose_key_is_here(self, weave: AsyncClient, ana: AsyncClient) -> None:
        introduce(weave, ana)
        source = locked(ana, "In the shed.", "$1")
        assert machine(weave).opened(ROOM, source) is None
        session = machine(ana).outbound_group_sessions[ROOM]
        assert machine(weave).session_of(ROOM, session.id) is None
        hand_over(ana, weave)  # the key as it is now, after the first message
        found = machine(weave).opened(ROOM, locked(ana, "In the barn.", "$2"))
        assert found is not None
        assert found.source["content"]["body"] == "In the barn."
        assert machine(weave).opened(ROOM, source) is None

    @pytest.mark.parametrize("without", [("sender_key",), ("device_id",), ("sender_key", "device_id")])
    def test_a_message_without_the_deprecated_fields(
        self, weave: AsyncClient, ana: AsyncClient, without: tuple[str, ...]
    ) -> None:
        introduce(weave, ana)
        locked(ana, "first", "$0")
        hand_over(ana, weave)
        source = locked(ana, "In the shed.", "$1")
        for name in without:
            del source["content"][name]
        found = machine(weave).opened(ROOM, source)
        assert found is not None
        assert (found.body, found.sender, found.event_id) == ("In the shed.", ANA, "$1")

    @pytest.mark.parametrize(
        "change",
        [
            {"type": "m.room.message"},
            {"content": None},
            {"content": {}},
            {"content": {"session_id": 7}},
            {"content": {"session_id": "unknown"}},
        ],
        ids=str,
    )
    def test_nothing_else(self, weave: AsyncClient, ana: AsyncClient, change: dict[str, Any]) -> None:
        source = {**locked(ana, "In the shed.", "$1"), **change}
        assert machine(weave).opened(ROOM, source) is None

    def test_no_message_whose_text_was_changed_on_the_way(self, weave: AsyncClient, ana: AsyncClient) -> None:
        locked(ana, "first", "$0")
        hand_over(ana, weave)
        source = locked(ana, "In the shed.", "$1")
        for text in ("", "!!!", source["content"]["ciphertext"][:-8] + "AAAAAAAA"):
            changed = {**source, "content": {**source["content"], "ciphertext": text}}
            assert machine(weave).opened(ROOM, changed) is None


class TestSenders:
    def test_a_message_under_another_name_is_refused(self, weave: AsyncClient, ana: AsyncClient) -> None:
        introduce(weave, ana)
        locked(ana, "first", "$0")
        hand_over(ana, weave)
        forged = locked(ana, "Ben said this.", "$1", sender=BEN)
        assert machine(weave).opened(ROOM, forged) is None
        with pytest.raises(EncryptionError, match="another sender"):
            machine(weave).decrypt_megolm_event(parsed(forged), ROOM)

    def test_a_device_that_is_not_known_yet_is_believed(self, weave: AsyncClient, ana: AsyncClient) -> None:
        locked(ana, "first", "$0")
        hand_over(ana, weave)
        assert machine(weave).opened(ROOM, locked(ana, "In the shed.", "$1")) is not None
        assert machine(weave).users_for_key_query == {ANA}

    def test_the_owner_of_a_key(self, weave: AsyncClient, ana: AsyncClient) -> None:
        introduce(weave, ana)
        assert machine(weave).owner_of(own_keys(ana).curve25519) == ANA
        assert machine(weave).owner_of(own_keys(weave).curve25519) == WEAVE
        assert machine(weave).owner_of("another") is None


class TestRoomKeys:
    def test_one_that_is_known_is_not_replaced_by_one_that_reads_less(
        self, weave: AsyncClient, ana: AsyncClient
    ) -> None:
        locked(ana, "first", "$0")
        hand_over(ana, weave)
        source = locked(ana, "In the shed.", "$1")
        locked(ana, "later", "$2")
        hand_over(ana, weave)
        assert machine(weave).opened(ROOM, source) is not None

    def test_a_stranger_cannot_give_another_under_the_same_id(
        self, weave: AsyncClient, ana: AsyncClient, tmp_path: Path
    ) -> None:
        locked(ana, "first", "$0")
        hand_over(ana, weave)
        source, keys = locked(ana, "In the shed.", "$1"), own_keys(device(tmp_path, BEN, "LAPTOP"))
        session = machine(ana).outbound_group_sessions[ROOM]
        machine(weave).create_group_session(keys.curve25519, keys.ed25519, ROOM, session.id, session.session_key)
        assert machine(weave).opened(ROOM, source) is not None

    def test_a_malformed_one_is_left_aside(self, weave: AsyncClient) -> None:
        with pytest.raises(vodozemac.SessionKeyDecodeException):
            machine(weave).create_group_session("key", "key", ROOM, "id", "!!!")
        assert machine(weave).session_of(ROOM, "id") is None


class TestTheStore:
    def test_what_was_given_is_there_after_a_restart(
        self, weave: AsyncClient, ana: AsyncClient, tmp_path: Path
    ) -> None:
        locked(ana, "first", "$0")
        hand_over(ana, weave)
        source = locked(ana, "In the shed.", "$1")
        weave.store.database.close()
        again = device(tmp_path, WEAVE, "WEAVE")
        assert own_keys(again) == own_keys(weave)
        assert machine(again).opened(ROOM, source) is not None
