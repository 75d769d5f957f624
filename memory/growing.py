"""Arrays that grow at their end while older snapshots of them are being read."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_GROWTH: Final = 1.5


class _Buffer:
    """Storage with room to grow; ``used`` rows belong to the newest array on it."""

    __slots__ = ("data", "lock", "used")

    def __init__(self, data: NDArray[Any], used: int) -> None:
        self.data = data
        self.used = used
        self.lock = Lock()


@dataclass(frozen=True, slots=True)
class Growing:
    """An array of any shape that grows at its end; older ones on the same buffer stay what they were."""

    buffer: _Buffer
    size: int

    @classmethod
    def of(cls, values: NDArray[Any]) -> Growing:
        """One that holds these values; the array is taken over, not copied."""
        return cls(_Buffer(values, len(values)), len(values))

    @property
    def array(self) -> NDArray[Any]:
        """What it holds; do not write to it."""
        return self.buffer.data[: self.size]

    @property
    def nbytes(self) -> int:
        """Bytes of what it holds; the room kept for growth is not touched before it is used."""
        return int(self.array.nbytes)

    def appended(self, values: NDArray[Any]) -> Growing:
        """One with more rows: in place when this is the newest on its buffer, else on a copy."""
        total = self.size + len(values)
        with self.buffer.lock:
            if self.buffer.used == self.size and total <= len(self.buffer.data):
                self.buffer.data[self.size : total] = values
                self.buffer.used = total
                return Growing(self.buffer, total)
            shape = (max(int(total * _GROWTH), 16), *self.array.shape[1:])
            grown = np.zeros(shape, dtype=self.array.dtype)
            grown[: self.size] = self.array
        grown[self.size : total] = values
        return Growing(_Buffer(grown, total), total)

    def with_values(self, at: NDArray[Any], values: object) -> Growing:
        """A copy with other values in some rows."""
        changed = self.array.copy()
        changed[at] = values
        return Growing.of(changed)

    def erase(self, at: NDArray[Any]) -> None:
        """Overwrites rows with zeros in the shared storage: every snapshot on it loses them at once."""
        self.buffer.data[at] = 0
