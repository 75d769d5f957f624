"""Query expansion: what first evidence says that the question does not, to ask again with.

Terms are chosen as in Rocchio's pseudo-relevance feedback, by tf · idf over the best messages, each message counting by
its rank. Entities are those that the messages name and that others name too: they lead on, which what one message alone
has does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from memory import ranking
from memory.extraction.entities import mentions
from memory.models import EntityKind, Expansion, Mention, Message, Query
from memory.room import RoomView
from memory.sources import question_mentions
from memory.text import STOP, stem, words

TERMS: Final = 6
"""Terms that join a question; more of them drown its own."""

ENTITIES: Final = 4
WEIGHT: Final = 0.3
"""What a term counts that was read off evidence, beside 1 for one of the question's own."""

COMMON: Final = 0.1
"""A term that a larger share of the room holds says nothing about it."""

_NAMED: Final = frozenset({EntityKind.PERSON, EntityKind.NAME, EntityKind.CODE, EntityKind.LINK, EntityKind.TOPIC})


def learned(view: RoomView, query: Query, messages: Sequence[Message]) -> Expansion:
    """Terms and words that messages, best first, add to a question; entities are for `named` to say."""
    own = set(ranking.weighted_terms(query))
    scores: dict[str, float] = {}
    written: dict[str, str] = {}
    for rank, message in enumerate(messages, 1):
        for word in words(message.text):
            term = stem(word)
            if word not in STOP and term not in own and word not in query.people:
                scores[term] = scores.get(term, 0.0) + 1.0 / rank
                written.setdefault(term, word)
    worth = {term: score * _idf(view, term) for term, score in scores.items()}
    chosen = sorted((term for term in worth if worth[term] > 0), key=lambda term: (-worth[term], term))[:TERMS]
    return Expansion(tuple((term, WEIGHT) for term in chosen), " ".join(written[term] for term in chosen))


def named(query: Query, messages: Sequence[Message]) -> list[Mention]:
    """What messages, best first, name beside what the question names, the most often named first."""
    people = {form: str(key) for form, key in query.people.items()}
    asked = {(mention.kind is EntityKind.PERSON, mention.key) for mention in question_mentions(query)}
    counts: dict[tuple[bool, str], int] = {}
    known: dict[tuple[bool, str], Mention] = {}
    for message in messages:
        for mention in mentions(message.text, people=people, sent_at=message.sent_at):
            key = (mention.kind is EntityKind.PERSON, mention.key)
            if mention.kind in _NAMED and key not in asked:
                counts[key] = counts.get(key, 0) + 1
                known.setdefault(key, mention)
    return [known[key] for key in sorted(counts, key=lambda key: -counts[key])]


def leading(candidates: Sequence[Mention], degrees: Mapping[Mention, int], messages: int) -> tuple[Mention, ...]:
    """Those that several messages name, and not every tenth; at most `ENTITIES`."""
    most = max(2.0, COMMON * messages)
    return tuple(mention for mention in candidates if 1 < degrees.get(mention, 0) <= most)[:ENTITIES]


def _idf(view: RoomView, term: str) -> float:
    """0 for a term that leads nowhere: one message alone holds it, or a large share of them."""
    found = len(view.postings.find(term)[0])
    if not 1 < found <= max(2.0, COMMON * view.messages):
        return 0.0
    return float(ranking.idf(found, view.messages))
