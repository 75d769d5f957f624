"""Discord's ids: 42 bits of milliseconds since 2015, 10 bits of worker, 12 bits of sequence.

https://docs.discord.com/developers/reference#snowflakes
"""

from __future__ import annotations

from typing import Final

EPOCH: Final = 1_420_070_400_000  # 2015-01-01T00:00:00Z, milliseconds of Unix time
TIME_SHIFT: Final = 22
SEQUENCES: Final = 1 << 12


def timestamp_of(snowflake: int) -> float:
    """Seconds of Unix time at which the id was made."""
    return ((snowflake >> TIME_SHIFT) + EPOCH) / 1000


def first_at(moment: float) -> int:
    """The smallest id of that moment (seconds of Unix time)."""
    return (int(moment * 1000) - EPOCH) << TIME_SHIFT


class Snowflakes:
    """Gives ids, each one unique; of two ids made for one moment the later is the greater."""

    def __init__(self) -> None:
        self._given: dict[int, int] = {}

    def make(self, moment: float) -> int:
        """A new id for that moment (seconds of Unix time)."""
        at = first_at(moment)
        count = self._given.get(at, 0)
        while count >= SEQUENCES:  # a full millisecond: go on in the next one
            at += 1 << TIME_SHIFT
            count = self._given.get(at, 0)
        self._given[at] = count + 1
        return at + count
