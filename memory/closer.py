"""A closer look at candidates: further columns for an order that is learned. The formula does not read them.

Each is cheap (the room's arrays and postings, no text) and was kept because leaving its group out cost recall on our
own demo room's questions. What they are worth is for votes or labels to say: their weight is 0 until then. A missing
value is NaN, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory import ranking
from memory.models import Candidates, Query
from memory.room import DECAY, RoomView
from memory.text import stem

Column: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]

COLUMNS: Final[Mapping[str, str]] = {
    "bm25": "it uses the question's words itself",
    "cover": "it holds much of what the question asks about",
    "cover_near": "it and its neighbours hold much of what the question asks about",
    "rarest": "it holds a rare word of the question",
    "d_before": "the message before it means something close",
    "d_after": "the message after it means something close",
    "d_around": "the messages around it mean something close",
    "mw_own": "its own words mean what the question's words mean",
    "met": "most of the question's words are met in it",
    "length": "it says much",
    "after_question": "it follows a question",
    "words_asked": "it follows a question with the same words",
    "words_before": "the message before it uses the question's words",
    "words_after": "the message after it uses the question's words",
    "other": "somebody else than its author is named in the question",
    "addressed": "it names somebody whom the question names",
    "time": "it speaks of a time",
    "self_any": "it is in the first person",
    "talk_words": "it belongs to a conversation with the question's words",
    "talk_meaning": "it belongs to a conversation about something close",
    "talk_met": "it belongs to a conversation that meets the question's words",
    "talk_size": "its conversation has many candidates",
    "place": "it stands late in its conversation",
    "age": "it stands late in the room",
    "like_best": "it means what the best matches mean",
    "like_one": "it means what one of the best matches means",
}
"""Each column's meaning in words."""

RULES: Final = frozenset({"other", "after_question", "addressed", "time", "self_any"})
"""Columns that are on or off, and not standardised."""

BEST: Final = 5
"""So many of the first messages, by a first look, stand for what was found (pseudo-relevance feedback, Rocchio)."""

_MET: Final = 0.35  # squared cosine from which a question's token counts as met
_REACH: Final = 4  # messages on both sides, of ``cover_near``
_STEPS: Final = (-2, -1, 1, 2)
_TIMES: Final = tuple(
    stem(word)
    for word in """
    yesterday today tonight tomorrow morning evening night day week weekend month year ago last next recently
    monday tuesday wednesday thursday friday saturday sunday
    january february march april june july august september october november december
    spring summer autumn fall winter
    """.split()
)


def described(view: RoomView, query: Query, candidates: Candidates) -> Candidates:
    """The candidates with every column of `COLUMNS` beside those of `memory.ranking`, whose ``row`` they need."""
    rows = candidates.features["row"].astype(np.int64)
    known = candidates.features
    columns: dict[str, Column] = {}
    if len(rows):
        asked = ranking.query_terms(query)
        columns |= _words(view, asked, rows)
        columns |= _beside(view, query, rows)
        columns |= _tokens(view, query, rows, known["mw"])
        columns |= _people(view, query, rows)
        columns |= _conversations(view, rows, known)
        columns |= _like_the_best(view, rows, known)
    else:
        columns = {name: np.zeros(0) for name in COLUMNS}
    return replace(candidates, features={**known, **columns})


def _words(view: RoomView, asked: Sequence[str], rows: Rows) -> dict[str, Column]:
    """Which of the question's terms are there, by idf, and BM25 of the neighbours."""
    n = len(view)
    cover, near, rarest, mass = np.zeros(n), np.zeros(n), np.zeros(n), 0.0
    for term in asked:
        found, _ = view.postings.find(term)
        weight = float(ranking.idf(len(found), view.messages))
        mass += weight
        if len(found):
            cover[found] += weight
            rarest[found] = np.maximum(rarest[found], weight)
            near += weight * _widened(found.astype(np.int64), n)
    scores = ranking.bm25(view, asked)
    before, after = np.maximum(rows - 1, 0), np.minimum(rows + 1, n - 1)
    asks = (rows > 0) & view.asks[before]
    return {
        "bm25": scores[rows],
        "cover": cover[rows] / max(mass, 1e-9),
        "cover_near": near[rows] / max(mass, 1e-9),
        "rarest": rarest[rows],
        "length": np.log1p(view.lengths[rows]),
        "after_question": asks.astype(np.float64),
        "words_asked": np.where(asks, scores[before], 0.0),
        "words_before": np.where(rows > 0, scores[before], 0.0),
        "words_after": np.where(rows < n - 1, scores[after], 0.0),
    }


