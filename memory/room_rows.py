"""Messages as columns: what `memory.room.RoomView` is fed with, from SQL by the hundred thousand or one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memory.embedding import content_hash
from memory.growing import Ragged
from memory.lexicon import Words
from memory.models import RoomRow

NONE: Final = -1
NO_VECTORS: Final = np.zeros((0, 0), np.float32)
NO_TOKENS: Final = np.zeros(0, np.uint16)
NO_CODES: Final = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True, slots=True)
class RoomRows:
    """n messages.

    serials, authors, sessions (-1 without one), replies (the serial that one replies to, -1 without), digests (two
    texts that differ have different ones): (n,) int64. sent_at: (n,) POSIX seconds. vectors: n ranges of (dim,)
    float32; tokens: n ranges of uint16, and codes as many of (bytes,) uint8; empty before the embedding arrives.
    """

    serials: NDArray[np.int64]
    authors: NDArray[np.int64]
    sent_at: NDArray[np.float64]
    replies: NDArray[np.int64]
    sessions: NDArray[np.int64]
    digests: NDArray[np.int64]
    words: Words
    vectors: Ragged
    tokens: Ragged
    codes: Ragged

    @classmethod
    def of(cls, rows: Iterable[RoomRow]) -> RoomRows:
        """From records of single messages."""
        given = list(rows)

        def column(values: Iterable[Any], kind: type[np.generic]) -> NDArray[Any]:
            return np.fromiter(values, kind, len(given))

        def ragged(parts: Iterable[NDArray[Any] | None], empty: NDArray[Any]) -> Ragged:
            listed = list(parts)
            full = [Ragged.of([part] if part is not None else [], empty) for part in listed]
            values = Ragged.joined(full, empty).values
            return Ragged(values, column((0 if part is None else len(part) for part in listed), np.int64))

        return cls(
            serials=column((row.serial for row in given), np.int64),
            authors=column((row.author for row in given), np.int64),
            sent_at=column((row.sent_at for row in given), np.float64),
            replies=column((NONE if row.reply_to is None else row.reply_to for row in given), np.int64),
            sessions=column((NONE if row.session is None else row.session for row in given), np.int64),
            digests=digests([content_hash(row.text) for row in given]),
            words=Words.of([row.text for row in given]),
            vectors=ragged((row.vectors for row in given), NO_VECTORS),
            tokens=ragged((row.token_ids for row in given), NO_TOKENS),
            codes=ragged((row.codes for row in given), NO_CODES),
        )

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self.serials)

    def take(self, places: NDArray[np.int64]) -> RoomRows:
        """Some of the messages, in that order."""
        taken: dict[str, Any] = {}
        for one in fields(self):
            column = getattr(self, one.name)
            taken[one.name] = column[places] if isinstance(column, np.ndarray) else column.take(places)
        return RoomRows(**taken)

    def in_order(self) -> RoomRows:
        """The messages in order of their serials."""
        if bool(np.all(np.diff(self.serials) > 0)):
            return self
        return self.take(np.argsort(self.serials, kind="stable"))


def digests(hashes: Iterable[bytes]) -> NDArray[np.int64]:
    """What tells texts apart, from their content hashes of 16 bytes: the first 8 of each."""
    return np.frombuffer(b"".join(hashes), np.int64)[::2].copy()
