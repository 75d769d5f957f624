"""One room as arrays in the process: what ranking reads instead of asking SQL.

A `RoomView` is an immutable snapshot, so any number of threads may read it while one makes the next. Growth is shared:
a new message (or an embedding that arrives later) appends to buffers of which older snapshots read only their own
length. An edit or a removal copies the small columns and the postings, and overwrites the vectors, token ids and codes
that it drops with zeros in the shared storage, so that no snapshot holds them any longer. The text itself is never
kept. A removed message leaves an empty row, which keeps row numbers stable; ``waste`` tells when to load afresh.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memory.growing import Growing
from memory.models import Floats, RoomRow, Serials
from memory.postings import Postings
from memory.text import ends_with_question, speaks_of_self, terms

WINDOW: Final = 5
"""How many messages before and after one lend it their terms."""

DECAY: Final = 0.6
"""What a term is worth per message of distance: 0.6 for a neighbour, 0.36 for the next, …"""

PAUSE: Final = 3 * 3600.0
"""Seconds of silence between two conversations, as ranking sees them."""

LONGEST_KNOWN: Final = 16_000
"""Tokens; of a text that has more, only the beginning is embedded, and so counted."""

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
_NONE: Final = -1


@dataclass(frozen=True)  # not slotted: the lazily computed columns are kept in the instance
class RoomView:
    """A snapshot of a room; rows are messages in order of their serials.

    Make the first with `of`, the next ones with `updated` (or its parts `extended`, `replaced`, `without`).
    """

    columns: Mapping[str, Growing]
    postings: Postings
    vectors_of: Growing  # (chunks,) the row of each vector
    vector_store: Growing  # (chunks, dim) float32
    token_store: Growing  # (tokens,) uint16
    code_store: Growing  # (tokens, state_dim / 8) uint8
    token_rows: NDArray[np.int32]  # (vocabulary,) in how many rows each token id occurs
    dropped: NDArray[np.int64]  # vectors that were erased

    @classmethod
    def of(cls, rows: Iterable[RoomRow]) -> RoomView:
        """A view of these messages, ordered by serial."""
        return cls(
            columns={name: Growing.of(np.zeros(0, kind)) for name, kind in _KINDS.items()},
            postings=Postings.of(()),
            vectors_of=Growing.of(np.zeros(0, np.int32)),
            vector_store=Growing.of(np.zeros((0, 0), np.float32)),
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
    def vectors(self) -> Floats:
        """(chunks, dim) unit vectors; erased ones are zero."""
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

    def rows_of(self, serials: Serials | Sequence[int]) -> NDArray[np.int64]:
        """The row of each serial, -1 where there is no such message (any more)."""
        wanted = np.asarray(serials, dtype=np.int64)
        if not len(self):
            return np.full(len(wanted), _NONE, dtype=np.int64)
        order = self._order
        place = np.searchsorted(self.serials, wanted, sorter=order)
        place = np.minimum(place, len(self) - 1)
        rows = place if order is None else order[place]
        return np.where((self.serials[rows] == wanted) & self.alive[rows], rows, _NONE)

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

    def updated(self, rows: Iterable[RoomRow], removed: Iterable[int] = ()) -> RoomView:
        """The next snapshot: known serials are replaced, unknown ones added at the end, some removed."""
        given = list(rows)
        known = self.rows_of([row.serial for row in given]) >= 0
        view = self.without(removed) if removed else self
        view = view.replaced([row for row, old in zip(given, known, strict=True) if old])
        return view.extended([row for row, old in zip(given, known, strict=True) if not old])

    def extended(self, rows: Iterable[RoomRow]) -> RoomView:
        """With new messages at the end. Costs what they cost, amortised, however long the room is."""
        new = sorted(rows, key=lambda row: row.serial)
        if not new:
            return self
        added = range(len(self), len(self) + len(new))
        documents = [terms(row.text) for row in new]
        values = _scalars(new, documents)
        longer = {name: column.appended(values[name]) for name, column in self.columns.items()}
        view = replace(self, columns=longer, postings=self.postings.extended(added, documents))
        return _embedded(_with_replies(view, added, new), added, new)

    def replaced(self, rows: Iterable[RoomRow]) -> RoomView:
        """With other contents for known messages: an edit, or an embedding that arrived. Unknown ones are ignored."""
        given = list(rows)
        places = self.rows_of([row.serial for row in given])
        pairs = [(int(place), row) for place, row in zip(places, given, strict=True) if place >= 0]
        if not pairs:
            return self
        at, new = [place for place, _ in pairs], [row for _, row in pairs]
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
        columns["replies"] = columns["replies"].with_values(gone, _NONE)
        columns["replies"] = columns["replies"].with_values(np.isin(columns["replies"].array, gone), _NONE)
        view = replace(self, columns=columns, postings=self.postings.without(gone.tolist()))
        return _emptied(view, gone.tolist())


def ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers start, start + 1, … of each range in turn, and the range that each belongs to."""
    owners = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts) - counts
    return np.arange(len(owners)) - np.repeat(before - starts, counts), owners


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