def _widened(found: Rows, n: int) -> Column:
    """(n,) `DECAY` to the distance of the nearest row found, 0 beyond the reach."""
    wide = np.zeros(n + 2 * _REACH)
    for k in range(_REACH, -1, -1):
        wide[found + _REACH - k] = np.maximum(wide[found + _REACH - k], DECAY**k)
        wide[found + _REACH + k] = np.maximum(wide[found + _REACH + k], DECAY**k)
    return wide[_REACH : n + _REACH]


def _beside(view: RoomView, query: Query, rows: Rows) -> dict[str, Column]:
    """The similarity of the neighbours to the question; 0 where there is none."""
    at = rows + np.array(_STEPS)[:, None]
    inside = (at >= 0) & (at < len(view))
    similar = np.zeros(at.shape)
    similar[inside] = np.nan_to_num(ranking.similarity(view, query.embedding, at[inside]))
    further_before, before, after, further_after = similar
    around = DECAY * (before + after) + DECAY**2 * (further_before + further_after)
    return {"d_before": before, "d_after": after, "d_around": around}


def _tokens(view: RoomView, query: Query, rows: Rows, closer: Column) -> dict[str, Column]:
    """MaxSim of a message alone, and the share of the question's tokens that it meets, for those looked at closer."""
    own, met = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    at = np.flatnonzero(np.isfinite(closer))
    if len(at) and query.embedding is not None:
        own[at], met[at] = ranking.own_similarity(view, query.embedding, rows[at], _MET)
    return {"mw_own": own, "met": met}


def _people(view: RoomView, query: Query, rows: Rows) -> dict[str, Column]:
    """Who is named and who is not, and signs of time and of the first person."""
    named = ranking.named_people(query.text, query.people)
    theirs = np.isin(view.authors[rows], list(named))
    parts = {stem(part) for name, person in query.people.items() if person in named for part in name.split()}
    return {
        "other": (~theirs & bool(named)).astype(np.float64),
        "addressed": _holds(view, sorted(parts), rows),
        "time": _holds(view, _TIMES, rows),
        "self_any": view.selves[rows].astype(np.float64),
    }


def _holds(view: RoomView, some: Sequence[str], rows: Rows) -> Column:
    there = np.zeros(len(view))
    for term in some:
        there[view.postings.find(term)[0]] = 1.0
    return there[rows]


def _conversations(view: RoomView, rows: Rows, known: Mapping[str, Column]) -> dict[str, Column]:
    """What the candidates of the same conversation have, and where in it a message stands."""
    starts = view.conversations
    talk = np.searchsorted(starts, rows, side="right") - 1
    _, inverse = np.unique(talk, return_inverse=True)
    count = np.bincount(inverse)
    found: dict[str, Column] = {}
    for name, column in (("talk_words", "bk"), ("talk_meaning", "d"), ("talk_met", "mw")):
        best = np.full(len(count), -np.inf)
        np.maximum.at(best, inverse, np.nan_to_num(known[column], nan=-1.0 if column == "d" else 0.0))
        found[name] = best[inverse]
    found["talk_size"] = np.log1p(count[inverse])
    found["place"] = np.log1p(rows - starts[talk])
    found["age"] = rows / max(len(view), 1)
    return found


def _like_the_best(view: RoomView, rows: Rows, known: Mapping[str, Column]) -> dict[str, Column]:
    """The cosine to the best of a first look, weighted by their scores, and to the nearest of them; not to itself."""
    first = ranking.first_look(known) + ranking.standardised(known["mw"])
    best = np.argsort(-first, kind="stable")[:BEST]
    numbers, owners = view.vectors_at(rows)
    vectors = np.zeros((len(rows), view.vectors.shape[1]), np.float32)
    vectors[owners[::-1]] = view.vectors[numbers[::-1]]  # of several chunks the first
    alike = (vectors @ vectors[best].T).astype(np.float64)
    weight = np.repeat(np.exp(first[best] - first[best].max())[None], len(rows), axis=0)
    itself = best, np.arange(len(best))
    alike[itself], weight[itself] = 0.0, 0.0
    return {
        "like_best": (alike * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9),
        "like_one": alike.max(axis=1, initial=0.0),
    }
