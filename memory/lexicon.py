"""What search by words needs of a text, as it is kept beside the text's vectors: a room is loaded without its texts.

A term is kept as the CRC-32 of its letters. In a room of 50,000 terms one question term in 100,000 meets another's
number by chance; a stored number is shorter than most terms. It still is a form of the message: it is kept in the row
of its vectors, and goes with it.

The stored form: one byte of `VERSION`, one byte of signs, then a little-endian uint32 for each term, in order. Terms
of another version are read from the text again, until `weavebot reindex` writes them anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.growing import Ragged
from memory.text import ends_with_question, speaks_of_self, terms

VERSION: Final = 1
"""Raised with every change of `memory.text` that gives a text other terms or signs."""

_ASKS: Final = 1
_SELF: Final = 2
_HEAD: Final = 2  # bytes


@dataclass(frozen=True, slots=True)
class Words:
    """What n texts are to search by words.

    asks, selves: (n,) whether one ends with a question, whether it is in the first person. terms: n ranges of uint32.
    """

    asks: NDArray[np.bool_]
    selves: NDArray[np.bool_]
    terms: Ragged

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words:
        """Read from the texts."""
        return unpack([pack(text) for text in texts])

    def take(self, places: NDArray[np.int64]) -> Words:
        """Those of some of the texts, in that order."""
        return Words(self.asks[places], self.selves[places], self.terms.take(places))


@lru_cache(maxsize=65536)
def number(term: str) -> int:
    """The number that stands for a term."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))


def numbers(found: Sequence[str]) -> NDArray[np.uint32]:
    """The numbers of terms, in order."""
    return np.fromiter(map(number, found), np.uint32, len(found))


def pack(text: str) -> bytes:
    """The stored form of what search needs of a text."""
    signs = _ASKS * ends_with_question(text) | _SELF * speaks_of_self(text)
    return bytes((VERSION, signs)) + numbers(terms(text)).astype("<u4").tobytes()


def is_current(stored: bytes | None) -> bool:
    """Whether a stored form is there and of this version."""
    return stored is not None and stored[:1] == bytes((VERSION,))


def unpack(stored: Sequence[bytes]) -> Words:
    """What was stored of some texts; every one must be current."""
    signs = np.fromiter((one[1] for one in stored), np.uint8, len(stored))
    counts = np.fromiter((len(one) for one in stored), np.int64, len(stored))
    values = np.frombuffer(b"".join([one[_HEAD:] for one in stored]), "<u4").astype(np.uint32, copy=False)
    return Words(signs & _ASKS > 0, signs & _SELF > 0, Ragged(values, (counts - _HEAD) // 4))
