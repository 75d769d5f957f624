"""A few arrays that were computed last, so that the steps of a question share them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray


class Recall:
    """At most ``most`` arrays by key, the least recently used out; for any number of threads.

    Two threads that miss the same key at once both compute it: they give the same, and neither waits for the other.
    """

    def __init__(self, most: int) -> None:
        self._kept: LRUCache[Hashable, NDArray[np.float64]] = LRUCache(most)
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """The array of a key, made now when it is not there. It is shared, so it cannot be written to."""
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = make()
            found.flags.writeable = False
            with self._lock:
                self._kept[key] = found
        return found
