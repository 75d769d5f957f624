"""What an event says about another one, answered from what we saw lately, else by the homeserver.

A redaction names an event without its kind, and an edit names one without its author. Both are needed: a reaction that
is taken back is a vote less, a message that is taken away is erased, an edit that is taken away gives the text before
it back; and only the author may change a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cachetools import LRUCache

from bot.adapters.matrix.decoding import Json, Redaction, current_text, is_redacted, replaces, sent_ms, versions
from bot.adapters.matrix.homeserver import Homeserver, Limited, LoggedOut
from bot.adapters.matrix.rooms import View
from bot.adapters.matrix.timing import Backoff, Timing
from bot.models import ChatEvent, Deletion, Edit, ReactionRemoved
from bot.ports import Notebook
from memory.errors import NotFound, Rejected, Unavailable, WeavebotError

REMEMBERED: Final = 20_000  # events; about 5 MB
PERHAPS: Final = 20  # messages that are read again when an edit of before our start is taken away
TRIES: Final = 4  # of a question to the homeserver, seconds apart


@dataclass(frozen=True, slots=True)
class Known:
    """Of an event: its type, who sent it, when (milliseconds since 1970, as its homeserver says), what it changed.

    ``bare``: it was redacted before we saw it, so that what it changed is not told any more.
    """

    kind: str
    sender: str
    sent: int
    replaces: str | None = None  # the message that it is a new text for
    bare: bool = False


class Lookups:
    """The kinds and senders of events."""

    def __init__(
        self, homeserver: Homeserver, notebook: Notebook, timing: Timing, readable: Callable[[str, Json], Json]
    ) -> None:
        """``readable`` decrypts an event of a room where it can."""
        self._homeserver = homeserver
        self._notebook = notebook
        self._timing = timing
        self._readable = readable
        self._known: LRUCache[str, Known] = LRUCache(REMEMBERED)

    def saw(self, source: Json) -> None:
        """Remembers an event that passed by."""
        event_id, kind, sender = source.get("event_id"), source.get("type"), source.get("sender")
        if isinstance(event_id, str) and isinstance(kind, str) and isinstance(sender, str):
            bare = is_redacted(source)
            if not (bare and event_id in self._known):
                self._known[event_id] = Known(kind, sender, sent_ms(source), replaces(source), bare)

    async def of(self, room_id: str, event_id: str) -> Known | None:
        """What is known of an event; None when the homeserver does not have it or does not show it to us.

        Raises Unavailable when it cannot be asked now. (A redacted event keeps its type and its sender.)
        """
        found = self._known.get(event_id)
        if found is None:
            source = await self._event(room_id, event_id)
            if source is None:
                return None
            self.saw(source)
            found = self._known.get(event_id)
        return found

    async def resolve(self, view: View, redaction: Redaction) -> list[ChatEvent]:
        """What was taken away: a reaction, a message, an edit of one, or several readings where nobody can tell.

        All are safe then: there is no vote of a message's id, no text of a reaction's, and a message that is read
        again reads as it did.
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
        if known.replaces is not None:
            return [await self._before_edit(view, redaction, known.sender, known.replaces)]
        if known.bare and not await self._journalled(place.room, redaction.target):
            return [message, *await self._before_some_edit(view, redaction, known)]
        return [message]

    async def _before_edit(self, view: View, redaction: Redaction, sender: str, target: str) -> Edit:
        """The message as it reads without the edit that was taken away.

        Where that cannot be had nothing is left of it: what was taken away must not stay because we cannot read. (The
        journal lets nobody empty a message but its author.)
        """
        edit = await self._as_it_reads(view, redaction, sender, target)
        return edit or Edit(view.place, redaction.event_id, target, view.actor(sender), "", redaction.at)

    async def _before_some_edit(self, view: View, redaction: Redaction, known: Known) -> list[Edit]:
        """The same when the edit came before our start: the messages that it may have changed, as they read now."""
        at = datetime.fromtimestamp(min(known.sent / 1000, redaction.at.timestamp()), UTC)
        try:
            targets = await self._notebook.edited(view.place.room, redaction.target, known.sender, at, PERHAPS)
        except Unavailable:
            return []
        read = [await self._as_it_reads(view, redaction, known.sender, one) for one in targets]
        return [one for one in read if one is not None]

    async def _as_it_reads(self, view: View, redaction: Redaction, sender: str, target: str) -> Edit | None:
        """A message of that person's with the text that it has now; None when it is gone or cannot be read."""
        try:
            source = await self._event(view.place.room, target)
        except WeavebotError:
            return None
        if source is None or source.get("sender") != sender:
            return None
        text = current_text([self._readable(view.place.room, one) for one in versions(source)])
        if text is None:
            return None
        return Edit(view.place, redaction.event_id, target, view.actor(sender), text, redaction.at)

    async def is_authors(self, edit: Edit) -> bool:
        """Whether an edit comes from whoever wrote the message; when nobody can tell, the journal decides."""
        try:
            known = await self.of(edit.place.room, edit.target)
        except WeavebotError:
            return True
        return known is None or known.sender == edit.actor.external_id

    async def _journalled(self, room_id: str, event_id: str) -> bool:
        """Whether that was a message or a question itself."""
        try:
            return bool(await self._notebook.knows(room_id, [event_id]))
        except Unavailable:
            return False

    async def _event(self, room_id: str, event_id: str) -> dict[str, Any] | None:
        """An event as the homeserver has it; None when it has none for us. Raises Unavailable after some tries."""
        backoff = Backoff(self._timing)
        while True:
            try:
                return await self._homeserver.ask("GET", "rooms", room_id, "event", event_id)
            except (NotFound, Rejected):
                return None
            except Unavailable as exc:
                pause = max(backoff.pause(), exc.wait if isinstance(exc, Limited) else 0.0)
                if isinstance(exc, LoggedOut) or backoff.tries >= TRIES:
                    raise
                await asyncio.sleep(pause)
