"""The extractive answer in words: whose sentence says it, where it stands, and what was searched when nothing does.

Nothing is composed but the frame: what people wrote is quoted letter for letter, with white space folded and control
characters left out. A quotation does nothing: where it holds what looks like one of our marks (``[1]``) or calls a
whole room (``@room``), an invisible word joiner stands inside, so that neither a reader nor a client takes it for ours.
Markdown is left as it is; showing it as plain text is the work of whoever renders.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

import numpy as np

from memory.extraction.dates import spans
from memory.models import Message, Query
from memory.ranking import cut_names, query_terms
from memory.text import STOP, ends_with_question, sentences, stem, terms
from memory.text import words as words_in
from routing.confidence import SHOWN, Confidence
from routing.questions import Kind, kind_of

LONGEST: Final = 500
"""Characters of an answer."""

QUOTE: Final = 160
"""Characters of a quotation in the list of sources."""

SURE: Final = 0.85
FAIRLY_SURE: Final = 0.6
NOT_SURE: Final = "not sure"

_QUOTED: Final = 300  # of one message in the answer
_LEAST: Final = 60  # a shorter sentence takes the next one along
_NAME: Final = 40
_READ: Final = 20_000  # characters of a message that are searched for its best sentence
_TOPIC: Final = 3  # words of the question that are repeated where nothing was found

_CLOSE: Final = 0.25
_CLOSE_IN_LISTS: Final = 0.5
"""A message is quoted too when the best one is ahead of it by no more than this share of its lead over the last."""

_UNSURE: Final = "I am not sure. Closest I found:"


def words(value: float) -> str:
    """A confidence in words: "sure" from 0.85 on, "fairly sure" from 0.6 on, else "not sure"."""
    if value >= SURE:
        return "sure"
    return "fairly sure" if value >= FAIRLY_SURE else NOT_SURE


def terms_of(query: Query) -> list[str]:
    """The terms of the question by which sentences are chosen."""
    return query_terms(query)


def compose(
    query: Query,
    cited: Sequence[Message],
    scores: Sequence[float],
    confidence: Confidence,
    searched: tuple[int, datetime | None, datetime | None],
    zone: tzinfo = UTC,
) -> str:
    """The answer's text, at most `LONGEST` characters; ``[n]`` marks the n-th of the cited messages.

    Args:
        query: The question.
        cited: The messages that were found, best first.
        scores: Their fused scores, on any scale.
        confidence: Says whether to answer or to show the closest messages.
        searched: How many messages were searched, and when the first and the last of them were sent.
        zone: The timezone in which days are told.
    """
    if not cited:
        return _nothing(query, searched, zone)
    kind = kind_of(query.text)
    wanted = _Wanted.of(query, cited, kind)
    count = min(SHOWN, len(cited)) if confidence.abstains else _worth_quoting(cited, scores, kind)
    heads = [_head(message, query.asked_at if wanted.time else None, zone) for message in cited[:count]]
    lead = f"{_UNSURE}\n" if confidence.abstains else ""
    spare = LONGEST - len(lead) - sum(len(head) + len("\u201c\u201d [9]\n") for head in heads)
    length = min(_QUOTED, spare // count)
    lines: dict[str, str] = {}
    for number, (message, head) in enumerate(zip(cited, heads, strict=False), 1):
        quoted = _best_part(message.text, wanted, length)
        lines.setdefault(quoted, f"{head}\u201c{quoted}\u201d [{number}]")
    return lead + "\n".join(lines.values())


def quote(text: str, asked: Collection[str], length: int = QUOTE) -> str:
    """What a message says about the question's terms, in at most ``length`` characters, for the list of sources."""
    return _best_part(text, _Wanted(dict.fromkeys(asked, 1.0)), length)


# -- which messages ---------------------------------------------------------------------------------------------------


