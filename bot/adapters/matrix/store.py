"""matrix-nio's encryption store and client, made to hold nothing up: the rest of the bot runs in the same loop."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from aiohttp import ClientResponse
from nio import AsyncClient, KeysClaimError, KeysClaimResponse, SyncResponse
from nio.api import Api
from nio.crypto import GroupSessionStore, InboundGroupSession
from nio.store import ForwardedChains, SqliteStore, use_database
from peewee import SqliteDatabase

AT_ONCE: Final = 10  # messages to our device in one transaction: about 20 ms and one write to the disk


class _Database(SqliteDatabase):  # type: ignore[misc]  # peewee ships no types
    """nio binds its tables anew for each call; all tables are named, so those that they refer to need no search."""

    def bind_ctx(self, models: Any, *_: Any, **__: Any) -> AbstractContextManager[Any]:
        """See peewee."""
        found: AbstractContextManager[Any] = super().bind_ctx(models, bind_refs=False, bind_backrefs=False)
        return found


class SturdyStore(SqliteStore):  # type: ignore[misc]  # nio ships no types
    """The SQLite store: one write to the disk for a transaction instead of three, and a power cut loses none."""

    def _create_database(self) -> SqliteDatabase:
        pragmas = {"foreign_keys": 1, "secure_delete": 1, "journal_mode": "wal", "synchronous": "full"}
        return _Database(self.database_path, pragmas=pragmas)

    @use_database  # type: ignore[untyped-decorator]  # nio ships no types
    def load_inbound_group_sessions(self) -> GroupSessionStore:
        """All room keys. nio asks for the forwarding chain of each apart: 3 s for 5,000 keys, a quarter of it here."""
        store, account = GroupSessionStore(), self._get_account()
        if account is None:
            return store
        chains: defaultdict[str, list[str]] = defaultdict(list)
        for chain in ForwardedChains.select():
            chains[chain.session_id].append(chain.sender_key)
        for row in account.inbound_group_sessions:
            kept = (row.session, row.fp_key, row.sender_key, row.room_id, self.pickle_key)
            store.add(InboundGroupSession.from_pickle(*kept, chains[row.session_id]))
        return store


class SturdyClient(AsyncClient):  # type: ignore[misc]  # nio ships no types
    """The client; it takes in the messages to our device some at a time. Hundreds come after a night away.

    nio takes a failure for "done" where nothing is to be answered: a key that a 502 swallowed counts as given.
    """

    async def parse_body(self, transport_response: ClientResponse) -> dict[str, Any]:
        """The body; what is no answer of a homeserver's is one that says so."""
        try:
            said = json.loads(await transport_response.text())
        except ValueError:
            said = None
        ours = isinstance(said, dict) and (transport_response.ok or "errcode" in said)
        return said if ours else {"errcode": "", "error": f"HTTP {transport_response.status}"}

    async def keys_claim(self, user_set: Mapping[str, Iterable[str]]) -> KeysClaimResponse | KeysClaimError:
        """One-time keys of devices; nio raises TypeError when that fails."""
        method, path, data = Api.keys_claim(self.access_token, user_set)
        return await self._send(KeysClaimResponse, method, path, data, response_data=("",))

    async def _handle_to_device(self, response: SyncResponse) -> None:
        given = response.to_device_events
        for start in range(0, len(given), AT_ONCE):
            part = copy.copy(response)
            part.to_device_events = given[start : start + AT_ONCE]
            with self.store.database.atomic():
                await super()._handle_to_device(part)  # nothing in it waits: no callbacks are registered
            given[start : start + AT_ONCE] = part.to_device_events
            await asyncio.sleep(0)
