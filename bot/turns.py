"""How often somebody may call on the bot: the brake on two bots that answer each other."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from cachetools import LRUCache

from memory.ports import Clock

MOST: Final = 60
WITHIN: Final = timedelta(minutes=5)
REMEMBERED: Final = 4096  # pairs of thread and person


class Turns:
    """At most ``most`` turns of one person in one thread (or in a room outside of threads) within a time."""

    def __init__(self, clock: Clock, *, most: int = MOST, within: timedelta = WITHIN) -> None:
        self._clock = clock
        self._most = most
        self._within = within
        self._taken: LRUCache[tuple[int, str | None, str], deque[datetime]] = LRUCache(REMEMBERED)

    def take(self, room: int, thread: str | None, person: str) -> bool:
        """Counts a turn; False when it is one too many."""
        now = self._clock.now()
        taken = self._taken.setdefault((room, thread, person), deque(maxlen=self._most))
        while taken and now - taken[0] > self._within:
            taken.popleft()
        if len(taken) >= self._most:
            return False
        taken.append(now)
        return True