def _worth_quoting(cited: Sequence[Message], scores: Sequence[float], kind: Kind) -> int:
    """How many of the first messages are about as good as the best one; one more where that one only asks."""
    best = np.asarray(scores, dtype=np.float64)
    bound = (_CLOSE_IN_LISTS if kind is Kind.LIST else _CLOSE) * float(best[0] - best[-1])
    close = int(np.count_nonzero(best[0] - best[:SHOWN] <= bound)) + ends_with_question(cited[0].text)
    return min(close, SHOWN, len(cited))


def _head(message: Message, asked_at: datetime | None, zone: tzinfo) -> str:
    """Who said it and, where ``asked_at`` is given, on which day."""
    name = _plain(message.author_name)[:_NAME].strip() or "Somebody"
    return f"{name}: " if asked_at is None else f"{name}, {_day(message.sent_at, asked_at, zone)}: "


def _day(at: datetime, now: datetime, zone: tzinfo) -> str:
    """``24 Feb``, with the year when it is not this one."""
    there = at.astimezone(zone)
    return f"{there.day} {there:%b}" + ("" if there.year == now.astimezone(zone).year else f" {there.year}")


# -- which sentences --------------------------------------------------------------------------------------------------

_COUNT: Final = re.compile(
    r"\bhow (?:many|much|often|long|old|far|big|tall|heavy|fast)\b|\bwhat (?:number|share)\b", re.IGNORECASE
)
_NUMBER: Final = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|half|once|twice|hundred|thousand)\b",
    re.IGNORECASE,
)
_TIME: Final = re.compile(
    r"\b\d{1,2}[:.]\d\d\b|\b\d{1,2} ?(?:am|pm)\b|o'clock|\b(?:noon|midnight|half past)\b", re.IGNORECASE
)
_RIGHT_SORT: Final = 1.5
_ANY_DAY: Final = datetime(2000, 1, 3, tzinfo=UTC)  # it only matters whether there is a date, not which


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a sentence is chosen by: the question's terms with their weights; whether it asks for a time, a number."""

    weights: Mapping[str, float]
    time: bool = False
    number: bool = False

    @classmethod
    def of(cls, query: Query, cited: Sequence[Message], kind: Kind) -> _Wanted:
        """A term weighs by its idf among the cited messages, log(1 + n / df): what all of them say chooses nothing."""
        held = Counter(term for message in cited for term in set(terms(message.text[:_READ])))
        weights = {term: float(np.log1p(len(cited) / max(1, held[term]))) for term in query_terms(query)}
        return cls(weights, kind is Kind.WHEN, _COUNT.search(query.text) is not None)

    def score(self, sentence: str) -> float:
        """The weight of the terms that the sentence holds; a time or number that is asked for counts as one and a half.

        A sentence that asks counts half.
        """
        held = set(terms(sentence))
        found = sum(weight for term, weight in self.weights.items() if term in held)
        if self._answers(sentence):
            found += _RIGHT_SORT * max(self.weights.values(), default=1.0)
        return found / 2 if ends_with_question(sentence) else found

    def _answers(self, sentence: str) -> bool:
        if self.time:
            return _TIME.search(sentence) is not None or bool(spans(sentence, _ANY_DAY))
        return self.number and _NUMBER.search(sentence) is not None


def _best_part(text: str, wanted: _Wanted, length: int) -> str:
    """The whole text when it is short enough, else its best sentence with neighbours that fit, else a part of it."""
    whole = _plain(text[:_READ])
    if len(whole) <= length and len(text) <= _READ:
        return whole
    pieces = [piece for piece in (_plain(sentence) for sentence in sentences(text[:_READ])) if piece]
    if not pieces:
        return _cut(whole, wanted, length)
    scored = [wanted.score(piece) for piece in pieces]
    best = max(range(len(pieces)), key=lambda i: scored[i])  # the first of equals
    first, last = _grown(pieces, scored, best, length - len("\u2026 \u2026") - 1)
    body = " ".join(pieces[first : last + 1])
    before, after = "\u2026 " if first else "", " \u2026" if last + 1 < len(pieces) else ""
    if len(before) + len(body) + len(after) <= length:
        return before + body + after
    return _cut(body, wanted, length)


