"""Which reactions stand on our answers now: read again at start, so that votes missed while away are put right."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import structlog

from bot.adapters.matrix.decoding import Moment, decode
from bot.adapters.matrix.homeserver import Homeserver, Limited
from bot.adapters.matrix.rooms import Rooms
from bot.adapters.matrix.timing import Timing
from bot.models import ReactionAdded, ReactionsStanding
from bot.ports import Notebook
from memory.errors import NotFound, Rejected, Unavailable
from memory.models import Provenance
from memory.ports import Clock

NEWEST: Final = 30  # answers of a room
AT_ONCE: Final = 20  # answers between two syncs, so that new messages do not wait
PAGE: Final = 100
MOST: Final = 1_000  # reactions on one answer

log = structlog.get_logger(__name__)


class Standing:
    """The answers whose reactions are to be read again."""

    def __init__(self, homeserver: Homeserver, rooms: Rooms, notebook: Notebook, clock: Clock, timing: Timing) -> None:
        self._homeserver = homeserver
        self._rooms = rooms
        self._notebook = notebook
        self._clock = clock
        self._timing = timing
        self._waiting: deque[tuple[str, str]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def plan(self, room_id: str) -> None:
        """The newest answers of a room are to be read again. Raises Unavailable when they cannot be looked up."""
        if room_id in self._rooms:
            self._waiting += [(room_id, one) for one in await self._notebook.answers(room_id, NEWEST)]

    async def some(self) -> list[ReactionsStanding]:
        """The reactions on the next few answers; fewer when the homeserver wants a rest. Raises LoggedOut."""
        found: list[ReactionsStanding] = []
        while self._waiting and len(found) < AT_ONCE:
            room_id, event_id = self._waiting.popleft()
            try:
                found.append(await self._on(room_id, event_id))
            except (NotFound, Rejected):
                continue  # the answer is gone, or we are
            except Unavailable as exc:
                if not isinstance(exc, Limited) and type(exc) is not Unavailable:
                    raise
                self._waiting.appendleft((room_id, event_id))
                log.warning("matrix.reactions_wait", left=len(self._waiting), reason=str(exc))
                break
            await asyncio.sleep(self._timing.between_reads)
        return found

    async def _on(self, room_id: str, event_id: str) -> ReactionsStanding:
        standing: list[ReactionAdded] = []
        now, view = self._clock.now(), self._rooms.view(room_id)
        query = {"limit": str(PAGE)}
        path = ("rooms", room_id, "relations", event_id, "m.annotation", "m.reaction")
        while True:
            page = await self._homeserver.ask("GET", *path, query=query, prefix="/_matrix/client/v1")
            for one in page.get("chunk", []):
                event = decode(one, view, Moment(now, Provenance.RECOVERED))
                if isinstance(event, ReactionAdded):
                    standing.append(event)
            token = page.get("next_batch")
            if not token or len(standing) >= MOST:
                return ReactionsStanding(view.place, event_id, tuple(standing), now)
            query["from"] = str(token)
