"""What was said while we were away and no longer fitted into a sync: read backwards, page by page, up to a bound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from bot.adapters.matrix.decoding import arrives
from bot.adapters.matrix.homeserver import Homeserver, Limited
from bot.adapters.matrix.timing import Backoff, Timing
from memory.errors import NotFound, Rejected, Unavailable

MOST: Final = 5_000  # events of a room; what is older is a gap
PAGE: Final = 250
TRIES: Final = 8  # of a page, two minutes of them; then the rest is a gap and the other rooms go on
_FILTER: Final = json.dumps({"lazy_load_members": True}, separators=(",", ":"))

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Stretch:
    """Events of a room, oldest first, as JSON; and the names of their senders, where we did not know them."""

    events: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    complete: bool = True


class Past:
    """Reads the past of rooms."""

    def __init__(self, homeserver: Homeserver, timing: Timing, *, most: int = MOST) -> None:
        self._homeserver = homeserver
        self._timing = timing
        self._most = most

    async def between(self, room_id: str, since: str, until: str, me: str) -> Stretch:
        """The events from the sync token ``since`` to the page token ``until``, at most from our own arrival on.

        Raises LoggedOut. What the homeserver will not give, or not in time, makes the stretch incomplete.
        """
        found, token = Stretch(), until
        newest_first: list[dict[str, Any]] = []
        while token and len(newest_first) < self._most:
            page = await self._page(room_id, token, since)
            if page is None:
                found.complete = False
                break
            chunk = _objects(page.get("chunk"))
            found.names |= _names(_objects(page.get("state")))
            arrival = next((at for at, one in enumerate(chunk) if arrives(one, me)), None)
            newest_first += chunk if arrival is None else chunk[: arrival + 1]
            token = page.get("end") or ""
            if arrival is not None or not chunk:
                token = ""
        found.complete &= not token
        found.events = newest_first[: self._most][::-1]
        log.info("matrix.recovered", room=room_id, events=len(found.events), complete=found.complete)
        return found

    async def _page(self, room_id: str, token: str, since: str) -> dict[str, Any] | None:
        query = {"dir": "b", "from": token, "to": since, "limit": str(PAGE), "filter": _FILTER}
        backoff = Backoff(self._timing)
        while True:
            try:
                return await self._homeserver.ask("GET", "rooms", room_id, "messages", query=query)
            except (NotFound, Rejected) as exc:
                log.warning("matrix.past_refused", room=room_id, reason=type(exc).__name__)
                return None
            except Limited as exc:
                await asyncio.sleep(exc.wait)
                backoff.pause()
            except Unavailable as exc:
                if type(exc) is not Unavailable:
                    raise
                await asyncio.sleep(backoff.pause())
            if backoff.tries >= TRIES:
                return None


def _objects(value: object) -> Sequence[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _names(members: Sequence[dict[str, Any]]) -> dict[str, str]:
    """User ids and display names of member events."""
    named = {}
    for one in members:
        content, who = one.get("content"), one.get("state_key")
        name = content.get("displayname") if isinstance(content, dict) else None
        if one.get("type") == "m.room.member" and isinstance(who, str) and isinstance(name, str) and name:
            named[who] = name
    return named
