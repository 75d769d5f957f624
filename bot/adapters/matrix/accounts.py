"""Accounts that are logged in: a folder each below ``DATA/matrix``, readable by the owner alone.

::

    DATA/matrix/@weave%3Aexample.org/      0700
        account.json                       0600: homeserver, user, device, access token
        crypto/                            0700: the encryption store of that device
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from bot.adapters.matrix import private
from memory.errors import Unavailable

FOLDER: Final = "matrix"
FILE: Final = "account.json"
CRYPTO: Final = "crypto"
LONGEST_NAME: Final = 200  # bytes; most file systems take 255


@dataclass(frozen=True, slots=True)
class Account:
    """A device of ours that is logged in. The token is never shown."""

    homeserver: str  # base URL without a slash at the end
    user_id: str
    device_id: str
    access_token: str = field(repr=False)


def folder_of(data: Path, user_id: str) -> Path:
    """Where everything of an account lies; different user ids have different folders."""
    name = quote(user_id, safe="@")
    if len(name) > LONGEST_NAME:
        raise Unavailable(f"The user id {user_id[:40]}… is too long for a folder's name; use a shorter one.")
    return data / FOLDER / name


def keep(data: Path, account: Account) -> Path:
    """Stores the account so that nobody else on the machine can read it, and gives its folder.

    The file is replaced in one step: a crash leaves the old one or the new one.
    """
    folder = private.folder(folder_of(data, account.user_id))
    private.folder(folder.parent)
    private.write(folder / FILE, json.dumps(asdict(account), indent=1))
    return folder


def stored(data: Path) -> list[Account]:
    """The accounts that are logged in, in the order of their user ids.

    Raises Unavailable, naming the file, when one cannot be read.
    """
    return [_read(file) for file in sorted((data / FOLDER).glob(f"*/{FILE}"))]


def drop(data: Path, account: Account) -> None:
    """Removes an account's token and its device's keys.

    The seeds of its identity stay: the next device is signed with them, and people need not trust a new one.
    """
    (folder_of(data, account.user_id) / FILE).unlink(missing_ok=True)
    drop_keys(data, account)


def drop_keys(data: Path, account: Account) -> None:
    """Removes the keys of one device."""
    for file in (folder_of(data, account.user_id) / CRYPTO).glob(f"{quote(account.device_id, safe='')}.db*"):
        file.unlink()


def _read(file: Path) -> Account:
    try:
        return Account(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as exc:
        raise Unavailable(
            f"The Matrix account in {file} cannot be read; log in again with `weavebot matrix login`."
        ) from exc
