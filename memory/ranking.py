"""Which messages of a room may prove the answer, and what speaks for each: nominations and features.

Everything is a pure function of a `RoomView` and a `Query`. The four in-process sources nominate (`keyword`, `vector`,
`recent`, `dated`); `features` then describes every candidate by the columns of `FEATURES`, whoever nominated it, and
`with_sources` adds what the sources said. Adding them up is the fusion's work.

BM25 is Robertson's with k1 1.2, b 0.6 and the idf of Lucene, log(1 + (N - df + 0.5) / (df + 0.5)). In *bk* a term's
frequency is its decayed sum over the five messages on both sides, taken before saturation: what a chat says is spread
over a few messages. *mw* is ColBERT's MaxSim (Khattab and Zaharia, 2020) on one-bit token states.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memory.cosines import products
from memory.extraction.dates import spans
from memory.models import Candidates, Embedding, Floats, Nominations, Query, Serials
from memory.postings import Counts, Rows
from memory.room import DECAY, WINDOW, RoomView
from memory.text import STOP, terms

Column: TypeAlias = NDArray[np.float64]

FEATURES: Final[Mapping[str, str]] = {
    "bk": "it and the messages around it use the question's words",
    "d": "it means something close to the question",
    "mw": "its words, or those of its neighbours, mean what the question's words mean",
    "spk": "its author is named in the question",
    "self": "its author is named in the question and speaks of themselves",
    "date": "it was sent when the question says",
    "endq": "it asks something itself",
    "aq": "it follows a message that asks something close to the question",
    "recency": "it is recent",
}
"""Each feature's meaning in words. A missing value is NaN: no embedding yet, or too far down for a closer look."""

K1: Final = 1.2
B: Final = 0.6
CLOSER_LOOK: Final = 100
"""How many candidates get *mw*; the rest would not reach the first ten with it."""

NEIGHBOURS: Final = 4
"""How many messages before and after one lend it their token states."""

_NEARBY: Final = 3  # days
_PER_DAY: Final = 0.2
_SAME_MONTH: Final = 1 / 3
_SAME_YEAR: Final = 0.1
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY: Final = 86400.0
_EQUAL: Final = 1e-12  # a spread below this is rounding
_SHORTEST_NAME: Final = 3
_LONGEST_NAME: Final = 6  # words
_NAME_PART: Final = re.compile(r"\w+")
_BRACKETS: Final = re.compile(r"\([^)]*\)?")
_POSSESSIVE: Final = re.compile(r"['\u2019]s\b", re.IGNORECASE)
_MOST_BITS: Final = 2.0  # naming one of four or more: past that a rule would drown the words
_DENSE: Final = 32  # a term in more than a 32nd of the room is cheaper to add up over all rows


# -- names ------------------------------------------------------------------------------------------------------------


def names(people: Iterable[tuple[int, str]]) -> dict[str, int]:
    """The names of people and the parts that name one person only, in lower case: what `Query.people` holds.

    What stands in brackets is left out (``Ada Lind (Treasurer)``), and so are parts of one or two letters.
    """
    full: dict[str, int] = {}
    owners: dict[str, set[str]] = {}
    for person, name in people:
        parts = _NAME_PART.findall(_BRACKETS.sub(" ", name).lower())[:_LONGEST_NAME]
        if parts:
            full.setdefault(" ".join(parts), person)
            for part in parts:
                owners.setdefault(part, set()).add(" ".join(parts))
    single = {
        part: full[next(iter(whole))]
        for part, whole in owners.items()
        if len(whole) == 1 and len(part) >= _SHORTEST_NAME
    }
    return single | full


