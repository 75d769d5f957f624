"""Does evidence cover the question? Read off texts by plain signs: terms, people, and the kind of answer asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from memory.extraction.dates import spans
from memory.models import Candidates, Message, Query
from memory.ranking import idf, named_people, query_terms
from memory.text import terms
from routing.questions import Kind, kind_of

ENOUGH: Final = 0.7
"""The share of the question's terms, by idf, that evidence must hold: others may be said in other words."""

_TIME: Final = re.compile(
    r"\b\d{1,2}[:.]\d\d\b|\b\d{1,2} ?(?:am|pm|o'clock)\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\b(?:today|tonight|tomorrow|yesterday|now|ago|noon|midday|week|month|year|spring|summer|autumn|winter)s?\b",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|half|none)\b", re.IGNORECASE
)
_HOW_MANY: Final = re.compile(r"\bhow (?:many|much|long|often|far|old)\b", re.IGNORECASE)
_PLACE: Final = re.compile(
    r"\b(?:in|at|on|under|behind|near|beside|by|next to|inside|outside|to|from)\b", re.IGNORECASE
)
_CAUSE: Final = re.compile(r"\b(?:because|since|so|as|due|to|for|otherwise|or)\b", re.IGNORECASE)
_PAST: Final = re.compile(r"\b(?:did|was|were|had)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Check:
    """What the best evidence lacks.

    covered: the share of the question's terms that it holds, by idf, in [0, 1], less a half for a wrong kind of answer
    and each named person who neither wrote nor is named. terms: those it does not hold, though the room does.
    """

    covered: float
    terms: tuple[str, ...] = ()
    people: int = 0
    kind: bool = True

    @property
    def missing(self) -> int:
        """How many things are missed."""
        return len(self.terms) + self.people + (not self.kind)

    @property
    def passed(self) -> bool:
        """Whether it may stand as it is."""
        return self.covered >= ENOUGH


def check(query: Query, pool: Candidates, evidence: Sequence[Message]) -> Check:
    """The evidence held against the question. Without any evidence everything is missed."""
    held = {term for message in evidence for term in terms(message.text)}
    known = {term: float(idf(pool.found.get(term, 0), pool.messages)) for term in query_terms(query)}
    known = {term: weight for term, weight in known.items() if pool.found.get(term)}
    missed = tuple(term for term in known if term not in held)
    mass = sum(known.values())
    share = sum(known[term] for term in known if term in held) / mass if mass else float(bool(evidence))
    there = {message.author for message in evidence}
    for message in evidence:
        there |= named_people(message.text, query.people)
    people = len(named_people(query.text, query.people) - there)
    kind = any(_fits(query.text, message) for message in evidence)
    return Check(share - 0.5 * people - 0.5 * (not kind), missed, people, kind)


def _fits(question: str, message: Message) -> bool:
    """Whether a message holds the kind of thing asked for; who and when something was, its author and day may say."""
    if _HOW_MANY.search(question):
        return _NUMBER.search(message.text) is not None
    match kind_of(question):
        case Kind.WHEN if not _PAST.search(question):
            return _TIME.search(message.text) is not None or bool(spans(message.text, message.sent_at))
        case Kind.WHERE:
            return _PLACE.search(message.text) is not None
        case Kind.WHY:
            return _CAUSE.search(message.text) is not None or message.reply_to is not None
    return True
