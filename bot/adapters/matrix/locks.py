"""Everything of encryption that an account does, from its start to its health, as one part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nio import AsyncClient, BadEvent, Event, MegolmEvent, SyncResponse

from bot.adapters.matrix import cross_signing, twins
from bot.adapters.matrix.encryption import KeyExchange, machine
from bot.adapters.matrix.encryption_health import encryption_page
from bot.adapters.matrix.timing import Timing
from bot.adapters.matrix.undecryptable import AnyEvent, Undecryptable
from bot.pages import Page
from bot.ports import Notebook
from memory.ports import Clock


class Locks:
    """What opens the messages of an account, and what stays locked for want of a key."""

    def __init__(self, client: AsyncClient, store: Path, notebook: Notebook, clock: Clock, timing: Timing) -> None:
        self._client = client
        self._store = store
        self._timing = timing
        self._exchange = KeyExchange(client, timing)
        self._unread = Undecryptable(client, notebook, clock)

    async def prepare(self) -> None:
        """To be called before the first sync: the store is ours alone, the device is published and signed.

        Raises Refused when somebody has to do something first, Unavailable when the homeserver does not answer.
        """
        await twins.claim(self._client, self._store)
        await cross_signing.prepare(self._client, self._store)

    async def recall(self) -> None:
        """Reads which events waited for their keys when we stopped. Raises Unavailable."""
        await self._unread.recall()

    def hear(self, response: SyncResponse) -> None:
        """Takes in a sync, before its events are read."""
        self._exchange.hear(response)
        self._unread.hear(response)

    def unlock(self, room_id: str, event: AnyEvent) -> AnyEvent:
        """The event decrypted, where that is possible, else itself."""
        return self._unread.unlock(room_id, event)

    def readable(self, room_id: str, source: Mapping[str, Any]) -> dict[str, Any]:
        """An event as JSON, decrypted where it was encrypted and its key is here, else itself."""
        found = machine(self._client).opened(room_id, source)
        return dict(source if found is None else found.source)

    def missed(self, room_id: str, event: MegolmEvent | BadEvent, *, before_us: bool = False) -> None:
        """An event that could not be read; its key is waited for."""
        self._unread.missed(room_id, event, before_us=before_us)

    def forget(self, room_id: str, event_id: str) -> None:
        """An event is gone: nothing is waited for."""
        self._unread.forget(room_id, event_id)

    async def opened(self) -> Sequence[tuple[str, Event]]:
        """Events that can be read by now, with their rooms, oldest first; each is given once."""
        return await self._unread.opened()

    async def note(self) -> None:
        """Makes durable what is still locked; before the sync token is noted. Raises Unavailable."""
        await self._unread.note()

    async def tend(self) -> None:
        """Sends and fetches the keys that are due. Raises LoggedOut alone."""
        await self._exchange.tend()

    async def page(self, room: str | None = None) -> Page:
        """How encryption fares, with the fix for what is wrong; of one room when it is named."""
        return await encryption_page(self._client, self._store, self._unread, self._timing, room)
