"""What a text names, without any language model: people, names, identifiers, links, tags and dates.

The rules read the writing itself: capitals, digits, quotation marks, the shape of a token. They know little of any
language, so a script without capitals gives people, codes, links and dates only. Every rule is linear in the text.

A key is a normal form, so that "the Hive 4", "hive 4" and "Hive 4's" meet in one node of the graph: lower case, no
accents, no leading article, no possessive ending.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from memory.extraction import dates
from memory.models import EntityKind, Mention
from memory.text import STOP

MOST: Final = 512
"""Distinct mentions taken from one message; a longer list is a dump, and no node of it would say anything."""

READ: Final = 100_000
"""Characters of a text that are read; by then a text of any kind has named its `MOST` things."""

LONGEST: Final = 80
"""Characters of a key or of a piece that is read as a code; longer ones are text, not names."""

_SPAN: Final = 8
"""Words of a name. Longer runs of capitals are headlines or shouting."""

_PEOPLE_WORDS: Final = 3
"""Words of the longest form of a person's name that is looked up."""

_GRAM: Final = 4
"""Words of the longest name that a question in lower case is searched for."""

_SHORTEST_NOUN: Final = 3

_CALENDAR: Final = frozenset(
    """
    january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs
    fri sat sun spring summer autumn fall winter
    """.split()
)
_OPENERS: Final = frozenset(
    """
    aha ah alright bye cheers congrats congratulations cool dear fyi good great guys haha happy hello hey hi hm hmm
    hooray lol morning nah nice nope omg perfect sorry sure thank thanks today tomorrow tonight welcome wow yay yep
    yesterday yup
    """.split()
)
_WEAK: Final = STOP | _OPENERS
_NO_NOUN: Final = _WEAK | _CALENDAR
_JOINS: Final = frozenset("of the de la le los las van von der den da di do dos del du des y al el bin ibn zu".split())
_TITLES: Final = frozenset("mr mrs ms dr st prof jr sr no vs mt".split())
_BEFORE_DATES: Final = frozenset("in on by since until till last next this every early late mid of from to".split())
_ACTING: Final = ("ed", "ing")

_NAMING: Final = frozenset({EntityKind.NAME, EntityKind.CODE, EntityKind.LINK, EntityKind.TOPIC})

NO_SUBJECT: Final = frozenset({EntityKind.PERSON, EntityKind.DATE})
"""Kinds that a message is not about: whoever is addressed first, and when."""

_QUOTES: Final = "\"'\u201c\u2018\u00ab*_"
_EDGE: Final = string.punctuation + "\u2026\u2013\u2014\u2018\u2019\u201c\u201d\u00ab\u00bb\u00bf\u00a1\u2022"
_OPENING: Final = _EDGE + " \t\r\n"
_CODE_EDGE: Final = _EDGE.replace("/", "").replace(".", "")
_BREAKS: Final = frozenset(".!?;:\u2026\u3002\uff01\uff1f")
_ACRONYM: Final = re.compile(r"(?:[^\W\d_]\.)+")
_YEAR: Final = re.compile(r"1\d{3}|20\d{2}")
_NUMBER: Final = re.compile(r"\d+(?:[-./]\d+)*[a-zA-Z]?")
_CODE: Final = re.compile(
    r"[^\W_]+(?:_[^\W_]+)+"  # snake_case
    r"|(?=\D+\d)[^\W_]+(?:[-./:][^\W_]+)*"  # HV-07, v1.2.3, H200: letters first, then a digit somewhere
    r"|\d+-[^\W_]*[^\W\d_][^\W_]*(?:-[^\W_]+)*"  # 26-B, 2024-q3: a letter behind the dash
    r"|(?:\.{0,2}/)?[\w-]+(?:[./][\w-]+)*\.[a-z][a-z0-9]{1,4}"  # notes.md, src/main.py
)
_QUOTED: Final = re.compile(
    r"`([^`\n]{2,80})`|\"([^\"\n]{2,60})\"|\u201c([^\u201d\n]{2,60})\u201d|\u00ab([^\u00bb\n]{2,60})\u00bb"
)
_QUOTE_SIGNS: Final = '`"\u201c\u00ab'
_LINK: Final = re.compile(r"(?:https?://|www\.)([^\s<>\"'`)\]?#]{3,500})", re.IGNORECASE)
_MARKS: Final = re.compile(r"[\u0300-\u036f]+")
_POSSESSIVE: Final = re.compile(r"'s?(?=\s|$)")
_ARTICLE: Final = re.compile(r"(?:the|an?) (?=.)")


class _Token(NamedTuple):
    """A word of the text without the signs around it."""

    core: str
    low: str
    joined: bool  # nothing but a space stands between it and the word before
    initial: bool  # it opens a sentence, a line or a quotation


