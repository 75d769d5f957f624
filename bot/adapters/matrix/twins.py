"""Notices that a device's encryption store is used in two places, or that an old copy of it was restored.

Sessions with other devices move forward with every message, and a copy that stands still cannot follow: messages would
become unreadable on both sides, without a word. So each start leaves a fresh mark here and in the account data on the
homeserver. A mark there that this store did not leave is another copy's.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nio import AsyncClient

from bot.adapters.matrix import private
from bot.adapters.matrix.homeserver import Homeserver
from memory.errors import NotFound, Refused, Unavailable

FILE: Final = "mark.json"
KIND: Final = "org.weavebot.store"


@dataclass(frozen=True, slots=True)
class _Marks:
    """The mark of this start and the one before: a kill between the two writes leaves the older one there."""

    now: str | None = None
    before: str | None = None


async def claim(client: AsyncClient, store: Path) -> None:
    """Marks the store as ours from now on.

    Raises Refused, with what to do, when another copy of it was used meanwhile; Unavailable when nobody answers.
    """
    marks, there = _read(store), await _there(client)
    found = there.get(client.device_id)
    if found is not None and found not in (marks.now, marks.before):
        raise Refused(
            f"The encryption store of the device {client.device_id} was used by another copy of it since; stop that "
            "one and go on with its data folder, or make a new device here with `weavebot matrix login`."
        )
    fresh = secrets.token_hex(8)
    private.write(store / FILE, json.dumps({"now": fresh, "before": found or marks.now}))
    where = ("user", client.user_id, "account_data", KIND)
    await Homeserver(client).ask("PUT", *where, body={**there, str(client.device_id): fresh})


async def alone(client: AsyncClient, store: Path) -> bool:
    """Whether no other copy of the store has started since we did. Raises Unavailable when nobody answers."""
    return (await _there(client)).get(client.device_id) in (None, _read(store).now)


async def _there(client: AsyncClient) -> dict[str, Any]:
    try:
        return await Homeserver(client).ask("GET", "user", client.user_id, "account_data", KIND)
    except NotFound:
        return {}


def _read(store: Path) -> _Marks:
    file = store / FILE
    try:
        return _Marks(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return _Marks()
    except (ValueError, TypeError) as exc:
        raise Unavailable(f"The file {file} cannot be read; restore the encryption store from a copy.") from exc
