"""How many of something a second, over the last minute."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

WINDOW: Final = 60.0
"""Seconds."""


class Rate:
    """Counts, and forgets what is older than the window."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._began = time.monotonic()

    def add(self, count: int) -> None:
        """So many just now."""
        if count:
            self._seen.append((time.monotonic(), count))
        self._forget()

    def per_second(self) -> float:
        """The mean over the window, or over the time since the start when that is shorter."""
        self._forget()
        over = min(WINDOW, max(1.0, time.monotonic() - self._began))
        return sum(count for _, count in self._seen) / over

    def _forget(self) -> None:
        oldest = time.monotonic() - WINDOW
        while self._seen and self._seen[0][0] < oldest:
            self._seen.popleft()
