"""Arrays that grow at their end while older snapshots of them are being read."""

from __future__ import annotations

from collections.abc import Sequence
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
        """One with more rows: in place when this is the newest on its buffer, else on a copy.

        An empty one takes over the values themselves when nobody else can own them.
        """
        total = self.size + len(values)
        if not self.size and values.base is None and values.flags.writeable and values.dtype == self.array.dtype:
            return Growing.of(values)
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


@dataclass(frozen=True, slots=True)
class Ragged:
    """Ranges of different lengths one after the other: ``values`` of all, and how many belong to each."""

    values: NDArray[Any]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, parts: Sequence[NDArray[Any]], empty: NDArray[Any]) -> Ragged:
        """These parts; with none of them, no value of the kind of ``empty``."""
        counts = np.fromiter((len(part) for part in parts), np.int64, len(parts))
        return cls(np.concatenate(parts) if len(parts) else empty, counts)

    @classmethod
    def joined(cls, several: Sequence[Ragged], empty: NDArray[Any]) -> Ragged:
        """The ranges of several, one after the other."""
        full = [one.values for one in several if len(one.values)]
        counts = [np.zeros(0, np.int64), *(one.counts for one in several)]
        return cls(np.concatenate(full) if full else empty, np.concatenate(counts))

    def __len__(self) -> int:
        """How many ranges there are."""
        return len(self.counts)

    def take(self, places: NDArray[np.int64]) -> Ragged:
        """Some of the ranges, in that order; an empty one for a place of -1."""
        there = places >= 0
        counts = np.where(there, self.counts[places], 0) if len(self.counts) else np.zeros(len(places), np.int64)
        starts = np.where(there, (np.cumsum(self.counts) - self.counts)[places], 0) if len(self.counts) else counts
        numbers, _ = ranges(starts, counts)
        # np.take lets other threads run and copies whole rows: a tenth of the time of values[numbers]
        return Ragged(np.take(self.values, numbers, axis=0), counts)


def ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers start, start + 1, … of each range in turn, and the range that each belongs to."""
    owners = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts) - counts
    return np.arange(len(owners)) - np.repeat(before - starts, counts), owners
