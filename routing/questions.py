"""What a question asks, read by patterns: its kind, and signs that say where the answer may be. Pure, English.

Everything is read from the first `READ` characters, so that a huge text costs no more than a long question.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from memory.text import STOP, normalise, words
from routing.following import follows

READ: Final = 2000


class Kind(enum.StrEnum):
    """What sort of answer is asked for."""

    WHO = "who"
    WHEN = "when"
    WHERE = "where"
    WHY = "why"
    HOW = "how"
    WHAT = "what"
    LIST = "list"
    YES_NO = "yes_no"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Reading:
    """A question, read.

    ``words`` counts all words, ``content`` those that say something about a topic; ``hops`` counts signs that one
    fact leads to another ("the owner of the …", "Ana's", a relative *that* or *who*); ``named`` lists the people of
    the room whose names occur, lower-cased and in order; ``proper`` counts other capitalised words.
    """

    kind: Kind
    words: int
    content: int
    hops: int
    temporal: bool
    comparison: bool
    newest: bool
    code: bool
    quoted: bool
    follow_up: bool
    named: tuple[str, ...]
    proper: int


_MONTHS: Final = (
    r"jan(?:uary)?|feb(?:ruary)?|march|april|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?"
)
_DAYS: Final = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_COMMAND: Final = re.compile(r"^\s*!weave\s+(?:ask\s+)?", re.IGNORECASE)
_LEAD: Final = re.compile(r"^\W*(?:(?:and|but|so|then|also|ok|okay|hey|please)\b[\s,]*)+", re.IGNORECASE)
_AUXILIARY: Final = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|am)(?:n['\u2019]t)?\b",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(r"\b(whose|whom|who|when|where|why|how|what|which)\b", re.IGNORECASE)
_WHEN: Final = re.compile(
    r"\b(?:what|which) (?:time|day|date|year|month|week)\b|\bhow long ago\b|\bsince when\b", re.IGNORECASE
)
_WHY: Final = re.compile(
    r"\bhow come\b|\bwhat for\b|\b(?:what|which) (?:is|was|were|are)? ?the reasons?\b", re.IGNORECASE
)
_VERB: Final = r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|about|if)"
_LIST: Final = re.compile(
    r"^\W*(?:list|name|summari[sz]e|enumerate)\b|\bhow (?:many|often)\b"
    r"|\b(?:what|which) (?:all )?(?:kinds?|types?|sorts?|things|other)\b"
    rf"|\b(?:what|which) (?:(?!{_VERB}\b)\w+ )?(?!{_VERB}\b|\w+[sui]s\b)\w{{3,}}s\b(?! (?:is|was)\b)"
    r"|\b(?:what|which|who) (?:are|were) (?:all|the)\b.*\w{3,}s\b|\beverything\b|\ball (?:the|of)\b",
    re.IGNORECASE,
)
_HOPS: Final = re.compile(
    r"\bof (?:the|a|an)\b|(?<=\w )(?:that|who|whom|whose|which|where)\b|\w['\u2019]s\b(?! (?:up|new)\b)", re.IGNORECASE
)
_STUMP: Final = re.compile(r"\b(?:what|who|when|where|how|it|that|there|he|she|let)['\u2019]s\b", re.IGNORECASE)
_TEMPORAL: Final = re.compile(
    rf"\b(?:when|date|day|week|month|year|yesterday|today|tonight|tomorrow|ago|before|after|during|since|until|{_DAYS}"
    rf"|{_MONTHS}|may \d+|\d+ may|in may|(?:19|20)\d\d|\d{{1,2}}:\d\d)\b",
    re.IGNORECASE,
)
_COMPARISON: Final = re.compile(
    r"\b(?:than|versus|vs|both|compared?|comparison|difference|differ|more|less|fewer|most|least|either|same|better"
    r"|worse|best|worst)\b",
    re.IGNORECASE,
)
_NEWEST: Final = re.compile(
    r"\b(?:latest|newest|recent|recently|lately|just now|right now|so far|catch me up|did i miss|happening|going on)\b"
    r"|\b(?:what|anything)(?:['\u2019]s| is)? (?:new|up)\b|\blast (?:message|thing)\b|\btoday\b",
    re.IGNORECASE,
)
_CODE: Final = re.compile(
    r"`[^`]+`|\b[A-Z][A-Z0-9]+-\d+\b|#\d+\b|\b\w+\(\)|\b[a-z0-9]+_[a-z0-9_]+\b|\b[a-z]+[A-Z]\w+|https?://"
    r"|\b\w+\.(?:py|js|ts|go|rs|java|md|json|ya?ml|toml|sql|sh|csv|log)\b|\bv\d+(?:\.\d+)+\b|\b0x[0-9a-f]+\b"
)
_QUOTED: Final = re.compile(
    r"\"[^\"]{2,}\"|\u201c[^\u201d]{2,}\u201d|\u201e[^\u201c]{2,}\u201c|\u00ab[^\u00bb]{2,}\u00bb"
)
_CAPITAL: Final = re.compile(r"(?<=[\w,;'\"\u201c(] )[A-Z][\w'\u2019-]+|(?<=[\"\u201c(])[A-Z][\w'\u2019-]+")


def read(question: str, people: Collection[str] = ()) -> Reading:
    """The question, read; ``people`` are the lower-cased names and name parts of the people of the room."""
    text = _COMMAND.sub("", normalise(question[:READ])).strip()
    tokens = words(text)
    content = sum(1 for token in tokens if token not in STOP)
    newest = _NEWEST.search(text) is not None
    named = tuple(dict.fromkeys(token for token in tokens if token in people))
    capitals = {word for match in _CAPITAL.findall(text) for word in words(match)}
    return Reading(
        kind=kind_of(text),
        words=len(tokens),
        content=content,
        hops=len(_HOPS.findall(_STUMP.sub("", text))),
        temporal=_TEMPORAL.search(text) is not None,
        comparison=_COMPARISON.search(text) is not None,
        newest=newest,
        code=_CODE.search(text) is not None,
        quoted=_QUOTED.search(text) is not None,
        follow_up=follows(text, named) and not (newest and content <= 1),
        named=named,
        proper=len(capitals - STOP - set(named)),
    )


def kind_of(question: str) -> Kind:
    """The sort of answer that is asked for; `Kind.OTHER` where no sign of a question is known."""
    text = _LEAD.sub("", question)
    for kind, pattern in ((Kind.WHEN, _WHEN), (Kind.WHY, _WHY)):
        if pattern.search(text):
            return kind
    if _AUXILIARY.match(text):
        return Kind.YES_NO
    if _LIST.search(text):
        return Kind.LIST
    asked = _ASKED.search(text)
    return Kind.OTHER if asked is None else _KIND_OF_WORD[asked.group(1).lower()]


_KIND_OF_WORD: Final = {
    "who": Kind.WHO,
    "whom": Kind.WHO,
    "whose": Kind.WHO,
    "when": Kind.WHEN,
    "where": Kind.WHERE,
    "why": Kind.WHY,
    "how": Kind.HOW,
    "what": Kind.WHAT,
    "which": Kind.WHAT,
}
