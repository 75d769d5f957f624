"""Signed JSON as Matrix wants it: Ed25519 over canonical JSON, key ids of unpadded base64.

Padded key ids are dropped without a word by the clients that are written in Rust, so there is one function for base64.
Sources: Matrix specification, appendices "Canonical JSON" and "Signing JSON"; RFC 8032 (Ed25519).
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from memory.errors import BadInput

SEED: Final = 32  # bytes of an Ed25519 seed (RFC 8032, 5.1.5)
_LARGEST: Final = 2**53 - 1  # larger integers are not canonical
_UNSIGNED: Final = frozenset(("signatures", "unsigned"))  # left out of what is signed


def unpadded(raw: bytes) -> str:
    """Base64 without the ``=`` at its end."""
    return base64.b64encode(raw).decode("ascii").rstrip("=")


def from_unpadded(text: str) -> bytes:
    """The bytes of unpadded base64; raises BadInput for anything else."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadInput("That is no unpadded base64; copy the value whole.") from exc


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """The one spelling of a JSON object that is signed: keys sorted by code point, no spaces, UTF-8.

    Raises BadInput for what has no canonical form: a fraction, a number past ±(2^53 - 1), a key that is no string.
    """
    _check(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key, as its seed of 32 bytes. The seed is never shown."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED:
            raise BadInput(f"An Ed25519 seed has {SEED} bytes, not {len(self.seed)}; restore the file from a copy.")

    @classmethod
    def fresh(cls) -> SigningKey:
        """A new key."""
        return cls(secrets.token_bytes(SEED))

    @property
    def public(self) -> str:
        """The public key in unpadded base64."""
        return unpadded(self._pair().public_key().export_key(format="raw"))

    @property
    def id(self) -> str:
        """The key's id, ``ed25519:<public key>``."""
        return f"ed25519:{self.public}"

    def signature(self, value: Mapping[str, Any]) -> str:
        """The signature of an object, apart from the signatures it has and from ``unsigned``."""
        return unpadded(eddsa.new(self._pair(), "rfc8032").sign(_signed_part(value)))

    def sign(self, value: Mapping[str, Any], user: str) -> dict[str, Any]:
        """The object with this key's signature added to those it has."""
        others = dict(value.get("signatures", {}))
        mine = {**others.get(user, {}), self.id: self.signature(value)}
        return {**value, "signatures": {**others, user: mine}}

    def _pair(self) -> ECC.EccKey:
        return ECC.construct(curve="Ed25519", seed=self.seed)


def signed_by(value: Mapping[str, Any], user: str, public: str) -> bool:
    """Whether an object carries a valid signature of that user's Ed25519 key."""
    try:
        raw = from_unpadded(value["signatures"][user][f"ed25519:{public}"])
        key = eddsa.import_public_key(from_unpadded(public))
        eddsa.new(key, "rfc8032").verify(_signed_part(value), raw)
    except (KeyError, TypeError, ValueError, BadInput):
        return False
    return True


def _signed_part(value: Mapping[str, Any]) -> bytes:
    return canonical_json({name: one for name, one in value.items() if name not in _UNSIGNED})


def _check(value: Any) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            fits = abs(value) <= _LARGEST
        case Mapping():
            fits = all(isinstance(name, str) for name in value)
            for one in value.values():
                _check(one)
        case list() | tuple():
            fits = True
            for one in value:
                _check(one)
        case _:
            fits = False
    if not fits:
        raise BadInput("That has no canonical JSON: only text, whole numbers up to 2^53, lists and objects do.")
