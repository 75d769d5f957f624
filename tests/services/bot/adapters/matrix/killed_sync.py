"""One sync that is killed (SIGKILL) at a named point; run by a test in a process of its own.

``python -m tests.services.bot.adapters.matrix.killed_sync`` with one argument, JSON: the account, its folder, the sync
token, the point, and whether the machine of nio is used as it comes (to see that the test can fail).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from nio.crypto import Olm

from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.client import open_client
from bot.adapters.matrix.store import SturdyStore

POINTS = ("save_account", "save_session", "save_inbound_group_session", "sync")


def die(*_: Any) -> NoReturn:
    """Ends the process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


async def main(told: dict[str, Any]) -> None:
    """Syncs once and does not come back."""
    client = open_client(Account(**told["account"]), Path(told["folder"]))
    if told["bare"]:
        client.olm = Olm(client.user_id, client.device_id, client.store)
    if told["point"] != "sync":
        kept = getattr(SturdyStore, told["point"])

        def and_die(*given: Any, **named: Any) -> NoReturn:
            kept(*given, **named)
            die()

        setattr(client.store, told["point"], and_die.__get__(client.store))
    await client.sync(0, since=told["since"], full_state=True)
    die()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