def _grown(pieces: Sequence[str], scored: Sequence[float], best: int, length: int) -> tuple[int, int]:
    """The first and last of the sentences beside the best that say something too, or that it is too short without."""
    first = last = best
    size = len(pieces[best])
    while True:
        beside = [i for i in (last + 1, first - 1) if 0 <= i < len(pieces) and size + len(pieces[i]) + 1 <= length]
        beside = [i for i in beside if scored[i] > 0 or size < _LEAST]
        if not beside:
            return first, last
        chosen = max(beside, key=lambda i: scored[i])
        first, last = min(first, chosen), max(last, chosen)
        size += len(pieces[chosen]) + 1


_CLAUSE: Final = re.compile(r"[,;:)\u2013\u2014\u2026](?=\s)|\s(?=-\s)")
_SPACE: Final = re.compile(r"\s")
_EARLY: Final = 0.6  # of the room there is; a cut is made at a clause when that keeps as much


def _cut(text: str, wanted: _Wanted, length: int) -> str:
    """A part of a long sentence, from before its first wanted word on, cut at a clause or a word and marked with …."""
    if len(text) <= length:
        return text
    start = _start(text, wanted, length)
    room = length - len(" \u2026") - (len("\u2026 ") if start else 0)
    part = text[start : start + room + 1]
    if start + room < len(text):
        ends = [found.start() for found in _CLAUSE.finditer(part) if found.start() >= room * _EARLY]
        ends = ends or [found.start() for found in _SPACE.finditer(part) if found.start() >= room * _EARLY]
        part = part[: ends[-1] if ends else room].rstrip() + " \u2026"
    return ("\u2026 " if start else "") + part


def _start(text: str, wanted: _Wanted, length: int) -> int:
    """Where to begin: at the front when the wanted words are there, else at the clause before the first, or at it."""
    places = [found.start() for found in _WORD.finditer(text) if stem(found.group().lower()) in wanted.weights]
    if not places or places[-1] < length * _EARLY:
        return 0
    clauses = [found.end() + 1 for found in _CLAUSE.finditer(text, max(0, places[0] - length // 3), places[0])]
    return clauses[-1] if clauses else places[0]


_WORD: Final = re.compile(r"\w+")


# -- nothing found ----------------------------------------------------------------------------------------------------


def _nothing(query: Query, searched: tuple[int, datetime | None, datetime | None], zone: tzinfo) -> str:
    """What was looked for, in how much, and since when."""
    count, since, _ = searched
    place = "this room" if len(query.scope.rooms) == 1 else "these rooms"
    if not count or since is None:
        return f"I have no messages in {place} yet."
    held = dict.fromkeys(word for word in words_in(cut_names(query.text, query.people)) if word not in STOP)
    topic = " ".join(list(held)[:_TOPIC])
    about = f" about \u201c{_plain(topic)}\u201d" if topic else " that answers this"
    messages = "1 message" if count == 1 else f"{count:,} messages"
    return (
        f"I have no message{about} in {place}; I looked through {messages} since {_day(since, query.asked_at, zone)}."
    )


# -- plain text -------------------------------------------------------------------------------------------------------

_CONTROL: Final = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_LIVE: Final = re.compile(r"\[(?=\d{1,3}\])|@(?=(?:room|everyone|here|channel|all)\b)", re.IGNORECASE)
_JOINER: Final = "\u2060"


def _plain(text: str) -> str:
    """On one line, without control and direction characters, with nothing that a client or reader takes for ours."""
    return _LIVE.sub(lambda found: found.group() + _JOINER, " ".join(_CONTROL.sub("", text).split()))
