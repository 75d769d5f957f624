"""Clauses of a message as the rules read them, and who or what a clause is about. Pure, linear in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from memory import ranking
from memory.extraction import dates
from memory.extraction.entities import normal
from memory.models import EntityKind
from memory.reflection.models import Material
from memory.text import STOP, ends_with_question, sentences, terms

READ: Final = 8_000
"""Characters of a message that are read; what is longer is a pasted file, and says little of its own."""
LONGEST: Final = 240
"""Characters of a clause; longer ones are no statement that a person would quote."""
OBJECT: Final = 160
"""Characters of an object."""
NOUNS: Final = 4
"""Words of a subject behind its article."""

_FENCE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_QUOTED_LINE: Final = re.compile(r"^>.*$", re.MULTILINE)
_SPOKEN: Final = re.compile(r"[{}]|\b(?:uh|um|uhm|erm|mm)\b", re.IGNORECASE)
"""A transcript of speech: what is half said is no statement."""
_OPENER: Final = re.compile(
    r"^(?:(?:so|and|also|but|well|ok|okay|oh|ah|yes|yeah|yep|no|nope|hey|hi|hello|thanks|thank you|fyi|btw|by the way"
    r"|actually|honestly|anyway|anyways|plus|sorry|right|aye|sure|wow|cool|great|nice|awesome|morning all|good news"
    r"|quick update|update|reminder|note|noted|for the record|hmm|um|uh)\b[\s,:.!\u2013\u2014-]*)+",
    re.IGNORECASE,
)
_UNSURE: Final = re.compile(
    r"^(?:if|when|whenever|unless|whether|maybe|perhaps|hopefully|imagine|suppose|assuming|until|once|what|how|why|who"
    r"|where|which|let me|lets|let's|do|does|did|can|could|would|should|will|is|are|was|were|has|have|am)\b"
    r"|\b(?:i (?:think|guess|suppose|bet|wonder|hope|wish|doubt|imagine|assume)|probably|maybe|perhaps|might"
    r"|apparently|allegedly|not sure|no idea|kidding|joking|would have|could have|should have|as if)\b",
    re.IGNORECASE,
)
_CUT: Final = re.compile(
    r"\s*(?:;|\s[\u2013\u2014-]+\s|\u2014|\s\(|:\s|,?\s(?:but|although|though|whereas|unless)\s|,\s(?:so"
    r"|which|and then)\s"
    r"|,?\s(?:and|so|because|since|then)\s(?=(?:i|we|you|it|he|she|they|there|that)\b)|,\s(?=(?:i|we|you"
    r"|it|he|she|they)\b)"
    r"|,?\s+and\s+(?=(?:please|do|don't|never|always)\b)|\s(?:lol|haha|tho|btw)\b)",
    re.IGNORECASE,
)
_TAIL: Final = re.compile(r"(?:[\s.,;:!?\u2026)\]]|[^\w\s'\"\u201d\u2019`%/\u20ac\u00a3$)-])+$")
_DETERMINED: Final = re.compile(r"(?:the|our|my|his|her|their|every|each)\s", re.IGNORECASE)
_VAGUE: Final = frozenset(
    """
    thing things one ones rest point idea problem question reason result fact other others same first second third last
    next best worst only way day week month year morning afternoon evening night time moment weather part bit kind sort
    lot whole truth trick news issue main answer plan goal aim bottom line end start beginning hope feeling feelings
    vibe vibes energy people guys folks stuff joy sound view views smell look thought thoughts third fourth fifth sixth
    seventh eighth ninth tenth eleventh twelfth
    """.split()
)
_PRONOUN: Final = frozenset(
    """
    i we you he she it they me us him her them this that these those there here who what which someone somebody anyone
    anybody everyone everybody nobody everything nothing something anything mine yours ours theirs all both some any
    most many few several none such so
    """.split()
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a clause opens with. ``of`` is the key of the person that it names; ``personal``: it is about a person.

    ``plural``: of many things; with the verb of one it is a name (*James has*).
    """

    text: str
    personal: bool
    of: str | None = None
    plural: bool = False


def clauses(text: str) -> Iterator[str]:
    """The statements of a message: sentences that neither ask nor only suppose, without what opens them."""
    plain = _QUOTED_LINE.sub(" ", _FENCE.sub(" ", text[:READ].replace("\u2019", "'")))
    for sentence in sentences(plain):
        if ends_with_question(sentence) or len(sentence) > 2 * LONGEST or _SPOKEN.search(sentence):
            continue
        for part in re.split(r";\s+|\s[\u2013\u2014]\s", sentence):
            clause = " ".join(_OPENER.sub("", part.strip(" *_-\u2022"), count=1).split())
            if clause and len(clause) <= LONGEST:
                yield clause


def is_unsure(clause: str) -> bool:
    """Whether it asks, supposes or doubts."""
    return _UNSURE.search(clause) is not None


def people(material: Material) -> Mapping[str, str]:
    """The names of people whom the message names, and the parts that are one's alone: in lower case, to their keys."""
    named = [one for one in material.mentions if one.kind is EntityKind.PERSON and one.label]
    parts = ranking.names((int(one.key), one.label) for one in named)
    known = {form: str(key) for form, key in parts.items() if form not in STOP}
    return known | {one.label.lower(): one.key for one in named}


def subject(words: str, material: Material) -> Subject | None:
    """What the words in front of a verb name: a person, a named thing, or ``the`` and a few nouns; None when vague."""
    said = words.strip(" ,'\"").lstrip("@")
    low = said.lower()
    known = people(material)
    if low in known:
        return Subject(said, personal=True, of=known[low])
    key = normal(said)
    if any(m.key == key and m.kind in (EntityKind.NAME, EntityKind.CODE, EntityKind.TOPIC) for m in material.mentions):
        return Subject(said, personal=False)
    return _noun_phrase(said, low)


def _noun_phrase(said: str, low: str) -> Subject | None:
    """``The`` or another determiner with a few nouns behind it, or one noun in the plural that opens a sentence."""
    article = _DETERMINED.match(low)
    nouns = low[article.end() :].split() if article else low.split()
    if not nouns or len(nouns) > NOUNS or nouns[-1] in _VAGUE or nouns[0] in _VAGUE:
        return None
    if any(noun in STOP or noun in _PRONOUN or not noun[:1].isalnum() or "," in noun for noun in nouns):
        return None
    if article:
        return Subject(said, personal=article.group().strip() in {"my", "his", "her", "their"})
    plural = len(nouns) == 1 and low.endswith("s") and not low.endswith("ss") and said[:1].isupper()
    return Subject(said, personal=False, plural=True) if plural else None


def objects(words: str) -> str:
    """The object in the words behind a verb: up to the next clause, without what closes the sentence; may be empty."""
    cut = _CUT.search(words)
    said = _TAIL.sub("", words[: cut.start()] if cut else words).strip()
    return said if len(said) <= OBJECT and terms(said) and said.lower() not in _PRONOUN else ""


def day(clause: str, material: Material, otherwise: date | None = None) -> date | None:
    """The first day that the clause names; ``otherwise`` when it names no time, None when only a week or longer."""
    spans = dates.spans(clause, material.sent_at)
    if not spans:
        return otherwise
    return next((span.start for span in spans if span.grain == "day"), None)
