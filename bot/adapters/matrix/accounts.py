"""Accounts that are logged in: a folder each below ``DATA/matrix``, readable by the owner alone.

::

    DATA/matrix/@weave%3Aexample.org/      0700
        account.json                       0600: homeserver, user, device, access token
        crypto/                            0700: the encryption store of that device
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from memory.errors import Unavailable

FOLDER: Final = "matrix"
FILE: Final = "account.json"
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
    folder = folder_of(data, account.user_id)
    for one in (folder.parent, folder):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
        one.chmod(0o700)
    fresh = folder / f"{FILE}.{secrets.token_hex(4)}"
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(account), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / FILE)
    finally:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
    return folder


def stored(data: Path) -> list[Account]:
    """The accounts that are logged in, in the order of their user ids.

    Raises Unavailable, naming the file, when one cannot be read.
    """
    return [_read(file) for file in sorted((data / FOLDER).glob(f"*/{FILE}"))]


def drop(data: Path, user_id: str) -> None:
    """Removes an account with its token and its keys."""
    shutil.rmtree(folder_of(data, user_id), ignore_errors=True)


def _read(file: Path) -> Account:
    try:
        return Account(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as exc:
        raise Unavailable(
            f"The Matrix account in {file} cannot be read; log in again with `weavebot matrix login`."
        ) from exc
