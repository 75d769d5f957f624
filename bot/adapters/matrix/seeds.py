"""The seeds of our cross-signing keys, in a file beside the encryption store that nobody else reads.

Who has them can pass for the bot, and without them a new identity has to be made, which people who verified the bot
are warned of. So they are written before anything is published, and never replaced but by an explicit reset. During a
reset the file holds both identities, until the server has taken the new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.adapters.matrix import private
from bot.adapters.matrix.signing import SigningKey, from_unpadded, unpadded
from memory.errors import BadInput, Unavailable

FILE: Final = "cross_signing.json"
ROLES: Final = ("master", "self_signing", "user_signing")


@dataclass(frozen=True, slots=True)
class Identity:
    """The three keys that make an account's identity."""

    master: SigningKey
    self_signing: SigningKey
    user_signing: SigningKey

    @classmethod
    def fresh(cls) -> Identity:
        """A new identity."""
        return cls(*(SigningKey.fresh() for _ in ROLES))

    def published(self, user: str) -> dict[str, dict[str, Any]]:
        """The public keys as ``/keys/device_signing/upload`` takes them; the master signs the other two."""
        bare = {role: _key_object(user, role, getattr(self, role)) for role in ROLES}
        signed = {role: one if role == "master" else self.master.sign(one, user) for role, one in bare.items()}
        return {f"{role}_key": one for role, one in signed.items()}


@dataclass(frozen=True, slots=True)
class Seeds:
    """What the file holds: the identity in force, and the one that a reset is about to put in its place."""

    current: Identity | None = None
    coming: Identity | None = None

    def save(self, store: Path, user: str) -> None:
        """Writes the file in one step."""
        value = {"user_id": user, "current": _text(self.current), "coming": _text(self.coming)}
        private.write(store / FILE, json.dumps(value, indent=1) + "\n")


def read(store: Path, user: str) -> Seeds:
    """The seeds of an account; none when there is no file.

    Raises Unavailable when the file is damaged or another account's: then no new identity may be made unasked.
    """
    file = store / FILE
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        owner, current, coming = value["user_id"], _identity(value["current"]), _identity(value["coming"])
    except FileNotFoundError:
        return Seeds()
    except (OSError, ValueError, KeyError, TypeError, BadInput) as exc:
        raise Unavailable(
            f"The cross-signing seeds in {file} cannot be read; restore the file from a copy, "
            "or make a new identity with `weavebot matrix login --reset-cross-signing`."
        ) from exc
    if owner != user:
        raise Unavailable(
            f"The cross-signing seeds in {file} belong to {owner}, not to {user}; restore the right file."
        )
    return Seeds(current, coming)


def _key_object(user: str, role: str, key: SigningKey) -> dict[str, Any]:
    return {"user_id": user, "usage": [role], "keys": {key.id: key.public}}


def _text(identity: Identity | None) -> dict[str, str] | None:
    return None if identity is None else {role: unpadded(getattr(identity, role).seed) for role in ROLES}


def _identity(value: Mapping[str, str] | None) -> Identity | None:
    return None if value is None else Identity(*(SigningKey(from_unpadded(value[role])) for role in ROLES))
