"""Follow-ups: whether a question leans on the one before it, and what it inherits from it. Pure, English.

"And who brought them?" says nothing by itself. It inherits what the question before named (people, things, its content
words) and, where it asks on about whoever or whatever was found, whom and what the answer named. A thing of the same
sort that the follow-up names itself takes the place of the inherited one: after "How much is Glasswell?" the question
"And Hexagon?" is about Hexagon alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from memory.extraction.entities import mentions
from memory.models import EntityKind, Expansion, Mention, Message, Query
from memory.text import STOP, sentences, speaks_of_self, stem, words

WEIGHT: Final = 0.6
"""What an inherited word of the question before counts, beside 1 for one of the follow-up's own."""

ANSWERED: Final = 0.3
"""What a thing counts that the answer named."""

SPOKEN: Final = 0.5
"""What having been written by an inherited person counts, beside 1 for one who is named."""

FADES: Final = 0.5
"""By how much less a question counts than the one that leant on it."""

FURTHEST: Final = 3
"""Questions that are gone back to, as long as each leans on the one before."""

_SHORT: Final = 8
_ELLIPSIS: Final = 4  # words
_MOST: Final = 2  # things that an answer hands on
_TOLD: Final = 6

_CONTINUES: Final = re.compile(
    r"^\W*(?:and|but|then|also|what about|how about|what else|who else|where else|any(?:thing|one) else)\b",
    re.IGNORECASE,
)
_TURNS: Final = re.compile(
    r"^\W*(?:(?:and|but|also|then|so)\b[\s,]*)*(?:by the way|btw|unrelated|first\b|again,|another (?:thing|question)"
    r"|something else)",
    re.IGNORECASE,
)
_POINTS_BACK: Final = re.compile(
    r"\b(?:it|its|he|she|they|them|him|her|hers|his|their|theirs|that one|this one|those|these|there)\b"
    r"|\b(?:is|was|did|does|has) that\b|\b(?:then|that)\W*$",
    re.IGNORECASE,
)
_PERSONAL: Final = re.compile(r"\b(?:he|she|him|her|hers|his)\b", re.IGNORECASE)
_NOT_POINTING: Final = re.compile(
    r"\b(?:is|are|was|were|will|would|has|have|had|can|could|should)(?:n['\u2019]t)? there\b(?=\s+\w)"
    r"|\bthere (?:is|are|was|were|will|be|has|have)\b|\bthere['\u2019]s\b|\b(?:these|those) days\b"
    r"|\bit (?:is |was )?(?:rain|snow|freez)\w*|\bit (?:takes?|took|costs?|feels?)(?= to\b)"
    r"|\b(?:what|which) \w+ is it\b"
    r"|\b(?:is|was|would|will) it (?:be )?(?:true|safe|ok|okay|fine|possible|allowed|legal|worth|time|best|better"
    r"|enough|normal|likely|too|necessary|important)\b"
    r"|^\W*whose \w+ (?:is|was) it\b|\b(?:is|was) it (?=.*\b(?:who|that|which)\b)",
    re.IGNORECASE,
)
"""Words that look back and do not: "is there", "it rains", "is it true that", "was it Ana who"."""

_CLAUSE: Final = re.compile(
    r",|:|\b(?:and|when|if|whether|because|before|after|while|until|unless|that|says?|said|why)\b", re.IGNORECASE
)
_NOUN: Final = re.compile(r"\b(?:the|an?|our|your|some|any|two|three|which|what) \w+", re.IGNORECASE)
_BOUND: Final = re.compile(
    r"\b(?:which|what|whose) \w+ \w+ (?:its|their|his|her)\b|^\W*who \w+ (?:their|his|her) \w{3,}"
    r"|\b(?:any(?:one|body)|some(?:one|body)|everyone|who)\b.*\b(?:with|on) (?:them|him|her)\b"
    r"|\bwith (?:an?|the)\b.*\bon (?:her|him|it|them)\b",
    re.IGNORECASE,
)
_CAPITAL: Final = re.compile(r"(?<=\w )[A-Z]\w")
_YOU: Final = re.compile(r"\b(?:i|you|your|we|me|us)\b", re.IGNORECASE)
_THINGS: Final = frozenset({EntityKind.NAME, EntityKind.CODE, EntityKind.LINK, EntityKind.TOPIC})


def follows(text: str, names: Sequence[str] = ()) -> bool:
    """Whether a question leans on the one before: it begins with *and*, is an ellipsis, or is short and points back.

    ``names`` are the people whom it names. A pronoun after a name, or after another noun in a clause before its own,
    stands for that and does not point back.
    """
    if _TURNS.match(text):
        return False
    if _CONTINUES.match(text):
        return True
    tokens = words(text)
    if 0 < len(tokens) <= _ELLIPSIS and not (set(tokens) - STOP) and not _YOU.search(text):
        return True
    return len(tokens) <= _SHORT and _points_back(text, names)


def _points_back(text: str, names: Sequence[str]) -> bool:
    plain = _NOT_POINTING.sub(lambda found: "_" * len(found[0]), text)
    back = _POINTS_BACK.search(plain)
    if back is None or _BOUND.search(plain):
        return False
    before = plain[: back.start()]
    if set(words(before)).intersection(names) or _CAPITAL.search(before):
        return False
    clauses = list(_CLAUSE.finditer(before))
    return not (clauses and _NOUN.search(before[: clauses[-1].start()]))


