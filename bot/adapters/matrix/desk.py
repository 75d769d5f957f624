"""The operator's desk: which accounts are logged in, one more, one less."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from bot.adapters.matrix import accounts, cross_signing, login
from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.client import open_client
from bot.adapters.matrix.login import Door
from memory.errors import NotFound, Unavailable

log = structlog.get_logger(__name__)


class Desk:
    """Accounts below a data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def accounts(self) -> list[Account]:
        """Those that are logged in. Raises Unavailable when one cannot be read."""
        return accounts.stored(self._data)

    async def find(self, where: str) -> Door:
        """The homeserver behind a name, a user id or a URL. Raises BadInput."""
        return await login.find(where)

    async def by_password(self, door: Door, user: str, password: str) -> Account:
        """Raises Refused, Unavailable."""
        return await login.with_password(door, user, password)

    async def by_login_token(self, door: Door, token: str) -> Account:
        """Raises Refused, Unavailable."""
        return await login.with_login_token(door, token)

    async def by_access_token(self, door: Door, token: str) -> Account:
        """Raises Refused, Unavailable."""
        return await login.with_access_token(door, token)

    async def settle(
        self,
        account: Account,
        *,
        password: str | None = None,
        reset: bool = False,
        approve: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Keeps the account and signs its device with its identity, so that people's clients trust it.

        ``reset`` makes a new identity in place of one whose keys are lost. Raises Refused, with what to do, and
        Unavailable; the account is kept then, and signed at the next start.
        """
        before = next((one for one in self.accounts() if one.user_id == account.user_id), None)
        folder = accounts.keep(self._data, account)
        if before is not None and before.device_id != account.device_id:
            accounts.drop_keys(self._data, before)
        client = open_client(account, folder)
        try:
            await cross_signing.prepare(
                client, folder / accounts.CRYPTO, password=password, reset=reset, approve=approve
            )
        finally:
            await client.close()

    async def log_out(self, user_id: str) -> bool:
        """Ends an account's device and removes it here; False when the homeserver could not be told.

        Raises NotFound, naming the accounts that there are.
        """
        known = self.accounts()
        account = next((one for one in known if one.user_id == user_id), None)
        if account is None:
            there = ", ".join(one.user_id for one in known) or "none"
            raise NotFound(f"{user_id} is not logged in here; the accounts are {there}")
        try:
            await login.log_out(account)
        except Unavailable as exc:
            log.warning("matrix.logout_not_told", reason=str(exc))
            return False
        finally:
            accounts.drop(self._data, account)
        return True
