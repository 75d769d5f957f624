"""The sync loop: what the homeserver tells us, as batches; how far we have read, noted when a batch is done.

nio's own loop keeps its token before anything is done with the events, loses the rest of a batch when something fails,
and repeats a refused request thousands of times a second. So the loop is ours: our token, our pauses, our end.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

import structlog
from nio import AsyncClient, SyncResponse

from bot.adapters.matrix.homeserver import Limited, LoggedOut, failure_of, unanswered
from bot.adapters.matrix.reading import Reader
from bot.adapters.matrix.timing import Backoff, Pulse, Timing
from bot.models import ChatEvent
from bot.ports import Notebook
from memory.errors import Rejected, Unavailable
from memory.models import Provenance
from memory.ports import Clock

NOTE: Final = "sync"
TIMELINE: Final = 50  # events of a room in one sync; the rest is read page by page
FILTER: Final = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {
        "account_data": {"types": []},
        "ephemeral": {"types": []},
        "state": {"lazy_load_members": True},
        "timeline": {"lazy_load_members": True, "limit": TIMELINE},
    },
}

log = structlog.get_logger(__name__)

Found = TypeVar("Found")
Batches: TypeAlias = AsyncIterator[Sequence[ChatEvent]]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far we have read, and when that was."""

    token: str
    at: datetime


@dataclass(slots=True)
class State:
    """How the loop fares; shown by ``health``."""

    synced_at: datetime | None = None
    failing_since: datetime | None = None
    trouble: str = ""
    ended: str = ""


class SyncLoop:
    """Reads one account for ever."""

    def __init__(
        self,
        client: AsyncClient,
        reader: Reader,
        notebook: Notebook,
        clock: Clock,
        pulse: Pulse,
        timing: Timing,
        begin: Callable[[], Awaitable[None]],
    ) -> None:
        """``begin`` is done before the first sync, until it goes well."""
        self._client = client
        self._reader = reader
        self._notebook = notebook
        self._clock = clock
        self._pulse = pulse
        self._timing = timing
        self._begin = begin
        self.state = State()

    async def batches(self) -> Batches:
        """Everything that happens, in batches; the cursor moves when the next one is asked for.

        Raises LoggedOut when the homeserver no longer takes our token, and Refused when ``begin`` does.
        """
        await self._patiently(self._begin)
        cursor = await self._until_kept(self._recall)
        await self._until_kept(self._reader.recall)
        first = away = True
        while True:
            sync = functools.partial(self._sync, cursor, first=first)
            response, failed = await self._patiently(sync)
            self.state.synced_at = self._clock.now()
            await self._pulse.beat()
            how = _provenance(cursor, away=away or failed)
            since = (cursor.token, cursor.at) if cursor else None
            async for batch in self._reader.batches(response, since, how):
                yield batch
            cursor = await self._note(response.next_batch, cursor)
            first = away = False
            async for batch in self._reader.afterwards():
                yield batch

    async def _patiently(self, request: Callable[[], Awaitable[Found]]) -> tuple[Found, bool]:
        """What a request gives in the end, and whether it took more than one try. Raises LoggedOut, Rejected."""
        backoff = Backoff(self._timing)
        while True:
            try:
                found = await request()
            except (LoggedOut, Rejected) as exc:
                self.state.ended = str(exc)
                log.error("matrix.ended", user=self._client.user_id, reason=str(exc))  # noqa: TRY400 - no defect
                raise
            except Unavailable as exc:
                least = exc.wait if isinstance(exc, Limited) else 0.0
                pause = max(least, backoff.pause())
                self._failing(str(exc), backoff.tries, pause)
                await asyncio.sleep(pause)
                continue
            if backoff.tries:
                log.info("matrix.back", tries=backoff.tries)
            self.state.failing_since = None
            return found, backoff.tries > 0

    async def _sync(self, cursor: Cursor | None, *, first: bool) -> SyncResponse:
        """One request. Whatever the homeserver says but that our token is gone is waited out."""
        poll = 0.0 if first or self._reader.in_a_hurry else self._timing.poll
        self._client.next_batch = ""  # a token of a sync that was cut off must not make nio skip the next one
        with unanswered():
            async with asyncio.timeout(self._timing.first_sync if first else poll + self._timing.ready):
                response = await self._client.sync(
                    timeout=round(poll * 1000),
                    sync_filter=FILTER,
                    since=cursor.token if cursor else None,
                    full_state=first or None,
                )
        if isinstance(response, SyncResponse):
            return response
        failure = failure_of(response, self._client.user_id)
        raise failure if isinstance(failure, Unavailable) else Unavailable(str(failure))

    def _failing(self, reason: str, tries: int, pause: float) -> None:
        self.state.failing_since = self.state.failing_since or self._clock.now()
        self.state.trouble = reason
        log.warning("matrix.sync_failed", tries=tries, pause=round(pause, 1), reason=reason)

    async def _recall(self) -> Cursor | None:
        noted = await self._notebook.read(NOTE)
        if not noted:
            return None
        kept: dict[str, Any] = json.loads(noted)
        return Cursor(kept["token"], datetime.fromisoformat(kept["at"]))

    async def _note(self, token: str, before: Cursor | None) -> Cursor:
        """Notes how far we have read. What cannot be noted now is noted with the next sync."""
        cursor = Cursor(token, self._clock.now())
        if before is None or token != before.token:
            try:
                await self._reader.settle()
                await self._notebook.note(NOTE, json.dumps({"token": token, "at": cursor.at.isoformat()}))
            except Unavailable as exc:
                log.warning("matrix.token_not_noted", reason=str(exc))
        return cursor

    async def _until_kept(self, read: Callable[[], Awaitable[Found]]) -> Found:
        """What the notebook holds; waits for it, for without it we would read everything again as history."""
        backoff = Backoff(self._timing)
        while True:
            try:
                return await read()
            except Unavailable as exc:
                log.warning("matrix.notebook_waits", reason=str(exc))
                await asyncio.sleep(backoff.pause())


def _provenance(cursor: Cursor | None, *, away: bool) -> Provenance:
    if cursor is None:
        return Provenance.HISTORY
    return Provenance.RECOVERED if away else Provenance.LIVE
