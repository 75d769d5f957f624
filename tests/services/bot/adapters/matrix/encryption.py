"""What tests of encryption need beside the adapter: peers, a person whose client is nio, keys that get lost."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nio import AsyncClient, SyncResponse

from bot.adapters.matrix.accounts import CRYPTO, Account
from bot.adapters.matrix.client import open_client
from bot.adapters.matrix.encryption import KeyExchange, machine, upload_keys
from bot.adapters.matrix.port import MatrixPort
from bot.adapters.matrix.timing import Timing
from bot.clock import SystemClock
from tests.notebooks import MemoryNotebook
from tests.services.bot.adapters.matrix.bots import QUICK
from tests.services.matrix import Account as Registered
from tests.services.matrix import Event, Person
from tests.services.synapse import Homeserver

_transactions = itertools.count()


def account_of(url: str, registered: Registered) -> Account:
    """An account as the adapter knows it."""
    return Account(url, registered.user_id, registered.device_id, registered.token)


class UnsignedPort(MatrixPort):
    """The adapter as it was without cross-signing: the device is published, and nobody signs it."""

    async def _begin(self) -> None:
        await upload_keys(self._client)


def unsigned_port(url: str, registered: Registered, folder: Path) -> UnsignedPort:
    """The adapter of an account that does not sign its device."""
    return UnsignedPort(account_of(url, registered), folder, MemoryNotebook(), SystemClock(), timing=QUICK)


class Client:
    """Somebody with nio: a client of ours with a loop of its own."""

    def __init__(self, nio: AsyncClient, store: Path) -> None:
        self.nio = nio
        self.store = store
        self.keys = KeyExchange(nio, Timing())
        self.since: str | None = None

    async def sync(self, timeout_ms: int = 0) -> SyncResponse:
        """One sync, with the keys that follow from it."""
        response = await self.nio.sync(timeout_ms, since=self.since, full_state=self.since is None)
        assert isinstance(response, SyncResponse), response
        self.since = response.next_batch
        self.keys.hear(response)
        await self.keys.tend()
        return response

    async def locked(self, room: str, text: str) -> dict[str, Any]:
        """The content of an encrypted message that was not sent; its key is shared with the room."""
        return await self.encrypted(room, {"msgtype": "m.text", "body": text})

    async def encrypted(self, room: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The content of a message as it travels; what it relates to stays outside, where homeservers need it."""
        await self.nio.joined_members(room)
        await self.keys.tend()
        if self.nio.olm.should_share_group_session(room):
            await self.nio.share_group_session(room, ignore_unverified_devices=True)
        _, locked = self.nio.encrypt(room, "m.room.message", dict(content))
        relation = content.get("m.relates_to")
        return {**locked, "m.relates_to": relation} if relation else dict(locked)

    def opened(self, room: str, event: Event) -> Event:
        """An event decrypted, where its key is here, else itself."""
        found = machine(self.nio).opened(room, event) if event["type"] == "m.room.encrypted" else None
        return event if found is None else dict(found.source)


@asynccontextmanager
async def client_of(url: str, registered: Registered, folder: Path, *, publish: bool = True) -> AsyncIterator[Client]:
    """A client of nio for an account, its device published."""
    nio = open_client(account_of(url, registered), folder)
    try:
        if publish:
            await upload_keys(nio)
        yield Client(nio, folder / CRYPTO)
    finally:
        await nio.close()


class Whisperer(Person):
    """Somebody who encrypts what they say in encrypted rooms and reads what others say there, on a device of nio's."""

    client: Client

    @classmethod
    @asynccontextmanager
    async def of(cls, homeserver: Homeserver, name: str, folder: Path) -> AsyncIterator[Whisperer]:
        """Somebody new. The device that encrypts is another one than the one that asks: both would take keys away."""
        person = cls(homeserver.session, homeserver.url, await homeserver.register(name))
        who = {"type": "m.id.user", "user": person.user_id}
        body = {"type": "m.login.password", "identifier": who, "password": person.account.password}
        told = await person.ask("POST", "v3/login", body)
        device = Registered(person.user_id, told["access_token"], told["device_id"], person.account.password)
        async with client_of(homeserver.url, device, folder / device.device_id) as person.client:
            await person.client.sync()
            yield person

    async def send(self, room: str, kind: str, content: Mapping[str, Any], txn: str | None = None) -> str:
        if kind == "m.room.message":
            await self.client.sync()
            if self.client.nio.rooms[room].encrypted:
                kind, content = "m.room.encrypted", await self.client.encrypted(room, content)
        return await super().send(room, kind, content, txn)

    async def history(self, room: str, limit: int = 100) -> list[Event]:
        await self.client.sync()
        return [self.client.opened(room, one) for one in await super().history(room, limit)]

    async def related(self, room: str, event_id: str, rel_type: str) -> list[Event]:
        await self.client.sync()
        return [self.client.opened(room, one) for one in await super().related(room, event_id, rel_type)]

    async def sync(self, timeout_ms: int = 0) -> dict[str, Any]:
        told = await super().sync(timeout_ms)
        await self.client.sync()
        self.heard = [(room, self.client.opened(room, one)) for room, one in self.heard]
        return told


async def stolen_keys(person: Person) -> list[Event]:
    """The messages to a device that wait on the homeserver, taken away: the device never gets them."""
    told = await person.ask("GET", "v3/sync", None, timeout=0)
    await person.ask("GET", "v3/sync", None, timeout=0, since=str(told["next_batch"]))
    return list(told.get("to_device", {}).get("events", []))


async def deliver(sender: Person, to: Registered, events: list[Event]) -> None:
    """Sends messages to a device, as their sender did before."""
    for event in events:
        await to_device(sender, to, str(event["type"]), event["content"])


async def to_device(sender: Person, to: Registered, kind: str, content: dict[str, Any]) -> None:
    """Sends one message to a device."""
    body = {"messages": {to.user_id: {to.device_id: content}}}
    await sender.ask("PUT", f"v3/sendToDevice/{kind}/test-{next(_transactions)}", body)
