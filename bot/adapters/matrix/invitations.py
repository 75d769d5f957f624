"""Invitations: taken from whom the operator allows, kept until the homeserver has let us in.

An invitation comes once and carries no event id, so those not settled yet are noted before the sync token is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import structlog

from bot.adapters.matrix.homeserver import Homeserver, Limited
from bot.adapters.matrix.rooms import server_of
from bot.ports import Notebook
from memory.errors import NotFound, Rejected, Unavailable
from memory.ports import Clock

NOTE: Final = "invitations"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who wants us in a room, and whether it is a room of the two of us."""

    by: str
    direct: bool = False


def invitation_in(events: Sequence[Any], me: str) -> Invitation | None:
    """The invitation for us among what comes with one (nio's events): the inviter's own membership is there too."""
    for one in events:
        if getattr(one, "membership", None) == "invite" and getattr(one, "state_key", None) == me:
            return Invitation(one.sender, one.content.get("is_direct") is True)
    return None


class Invitations:
    """The invitations of an account."""

    def __init__(
        self, homeserver: Homeserver, notebook: Notebook, clock: Clock, *, me: str, allow: Sequence[str] = ()
    ) -> None:
        """``allow``: user ids and patterns such as ``*:example.org``; nobody named means everybody of our server."""
        self._homeserver = homeserver
        self._notebook = notebook
        self._clock = clock
        self._me = me
        self._allow = tuple(allow) or (f"*:{server_of(me)}",)
        self._waiting: dict[str, Invitation] = {}  # by room id
        self._not_before = 0.0

    @property
    def refused(self) -> dict[str, str]:
        """Rooms that wait because whoever invited us is not on the list, and who that is."""
        return {room: one.by for room, one in self._waiting.items() if not self.allowed(one.by)}

    def allowed(self, user_id: str) -> bool:
        """Whether that person may invite us."""
        return any(fnmatchcase(user_id, pattern) for pattern in self._allow)

    async def recall(self) -> None:
        """Takes up what was not settled before the last stop. Raises Unavailable when it cannot be read."""
        noted = await self._notebook.read(NOTE)
        self._waiting = {room: Invitation(*one) for room, one in json.loads(noted).items()} if noted else {}

    async def take(self, invited: Mapping[str, Invitation], settled: Sequence[str]) -> None:
        """The invitations of a sync by room; ``settled`` are the rooms that we are in or left.

        Raises Unavailable when they cannot be noted.
        """
        before = dict(self._waiting)
        for room_id, one in invited.items():
            self._waiting[room_id] = one
            if not self.allowed(one.by):
                log.warning("matrix.invitation_refused", room=room_id, by=one.by)
        for room_id in settled:
            self._waiting.pop(room_id, None)
        if self._waiting != before:
            noted = {room: [one.by, one.direct] for room, one in self._waiting.items()}
            await self._notebook.note(NOTE, json.dumps(noted))

    async def accept(self) -> dict[str, Invitation]:
        """Joins what may be joined and gives those rooms; what the homeserver does not take now is tried next time."""
        joined: dict[str, Invitation] = {}
        if self._clock.now().timestamp() < self._not_before:
            return joined
        for room_id, one in list(self._waiting.items()):
            if not self.allowed(one.by):
                continue
            try:
                await self._homeserver.ask("POST", "rooms", room_id, "join", body={})
            except Limited as exc:
                self._not_before = self._clock.now().timestamp() + exc.wait
                break
            except (NotFound, Rejected) as exc:
                log.warning("matrix.join_refused", room=room_id, reason=str(exc))
                del self._waiting[room_id]  # withdrawn meanwhile, or we are banned
            except Unavailable as exc:
                if type(exc) is not Unavailable:
                    raise
                log.warning("matrix.join_waits", room=room_id, reason=str(exc))
                break
            else:
                log.info("matrix.joined", room=room_id)
                joined[room_id] = one
        return joined
