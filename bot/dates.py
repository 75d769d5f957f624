"""Dates in the words of people: in a room's own timezone and language, as short as the distance allows."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from babel.dates import format_datetime

WEEK = timedelta(days=7)


def short(at: datetime, *, now: datetime, zone: tzinfo, language: str = "en") -> str:
    """``Tue 12 May 16:04``; with the year when it is not this one."""
    there, today = at.astimezone(zone), now.astimezone(zone)
    return _said(there, "EEE d MMM HH:mm" if there.year == today.year else "EEE d MMM y", language)


def day(at: datetime, *, zone: tzinfo, language: str = "en") -> str:
    """``12 May 2026``."""
    return _said(at.astimezone(zone), "d MMM y", language)


def hour(at: datetime, *, zone: tzinfo, language: str = "en") -> str:
    """``Tue 16:04``: a moment of this week."""
    return _said(at.astimezone(zone), "EEE HH:mm", language)


def span(since: datetime, until: datetime, *, zone: tzinfo, language: str = "en") -> str:
    """``5-11 May 2026``, ``28 Apr - 4 May 2026``; ``until`` is the first moment that does not count."""
    first, last = since.astimezone(zone), (until - timedelta(microseconds=1)).astimezone(zone)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}-{_said(last, 'd MMM y', language)}"
    return f"{_said(first, 'd MMM', language)} - {_said(last, 'd MMM y', language)}"


def ago(at: datetime, *, now: datetime) -> str:
    """``3 days ago``, ``just now``."""
    seconds = (now - at).total_seconds()
    for length, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // length)
        if count:
            return f"{count} {word}{'s' if count != 1 else ''} ago"
    return "just now"


def _said(at: datetime, pattern: str, language: str) -> str:
    return format_datetime(at, pattern, locale=language.replace("-", "_"))
