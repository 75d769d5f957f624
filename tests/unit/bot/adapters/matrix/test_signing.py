"""Signed JSON: the vectors of the Matrix specification, and what must not pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bot.adapters.matrix.signing import SigningKey, canonical_json, from_unpadded, signed_by, unpadded
from memory.errors import BadInput

SEED = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"
"""Of the test vectors in the specification's appendix "Cryptographic Test Vectors"."""

values = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53) + 1, 2**53 - 1) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=10,  # thirty take thirteen seconds to make and are no other case
)
objects = some.dictionaries(some.text(), values)


class TestCanonicalJson:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({}, "{}"),
            ({"one": 1, "two": "Two"}, '{"one":1,"two":"Two"}'),
            ({"b": "2", "a": "1"}, '{"a":"1","b":"2"}'),
            ({"a": "日本語"}, '{"a":"日本語"}'),
            ({"本": 2, "日": 1}, '{"日":1,"本":2}'),
            ({"a": "\u65e5"}, '{"a":"日"}'),
            ({"a": None}, '{"a":null}'),
            ({"a": [True, {"c": 1, "b": "\n\x7f"}]}, '{"a":[true,{"b":"\\n\x7f","c":1}]}'),
        ],
    )
    def test_the_examples_of_the_specification(self, value: dict[str, Any], expected: str) -> None:
        assert canonical_json(value) == expected.encode()

    @pytest.mark.parametrize(
        "value", [{"a": 1.5}, {"a": 2**53}, {"a": -(2**53)}, {1: "a"}, {"a": [b"x"]}, {"a": {2: 1}}]
    )
    def test_what_has_no_canonical_form_is_refused(self, value: dict[str, Any]) -> None:
        with pytest.raises(BadInput):
            canonical_json(value)

    @given(objects)
    def test_it_says_the_same_and_says_it_one_way(self, value: dict[str, Any]) -> None:
        said = canonical_json(value)
        assert json.loads(said) == value
        assert canonical_json(dict(reversed(value.items()))) == said


class TestSignatures:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({}, "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"),
            (
                {"one": 1, "two": "Two"},
                "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
            ),
        ],
    )
    def test_the_vectors_of_the_specification(self, value: dict[str, Any], expected: str) -> None:
        assert SigningKey(from_unpadded(SEED)).signature(value) == expected

    def test_a_key_is_named_by_its_public_half_without_padding(self) -> None:
        key = SigningKey.fresh()
        assert key.id == f"ed25519:{key.public}"
        assert len(key.public) == 43
        assert "=" not in key.public

    @given(objects)
    def test_what_was_signed_is_signed_and_others_signatures_stay(self, value: dict[str, Any]) -> None:
        first, second = SigningKey.fresh(), SigningKey.fresh()
        bare = {name: one for name, one in value.items() if name not in ("signatures", "unsigned")}
        signed = second.sign(first.sign({**bare, "unsigned": {"age": 1}}, "@ana:x"), "@weave:x")
        assert signed_by(signed, "@ana:x", first.public)
        assert signed_by(signed, "@weave:x", second.public)
        assert signed_by({**signed, "unsigned": {"age": 2}}, "@ana:x", first.public)

    def test_what_was_changed_is_not(self) -> None:
        key = SigningKey.fresh()
        signed = key.sign({"a": 1}, "@ana:x")
        assert not signed_by({**signed, "a": 2}, "@ana:x", key.public)
        assert not signed_by(signed, "@ben:x", key.public)
        assert not signed_by(signed, "@ana:x", SigningKey.fresh().public)
        forged = {"@ana:x": {key.id: unpadded(b"x" * 64)}}
        assert not signed_by({"a": 1, "signatures": forged}, "@ana:x", key.public)

    @pytest.mark.parametrize(
        "signatures", [None, [], {}, {"@ana:x": None}, {"@ana:x": {"ed25519:X": "="}}, {"@ana:x": {"ed25519:X": 7}}]
    )
    def test_a_malformed_one_is_none(self, signatures: Any) -> None:
        assert not signed_by({"a": 1, "signatures": signatures}, "@ana:x", "X")

    def test_a_seed_of_another_length_is_refused_and_none_is_shown(self) -> None:
        with pytest.raises(BadInput):
            SigningKey(b"short")
        key = SigningKey.fresh()
        assert unpadded(key.seed) not in repr(key)
        assert repr(key) == "SigningKey()"

    @pytest.mark.parametrize("text", ["a", "ä", "a b c d", "YQ==YQ"])
    def test_what_is_no_base64_is_refused(self, text: str) -> None:
        with pytest.raises(BadInput):
            from_unpadded(text)
