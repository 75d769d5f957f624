"""How many questions a person may ask in a minute; counted for all processes together where they share a cache."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from memory.errors import Refused, Unavailable
from memory.models import Person, Slot
from memory.ports import Cache

WINDOW: Final = timedelta(minutes=1)
_NAMESPACE: Final = "asks"


class AskLimit:
    """Of every person, in whichever room they ask."""

    def __init__(self, most: int, own: Cache, shared: Cache | None = None) -> None:
        """``most`` questions a `WINDOW`, 0: as many as they like. ``own`` counts where ``shared`` is not or is away."""
        self._most = most
        self._own = own
        self._shared = shared

    async def admit(self, person: Person) -> None:
        """Counts a question. Raises Refused when it is one too many."""
        if self._most and await self._count(Slot(_NAMESPACE, str(person.id))) > self._most:
            many = "1 question" if self._most == 1 else f"{self._most} questions"
            raise Refused(f"{many} a minute is as much as I answer one person: ask again in a minute")

    async def _count(self, slot: Slot) -> int:
        own = await self._own.count(slot, WINDOW)  # always, so that nobody begins anew when the shared one goes away
        if self._shared is None:
            return own
        try:
            return max(own, await self._shared.count(slot, WINDOW))
        except Unavailable:
            return own
