"""Addresses of messages for people: from a source's mark to the message that proves the answer.

``https://matrix.to/#/!room/$event?via=server`` (https://spec.matrix.org/v1.16/appendices/#matrixto-navigation). The id
of a room does not say which servers know it (since version 12 it names none), so some whose people are there stand
beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

import structlog

from bot.adapters.matrix.rooms import Rooms, server_of
from bot.models import Reply
from bot.ports import Notebook
from memory.errors import Unavailable

SERVERS: Final = 3  # as the specification advises

log = structlog.get_logger(__name__)


class Permalinks:
    """The addresses of the messages of an account's rooms."""

    def __init__(self, rooms: Rooms, notebook: Notebook, *, me: str) -> None:
        self._rooms = rooms
        self._notebook = notebook
        self._me = me

    async def of(self, reply: Reply) -> dict[str, str]:
        """The addresses of a reply's sources, by their marks (``[1]``).

        What was imported has none. An answer from several rooms has sources in any of them.
        """
        wanted = {event_id for event_id in reply.sources if event_id.startswith("$")}
        found: dict[str, str] = {}
        try:
            for room_id in [reply.place.room, *(await self._notebook.rooms() if wanted else ())]:
                if wanted and room_id in self._rooms:
                    here = await self._notebook.knows(room_id, sorted(wanted))
                    found |= {event_id: permalink(room_id, event_id, self._via(room_id)) for event_id in here}
                    wanted -= here
        except Unavailable as exc:  # the answer is worth more than its links
            log.warning("matrix.no_links", reason=str(exc))
        marks = enumerate(reply.sources, 1)
        return {f"[{number}]": found[event_id] for number, event_id in marks if event_id in found}

    def _via(self, room_id: str) -> Sequence[str]:
        """Our own server, and those of the most people that we know there."""
        people = Counter(server_of(user_id) for user_id in self._rooms.room(room_id).users)
        servers = [server_of(self._me), *(server for server, _ in people.most_common(SERVERS))]
        return list(dict.fromkeys(servers))[:SERVERS]


def permalink(room_id: str, event_id: str, via: Sequence[str]) -> str:
    """The address of a message."""
    where = f"{quote(room_id, safe='!')}/{quote(event_id, safe='')}"
    return f"https://matrix.to/#/{where}?{urlencode([('via', server) for server in via])}"