class _Reading(NamedTuple):
    """A text taken apart."""

    tokens: list[_Token]
    numbers: list[int]  # places of the tokens that begin with a digit
    odd: list[str]  # pieces that are more than letters: tags, links, codes, words with signs


def mentions(text: str, *, people: Mapping[str, str], sent_at: datetime) -> list[Mention]:
    """What the text names, each key once, at most `MOST`: people, dates, quoted things, codes, links, names.

    Args:
        text: Anything, also a megabyte without a space.
        people: Lower-cased name forms (full names, parts, platform ids) to the key of the person.
        sent_at: When the message was written, aware: "yesterday" is the day before it.
    """
    text = text[:READ]
    reading = _read(text.replace("\u2019", "'"))
    found: dict[tuple[bool, str], Mention] = {}
    for each in _passes(text, reading, people, sent_at):
        for mention in each:
            person = mention.kind is EntityKind.PERSON
            if person or 1 < len(mention.key) <= LONGEST:
                found.setdefault((person, mention.key), mention)
            if len(found) == MOST:
                return list(found.values())
    return list(found.values())


def asked(text: str, *, people: Mapping[str, str], sent_at: datetime) -> list[Mention]:
    """What a question names: its mentions, and when no name is among them every run of up to four words.

    People ask in lower case. Most runs name nothing; a graph's `known` tells which do. At most 2 * `MOST` mentions.
    """
    found = mentions(text, people=people, sent_at=sent_at)
    if any(mention.kind in _NAMING for mention in found):
        return found
    keys = {mention.key: mention for mention in found}
    reading = _read(text[: 10 * MOST].replace("\u2019", "'"))
    for label in _runs(reading.tokens):
        key = normal(label)
        if len(keys) < 2 * MOST and 1 < len(key) <= LONGEST and key not in people:
            keys.setdefault(key, Mention(EntityKind.NAME, key, label))
    return list(keys.values())


def subject(text: str, found: Iterable[Mention]) -> str | None:
    """The key of the longest thing that the text opens with, article and quotation marks aside; no person and no date.

    "Hive 4 is queenless", "# Oak meadow", "Neighbours. Neighbours is an Australian soap opera": what a message opens
    with is what it is about, and what it mentions leads there.
    """
    opening = _ARTICLE.sub("", text[: 2 * LONGEST].lstrip(_OPENING).lower(), count=1)
    longest, key = 0, None
    for mention in found:
        label = _ARTICLE.sub("", mention.label.strip(_EDGE).lower(), count=1)
        if (
            mention.kind not in NO_SUBJECT
            and len(label) > longest
            and opening.startswith(label)
            and not opening[len(label) : len(label) + 1].isalnum()
        ):
            longest, key = len(label), mention.key
    return key


def normal(label: str) -> str:
    """The key of a name: lower case, no accents, no leading article, no possessive."""
    key = label.lower()
    if not key.isascii():
        key = unicodedata.normalize("NFKD", key.replace("\u2019", "'").replace("\u2013", "-"))
        key = unicodedata.normalize("NFC", _MARKS.sub("", key)).replace("\u2010", "-")
    if "'" in key:
        key = _POSSESSIVE.sub("", key).replace("'", "")
    return _ARTICLE.sub("", key, count=1) if key.startswith(("the ", "a ", "an ")) else key


def link(url: str) -> str:
    """The key of a link: host and path; the scheme, "www.", query and fragment fall away, the host is in lower case."""
    found = _LINK.search(url)
    host, slash, path = (found.group(1) if found else url).partition("/")
    return (host.lower().removeprefix("www.") + slash + path).rstrip("/.,;:!")


def _passes(text: str, reading: _Reading, people: Mapping[str, str], sent_at: datetime) -> Iterator[Iterator[Mention]]:
    """The rules, the surest first: when a message names too much, capitals are what is left out."""
    if people:
        yield _people(reading.tokens, people)
    yield _dates(text, reading, sent_at)
    if any(sign in text for sign in _QUOTE_SIGNS):
        yield _quoted(text)
    if reading.odd:
        yield _signed(reading.odd, people)
    if reading.numbers:
        yield _numbered(reading, people)
    if not text.isupper():
        yield _names(reading.tokens, people)