def _counted(token_rows: NDArray[np.int32], ids: NDArray[np.uint16], rows: NDArray[np.int64]) -> NDArray[np.int32]:
    """In how many rows each token id occurs, with some more (id, row) pairs."""
    pairs = np.unique((ids.astype(np.int64) << 32) | rows) >> 32
    return _padded(token_rows, int(pairs[-1]) + 1) + _padded(np.bincount(pairs).astype(np.int32), len(token_rows))


def _padded(values: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    return np.pad(values, (0, max(0, length - len(values))))


def _scalars(rows: Sequence[RoomRow], documents: Sequence[Sequence[str]]) -> dict[str, NDArray[Any]]:
    """The columns of one value a message, keyed as in the view."""
    n = len(rows)
    values: dict[str, Sequence[Any] | NDArray[Any]] = {
        "serials": [row.serial for row in rows],
        "authors": [row.author for row in rows],
        "sent_at": [row.sent_at for row in rows],
        "asks": [ends_with_question(row.text) for row in rows],
        "selves": [speaks_of_self(row.text) for row in rows],
        "replies": np.full(n, _NONE),
        "sessions": [_NONE if row.session is None else row.session for row in rows],
        "lengths": [len(document) for document in documents],
        "digests": [hash(row.text) for row in rows],
        "alive": np.ones(n),
        "token_starts": np.zeros(n),
        "token_counts": np.zeros(n),
    }
    return {name: np.asarray(column, dtype=_KINDS[name]) for name, column in values.items()}


def _rewritten(view: RoomView, at: Sequence[int], new: Sequence[RoomRow]) -> RoomView:
    """Scalars and postings of some rows anew; the postings only where the text is another one."""
    documents = [terms(row.text) for row in new]
    values = _scalars(new, documents)
    rows = np.asarray(at)
    edited = np.flatnonzero(view.columns["digests"].array[rows] != values["digests"])
    columns = dict(view.columns)
    for name in ("authors", "sent_at", "asks", "selves", "sessions", "lengths", "digests"):
        if not np.array_equal(columns[name].array[rows], values[name]):
            columns[name] = columns[name].with_values(rows, values[name])
    postings = view.postings
    if len(edited):
        changed = [at[int(i)] for i in edited]
        postings = postings.without(changed).extended(changed, [documents[int(i)] for i in edited])
    return replace(view, columns=columns, postings=postings)


def _with_replies(view: RoomView, at: Sequence[int], new: Sequence[RoomRow]) -> RoomView:
    pairs = [(place, row.reply_to) for place, row in zip(at, new, strict=True) if row.reply_to is not None]
    if not pairs:
        return view
    targets = view.rows_of([target for _, target in pairs])
    replies = view.columns["replies"].with_values(np.array([place for place, _ in pairs]), targets)
    return replace(view, columns={**view.columns, "replies": replies})


def _emptied(view: RoomView, at: Sequence[int]) -> RoomView:
    """Erases the vectors, token ids and codes of some rows in the shared storage."""
    rows = np.asarray(at)
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


def _embedded(view: RoomView, at: Sequence[int], new: Sequence[RoomRow]) -> RoomView:
    """With the vectors and token states that some rows bring."""
    return _with_tokens(_with_vectors(view, at, new), at, new)


def _with_vectors(view: RoomView, at: Sequence[int], new: Sequence[RoomRow]) -> RoomView:
    pairs = [(place, row.vectors) for place, row in zip(at, new, strict=True) if row.vectors is not None]
    if not pairs:
        return view
    vectors = np.concatenate([v for _, v in pairs]).astype(np.float32, copy=False)
    rows = np.repeat(np.array([place for place, _ in pairs], np.int32), [len(v) for _, v in pairs])
    return replace(
        view,
        vectors_of=view.vectors_of.appended(rows),
        vector_store=_with_width(view.vector_store, vectors.shape[1]).appended(vectors),
    )


def _with_tokens(view: RoomView, at: Sequence[int], new: Sequence[RoomRow]) -> RoomView:
    found = [
        (place, row.token_ids, row.codes)
        for place, row in zip(at, new, strict=True)
        if row.token_ids is not None and row.codes is not None and len(row.token_ids)
    ]
    if not found:
        return view
    ids = np.concatenate([i for _, i, _ in found])
    codes = np.concatenate([c for _, _, c in found])
    counts = np.array([len(i) for _, i, _ in found])
    starts = view.token_store.size + np.concatenate([[0], np.cumsum(counts)[:-1]])
    places = np.array([place for place, _, _ in found])
    columns = {
        **view.columns,
        "token_starts": view.columns["token_starts"].with_values(places, starts),
        "token_counts": view.columns["token_counts"].with_values(places, counts),
    }
    return replace(
        view,
        columns=columns,
        token_store=view.token_store.appended(ids),
        code_store=_with_width(view.code_store, codes.shape[1]).appended(codes),
        token_rows=_counted(view.token_rows, ids, np.repeat(places, counts)),
    )
