"""The one place where a client of matrix-nio is made, so that its traps are closed once.

matrix-nio would retry a refused request for ever (``max_limit_exceeded``, ``max_timeouts``) and keep its own sync token
before anything is done with what it read; both are ours to decide. Its encryption store is opened by us, closed to
others and with a key of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nio import AsyncClient, AsyncClientConfig

from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.encryption import open_store
from bot.adapters.matrix.store import SturdyClient

CRYPTO: Final = "crypto"
REQUEST_TIMEOUT: Final = 30  # seconds that a request may take before it counts as unanswered


def open_client(account: Account, folder: Path) -> AsyncClient:
    """A client of a logged-in account; its encryption store lies in ``folder``. No request is made.

    Raises Unavailable, with what to do, when the store cannot be opened.
    """
    store = folder / CRYPTO
    client = SturdyClient(
        account.homeserver,
        account.user_id,
        device_id=account.device_id,
        store_path=str(store),
        config=AsyncClientConfig(
            store_sync_tokens=False,
            max_limit_exceeded=0,
            max_timeouts=0,
            request_timeout=REQUEST_TIMEOUT,
        ),
    )
    open_store(client, store)
    client.restore_login(account.user_id, account.device_id, account.access_token)
    return client