def _read(text: str) -> _Reading:
    """The words in order, and the pieces with signs."""
    reading = _Reading([], [], [])
    tokens, numbers, odd = reading
    for line in text.splitlines():
        joined, initial = False, True
        for raw in line.split():
            if raw.isalpha():
                tokens.append(_Token(raw, raw.lower(), joined, initial))
                joined, initial = True, False
                continue
            odd.append(raw)
            core = raw.strip(_EDGE)
            if not core or raw[0] in "@`<" or "://" in raw:
                joined, initial = False, initial or not core
                continue
            if core[0].isdigit():
                numbers.append(len(tokens))
            at = raw.index(core)
            beside = joined and (not at or raw[0] == "#")  # "hive #4" is hive 4
            tokens.append(_Token(core, core.lower(), beside, initial or raw[0] in _QUOTES))
            joined, initial = _after(core, raw[at + len(core) :])
    return reading


def _after(core: str, tail: str) -> tuple[bool, bool]:
    """Whether the next word stands beside this one, and whether it opens a sentence."""
    if not tail:
        return True, False
    if tail == "." and (len(core) == 1 or core.lower() in _TITLES or _ACRONYM.fullmatch(core + tail)):
        return True, False  # "Dr. Novak", "J. Novak", "U.S. Army"
    return False, not _BREAKS.isdisjoint(tail)


def _people(tokens: Sequence[_Token], people: Mapping[str, str]) -> Iterator[Mention]:
    """The longest forms of names, left to right. In lower case a form is looked for only where a shorter one begins."""
    done = 0
    for i, token in enumerate(tokens):
        if i < done:
            continue
        form, size = token.low.removesuffix("'s"), 0
        if form in people:
            size = 1 if _meant(tokens, i) else 0
        elif token.core == token.low:
            continue
        best = form
        for j in range(i + 1, min(i + _PEOPLE_WORDS, len(tokens))):
            if not tokens[j].joined:
                break
            form += " " + tokens[j].low.removesuffix("'s")
            if form in people:
                best, size = form, j + 1 - i
        if size:
            done = i + size
            yield Mention(EntityKind.PERSON, people[best], " ".join(t.core for t in tokens[i:done]).removesuffix("'s"))


def _meant(tokens: Sequence[_Token], at: int) -> bool:
    """Whether a name that is a common word too (Will, May, June) is written as a name here."""
    token = tokens[at]
    if token.low in _CALENDAR:
        return token.core != token.low and not (at and tokens[at - 1].low in _BEFORE_DATES)
    return token.low not in STOP or (token.core != token.low and not token.initial)


def _dates(text: str, reading: _Reading, sent_at: datetime) -> Iterator[Mention]:
    """Dates, resolved against the message's own time; a bare number from 1000 to 2099 is a year."""
    for span in dates.spans(text, sent_at):
        yield Mention(EntityKind.DATE, _date_key(span), span.text)
    for i in reading.numbers:
        year = reading.tokens[i].core
        if _YEAR.fullmatch(year):
            yield Mention(EntityKind.DATE, year, year)


def _date_key(span: dates.DateSpan) -> str:
    """ISO 8601: 2023-05-12, 2023-W19, 2023-05 or 2023."""
    match span.grain:
        case "day":
            return span.start.isoformat()
        case "week":
            year, week, _ = span.start.isocalendar()
            return f"{year}-W{week:02}"
        case "month":
            return span.start.isoformat()[:7]
    return span.start.isoformat()[:4]


def _quoted(text: str) -> Iterator[Mention]:
    """What stands in back-ticks or, up to a name's length, in quotation marks."""
    for found in _QUOTED.finditer(text):
        label = (found.group(found.lastindex or 0)).strip(" .,;:!?")
        if found.lastindex == 1 or label.count(" ") < _SPAN:
            yield Mention(EntityKind.CODE, normal(label), label)


def _signed(odd: Sequence[str], people: Mapping[str, str]) -> Iterator[Mention]:
    """Pieces with signs: @mentions, links, #tags, codes and file names."""
    for raw in odd:
        if raw[0] == "@" or raw.startswith("<@"):
            yield from _addressed(raw, people)
        elif "://" in raw or raw.startswith("www."):
            yield from _linked(raw)
        elif len(raw) <= LONGEST:
            yield from _coded(raw)


def _addressed(raw: str, people: Mapping[str, str]) -> Iterator[Mention]:
    """@ana, @ana:server.org, <@123>; somebody unknown is a name."""
    name = raw.strip(_EDGE).removesuffix("'s").lower()
    for form in (name, "@" + name, name.partition(":")[0]):
        if form in people:
            yield Mention(EntityKind.PERSON, people[form], raw.strip("<>,.;:!?"))
            return
    yield Mention(EntityKind.NAME, normal(name), name)


def _linked(raw: str) -> Iterator[Mention]:
    if found := _LINK.search(raw):
        yield Mention(EntityKind.LINK, link(found.group())[:LONGEST], found.group())


