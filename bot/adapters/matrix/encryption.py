"""The encryption store of a device, and the keys that it exchanges with others.

``DATA/matrix/<user>/crypto/`` (0700) holds the SQLite store of matrix-nio (``<device>.db``: the Olm account, sessions,
room keys, devices of others, as pickles that vodozemac encrypts), the key of those pickles (``pickle.key``) and the
cross-signing seeds; all 0600. Who copies the folder can read what the bot can and speak for it.

Trust: a room's keys are given to every device of its members, as the homeserver lists them, verified or not. Nobody
sits at the bot to compare emoji, and a member whom it ignored could not read its answers. So a homeserver's
administrator who adds a device to a member's account gets the keys from then on; members can see that device in their
client. What the bot says is signed by its own identity, and clients that trust signed devices alone take it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import structlog
import vodozemac
from nio import AsyncClient, ErrorResponse, KeysUploadResponse, SyncResponse
from nio.api import Api
from peewee import DatabaseError

from bot.adapters.matrix import private
from bot.adapters.matrix.homeserver import Limited, LoggedOut, failure_of, unanswered
from bot.adapters.matrix.olm import SturdyOlm
from bot.adapters.matrix.store import SturdyStore
from bot.adapters.matrix.timing import Backoff, Timing
from memory.errors import Unavailable, WeavebotError

log = structlog.get_logger(__name__)

PICKLE_KEY: Final = "pickle.key"


def store_name(device: str) -> str:
    """The file of a device's store."""
    return f"{quote(device, safe='')}.db"


def open_store(client: AsyncClient, store: Path) -> None:
    """Opens the encryption store of a client that is not logged in yet, or makes it; nobody else can read it.

    matrix-nio opens its own one when it logs in, unless there is one. Raises Unavailable, with what to do, when the
    store is damaged or its key is not there.
    """
    file = private.folder(store) / store_name(client.device_id or "")
    fresh = not file.exists()
    key = _pickle_key(store, fresh=fresh)
    private.close(file)
    try:
        client.store = SturdyStore(client.user, client.device_id, str(store), key, file.name)
        client.olm = SturdyOlm(client.user, client.device_id, client.store)
        client.encrypted_rooms = client.store.load_encrypted_rooms()
    except (DatabaseError, vodozemac.PickleException, ValueError) as exc:
        raise Unavailable(
            f"The encryption store {file} cannot be opened with {PICKLE_KEY}; restore both from a copy, "
            "or make a new device with `weavebot matrix login`."
        ) from exc


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The public keys of our device, in unpadded base64."""

    ed25519: str
    curve25519: str


def own_keys(client: AsyncClient) -> OwnKeys:
    """The public keys of our device."""
    keys = machine(client).account.identity_keys
    return OwnKeys(keys["ed25519"], keys["curve25519"])


def machine(client: AsyncClient) -> SturdyOlm:
    """The Olm machine of a client whose store is open."""
    if not isinstance(client.olm, SturdyOlm):
        raise Unavailable("The encryption store is not open; this client was not made by `open_client`.")
    return client.olm


async def upload_keys(client: AsyncClient) -> None:
    """Publishes our device and one-time keys where the server lacks them.

    matrix-nio stores new one-time keys only when the server has confirmed them; after a crash in between, what people
    encrypt with them could never be read. Here they are on the disk first. Raises what
    ``Homeserver.ask`` does.
    """
    olm = machine(client)
    if not olm.should_upload_keys:
        return
    content = olm.share_keys()
    olm.save_account()
    method, path, data = Api.keys_upload(client.access_token, content)
    # nio's own upload would make the keys once more
    await _asked(client, lambda: client._send(KeysUploadResponse, method, path, data))  # noqa: SLF001


class KeyExchange:
    """Keeps what others need to write to us, and what we need to write to them, up to date; between two syncs."""

    def __init__(self, client: AsyncClient, timing: Timing) -> None:
        self._client = client
        self._backoff = Backoff(timing)
        self._resting_until = 0.0  # the loop's clock

    def hear(self, response: SyncResponse) -> None:
        """matrix-nio takes "no one-time key is left" for "nothing is said", and would never make new ones."""
        if response.device_key_count.signed_curve25519 == 0:
            machine(self._client).uploaded_key_count = 0

    async def tend(self) -> None:
        """One round: our one-time keys, others' devices, sessions to mend, messages to devices that wait.

        A failure is logged and waited out, longer each time: the next round asks again. Raises LoggedOut alone.
        """
        now = asyncio.get_running_loop().time()
        if now < self._resting_until:
            return
        try:
            await self._round()
        except LoggedOut:
            raise
        except WeavebotError as exc:
            pause = self._backoff.pause()
            self._resting_until = now + max(pause, exc.wait if isinstance(exc, Limited) else 0.0)
            log.warning("matrix.keys_not_exchanged", reason=str(exc), tries=self._backoff.tries)
        else:
            self._backoff.reset()

    async def _round(self) -> None:
        client = self._client
        await upload_keys(client)
        if client.should_query_keys:
            await _asked(client, client.keys_query)
        if client.should_claim_keys:
            wanted = client.get_users_for_key_claiming()
            await _asked(client, lambda: client.keys_claim(wanted))
        if client.outgoing_to_device_messages:
            await _asked(client, client.send_to_device_messages)


async def _asked(client: AsyncClient, ask: Callable[[], Awaitable[Any]]) -> None:
    """Asks by a method of nio, which gives its failures back. Raises what ``homeserver`` makes of them."""
    with unanswered():
        said = await ask()
    for one in said if isinstance(said, list) else [said]:
        if isinstance(one, ErrorResponse):
            raise failure_of(one, client.user_id)


def _pickle_key(store: Path, *, fresh: bool) -> str:
    file = store / PICKLE_KEY
    if not file.exists():
        if not fresh:
            raise Unavailable(
                f"The key of the encryption store, {file}, is not there; restore it from a copy, "
                "or make a new device with `weavebot matrix login`."
            )
        private.write(file, secrets.token_urlsafe(32))
    return file.read_text(encoding="utf-8")
