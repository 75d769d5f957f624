"""One room as arrays in the process: what ranking reads instead of asking SQL.

A `RoomView` is an immutable snapshot, so any number of threads may read it while one makes the next. Growth is shared:
a new message (or an embedding that arrives later) appends to buffers of which older snapshots read only their own
length. An edit or a removal copies the small columns and the postings, and overwrites the vectors, token ids and codes
that it drops with zeros in the shared storage, so that no snapshot holds them any longer. The text itself is never
kept. A removed message leaves an empty row, which keeps row numbers stable; ``waste`` tells when to load afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory.growing import Growing, Ragged, ranges
from memory.models import Halves, RoomRow, Serials
from memory.postings import Postings
from memory.recall import Recall
from memory.room_rows import NONE, RoomRows

WINDOW: Final = 5
"""How many messages before and after one lend it their terms."""

DECAY: Final = 0.6
"""What a term is worth per message of distance: 0.6 for a neighbour, 0.36 for the next, …"""

PAUSE: Final = 3 * 3600.0
"""Seconds of silence between two conversations, as ranking sees them."""

LONGEST_KNOWN: Final = 16_000
"""Tokens; of a text that has more, only the beginning is embedded, and so counted."""

_RECALLED: Final = 8  # arrays of a number a row: what two or three questions at a time need

_KINDS: Final[Mapping[str, type[np.generic]]] = {
    "serials": np.int64,
    "authors": np.int64,
    "sent_at": np.float64,
    "asks": np.bool_,
    "selves": np.bool_,
    "replies": np.int32,
    "sessions": np.int64,
    "lengths": np.int32,
    "digests": np.int64,
    "alive": np.bool_,
    "token_starts": np.int64,
    "token_counts": np.int32,
}
Given: TypeAlias = RoomRows | Iterable[RoomRow]
"""Messages as columns, or as records of single ones."""


@dataclass(frozen=True)  # not slotted: the lazily computed columns are kept in the instance
class RoomView:
    """A snapshot of a room; rows are messages in order of their serials.

    Make the first with `of`, the next ones with `updated` (or its parts `extended`, `replaced`, `without`).
    """

    columns: Mapping[str, Growing]
    postings: Postings
    vectors_of: Growing  # (chunks,) the row of each vector
    vector_store: Growing  # (chunks, dim) float16
    token_store: Growing  # (tokens,) uint16
    code_store: Growing  # (tokens, state_dim / 8) uint8
    token_rows: NDArray[np.int32]  # (vocabulary,) in how many rows each token id occurs
    dropped: NDArray[np.int64]  # vectors that were erased

    @classmethod
    def of(cls, rows: Given) -> RoomView:
        """A view of these messages, ordered by serial."""
        return cls(
            columns={name: Growing.of(np.zeros(0, kind)) for name, kind in _KINDS.items()},
            postings=Postings.empty(),
            vectors_of=Growing.of(np.zeros(0, np.int32)),
            vector_store=Growing.of(np.zeros((0, 0), np.float16)),
            token_store=Growing.of(np.zeros(0, np.uint16)),
            code_store=Growing.of(np.zeros((0, 0), np.uint8)),
            token_rows=np.zeros(0, np.int32),
            dropped=np.zeros(0, np.int64),
        ).extended(rows)

    def __len__(self) -> int:
        """Rows, the emptied ones of removed messages counted."""
        return self.columns["serials"].size

    @property
    def serials(self) -> Serials:
        """(n,) ascending unless a message was admitted out of turn."""
        return self.columns["serials"].array

    @property
    def authors(self) -> NDArray[np.int64]:
        """(n,) person ids."""
        return self.columns["authors"].array

    @property
    def sent_at(self) -> NDArray[np.float64]:
        """(n,) POSIX seconds."""
        return self.columns["sent_at"].array

    @property
    def asks(self) -> NDArray[np.bool_]:
        """(n,) whether the message ends with a question."""
        return self.columns["asks"].array

    @property
    def selves(self) -> NDArray[np.bool_]:
        """(n,) whether the message is in the first person."""
        return self.columns["selves"].array

    @property
    def replies(self) -> NDArray[np.int32]:
        """(n,) the row that a message replies to, -1 without one."""
        return self.columns["replies"].array

    @property
    def sessions(self) -> NDArray[np.int64]:
        """(n,) session ids, -1 without one."""
        return self.columns["sessions"].array

    @property
    def lengths(self) -> NDArray[np.int32]:
        """(n,) terms of each message, repetitions counted."""
        return self.columns["lengths"].array

    @property
    def alive(self) -> NDArray[np.bool_]:
        """(n,) False where a message was removed."""
        return self.columns["alive"].array

    @property
    def vectors(self) -> Halves:
        """(chunks, dim) float16 unit vectors; erased ones are zero."""
        return self.vector_store.array

    @property
    def vector_rows(self) -> NDArray[np.int32]:
        """(chunks,) the row of each vector; a long message has several, one not yet embedded none."""
        return self.vectors_of.array

    @property
    def messages(self) -> int:
        """Messages that are there."""
        return int(np.count_nonzero(self.alive))

    @property
    def nbytes(self) -> int:
        """An estimate of the memory held, in bytes; what is shared with other snapshots is counted in each."""
        stores = (self.vectors_of, self.vector_store, self.token_store, self.code_store, *self.columns.values())
        return sum(s.nbytes for s in stores) + self.token_rows.nbytes + self.postings.nbytes

    @property
    def waste(self) -> float:
        """The share of rows and vectors that are empty, in [0, 1]; past 0.25 loading the room afresh pays."""
        gone = len(self) - self.messages + len(self.dropped)
        return gone / max(1, len(self) + len(self.vectors))

    @cached_property
    def mean_length(self) -> float:
        """Mean number of terms of a message, at least 1e-9."""
        return max(float(self.lengths.sum()) / max(1, self.messages), 1e-9)

    @cached_property
    def speaker_bits(self) -> float:
        """The entropy of who speaks: 1 when two people share a room, 0 when one is alone; what naming one tells."""
        if not self.messages:
            return 0.0
        _, counts = np.unique(self.authors[self.alive], return_counts=True)
        shares = counts / counts.sum()
        return float(-(shares * np.log2(shares)).sum())

    @cached_property
    def window_lengths(self) -> NDArray[np.float64]:
        """(n,) lengths summed over each message's window, weighted by `DECAY` to the distance."""
        return smoothed(self.lengths.astype(np.float64))

    @cached_property
    def mean_window_length(self) -> float:
        """Mean of `window_lengths` over the messages that are there, at least 1e-9."""
        return max(float(self.window_lengths[self.alive].mean()) if self.messages else 0.0, 1e-9)

    @cached_property
    def conversations(self) -> NDArray[np.int64]:
        """The rows at which a conversation begins: the first, and each after `PAUSE` seconds of silence."""
        return np.flatnonzero(np.diff(self.sent_at, prepend=-np.inf) > PAUSE)

    @cached_property
    def chunks(self) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
        """The vectors' order by row (None when they lie in it already) and (n + 1,) where each row's begin in it."""
        rows = self.vector_rows
        order = None if bool(np.all(np.diff(rows) >= 0)) else np.argsort(rows, kind="stable")
        starts = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=len(self)), out=starts[1:])
        return order, starts

    @cached_property
    def _order(self) -> NDArray[np.int64] | None:
        """The rows by ascending serial; None when they are in that order already."""
        return None if bool(np.all(np.diff(self.serials) > 0)) else np.argsort(self.serials, kind="stable")

    def recall(self, key: Hashable, make: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """What ``make`` gives, kept for the few questions asked last: several steps of one question need the same."""
        return self._recalled.get(key, make)

    @cached_property
    def _recalled(self) -> Recall:
        return Recall(_RECALLED)

    def rows_of(self, serials: Serials | Sequence[int]) -> NDArray[np.int64]:
        """The row of each serial, -1 where there is no such message (any more)."""
        wanted = np.asarray(serials, dtype=np.int64)
        if not len(self):
            return np.full(len(wanted), NONE, dtype=np.int64)
        order = self._order
        place = np.searchsorted(self.serials, wanted, sorter=order)
        place = np.minimum(place, len(self) - 1)
        rows = place if order is None else order[place]
        return np.where((self.serials[rows] == wanted) & self.alive[rows], rows, NONE)

    def vectors_at(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The vectors of some rows: their numbers, and for each the place in ``rows`` that it belongs to."""
        order, starts = self.chunks
        numbers, owners = ranges(starts[rows], starts[rows + 1] - starts[rows])
        numbers = numbers if order is None else order[numbers]
        if not len(self.dropped):
            return numbers, owners
        there = ~np.isin(numbers, self.dropped)
        return numbers[there], owners[there]

    def tokens_at(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The token states of some rows: their numbers, and for each the place in ``rows`` that it belongs to."""
        counts = self.columns["token_counts"].array[rows].astype(np.int64)
        return ranges(self.columns["token_starts"].array[rows], counts)

    def codes_of(self, row: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """Token ids (t,) and packed codes (t, bytes) of one row; empty before its embedding arrives."""
        start = int(self.columns["token_starts"].array[row])
        part = slice(start, start + int(self.columns["token_counts"].array[row]))
        return self.token_store.array[part], self.code_store.array[part]

    def token_counts(self, serials: Sequence[int]) -> dict[int, int]:
        """How many tokens of the model each message has, by serial; those not embedded yet are missing."""
        rows = self.rows_of(serials)
        counts = np.where(rows >= 0, self.columns["token_counts"].array[rows], 0) if len(self) else np.zeros(len(rows))
        return {serial: int(count) for serial, count in zip(serials, counts, strict=True) if 0 < count < LONGEST_KNOWN}

    def updated(self, rows: Given, removed: Iterable[int] = ()) -> RoomView:
        """The next snapshot: known serials are replaced, unknown ones added at the end, some removed."""
        given = _columns(rows)
        known = self.rows_of(given.serials) >= 0
        view = self.without(removed) if removed else self
        if known.any():
            view = view.replaced(given.take(np.flatnonzero(known)))
            given = given.take(np.flatnonzero(~known))
        return view.extended(given)

    def extended(self, rows: Given) -> RoomView:
        """With new messages at the end. Costs what they cost, amortised, however long the room is."""
        new = _columns(rows).in_order()
        if not len(new):
            return self
        added = np.arange(len(self), len(self) + len(new))
        values = _scalars(new)
        longer = {name: column.appended(values[name]) for name, column in self.columns.items()}
        view = replace(self, columns=longer, postings=self.postings.extended(added, new.words.terms))
        return _embedded(_with_replies(view, added, new), added, new)

    def replaced(self, rows: Given) -> RoomView:
        """With other contents for known messages: an edit, or an embedding that arrived. Unknown ones are ignored."""
        given = _columns(rows)
        places = self.rows_of(given.serials)
        known = np.flatnonzero(places >= 0)
        if not len(known):
            return self
        at, new = places[known], given.take(known)
        return _embedded(_emptied(_rewritten(self, at, new), at), at, new)

    def without(self, serials: Iterable[int]) -> RoomView:
        """Without some messages: what they held is overwritten with zeros or left out of the copies."""
        places = self.rows_of(list(serials))
        gone = np.unique(places[places >= 0])
        if not len(gone):
            return self
        columns = dict(self.columns)
        for name in ("authors", "sent_at", "asks", "selves", "sessions", "lengths", "digests", "alive"):
            columns[name] = columns[name].with_values(gone, 0)
        columns["replies"] = columns["replies"].with_values(gone, NONE)
        columns["replies"] = columns["replies"].with_values(np.isin(columns["replies"].array, gone), NONE)
        view = replace(self, columns=columns, postings=self.postings.without(gone))
        return _emptied(view, gone)


def smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value plus its `WINDOW` neighbours on both sides, weighted by `DECAY` to the distance. (n,) to (n,)."""
    total = values.copy()
    for distance in range(1, min(WINDOW, len(values) - 1) + 1):
        weight = DECAY**distance
        total[distance:] += weight * values[:-distance]
        total[:-distance] += weight * values[distance:]
    return total


def _with_width(store: Growing, width: int) -> Growing:
    """The store itself, or an empty one of the right width in place of the first, which knows none."""
    empty = store.array
    return store if store.size else Growing.of(np.zeros((0, width), empty.dtype))


def _columns(rows: Given) -> RoomRows:
    return rows if isinstance(rows, RoomRows) else RoomRows.of(rows)


def _counted(token_rows: NDArray[np.int32], tokens: Ragged) -> NDArray[np.int32]:
    """In how many rows each token id occurs, with those of some more rows."""
    pairs = np.repeat(np.arange(len(tokens)) << 16, tokens.counts) | tokens.values
    pairs.sort()  # np.unique hashes since NumPy 2.3, which takes four times as long here
    first = np.ones(len(pairs), dtype=np.bool_)
    first[1:] = pairs[1:] != pairs[:-1]
    found = np.bincount(pairs[first] & 0xFFFF).astype(np.int32)
    return _padded(token_rows, len(found)) + _padded(found, len(token_rows))


def _padded(values: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    return np.pad(values, (0, max(0, length - len(values))))


def _scalars(rows: RoomRows) -> dict[str, NDArray[Any]]:
    """The columns of one value a message, keyed as in the view."""
    n = len(rows)
    values: dict[str, NDArray[Any]] = {
        "serials": rows.serials,
        "authors": rows.authors,
        "sent_at": rows.sent_at,
        "asks": rows.words.asks,
        "selves": rows.words.selves,
        "replies": np.full(n, NONE),
        "sessions": rows.sessions,
        "lengths": rows.words.terms.counts,
        "digests": rows.digests,
        "alive": np.ones(n),
        "token_starts": np.zeros(n),
        "token_counts": np.zeros(n),
    }
    return {name: column.astype(_KINDS[name], copy=False) for name, column in values.items()}


def _rewritten(view: RoomView, at: NDArray[np.int64], new: RoomRows) -> RoomView:
    """Scalars and postings of some rows anew; the postings only where the text is another one."""
    values = _scalars(new)
    edited = np.flatnonzero(view.columns["digests"].array[at] != values["digests"])
    columns = dict(view.columns)
    for name in ("authors", "sent_at", "asks", "selves", "sessions", "lengths", "digests"):
        if not np.array_equal(columns[name].array[at], values[name]):
            columns[name] = columns[name].with_values(at, values[name])
    postings = view.postings
    if len(edited):
        postings = postings.without(at[edited]).extended(at[edited], new.words.terms.take(edited))
    return replace(view, columns=columns, postings=postings)


def _with_replies(view: RoomView, at: NDArray[np.int64], new: RoomRows) -> RoomView:
    replying = np.flatnonzero(new.replies != NONE)
    if not len(replying):
        return view
    targets = view.rows_of(new.replies[replying])
    replies = view.columns["replies"].with_values(at[replying], targets)
    return replace(view, columns={**view.columns, "replies": replies})


def _emptied(view: RoomView, rows: NDArray[np.int64]) -> RoomView:
    """Erases the vectors, token ids and codes of some rows in the shared storage."""
    vectors = np.setdiff1d(np.flatnonzero(np.isin(view.vector_rows, rows)), view.dropped)
    view.vector_store.erase(vectors)
    lighter = replace(view, dropped=np.concatenate([view.dropped, vectors]))
    held = rows[view.columns["token_counts"].array[rows] > 0]
    if not len(held):
        return lighter
    token_rows = view.token_rows.copy()
    for row in held:
        ids, _ = view.codes_of(int(row))
        token_rows[np.unique(ids)] -= 1
        start = int(view.columns["token_starts"].array[row])
        span = np.arange(start, start + len(ids))
        view.token_store.erase(span)
        view.code_store.erase(span)
    columns = {**view.columns, "token_counts": view.columns["token_counts"].with_values(held, 0)}
    return replace(lighter, columns=columns, token_rows=token_rows)


def _embedded(view: RoomView, at: NDArray[np.int64], new: RoomRows) -> RoomView:
    """With the vectors and token states that some rows bring."""
    return _with_tokens(_with_vectors(view, at, new.vectors), at, new.tokens, new.codes)


def _with_vectors(view: RoomView, at: NDArray[np.int64], vectors: Ragged) -> RoomView:
    if not len(vectors.values):
        return view
    return replace(
        view,
        vectors_of=view.vectors_of.appended(np.repeat(at, vectors.counts).astype(np.int32)),
        vector_store=_with_width(view.vector_store, vectors.values.shape[1]).appended(vectors.values),
    )


def _with_tokens(view: RoomView, at: NDArray[np.int64], tokens: Ragged, codes: Ragged) -> RoomView:
    if not len(tokens.values):
        return view
    bring = np.flatnonzero(tokens.counts)
    starts = view.token_store.size + np.cumsum(tokens.counts) - tokens.counts
    columns = {
        **view.columns,
        "token_starts": view.columns["token_starts"].with_values(at[bring], starts[bring]),
        "token_counts": view.columns["token_counts"].with_values(at[bring], tokens.counts[bring]),
    }
    return replace(
        view,
        columns=columns,
        token_store=view.token_store.appended(tokens.values),
        code_store=_with_width(view.code_store, codes.values.shape[1]).appended(codes.values),
        token_rows=_counted(view.token_rows, tokens),
    )