def _coded(raw: str) -> Iterator[Mention]:
    """Tags, flags, calls, and what only a machine or a label maker would write."""
    label = raw.strip(_EDGE)
    if raw[0] == "#" and label:
        yield Mention(EntityKind.CODE if label.isdigit() else EntityKind.TOPIC, label.lower(), label)
    elif raw.startswith("--") or "()" in raw:
        yield Mention(EntityKind.CODE, label.lower(), label)
    elif not label.isalpha() and _CODE.fullmatch(label := raw.strip(_CODE_EDGE).rstrip(".")):
        yield Mention(EntityKind.CODE, normal(label), label)


def _numbered(reading: _Reading, people: Mapping[str, str]) -> Iterator[Mention]:
    """A noun and its number (hive 4, lot 26-03), also in lower case; not an amount (moved 4 frames)."""
    tokens = reading.tokens
    for i in reading.numbers:
        number, noun = tokens[i], tokens[i - 1]
        if (
            number.joined
            and _NUMBER.fullmatch(number.core)
            and _is_noun(noun)
            and noun.low not in people
            and (noun.core != noun.low or not _counts(tokens, i + 1))
        ):
            label = f"{noun.core} {number.core}"
            yield Mention(EntityKind.NAME, normal(label), label)


def _is_noun(token: _Token) -> bool:
    """Whether it may be what a number belongs to; words of one or two letters and of the calendar are not."""
    return len(token.core) >= _SHORTEST_NOUN and token.core.isalpha() and token.low not in _NO_NOUN


def _counts(tokens: Sequence[_Token], after: int) -> bool:
    """Whether the number before this word counts it."""
    return after < len(tokens) and tokens[after].joined and tokens[after].low not in STOP


def _names(tokens: Sequence[_Token], people: Mapping[str, str]) -> Iterator[Mention]:
    """Capitalised words and runs of them. One word that opens a sentence counts when it has a capital elsewhere too."""
    spans = [span for run in _capitals(tokens) if (span := _trimmed(run))]
    capital = Counter(token.low for span in spans for token in span)
    for span in spans:
        opening = span[0].initial
        if len(span) == 1 and opening and capital[span[0].low] == 1 and span[0].core.istitle():
            continue
        if opening and _is_person(span[1:], people):
            continue  # "Thanks Ana", "Saw Ana"
        yield from _named(span, people)
        if opening and len(span) > 1 and span[0].low.endswith(_ACTING):
            yield from _named(span[1:], people)  # "Visited Lisbon" names Lisbon


def _capitals(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    """Runs of words with a capital, small words of names between them, numbers behind them."""
    run: list[_Token] = []
    between: list[_Token] = []
    for token in tokens:
        if run and (not token.joined or len(run) >= _SPAN):
            yield run
            run, between = [], []
        if (token.core != token.low and token.core[0].isalpha()) or (run and token.core[0].isdigit()):
            run += [*between, token]
            between = []
        elif run and token.low in _JOINS:
            between.append(token)
        elif run:
            yield run
            run, between = [], []
    if run:
        yield run


def _trimmed(run: list[_Token]) -> list[_Token]:
    """Without function words and greetings at the ends; empty when just a date or a number is left."""
    start, end = 0, len(run)
    while start < end and _is_weak(run[start]):
        start += 1
    while end > start and _is_weak(run[end - 1]):
        end -= 1
    span = run[start:end]
    return [] if all(token.low in _CALENDAR or token.core[0].isdigit() for token in span) else span


def _is_weak(token: _Token) -> bool:
    """Whether it is a function word, a greeting or one of their contractions ("I'm", "That's")."""
    return token.low in _WEAK or ("'" in token.low and token.low.partition("'")[0] in _WEAK)


def _named(span: Sequence[_Token], people: Mapping[str, str]) -> Iterator[Mention]:
    """The name, unless it is that of a person alone, who was found already."""
    if not _is_person(span, people):
        label = " ".join(token.core for token in span)
        coded = len(span) == 1 and not span[0].core.istitle() and not span[0].core.isupper()
        yield Mention(EntityKind.CODE if coded else EntityKind.NAME, normal(label), label)


def _is_person(span: Sequence[_Token], people: Mapping[str, str]) -> bool:
    """Whether the words are a form of a person's name, maybe with a number behind it ("Ana 4 pm")."""
    form = " ".join(token.low for token in span).rstrip(" 0123456789").removesuffix("'s")
    return form in people or normal(form) in people


def _runs(tokens: Sequence[_Token]) -> Iterator[str]:
    """Every run of up to `_GRAM` neighbouring words that neither begins nor ends with a function word."""
    for i, token in enumerate(tokens):
        run = [token.core]
        if token.low in STOP:
            continue
        yield token.core
        for following in tokens[i + 1 : i + _GRAM]:
            if not following.joined:
                break
            run.append(following.core)
            if following.low not in STOP:
                yield " ".join(run)