@dataclass(frozen=True, slots=True)
class Said:
    """A question that was asked before and the message that answered it best; None where nothing did."""

    serial: int
    question: str
    answer: Message | None = None


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a follow-up takes over: what joins the query, how people call it, and the answers that it leans on."""

    expansion: Expansion = field(default_factory=Expansion)
    labels: tuple[str, ...] = ()
    follows: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.follows)


def inherited(query: Query, course: Sequence[Said]) -> Inherited:
    """What a follow-up inherits from what was asked before it, the newest first.

    An older question counts only where each newer one leans on the one before it; its weights fade. Nothing without
    any question before.
    """
    parts: list[_Part] = []
    for back, said in enumerate(course[:FURTHEST]):
        parts.append(_of(query, said, FADES**back, answered=back == 0))
        if not follows(said.question, _people(said.question, query)):
            break
    if not parts:
        return Inherited()
    expansion, labels = Expansion(), []
    for part in parts:
        expansion = expansion.joined(part.expansion)
        labels += part.labels
    told = tuple(dict.fromkeys(labels))[:_TOLD]
    return Inherited(expansion, told, tuple(said.serial for said in course[: len(parts)]))


def in_words(before: str, labels: Sequence[str]) -> str:
    """One sentence: what it follows up on, and what is looked for because of it."""
    if not labels:
        return f"This follows up on \u201c{before}\u201d."
    *some, last = labels
    listed = f"{', '.join(some)} and {last}" if some else last
    return f"This follows up on \u201c{before}\u201d, so I also look for {listed}."


@dataclass(frozen=True, slots=True)
class _Part:
    expansion: Expansion
    labels: list[str]


def _of(query: Query, said: Said, share: float, *, answered: bool) -> _Part:
    own = _named(query.text, query)
    replaced = {mention.kind in _THINGS or mention.kind for mention in own} if _swaps(query.text, own) else set()
    asked = _named(said.question, query)
    kept = [mention for mention in asked if (mention.kind in _THINGS or mention.kind) not in replaced]
    gone = {word for mention in asked if mention not in kept for word in words(mention.label)}
    about = [mention for mention in kept if mention not in own]
    people = [mention for mention in about if mention.kind is EntityKind.PERSON]
    skip = gone | set(words(query.text)) | {word for mention in asked for word in words(mention.label)}
    others = [word for word in words(said.question) if word not in STOP and word not in skip]
    terms = {stem(word): WEIGHT * share for word in [*others, *_words_of(about)]}
    if answered and said.answer is not None and not replaced:
        people += _answering(query, said, people, own)
        found = [] if people and _PERSONAL.search(query.text) else _things(query, said.answer, [*asked, *own])
        terms = {stem(word): ANSWERED * share for word in _words_of(found)} | terms
        about += found
    told = [*people, *(mention for mention in about if mention.kind is not EntityKind.PERSON)]
    labels = [*(mention.label for mention in told), *dict.fromkeys(others)]
    expansion = Expansion(
        tuple(terms.items()),
        " ".join(dict.fromkeys([*others, *_words_of(about)])),
        tuple(told),
        tuple((int(mention.key), SPOKEN * share) for mention in people),
    )
    return _Part(expansion, labels)


def _swaps(text: str, own: Sequence[Mention]) -> bool:
    """Whether it does nothing but put something else in a place of the question before: "And hive 7?"."""
    if not own or not _CONTINUES.match(text):
        return False
    named = {word for mention in own for word in words(mention.label)}
    return len([word for word in words(text) if word not in STOP and word not in named]) == 0


def _answering(query: Query, said: Said, known: Sequence[Mention], own: Sequence[Mention]) -> list[Mention]:
    """Whom the answer adds, where the question asked who or the follow-up says *he* or *she*: its author, if anybody.

    Somebody whom the message names goes before an author who does not speak of themselves.
    """
    message = said.answer
    pronoun = _PERSONAL.search(query.text) is not None
    asks_who = re.search(r"\bwho(?:m|se)?\b", said.question, re.IGNORECASE) is not None
    if message is None or not (asks_who or pronoun) or (known and pronoun) or (own and not pronoun):
        return []
    named = [one for one in _named(message.text, query) if one.kind is EntityKind.PERSON and one not in known]
    author = Mention(EntityKind.PERSON, str(message.author), message.author_name)
    if named and not speaks_of_self(message.text):
        return named[:1]
    return [author]


def _things(query: Query, message: Message, known: Sequence[Mention]) -> list[Mention]:
    """What the opening of an answer names, beside what is known, where the follow-up points at a thing."""
    if not _POINTS_BACK.search(query.text):
        return []
    opening = (sentences(message.text) or [""])[0]
    keys = {mention.key for mention in known}
    return [one for one in _named(opening, query) if one.kind in _THINGS and one.key not in keys][:_MOST]


def _named(text: str, query: Query) -> list[Mention]:
    people = {form: str(key) for form, key in query.people.items()}
    return mentions(text, people=people, sent_at=query.asked_at)


def _people(text: str, query: Query) -> list[str]:
    return [word for word in words(text) if word in query.people]


def _words_of(named: Sequence[Mention]) -> list[str]:
    """The words of things; a person's name says who, not what."""
    things = [mention for mention in named if mention.kind is not EntityKind.PERSON]
    return [word for mention in things for word in words(mention.label) if word not in STOP]
