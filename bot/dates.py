"""Dates in the words of people: in a room's own timezone, as short as the distance allows."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

WEEK = timedelta(days=7)


def short(at: datetime, *, now: datetime, zone: tzinfo) -> str:
    """``Tue 12 May 16:04``; with the year when it is not this one."""
    there, today = at.astimezone(zone), now.astimezone(zone)
    day = f"{there:%a} {there.day} {there:%b}"
    return f"{day} {there:%H:%M}" if there.year == today.year else f"{day} {there.year}"


def day(at: datetime, *, zone: tzinfo) -> str:
    """``12 May 2026``."""
    there = at.astimezone(zone)
    return f"{there.day} {there:%b %Y}"


def span(since: datetime, until: datetime, *, zone: tzinfo) -> str:
    """``5-11 May``, ``28 Apr - 4 May``; ``until`` is the first moment that does not count."""
    first, last = since.astimezone(zone), (until - timedelta(microseconds=1)).astimezone(zone)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}-{last.day} {last:%b %Y}"
    return f"{first.day} {first:%b} - {last.day} {last:%b %Y}"


def ago(at: datetime, *, now: datetime) -> str:
    """``3 days ago``, ``just now``."""
    seconds = (now - at).total_seconds()
    for length, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // length)
        if count:
            return f"{count} {word}{'s' if count != 1 else ''} ago"
    return "just now"
