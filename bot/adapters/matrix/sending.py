"""Replies on their way to a room: once each, at the pace that the homeserver allows.

A transaction id makes the homeserver post a message once, also after a crash of ours, its restart, or a new token of
the same device; so what failed in an unclear way is simply sent again.
"""

from __future__ import annotations

import asyncio
import io
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import structlog
from nio import AsyncClient, EncryptionError, LocalProtocolError, RoomSendResponse, SendRetryError, UploadResponse

from bot.adapters.matrix import writing
from bot.adapters.matrix.direct import DirectRooms
from bot.adapters.matrix.homeserver import Limited, TooLarge, failure_of, unanswered
from bot.adapters.matrix.permalinks import Permalinks
from bot.adapters.matrix.rooms import Rooms
from bot.adapters.matrix.sharing import share_key
from bot.adapters.matrix.timing import Pulse, Timing
from bot.models import Attachment, Reply
from bot.pages import plain
from memory.errors import Refused, Unavailable

ANSWER_FILE: Final = "answer.txt"
TRIES: Final = 3  # of a request that is limited; then the outbox waits instead of us
_HALF: Final = 2

log = structlog.get_logger(__name__)


class Sender:
    """Sends as one account. One request at a time: the homeserver counts them, and keys are shared in order."""

    def __init__(
        self,
        client: AsyncClient,
        rooms: Rooms,
        direct: DirectRooms,
        permalinks: Permalinks,
        pulse: Pulse,
        timing: Timing,
    ) -> None:
        self._client = client
        self._permalinks = permalinks
        self._rooms = rooms
        self._direct = direct
        self._pulse = pulse
        self._timing = timing
        self._turn = asyncio.Lock()
        self._not_before = 0.0

    async def send(self, reply: Reply, transaction: str) -> str:
        """Posts a reply and gives its event id.

        Raises Unavailable when the homeserver does not take it now, Refused when it never will.
        """
        transaction = f"weave-{transaction or secrets.token_hex(16)}"
        if not await self._pulse.until(lambda: self._pulse.beats > 0, seconds=self._timing.ready):
            raise Unavailable("the first sync with the homeserver is not done yet")
        reply, room_id = await self._where(reply)
        event_id, whole = await self._words(room_id, reply, transaction)
        if not whole:
            await self._hand_over(room_id, reply, Attachment(ANSWER_FILE, [plain(reply.page)]), f"{transaction}-whole")
        if reply.attachment is not None:
            await self._hand_over(room_id, reply, reply.attachment, f"{transaction}-file")
        return event_id

    async def _where(self, reply: Reply) -> tuple[Reply, str]:
        """The room that it goes to. In a direct room it refers to nothing: what it answers stands elsewhere."""
        room_id = reply.place.room
        if reply.private and reply.to is not None and not await self._direct.alone_with(reply.to, room_id):
            encrypted = self._rooms.room(room_id).encrypted
            direct = await self._direct.room_with(reply.to, encrypted=encrypted)
            return replace(reply, in_reply_to=None, thread=None, replaces=None), direct
        if room_id not in self._rooms:
            raise Refused("I am not in that room (any more)")
        return reply, room_id

    async def _words(self, room_id: str, reply: Reply, transaction: str) -> tuple[str, bool]:
        links = await self._permalinks.of(reply)
        longest = writing.LONGEST
        while True:
            content, whole = writing.message(reply, longest=longest, links=links)
            try:
                return await self._post(room_id, content, transaction), whole
            except TooLarge:
                longest //= _HALF  # a homeserver may take less than the specification says
                if longest < writing.LONGEST // 2**5:
                    raise

    async def _post(self, room_id: str, content: Mapping[str, Any], transaction: str) -> str:
        """Sends one event. Raises Unavailable, Refused, TooLarge."""
        for _ in range(TRIES):
            try:
                async with self._turn:
                    await self._wait_for_turn()
                    return await self._request(room_id, content, transaction)
            except Limited as exc:
                self._not_before = max(self._not_before, time.monotonic() + exc.wait)
                log.info("matrix.limited", wait=exc.wait)
                if exc.wait > self._timing.limited:
                    break
        raise Unavailable("the homeserver limits our rate; the message is sent later")

    async def _wait_for_turn(self) -> None:
        wait = self._not_before - time.monotonic()
        if wait > self._timing.limited:
            raise Limited(wait)
        await asyncio.sleep(max(0.0, wait))

    async def _request(self, room_id: str, content: Mapping[str, Any], transaction: str) -> str:
        try:
            with unanswered():
                if self._rooms.room(room_id).encrypted:
                    await share_key(self._client, room_id)
                response = await self._client.room_send(
                    room_id,
                    "m.room.message",
                    dict(content),
                    tx_id=transaction,
                    # Whom we trust is decided by who is in the room, not by us: a bot cannot compare emoji.
                    ignore_unverified_devices=True,
                )
        except (EncryptionError, LocalProtocolError, SendRetryError) as exc:
            raise Unavailable(f"the message cannot be encrypted now ({type(exc).__name__})") from exc
        if not isinstance(response, RoomSendResponse):
            raise failure_of(response, self._client.user_id)
        return str(response.event_id)

    async def _hand_over(self, room_id: str, reply: Reply, attachment: Attachment, transaction: str) -> None:
        """Uploads a file, encrypted in an encrypted room, and posts it."""
        data = ("\n".join(attachment.lines) + "\n").encode("utf-8", "replace")
        encrypted = self._rooms.room(room_id).encrypted
        with unanswered():
            response, key = await self._client.upload(
                lambda *_: io.BytesIO(data),
                content_type="application/octet-stream" if encrypted else "text/plain; charset=utf-8",
                filename=None if encrypted else attachment.name,
                encrypt=encrypted,
                filesize=len(data),
            )
        if not isinstance(response, UploadResponse):
            raise failure_of(response, self._client.user_id)
        content = writing.file(attachment.name, response.content_uri, key, len(data), reply)
        await self._post(room_id, content, transaction)
