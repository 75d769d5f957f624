"""Dates in English text, absolute and relative, resolved against the moment that the text was written.

One function serves messages (anchor: when it was sent) and questions (anchor: when it was asked). A table of patterns
reads the forms that people use in chat; a date with a month in another language goes to the library dateparser. One
scan tells a text without any.

Weeks run from Monday to Sunday. A weekday that is named alone is the last one before the anchor. A month or a day that
is named without its year is the last one, unless that is more than 270 days ago: then it is the next. ``3/4/2024`` is
read month first unless that is impossible.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final, Literal, TypeAlias

Grain: TypeAlias = Literal["day", "week", "month", "year"]


@dataclass(frozen=True, slots=True)
class DateSpan:
    """The days from ``start`` to ``end``, both included; ``grain`` is how exactly ``text`` said it."""

    start: date
    end: date
    grain: Grain
    text: str


Reading: TypeAlias = Callable[[re.Match[str], date], DateSpan]
"""From a match and the day of the anchor to a span; raises ValueError or OverflowError when there is no such day."""

Patterns: TypeAlias = tuple[tuple[re.Pattern[str], Reading], ...]

_LONGEST: Final = 20_000  # letters that are read: a date further on in a pasted file says little about the message
_MOST: Final = 32
_LANGUAGES: Final = ["de", "es", "fr", "it", "nl", "pt"]
_LONG_AGO: Final = timedelta(days=270)
_ONE_DAY: Final = timedelta(days=1)
_SEPTEMBER: Final = 9

_MONTHS: Final[Mapping[str, int]] = {
    **{calendar.month_name[number].lower(): number for number in range(1, 13)},
    **{calendar.month_abbr[number].lower(): number for number in range(1, 13)},
    "sept": _SEPTEMBER,
}
_WEEKDAYS: Final[Mapping[str, int]] = {calendar.day_name[number].lower(): number for number in range(7)}
_NUMBERS: Final[Mapping[str, int]] = {
    word: number
    for number, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
} | {"a": 1, "an": 1, "couple": 2, "few": 3, "several": 4}
_DAYS: Final[Mapping[str, int]] = {
    "the day before yesterday": -2,
    "yesterday": -1,
    "last night": -1,
    "today": 0,
    "tonight": 0,
    "this": 0,  # morning, afternoon, evening
    "tomorrow": 1,
    "the day after tomorrow": 2,
}
_LENGTHS: Final[Mapping[str, tuple[int, Grain]]] = {
    "day": (1, "day"),
    "week": (7, "week"),
    "weekend": (7, "week"),
    "month": (30, "month"),
    "year": (365, "year"),
}
_HINTS: Final = (
    *(name.lower() for name in calendar.month_name[1:]),
    *("sday", "nday", "iday", "rday", "today", "tonight", "tomorrow", "last night", "this "),
    *("ago", "week", "month", " year", " days"),
)
"""A text that holds none of these and no digit names no date; plain substrings, as a search for each is fastest."""
_DIGIT: Final = re.compile(r"\d")
_MONTH: Final = (
    r"(?P<month>january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b)\.?"
)
_DAY: Final = (
    r"(?:(?P<first>\d{1,2})(?:st|nd|rd|th)?\s?(?:-|\u2013|to|and)\s?)?(?P<day>\d{1,2})(?:st|nd|rd|th)?(?![\d:])"
)
_YEAR: Final = r"(?P<year>(?:19|20)\d\d)(?!\d)"
_WEEKDAY: Final = r"(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
_COUNT: Final = rf"(?P<count>\d{{1,3}}|an?|{'|'.join(list(_NUMBERS)[1:13])}|(?:a )?(?:couple(?: of)?|few)|several)"
_VERB: Final = re.compile(r"\d[\w\s-]*?\s(?:may|march)|(?:may|march)\s(?:the\s)?\d+(?:st|nd|rd|th)?")  # *3 may fail*
_UNIT: Final = r"(?P<unit>day|week|weekend|month|year)"


def spans(text: str, anchor: datetime) -> list[DateSpan]:
    """The dates that a text names, in order, without overlaps; empty when there are none.

    Of a long text the first 20,000 letters are read, and at most 32 dates are given. Never raises.
    """
    text = text[:_LONGEST]
    lowered = text.lower()
    digits = _DIGIT.search(lowered) is not None
    if not digits and not any(map(lowered.__contains__, _HINTS)):
        return []
    found: list[tuple[int, int, DateSpan]] = []
    patterns = _WITH_DIGITS + _IN_WORDS if digits else _IN_WORDS
    for start, end, span in sorted(_matches(patterns, lowered, anchor.date()), key=lambda match: (match[0], -match[1])):
        if not found or start >= found[-1][1]:
            found.append((start, end, span))
    written = text if len(text) == len(lowered) else lowered  # a few letters are longer in lower case
    named = [replace(span, text=written[start:end]) for start, end, span in _joined(lowered, found[:_MOST])]
    return [span for span in named if not _VERB.fullmatch(span.text)]


def _matches(patterns: Patterns, text: str, today: date) -> Iterator[tuple[int, int, DateSpan]]:
    for pattern, reading in patterns:
        for match in islice(pattern.finditer(text), _MOST):
            try:
                span = reading(match, today)
                start, span = _shifted(text, match.start(), span)
            except (ValueError, OverflowError):  # 31 June, the year 10000
                continue
            yield start, match.end(), span


# -- building spans ---------------------------------------------------------------------------------------------------


def _day(day: date, last: date | None = None) -> DateSpan:
    return DateSpan(day, last or day, "day", "")


def _week(day: date) -> DateSpan:
    monday = day - day.weekday() * _ONE_DAY
    return DateSpan(monday, monday + 6 * _ONE_DAY, "week", "")


def _month(year: int, month: int) -> DateSpan:
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return DateSpan(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]), "month", "")


def _year(year: int) -> DateSpan:
    return DateSpan(date(year, 1, 1), date(year, 12, 31), "year", "")


def _weekend(day: date) -> DateSpan:
    saturday = _week(day).start + 5 * _ONE_DAY
    return _day(saturday, saturday + _ONE_DAY)


def _unit(unit: str, today: date, steps: int) -> DateSpan:
    """The day, week, weekend, month or year so many steps from the one of today."""
    if unit == "day":
        return _day(today + steps * _ONE_DAY)
    if unit == "month":
        return _month(today.year, today.month + steps)
    if unit == "year":
        return _year(today.year + steps)
    there = today + 7 * steps * _ONE_DAY
    return _week(there) if unit == "week" else _weekend(there)


def _recent_year(build: Callable[[int], DateSpan], today: date) -> DateSpan:
    """The last such span, or the next one when the last is long ago."""
    last = build(today.year)
    if last.start > today:
        last = build(today.year - 1)
    return last if today - last.end <= _LONG_AGO else build(last.start.year + 1)


# -- readings ---------------------------------------------------------------------------------------------------------


def _iso(match: re.Match[str], _today: date) -> DateSpan:
    return _day(date(*map(int, match.groups())))


def _numeric(match: re.Match[str], _today: date) -> DateSpan:
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    month_first = match[2] == "/" and first <= 12  # noqa: PLR2004 - months in a year
    return _day(date(year, first, second) if month_first else date(year, second, first))


def _calendar_day(match: re.Match[str], today: date) -> DateSpan:
    month, last = _MONTHS[match["month"]], int(match["day"])
    first = min(int(match["first"] or last), last)

    def build(year: int) -> DateSpan:
        return _day(date(year, month, first), date(year, month, last))

    return build(int(match["year"])) if match["year"] else _recent_year(build, today)


def _calendar_month(match: re.Match[str], today: date) -> DateSpan:
    month = _MONTHS[match["month"]]
    said = match.groupdict()
    if said.get("year"):
        return _month(int(said["year"]), month)
    if said["which"] in ("last", "past", "previous"):
        return _month(today.year - (month >= today.month), month)
    if said["which"] in ("next", "coming"):
        return _month(today.year + (month <= today.month), month)
    return _recent_year(lambda year: _month(year, month), today)


def _calendar_year(match: re.Match[str], _today: date) -> DateSpan:
    return _year(int(match["year"]))


def _near_day(match: re.Match[str], today: date) -> DateSpan:
    return _day(today + _DAYS[match["near"]] * _ONE_DAY)


def _weekday(match: re.Match[str], today: date) -> DateSpan:
    wanted = _WEEKDAYS[match["weekday"]]
    ahead = (wanted - today.weekday()) % 7
    if match["which"] == "next":
        return _day(_week(today + 7 * _ONE_DAY).start + wanted * _ONE_DAY)
    if match["which"] in ("this", "coming"):
        return _day(today + ahead * _ONE_DAY)
    return _day(today + (ahead - 7) * _ONE_DAY)


def _named_unit(match: re.Match[str], today: date) -> DateSpan:
    which, unit = match["which"], match["unit"]
    if which == "past":
        return _up_to(today, unit, 1)
    return _unit(unit, today, {"next": 1, "coming": 1, "this": 0}.get(which, -1))


def _ago(match: re.Match[str], today: date) -> DateSpan:
    """So many units ago, or ahead; a number of weeks is only about right, so it means the days around."""
    count, unit = _number(match["count"]), match["unit"]
    steps = -count if match["ago"] else count
    if unit == "week":
        middle = today + 7 * steps * _ONE_DAY
        return DateSpan(middle - 3 * _ONE_DAY, middle + 3 * _ONE_DAY, "week", "")
    return _unit(unit, today, steps)


def _lately(match: re.Match[str], today: date) -> DateSpan:
    return _up_to(today, match["unit"], _number(match["count"]))


def _up_to(today: date, unit: str, count: int) -> DateSpan:
    """The last so many units, up to today."""
    days, grain = _LENGTHS[unit]
    return DateSpan(today - days * count * _ONE_DAY, today, grain, "")


def _foreign(match: re.Match[str], _today: date) -> DateSpan:
    day = _parsed(match[0])
    if day is None:
        raise ValueError(match[0])
    return _day(day)


@lru_cache(maxsize=1024)
def _parsed(fragment: str) -> date | None:
    """A day, month and year in one of `_LANGUAGES`; the library is loaded by the first text that needs it."""
    import dateparser  # noqa: PLC0415 - 0.3 s and 20 MiB that most rooms never need

    moment = dateparser.parse(fragment, languages=_LANGUAGES, settings={"STRICT_PARSING": True})
    return None if moment is None else moment.date()


def _number(count: str) -> int:
    word = count.removeprefix("a ").removesuffix(" of")
    return int(word) if word.isdecimal() else _NUMBERS[word]


_WHICH: Final = r"(?:(?P<which>last|past|previous|this|next|coming)\s+)"
_OTHER_MONTH: Final = (  # how months begin in the other languages: nothing else is worth the library's time
    r"(?:ene|jan|gen|f[e\u00e9]v|feb|m[a\u00e4]r|maa|mrt|abr|avr|apr|mai|mag|may|mei|jun|jui|giu|jul|lug|ago|ao[u\u00fb]|aug"
    r"|set|sep|ott|oct|out|okt|nov|d[e\u00e9]c|dez|dic)[^\W\d_]{0,8}"
)
_PREPOSITION: Final = r"(?:in|since|until|during|by|early|late|mid)[\s-]"


def _compiled(*table: tuple[str, Reading]) -> Patterns:
    return tuple((re.compile(r"(?<![\w/-])" + pattern), reading) for pattern, reading in table)


_WITH_DIGITS: Final = _compiled(
    (r"(\d{4})-(\d\d)-(\d\d)(?!\d)", _iso),
    (r"(\d{1,2})([/.])(\d{1,2})\2((?:19|20)\d\d)(?!\d)", _numeric),
    (rf"{_DAY}\s+(?:of\s+)?{_MONTH}(?!\w)(?:,?\s+{_YEAR})?", _calendar_day),
    (rf"{_MONTH}\s+(?:the\s+)?{_DAY}(?:,?\s+{_YEAR})?", _calendar_day),
    (rf"(?:{_PREPOSITION})?{_WHICH}?{_MONTH},?\s+(?:of\s+)?{_YEAR}", _calendar_month),
    (r"(?:in|since|during|of|until|by|from|before|after|early|late|mid|year)[\s-]" + _YEAR + r"(?!s)", _calendar_year),
    (rf"\d{{1,2}}\.?\s+(?:de\s+)?{_OTHER_MONTH}\.?\s+(?:del?\s+)?(?:19|20)\d\d(?!\d)", _foreign),
)
_IN_WORDS: Final = _compiled(
    (rf"(?:{_PREPOSITION}|{_WHICH}){_MONTH}(?!\w|,?\s+\d)", _calendar_month),
    (
        r"(?P<which>)(?P<month>january|february|april|june|july|august|september|october|november|december)\b",
        _calendar_month,
    ),
    (
        r"(?P<near>the day before yesterday|the day after tomorrow|yesterday|today|tonight|tomorrow|last night)\b",
        _near_day,
    ),
    (r"(?P<near>this)\s+(?:morning|afternoon|evening)\b", _near_day),
    (rf"(?:this\s+(?=past))?{_WHICH}?{_WEEKDAY}\b", _weekday),
    (rf"(?:this\s+(?=past))?{_WHICH}{_UNIT}\b", _named_unit),
    (rf"{_COUNT}\s+{_UNIT}s?\s+(?P<ago>ago|back|earlier)\b", _ago),
    (rf"in\s+{_COUNT}\s+{_UNIT}s?(?P<ago>)\b", _ago),
    (rf"(?:last|past)\s+{_COUNT}\s+{_UNIT}s?\b", _lately),
)

# -- dates that lean on another one -----------------------------------------------------------------------------------

_SHIFT: Final = re.compile(
    rf"(?:the\s+|last\s+)?(?:{_COUNT}\s+)?(?:{_UNIT}|{_WEEKDAY})s?\s+"
    r"(?P<way>before|after|prior to|following|of)\s+(?:the\s+)?$"
)
_SHIFT_REACH: Final = 40
_FROM: Final = re.compile(r"\b(?:between|from)\s+(?:the\s+)?$")
_HAS_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_TO: Final = re.compile(r"\s*(?:-|\u2013|to|until|till|through|and)\s+(?:the\s+)?$")


def _shifted(text: str, start: int, span: DateSpan) -> tuple[int, DateSpan]:
    """*the week before 4 July*, *the Friday after*, *two days before*: where it begins and what it means."""
    match = _SHIFT.search(text[max(0, start - _SHIFT_REACH) : start])
    if match is None or span.grain in ("month", "year"):
        return start, span
    begin = max(0, start - _SHIFT_REACH) + match.start()
    count = _number(match["count"] or "one")
    earlier = match["way"] in ("before", "prior to")
    if match["way"] == "of":
        around = {"week": _week, "weekend": _weekend}.get(match["unit"] or "")
        return (begin, around(span.start)) if around else (start, span)
    if match["weekday"]:
        gap = (span.start.weekday() - _WEEKDAYS[match["weekday"]]) % 7 or 7
        return begin, _day(span.start - gap * _ONE_DAY if earlier else span.start + (7 - gap or 7) * _ONE_DAY)
    return begin, _beside(match["unit"], count, span, earlier=earlier)


def _beside(unit: str, count: int, span: DateSpan, *, earlier: bool) -> DateSpan:
    """So many units before or after a span; one week before means the seven days before."""
    if unit == "week" and count == 1:
        first = span.start - 7 * _ONE_DAY if earlier else span.end + _ONE_DAY
        return DateSpan(first, first + 6 * _ONE_DAY, "week", "")
    if unit == "weekend":
        return _weekend(_week(span.start).start - _ONE_DAY if earlier else span.end + 2 * _ONE_DAY)
    return _unit(unit, span.start, -count if earlier else count)


def _joined(text: str, found: list[tuple[int, int, DateSpan]]) -> list[tuple[int, int, DateSpan]]:
    """*between 3 May and 5 May 2023* as one span; the first day takes the year of the second."""
    joined: list[tuple[int, int, DateSpan]] = []
    for start, end, span in found:
        if joined and span.grain == joined[-1][2].grain == "day" and _TO.fullmatch(text[joined[-1][1] : start]):
            begin, _, before = joined[-1]
            first = _same_year(before.start, span.start)
            whole = _FROM.search(text[:begin][-_SHIFT_REACH:]) or text[joined[-1][1] : start].strip() != "and"
            if first <= span.start and not _HAS_YEAR.search(text, begin, joined[-1][1]):
                before = replace(before, start=first, end=_same_year(before.end, span.start))
                joined[-1] = (begin, joined[-1][1], before)
            if whole and before.start <= span.end:
                joined[-1] = (begin, end, DateSpan(before.start, span.end, "day", ""))
                continue
        joined.append((start, end, span))
    return joined


def _same_year(day: date, other: date) -> date:
    try:
        return day.replace(year=other.year)
    except ValueError:  # 29 February
        return day
