"""An inverted index of one room as arrays: which rows hold a term and how often. Snapshots share their storage.

A snapshot never changes. Extending one appends to buffers that older snapshots read only up to their own length, so
one new message costs its own terms and not the room's. The newest postings lie in an unsorted tail, which is merged
into the sorted body when it has grown to an eighth of it. Removing rows copies what is left and forgets the terms that
nothing holds any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory.growing import Growing, Ragged
from memory.lexicon import number as number_of
from memory.lexicon import numbers

Rows: TypeAlias = NDArray[np.int32]
Counts: TypeAlias = NDArray[np.uint16]

_SMALLEST_TAIL: Final = 8192
_TAIL_SHARE: Final = 8
_TERM_BYTES: Final = 140  # a dictionary slot and two boxed numbers


class _Vocabulary:
    """Terms, as `memory.lexicon` numbers them, to their places; shared by snapshots.

    Places only grow, so an older snapshot ignores newer ones.
    """

    __slots__ = ("_lock", "_places", "_used")

    def __init__(self, places: dict[int, int] | None = None, used: int = 0) -> None:
        self._places = places if places is not None else {}
        self._used = used
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, term: object) -> bool:
        return isinstance(term, str) and number_of(term) in self._places

    @property
    def used(self) -> int:
        """One more than the highest place ever given."""
        return self._used

    def get(self, term: str) -> int:
        """The place of a term, -1 when it has none."""
        return self._places.get(number_of(term), -1)

    def placed(self, terms: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The places of terms, in order; new terms get new ones."""
        different, back = np.unique(terms, return_inverse=True)
        with self._lock:
            known, used, found = self._places, self._used, []
            for term in different.tolist():
                place = known.get(term)
                if place is None:
                    known[term] = place = used
                    used += 1
                found.append(place)
            self._used = used
        return np.array(found, dtype=np.int64)[back]

    def kept(self, alive: NDArray[np.bool_]) -> _Vocabulary:
        """A vocabulary without the terms whose place is not alive."""
        with self._lock:
            kept = {term: n for term, n in self._places.items() if n < len(alive) and alive[n]}
            return _Vocabulary(kept, self._used)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Postings as three parallel arrays, in order of arrival."""

    terms: Growing
    rows: Growing
    counts: Growing

    @classmethod
    def empty(cls) -> _Entries:
        return cls(*(Growing.of(np.zeros(0, kind)) for kind in (np.int32, np.int32, np.uint16)))

    def appended(self, terms: Rows, rows: Rows, counts: Counts) -> _Entries:
        return _Entries(self.terms.appended(terms), self.rows.appended(rows), self.counts.appended(counts))


@dataclass(frozen=True, slots=True)
class Postings:
    """Term to rows and counts. Make it with `of`, change it with `extended` and `without`."""

    vocabulary: _Vocabulary
    starts: NDArray[np.int64]  # (terms + 1,) where each term's postings begin in the body
    rows: Rows
    counts: Counts
    tail: _Entries = field(default_factory=_Entries.empty)

    @classmethod
    def of(cls, documents: Sequence[Sequence[str]]) -> Postings:
        """The postings of documents (lists of terms) in rows 0, 1, 2 and so on."""
        return cls.empty().extended(np.arange(len(documents)), documents_of(documents))

    @classmethod
    def empty(cls) -> Postings:
        """Those of no document."""
        return cls(_Vocabulary(), np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint16))

    @property
    def nbytes(self) -> int:
        """An estimate of the memory held, in bytes."""
        body = self.starts.nbytes + self.rows.nbytes + self.counts.nbytes + len(self.vocabulary) * _TERM_BYTES
        return body + self.tail.terms.nbytes + self.tail.rows.nbytes + self.tail.counts.nbytes

    def find(self, term: str) -> tuple[Rows, Counts]:
        """The rows that hold a term, each once and in no promised order, and how often each holds it."""
        number = self.vocabulary.get(term)
        rows, counts = self._body(number)
        newer = np.flatnonzero(self.tail.terms.array == number) if number >= 0 else ()
        if not len(newer):
            return rows, counts
        return np.concatenate([rows, self.tail.rows.array[newer]]), np.concatenate(
            [counts, self.tail.counts.array[newer]]
        )

    def _body(self, number: int) -> tuple[Rows, Counts]:
        if not 0 <= number < len(self.starts) - 1:
            return self.rows[:0], self.counts[:0]
        part = slice(self.starts[number], self.starts[number + 1])
        return self.rows[part], self.counts[part]

    def extended(self, rows: NDArray[np.int64], documents: Ragged) -> Postings:
        """With the terms of some more rows, which must hold nothing yet."""
        keys = (self.vocabulary.placed(documents.values) << 32) | np.repeat(rows, documents.counts)
        unique, counts = np.unique(keys, return_counts=True)
        tail = self.tail.appended(
            (unique >> 32).astype(np.int32),
            (unique & 0xFFFFFFFF).astype(np.int32),
            np.minimum(counts, np.iinfo(np.uint16).max).astype(np.uint16),
        )
        longer = replace(self, tail=tail)
        return longer.merged() if tail.rows.size > max(_SMALLEST_TAIL, len(self.rows) // _TAIL_SHARE) else longer

    def merged(self) -> Postings:
        """The same postings with an empty tail."""
        terms, rows, counts = self._all()
        return self._sorted(self.vocabulary, terms, rows, counts)

    def without(self, rows: NDArray[np.int64]) -> Postings:
        """Without what some rows hold; terms that no other row holds are forgotten."""
        terms, held, counts = self._all()
        stays = ~np.isin(held, rows)
        alive = np.zeros(self.vocabulary.used, dtype=np.bool_)
        alive[terms[stays]] = True
        return self._sorted(self.vocabulary.kept(alive), terms[stays], held[stays], counts[stays])

    def _all(self) -> tuple[Rows, Rows, Counts]:
        body = np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))
        return (
            np.concatenate([body, self.tail.terms.array]),
            np.concatenate([self.rows, self.tail.rows.array]),
            np.concatenate([self.counts, self.tail.counts.array]),
        )

    @staticmethod
    def _sorted(vocabulary: _Vocabulary, terms: Rows, rows: Rows, counts: Counts) -> Postings:
        order = np.argsort(terms, kind="stable")  # timsort: a sorted body and a short tail merge in linear time
        starts = np.zeros(vocabulary.used + 1, dtype=np.int64)
        np.cumsum(np.bincount(terms, minlength=vocabulary.used), out=starts[1:])
        return Postings(vocabulary, starts, rows[order], counts[order])


def documents_of(documents: Sequence[Sequence[str]]) -> Ragged:
    """Lists of terms in the form that `Postings.extended` takes."""
    return Ragged.of([numbers(document) for document in documents], np.zeros(0, np.uint32))
