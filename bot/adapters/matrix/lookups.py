"""What an event says about another one, answered from what we saw lately, else by the homeserver.

A redaction names an event without its kind, and an edit names one without its author. Both are needed: a reaction that
is taken back is a vote less, a message that is taken away is erased, an edit that is taken away gives the text before
it back; and only the author may change a message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from bot.adapters.matrix.decoding import Json, Redaction, current_text, replaces, versions
from bot.adapters.matrix.homeserver import Homeserver
from bot.adapters.matrix.rooms import View
from bot.models import ChatEvent, Deletion, Edit, ReactionRemoved
from memory.errors import NotFound, Rejected, WeavebotError

REMEMBERED: Final = 20_000  # events; about 5 MB


@dataclass(frozen=True, slots=True)
class Known:
    """Of an event: its type, who sent it, and what it changed."""

    kind: str
    sender: str
    replaces: str | None = None  # the message that it is a new text for


class Lookups:
    """The kinds and senders of events."""

    def __init__(self, homeserver: Homeserver, readable: Callable[[str, Json], Json]) -> None:
        """``readable`` decrypts an event of a room where it can."""
        self._homeserver = homeserver
        self._readable = readable
        self._known: LRUCache[str, Known] = LRUCache(REMEMBERED)

    def saw(self, source: Json) -> None:
        """Remembers an event that passed by."""
        event_id, kind, sender = source.get("event_id"), source.get("type"), source.get("sender")
        if isinstance(event_id, str) and isinstance(kind, str) and isinstance(sender, str):
            self._known[event_id] = Known(kind, sender, replaces(source))

    async def of(self, room_id: str, event_id: str) -> Known | None:
        """What is known of an event; None when the homeserver does not have it or does not show it to us.

        Raises Unavailable when it cannot be asked now. (A redacted event keeps its type and its sender.)
        """
        found = self._known.get(event_id)
        if found is None:
            try:
                source = await self._homeserver.ask("GET", "rooms", room_id, "event", event_id)
            except (NotFound, Rejected):
                return None
            self.saw(source)
            found = self._known.get(event_id)
        return found

    async def resolve(self, view: View, redaction: Redaction) -> list[ChatEvent]:
        """What was taken away: a reaction, a message, an edit of one, or several readings where nobody can tell.

        All are safe then: there is no vote of a message's id, and no text of a reaction's.
        """
        place = view.place
        reaction = ReactionRemoved(place, redaction.event_id, redaction.at, reaction=redaction.target)
        message = Deletion(place, redaction.event_id, redaction.target, redaction.at)
        try:
            known = await self.of(place.room, redaction.target)
        except WeavebotError:
            known = None
        if known is None:
            return [reaction, message]
        if known.kind == "m.reaction":
            return [reaction]
        before = await self._before_edit(view, redaction, known) if known.replaces else None
        return [before] if before is not None else [message]

    async def _before_edit(self, view: View, redaction: Redaction, known: Known) -> Edit | None:
        """The message as it reads without the edit that was taken away; None when it is gone itself."""
        target = known.replaces or ""
        try:
            source = await self._homeserver.ask("GET", "rooms", view.place.room, "event", target)
        except WeavebotError:
            return None
        text = current_text([self._readable(view.place.room, one) for one in versions(source)])
        if text is None or source.get("sender") != known.sender:
            return None
        return Edit(view.place, redaction.event_id, target, view.actor(known.sender), text, redaction.at)

    async def is_authors(self, edit: Edit) -> bool:
        """Whether an edit comes from whoever wrote the message; when nobody can tell, the journal decides."""
        try:
            known = await self.of(edit.place.room, edit.target)
        except WeavebotError:
            return True
        return known is None or known.sender == edit.actor.external_id