def _named(text: str, people: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """Where the text names people: begin, end (with a possessive ending), id. The longest name wins.

    A name that is also a stop word (*Will*, *May* is not one) counts with a capital inside the sentence only.
    """
    parts = list(_NAME_PART.finditer(text))
    found: list[tuple[int, int, int]] = []
    i = 0
    while i < len(parts):
        length, person = _longest_name(parts, i, people)
        if length == 1 and parts[i][0].lower() in STOP and (i == 0 or not parts[i][0][0].isupper()):
            length = 0
        if length:
            end = parts[i + length - 1].end()
            possessive = _POSSESSIVE.match(text, end)
            found.append((parts[i].start(), possessive.end() if possessive else end, person))
        i += max(1, length)
    return found


def _longest_name(parts: Sequence[re.Match[str]], i: int, people: Mapping[str, int]) -> tuple[int, int]:
    """How many words from the i-th on make up a name, and whose; (0, -1) when none does."""
    for length in range(min(_LONGEST_NAME, len(parts) - i), 0, -1):
        person = people.get(" ".join(part[0].lower() for part in parts[i : i + length]))
        if person is not None:
            return length, person
    return 0, -1


def cut_names(text: str, people: Mapping[str, int]) -> str:
    """The question without the names of people, which say who but not what; whole when nothing else would be left."""
    rest = text
    for begin, end, _ in reversed(_named(text, people)):
        rest = f"{rest[:begin]} {rest[end:]}"
    rest = " ".join(rest.split())
    return rest if terms(rest) else text


def named_people(text: str, people: Mapping[str, int]) -> frozenset[int]:
    """The ids of the people whom the question names."""
    return frozenset(person for _, _, person in _named(text, people))


# -- nominations ------------------------------------------------------------------------------------------------------


def keyword(view: RoomView, query: Query, limit: int) -> Nominations:
    """Messages around which the question's words are used, by *bk*."""
    return _best("keyword", view, windowed_bm25(view, weighted_terms(query)), limit, above=0.0)


def vector(view: RoomView, query: Query, limit: int) -> Nominations:
    """Messages closest in meaning, by the cosine of their best chunk; none when the question has no embedding."""
    return _best("vector", view, closeness(view, query.embedding), limit)


def keyword_among(view: RoomView, query: Query, serials: Serials, limit: int) -> Nominations:
    """`keyword` among some messages and those in their windows: whoever found them may know their own words alone."""
    rows = view.rows_of(serials)
    near = rows[rows >= 0, None] + np.arange(-WINDOW, WINDOW + 1)
    wide = np.unique(near[(near >= 0) & (near < len(view))])
    scores = np.zeros(len(view))
    scores[wide] = windowed_bm25(view, weighted_terms(query))[wide]
    return _best("keyword", view, scores, limit, above=0.0)


def vector_among(view: RoomView, query: Query, serials: Serials, limit: int) -> Nominations:
    """`vector` among some messages."""
    rows = view.rows_of(serials)
    rows = rows[rows >= 0]
    scores = np.full(len(view), np.nan)
    scores[rows] = similarity(view, query.embedding, rows)
    return _best("vector", view, scores, limit)


def closeness(view: RoomView, embedding: Embedding | None) -> Column:
    """(n,) the cosine of each message's best chunk to the question, NaN where one is missing; the same array again."""
    towards = direction(embedding)
    if towards is None or view.vectors.shape[1] != len(towards):
        return np.full(len(view), np.nan)
    return view.recall(("vector", towards.tobytes()), lambda: _cosines(view, towards))


def _cosines(view: RoomView, direction: Floats) -> Column:
    """(n,) of each message's best chunk; NaN where it has none."""
    similar = products(view.vectors, direction).astype(np.float64)
    similar[view.dropped] = -np.inf
    best = np.full(len(view), -np.inf)
    np.maximum.at(best, view.vector_rows, similar)
    return np.where(np.isfinite(best), best, np.nan)


def recent(view: RoomView, query: Query, limit: int) -> Nominations:
    """The newest messages, by *recency*."""
    return _best("recent", view, recency(view, query), limit)


def dated(view: RoomView, query: Query, limit: int) -> Nominations:
    """Messages sent when the question says, by *date*; among equals the newest first."""
    return _best("date", view, date_match(view, query), limit, above=0.0)


def _best(source: str, view: RoomView, scores: Column, limit: int, above: float = -np.inf) -> Nominations:
    """The ``limit`` highest scores above a bound; ties go to the newer message."""
    rows = np.flatnonzero(view.alive & (scores > above))
    if len(rows) > limit:
        bound = np.partition(scores[rows], len(rows) - limit)[len(rows) - limit]
        rows = rows[scores[rows] >= bound]
    rows = rows[np.lexsort((-rows, -scores[rows]))][:limit]
    return Nominations(source=source, serials=view.serials[rows], scores=scores[rows])


# -- features ---------------------------------------------------------------------------------------------------------


def features(view: RoomView, query: Query, serials: Serials, *, room: int | None = None) -> Candidates:
    """The candidates with every column of `FEATURES`; serials that are not (any more) in the room are left out.

    The column ``row`` is no feature but the message's place in the room, for the distance between two.
    """
    rows = view.rows_of(np.unique(np.asarray(serials, dtype=np.int64)))
    rows = np.sort(rows[rows >= 0])
    asked = query_terms(query)
    named = np.isin(view.authors[rows], list(named_people(query.text, query.people)))
    spoken = named.astype(np.float64)
    for person, weight in query.expansion.people:
        spoken = np.maximum(spoken, weight * (view.authors[rows] == person))
    columns: dict[str, Column] = {
        "bk": windowed_bm25(view, weighted_terms(query))[rows],
        "d": similarity(view, query.embedding, rows),
        "spk": spoken * min(view.speaker_bits, _MOST_BITS),
        "self": (named & view.selves[rows]).astype(np.float64),
        "date": date_match(view, query)[rows],
        "endq": view.asks[rows].astype(np.float64),
        "aq": _answered(view, query, rows),
        "recency": recency(view, query)[rows],
    }
    close = np.argsort(-first_look(columns), kind="stable")[:CLOSER_LOOK]
    columns["mw"] = np.full(len(rows), np.nan)
    columns["mw"][close] = max_similarity(view, query.embedding, rows[close])
    number = room if room is not None else (query.scope.rooms[0] if len(query.scope.rooms) == 1 else 0)
    return Candidates(
        room=number,
        serials=view.serials[rows],
        features={**{name: columns[name] for name in FEATURES}, "row": rows.astype(np.float64)},
        messages=view.messages,
        found={term: len(view.postings.find(term)[0]) for term in asked},
    )


def with_sources(candidates: Candidates, nominations: Sequence[Nominations]) -> Candidates:
    """With ``rank:SOURCE`` (1 is best) and ``score:SOURCE`` of each source; NaN where it did not nominate the message.

    The graph's scores are personalised PageRanks and also stand as ``ppr``.
    """
    columns = dict(candidates.features)
    place = {int(serial): i for i, serial in enumerate(candidates.serials)}
    for said in nominations:
        rank = np.full(len(place), np.nan)
        score = np.full(len(place), np.nan)
        for position, serial in enumerate(said.serials.tolist()):
            if serial in place:
                rank[place[serial]] = position + 1
                score[place[serial]] = said.scores[position]
        columns[f"rank:{said.source}"], columns[f"score:{said.source}"] = rank, score
        if said.source == "graph":
            columns["ppr"] = score
    return replace(candidates, features=columns)


def first_look(columns: Mapping[str, Column]) -> Column:
    """A first score that decides who gets a closer look: the formula without *mw*."""
    total = standardised(columns["bk"]) + standardised(columns["d"]) + 0.3 * standardised(columns["aq"])
    return (
        total
        - 0.5 * standardised(columns["endq"])
        + 1.5 * columns["spk"]
        + 0.5 * columns["self"]
        + 10 * columns["date"]
    )


def standardised(values: Column) -> Column:
    """z: mean 0 and variance 1 over the values that are there; 0 where one is missing or when all are equal."""
    there = np.isfinite(values)
    if not there.any():
        return np.zeros(len(values))
    spread = float(values[there].std())
    if spread < _EQUAL:
        return np.zeros(len(values))
    return np.where(there, (values - values[there].mean()) / spread, 0.0)


def query_terms(query: Query) -> list[str]:
    """The question's terms without names, each once, in order."""
    return list(dict.fromkeys(terms(cut_names(query.text, query.people))))


def weighted_terms(query: Query) -> dict[str, float]:
    """The terms that are searched for: the question's own at 1, and what joined it at its weight."""
    return dict(query.expansion.terms) | dict.fromkeys(query_terms(query), 1.0)


def idf(found: int | NDArray[np.int32], messages: int) -> Column:
    """log(1 + (N - df + 0.5) / (df + 0.5)) of terms found in so many of the messages."""
    return np.log1p((messages - np.asarray(found, dtype=np.float64) + 0.5) / (np.asarray(found) + 0.5))


def bm25(view: RoomView, asked: Sequence[str]) -> Column:
    """(n,) BM25 of each message by itself."""
    scores = np.zeros(len(view))
    for term in asked:
        rows, counts = view.postings.find(term)
        if len(rows):
            norm = K1 * (1 - B + B * view.lengths[rows] / view.mean_length)
            scores[rows] += idf(len(rows), view.messages) * counts * (K1 + 1) / (counts + norm)
    return scores


def windowed_bm25(view: RoomView, asked: Mapping[str, float]) -> Column:
    """(n,) BM25 over a decayed window, smoothed inside the term frequency; each term counts by its weight.

    The same array for the same terms.
    """
    return view.recall(("bk", *asked.items()), lambda: _windowed_bm25(view, asked))


def _windowed_bm25(view: RoomView, asked: Mapping[str, float]) -> Column:
    scores = np.zeros(len(view))
    norm = K1 * (1 - B + B / view.mean_window_length * view.window_lengths)
    for term, weight in asked.items():
        rows, counts = view.postings.find(term)
        if len(rows):
            frequency = _spread(rows, counts, len(view))
            worth = weight * idf(len(rows), view.messages) * (K1 + 1)
            if len(rows) * _DENSE > len(view):  # then most rows are near one, and to gather them costs more
                scores += worth * frequency / (frequency + norm)
            else:
                at = np.flatnonzero(frequency)
                scores[at] += worth * frequency[at] / (frequency[at] + norm[at])
    return scores


def _spread(rows: Rows, counts: Counts, n: int) -> Column:
    """(n,) a term's frequency, decayed over the windows around the rows that hold it."""
    wide = np.zeros(n + 2 * WINDOW)
    for shift in range(2 * WINDOW + 1):
        wide[shift : shift + n][rows] += counts * DECAY ** abs(shift - WINDOW)  # each row once, so nothing is lost
    return wide[WINDOW : WINDOW + n]


def direction(embedding: Embedding | None) -> Floats | None:
    """The unit vector of a question; the mean of its chunks when it is a long one."""
    if embedding is None or not len(embedding.vectors):
        return None
    mean = embedding.vectors.mean(axis=0)
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None


def similarity(view: RoomView, embedding: Embedding | None, rows: NDArray[np.int64]) -> Column:
    """The cosine of each row's best chunk to the question, in [-1, 1]; NaN without an embedding."""
    best = np.full(len(rows), -np.inf)
    towards = direction(embedding)
    if towards is not None and view.vectors.shape[1] == len(towards) and len(rows):
        numbers, owners = view.vectors_at(rows)
        np.maximum.at(best, owners, products(view.vectors[numbers], towards))
    return np.where(np.isfinite(best), best, np.nan)


def max_similarity(view: RoomView, embedding: Embedding | None, rows: NDArray[np.int64]) -> Column:
    """Windowed MaxSim in [0, 1]: how well each token of the question is met in a message or, decayed, beside it.

    For each question token the best squared cosine to a token of the message (its sign code against the question's full
    state), or `DECAY` to the k times that of the k-th neighbour, whichever is more; averaged by the tokens' idf.
    """
    if embedding is None or not len(rows) or embedding.states.shape[1] != 8 * view.code_store.array.shape[1]:
        return np.full(len(rows), np.nan)
    offsets = np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    near = rows[:, None] + offsets
    inside = (near >= 0) & (near < len(view))
    needed, places = np.unique(np.where(inside, near, rows[:, None]), return_inverse=True)
    met = _best_match(view, embedding.states, needed)  # (needed, tokens)
    weights = np.where(inside, DECAY ** np.abs(offsets), 0.0)
    best = (met[places.reshape(near.shape)] * weights[:, :, None]).max(axis=1)
    importance = _token_idf(view, embedding.token_ids)
    scores = best @ importance / max(float(importance.sum()), 1e-9)
    return np.where(view.columns["token_counts"].array[rows] > 0, scores, np.nan)


def own_similarity(view: RoomView, embedding: Embedding, rows: NDArray[np.int64], met: float) -> tuple[Column, Column]:
    """MaxSim of each message alone, and the share of the question's tokens, by idf, whose match is above ``met``."""
    if embedding.states.shape[1] != 8 * view.code_store.array.shape[1]:
        return np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    best = _best_match(view, embedding.states, rows)
    importance = _token_idf(view, embedding.token_ids)
    total = max(float(importance.sum()), 1e-9)
    return best @ importance / total, (best > met) @ importance / total


def _best_match(view: RoomView, states: Floats, rows: NDArray[np.int64]) -> Column:
    """(rows, tokens) the squared positive cosine of each question token to the best token of each row."""
    numbers, owners = view.tokens_at(rows)
    best = np.zeros((len(rows), len(states)))
    if len(numbers):
        bits = np.unpackbits(view.code_store.array[numbers], axis=1).astype(np.float32)
        cosines = (2 * (bits @ states.T) - states.sum(axis=1)) / np.sqrt(states.shape[1])
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        best[owners[starts]] = np.maximum.reduceat(cosines, starts, axis=0)
    return np.maximum(best, 0.0) ** 2


def _token_idf(view: RoomView, token_ids: NDArray[np.uint16]) -> Column:
    ids = token_ids.astype(np.int64)
    known = ids < len(view.token_rows)
    found = np.zeros(len(ids), dtype=np.int32)
    found[known] = view.token_rows[ids[known]]
    return idf(found, view.messages)


def recency(view: RoomView, query: Query) -> Column:
    """(n,) 1 for a message sent at the moment of asking, 1/2 a day before, 1/8 a week before."""
    age = np.maximum(query.asked_at.timestamp() - view.sent_at, 0.0) / _DAY
    return 1.0 / (1.0 + age)


def date_match(view: RoomView, query: Query) -> Column:
    """(n,) how well the day of sending, where the question is asked, fits the dates that it means, the best of them.

    1 on the day or in the week itself, 0.2 less per day up to three days beside it (people tell of a day afterwards),
    1/3 in its month, 0.1 in its year when that is all that was said.
    """
    match = np.zeros(len(view))
    away = query.asked_at.utcoffset() or timedelta()
    days = np.floor((view.sent_at + away.total_seconds()) / _DAY)
    for span in spans(query.text, query.asked_at):
        if span.grain == "year":
            _raise(match, _within(days, span.start, span.end), _SAME_YEAR)
            continue
        _raise(match, _within(days, span.start.replace(day=1), _month_end(span.end)), _SAME_MONTH)
        if span.grain != "month":
            for gap in range(_NEARBY, -1, -1):
                _raise(match, _within(days, span.start, span.end, reach=gap), 1 - _PER_DAY * gap)
    return match


def _raise(match: Column, where: NDArray[np.bool_], value: float) -> None:
    match[where] = np.maximum(match[where], value)


def _within(days: Column, first: date, last: date, reach: int = 0) -> NDArray[np.bool_]:
    return (days >= first.toordinal() - _EPOCH - reach) & (days <= last.toordinal() - _EPOCH + reach)


def _month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _answered(view: RoomView, query: Query, rows: NDArray[np.int64]) -> Column:
    """The similarity of what each row answers (the message it replies to, else the one before), where that asks."""
    before = np.where(view.replies[rows] >= 0, view.replies[rows], rows - 1)
    asks = (before >= 0) & view.asks[before]
    scores = np.zeros(len(rows))
    scores[asks] = np.nan_to_num(similarity(view, query.embedding, before[asks]))
    return scores
