"""Episodic memories: who did what when, and the summary of an ended session.

The summary is extractive: continuous LexRank (Erkan and Radev 2004) over the vectors that were stored for search, and
maximal marginal relevance (Carbonell and Goldstein 1998) so that no two of its messages say the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.models import EntityKind
from memory.reflection import clauses
from memory.reflection.models import Aspect, Derived, Line, Material, Summary
from memory.text import STOP, ends_with_question, terms, words

_DID: Final = (
    "went got took made bought sold gave sent found lost left met saw built wrote ran won put set cut brought"
    " caught came "
    "began did drove flew paid taught broke ate drank fed held led spent swam chose fell hung hid laid rode sang spoke "
    "stole swept threw wore drew dug grew beat shot shut split spread struck tore hefted rang kept"
)
_NOT_DONE: Final = frozenset(
    """
    wanted needed liked loved hated hoped wished wondered guessed assumed believed supposed seemed agreed decided looked
    worried expected preferred enjoyed feared missed bored excited interested tired scared amazed impressed pleased
    concerned surprised delighted used supposed imagined figured noticed realised realized mentioned asked replied
    remembered forgot thanked appreciated owed intended planned promised indeed need bleed feed speed
    """.split()
)
_ADVERBS: Final = (
    r"(?:(?:just|finally|also|already|recently|both|all|then|even|actually|only|quickly|once|never|really|totally)\s+)*"
)
_DONE: Final = re.compile(
    rf"^(?P<subject>I|We|[A-Z]\w+(?:\s[A-Z]\w+)?)\s+{_ADVERBS}(?P<verb>(?:{'|'.join(_DID.split())}|[a-z]{{3,}}ed)"
    r"(?:\s(?:up|out|off|down|over|back|away|through|in))?)\s+(?P<object>.+)$"
)
_ELLIPTIC: Final = re.compile(
    r"^(?P<verb>[A-Z][a-z]{2,}ed|Went|Got|Took|Made|Bought|Sold|Found|Lost|Met|Saw|Built|Wrote|Ran|Caught)\s+"
    r"(?P<object>(?:the|a|an|my|our|his|her|their|all|both|some|two|three|four|five|six|another|every|each"
    r"|\d+|hives?|to the)\s.+)$"
)
_NOTHING: Final = re.compile(
    r"^(?:not\b|and\b|or\b|,|doing\b|them\b|him\b|her\s*$|to (?:be|say|know|think|see|hear|ask|tell|do)"
    r"|that|it\b|this|these|those|you\b|your\b|me\b|so\b|like\b|into it|there"
    r"|about|me thinking|a (?:lot|bit|chance|few)$|the (?:chance|idea|same|best)\b|through a lot|better"
    r"|worse|used to|tired)",
    re.IGNORECASE,
)

_TRYING: Final = frozenset({"tried", "used", "got", "started", "began", "managed", "continued", "learned", "helped"})
_DETERMINED: Final = re.compile(r"(?:the|a|an|my|our|his|her|their|all|both|some|\d+|two|three)\s", re.IGNORECASE)

SESSION: Final = 4
"""Messages of the shortest session that has a summary; a shorter one is its own."""
MOST: Final = 5
"""Messages of a summary."""
READ: Final = 400
"""Messages of a session that are weighed: of a longer one, as many spread evenly over it."""
_SHARE: Final = 6  # a summary holds a sixth of the messages
_CONTENT: Final = 4  # content words of a message that can be told
_DAMPING: Final = 0.85
_STEPS: Final = 30
_ALIKE: Final = 0.8  # cosine from which two messages say the same
_TOPICS: Final = 5
_LETTERS: Final = 4  # of a word that can be a topic: not "get", "lot"
_TOPIC_KINDS: Final = frozenset({EntityKind.NAME, EntityKind.CODE, EntityKind.TOPIC})


def derive(material: Material) -> Sequence[Derived]:
    """What the message tells that somebody did."""
    found: list[Derived] = []
    known = clauses.people(material)
    for clause in clauses.clauses(material.text):
        if clauses.is_unsure(clause):
            continue
        match = _DONE.match(clause) or _ELLIPTIC.match(clause)
        if match is None or match["verb"].split()[0].lower() in _NOT_DONE:
            continue
        subject = match.groupdict().get("subject")
        verb = match["verb"] if subject else match["verb"].lower()
        subject = subject or "I"
        of = None if subject in {"I", "We"} else known.get(subject.lower())
        thing = clauses.objects(match["object"])
        if (of is None and subject not in {"I", "We"}) or not _is_deed(match["verb"].lower(), thing):
            continue
        on = clauses.day(clause, material, material.sent_at.date())
        found.append(Derived(Aspect.EVENT, subject, verb, thing, on=on, personal=True, of=of))
    return found


def _is_deed(verb: str, thing: str) -> bool:
    """Whether a verb and its object tell what was done."""
    if not thing or _NOTHING.match(thing) or (verb in _TRYING and thing.lower().startswith("to ")):
        return False
    return verb != "did" or _DETERMINED.match(thing) is not None


def summarise(lines: Sequence[Line]) -> Summary | None:
    """The most telling messages of a session and its topics; None when it is too short or says too little.

    ``lines`` in the order of the session.
    """
    if len(lines) < SESSION:
        return None
    weighed = [line for line in _spread(lines) if _tells(line.text)]
    if len(weighed) < 2:  # noqa: PLR2004 - one message is no summary
        return None
    alike = _similarities(weighed)
    chosen = _choose(_centrality(alike), alike, min(MOST, max(2, len(lines) // _SHARE)))
    return Summary(tuple(weighed[place].serial for place in sorted(chosen)), _topics(lines))


def _spread(lines: Sequence[Line]) -> Sequence[Line]:
    if len(lines) <= READ:
        return lines
    return [lines[place * len(lines) // READ] for place in range(READ)]


def _tells(text: str) -> bool:
    return len(set(terms(text))) >= _CONTENT and not ends_with_question(text)


def _similarities(lines: Sequence[Line]) -> NDArray[np.float64]:
    """(n, n) cosines in [0, 1] with 0 on the diagonal: of the vectors, or of the terms where one has none."""
    if all(len(line.vector) for line in lines):
        rows = np.asarray([line.vector for line in lines], dtype=np.float64)
    else:
        rows = _term_rows([terms(line.text) for line in lines])
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(length > 0, length, 1.0)
    cosines: NDArray[np.float64] = np.clip(rows @ rows.T, 0.0, 1.0)
    np.fill_diagonal(cosines, 0.0)
    return np.round(cosines, 6)  # the last digits differ between machines; the choice must not


def _term_rows(texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """tf-idf rows (n, terms)."""
    known = {term: place for place, term in enumerate(sorted({term for text in texts for term in text}))}
    rows = np.zeros((len(texts), len(known)))
    for row, text in zip(rows, texts, strict=True):
        for term, count in Counter(text).items():
            row[known[term]] = 1.0 + np.log(count)
    weights: NDArray[np.float64] = rows * np.log(1.0 + len(texts) / np.maximum((rows > 0).sum(axis=0), 1))
    return weights


def _centrality(alike: NDArray[np.float64]) -> NDArray[np.float64]:
    """The stationary distribution of a walk among like messages; sums to 1."""
    size = len(alike)
    sums = alike.sum(axis=1, keepdims=True)
    steps = np.where(sums > 0, alike / np.where(sums > 0, sums, 1.0), 1.0 / size)
    ranks = np.full(size, 1.0 / size)
    for _ in range(_STEPS):
        ranks = (1 - _DAMPING) / size + _DAMPING * (ranks @ steps)
    return np.round(ranks, 9)


def _choose(ranks: NDArray[np.float64], alike: NDArray[np.float64], most: int) -> list[int]:
    """Places of the most central messages, none of which says what another one says."""
    chosen: list[int] = []
    for place in np.argsort(-ranks, kind="stable"):
        if len(chosen) == most:
            break
        if all(alike[place, other] < _ALIKE for other in chosen):
            chosen.append(int(place))
    return chosen


def _topics(lines: Sequence[Line]) -> tuple[str, ...]:
    """What was named most, by how many messages named it; where names are few, the content words said most."""
    named: Counter[str] = Counter()
    labels: dict[str, str] = {}
    for line in lines:
        for mention in line.mentions:
            if mention.kind in _TOPIC_KINDS:
                named[mention.key] += 1
                labels.setdefault(mention.key, mention.label)
    topics = [labels[key] for key, times in named.most_common(_TOPICS) if times > 1]
    if len(topics) < _TOPICS:
        spoken: Counter[str] = Counter()
        for line in lines:
            spoken.update({word for word in words(line.text) if _is_content(word)})
        told = {word for topic in topics for word in words(topic)}
        often = (word for word, times in spoken.most_common(3 * _TOPICS) if times > 1 and word not in told)
        topics += list(islice(often, _TOPICS - len(topics)))
    return tuple(topics)


def _is_content(word: str) -> bool:
    return word not in STOP and word.isalpha() and len(word) >= _LETTERS
