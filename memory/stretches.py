"""Sessions as one finds them: which conversations of a room speak of a question, and their messages."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory import ranking
from memory.models import Nominations, Query, Serials
from memory.room import RoomView

Rows: TypeAlias = NDArray[np.int64]

COUNT: Final = 8
"""Sessions that are looked into."""


def best(view: RoomView, query: Query, limit: int, count: int = COUNT) -> tuple[Serials, Nominations]:
    """The messages of the sessions that speak most of the question, and the ``limit`` best of them.

    A session is scored like a document, by BM25 over the terms of all its messages and by the cosine of its closest
    message, each standardised over the sessions of the room. Messages without a session make up one together.
    """
    rows = np.flatnonzero(view.alive)
    if not len(rows):
        return np.zeros(0, dtype=np.int64), Nominations("sessions", np.zeros(0, dtype=np.int64), np.zeros(0))
    _, place = np.unique(view.sessions[rows], return_inverse=True)
    number = int(place.max()) + 1
    where = np.full(len(view), -1)
    where[rows] = place
    score = ranking.standardised(_words(view, query, where, number))
    score += ranking.standardised(_meaning(view, query, rows, place, number))
    chosen = np.argsort(-score, kind="stable")[:count]
    return _within(view, query, rows[np.isin(place, chosen)], limit)


def _within(view: RoomView, query: Query, rows: Rows, limit: int) -> tuple[Serials, Nominations]:
    """The serials of rows, and the best of them by words and meaning, each standardised."""
    score = ranking.standardised(ranking.windowed_bm25(view, ranking.weighted_terms(query))[rows])
    score += ranking.standardised(ranking.closeness(view, query.embedding)[rows])
    first = np.argsort(-score, kind="stable")[:limit]
    return view.serials[rows], Nominations("sessions", view.serials[rows[first]], score[first])


def _words(view: RoomView, query: Query, where: Rows, number: int) -> ranking.Column:
    """(sessions,) BM25 of each session as one document."""
    length = np.bincount(where[where >= 0], weights=view.lengths[where >= 0], minlength=number)
    mean = max(float(length.mean()), 1e-9)
    scores = np.zeros(number)
    for term, weight in ranking.weighted_terms(query).items():
        rows, counts = view.postings.find(term)
        there = where[rows] >= 0
        frequency = np.bincount(where[rows[there]], weights=counts[there], minlength=number)
        held = frequency > 0
        norm = ranking.K1 * (1 - ranking.B + ranking.B * length / mean)
        idf = ranking.idf(int(held.sum()), number)
        scores += np.where(held, weight * idf * frequency * (ranking.K1 + 1) / (frequency + norm), 0.0)
    return scores


def _meaning(view: RoomView, query: Query, rows: Rows, place: Rows, number: int) -> ranking.Column:
    """(sessions,) the cosine of each session's closest message; NaN where none is embedded."""
    closest = np.full(number, -np.inf)
    similar = ranking.closeness(view, query.embedding)[rows]
    there = np.isfinite(similar)
    np.maximum.at(closest, place[there], similar[there])
    return np.where(np.isfinite(closest), closest, np.nan)
