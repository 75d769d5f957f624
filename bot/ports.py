"""What the bot needs from a chat platform. Adapters live in ``bot.adapters``; only ``bot.wiring`` names them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from bot.models import Capabilities, ChatEvent, Place, Reply
from bot.pages import Page


class ChatPort(Protocol):
    """A chat platform, as one account of ours sees it."""

    @property
    def platform(self) -> str:
        """One word: console, matrix, discord."""

    @property
    def team(self) -> str | None:
        """The one team that this account speaks for (``Place.team``); None when it is in many."""

    @property
    def capabilities(self) -> Capabilities:
        """What can be shown there."""

    def events(self) -> AsyncIterator[Sequence[ChatEvent]]:
        """What happens in the rooms, in batches, in order within a room; ends when the platform is left for good.

        Whoever iterates asks for the next batch only when everything in the one before is committed. So an adapter
        stores how far it has read (its sync token) after the ``yield``, and a crash loses nothing: what comes again is
        known. A batch that holds nothing is not given. Messages from before we came have the provenance *history*, what
        was said while we were away *recovered*.

        Raises Unavailable, with what to do about it, when the platform refuses us for good (a revoked token).
        """

    async def send(self, reply: Reply, *, transaction: str) -> str:
        """Posts a reply and gives its event id; the same ``transaction`` twice posts once, where the platform can.

        With an empty transaction it is said in passing. Raises Unavailable when the platform does not take it now, and
        Rejected when it never will (we were removed from the room).
        """

    async def mark(self, place: Place, event_id: str, emoji: str) -> bool:
        """Puts an emoji of ours on a message, once; False where we may not, or there is no such message any more.

        Raises Unavailable when the platform does not take it now.
        """

    async def busy(self, place: Place, *, on: bool) -> None:
        """Shows or hides that an answer is on its way (typing). Never raises: it is a courtesy."""

    async def may_read(self, room: str, person: str) -> bool:
        """Whether that person can read that room now; False when it is not known."""

    async def shown_in(self, place: Place, event_id: str) -> str | None:
        """The id of the answer that a message of ours says it shows (its label), read from the platform.

        None for everybody else's messages, for those without a label, and when it cannot be read now.
        """

    async def health(self, room: str | None = None) -> Page:
        """How the account is: what works, what does not and the exact fix; of one room when it is named."""

    async def close(self) -> None:
        """Leaves the platform."""


class Notebook(Protocol):
    """What an adapter may keep and look up between two starts: one for each account."""

    async def read(self, name: str) -> str | None:
        """What was noted last under a name (a sync token, the newest message read of a channel)."""

    async def note(self, name: str, value: str) -> None:
        """Notes it, durably, in place of what was noted before."""

    async def rooms(self) -> list[str]:
        """The rooms of this account that we know, by their external ids."""

    async def answers(self, room: str, limit: int) -> list[str]:
        """The event ids of the newest messages of ours in a room that show an answer, newest first."""

    async def kept(self, room: str, start: str, newest: int | None = None) -> list[str]:
        """The event ids of the messages kept of a room that begin so, oldest first; at most the newest so many."""

    async def knows(self, room: str, event_ids: Sequence[str]) -> set[str]:
        """Those of the events of a room that are journalled: kept, answered, or deleted for good."""

    async def edited(self, room: str, event_id: str, author: str, at: datetime, most: int) -> list[str]:
        """The messages of a room that an edit of ``author`` may have changed, by their event ids; at most so many.

        First the question that it asked anew; then the author's messages that were edited, the nearest to that time
        first.
        """
