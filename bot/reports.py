"""The numbers of rooms and the weekly digest as pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final

from bot import dates
from bot.pages import BAD, FAINT, GOOD, HEAD, Line, Page, count, line, one_line, page
from bot.render import hint_line, table
from memory.models import DeadLetter, QueueReport, WorkKind
from memory.ports import SharedCache
from memory.reflection.queue import Depth
from routing.digest import Digest
from routing.digest import Line as Item
from routing.evidence_cache import Counts
from routing.statistics import RouteStats, Stats

WIDE: Final = 64  # characters of a line of the digest
CELLS: Final = 10
_BAR: Final = " ▏▎▍▌▋▊▉"  # eighths of a cell
_SPARK: Final = "▁▂▃▄▅▆▇█"
CHANGED: Final = 0.02  # of a mean reward: less is not worth a word


def stats_page(stats: Stats) -> Page:
    """What is remembered, then per route: decisions, votes, mean reward with its interval, this week's change."""
    held = f"{count(stats.messages, 'message')} of {count(stats.people, 'person')}"
    known = (count(stats.memories, "memory"), count(stats.entities, "entity"), count(stats.relations, "relation"))
    lines = page(
        f"{held} in {count(stats.sessions, 'conversation')}",
        ", ".join(known),
        f"{count(stats.answers, 'answer')}, {count(stats.votes, 'vote')}",
    )
    if stats.memories_by_kind:
        lines = (*lines, line((FAINT, ", ".join(f"{n:,} {kind}" for kind, n in stats.memories_by_kind.items()))))
    lines = (*lines, *_waiting(stats.reflection))
    if not stats.routes:
        return lines
    head = ("route", "decisions", "votes", "evidence", "reward", "95 % interval", "this week")
    shown = (*lines, line(), *table([_route_row(route) for route in stats.routes], head=head))
    rated = [route for route in stats.routes if route.votes and math.isfinite(route.mean)]
    if not rated:
        return shown
    width = max(len(route.route) for route in rated)
    charts = [
        line(route.route.ljust(width) + "  ", (GOOD, bar(route.mean)), f"  {spark(route.trend)}") for route in rated
    ]
    return (*shown, line(), line((HEAD, "reward, from the oldest rated answers to the newest")), *charts)


def queue_page(kind: WorkKind, report: QueueReport) -> Page:
    """The queue of one kind of work."""
    if report.away:
        held = line(
            (BAD, f"the queue ({kind.value}) does not answer"), f": {report.away}; the database is used instead"
        )
    else:
        since = f", the oldest for {report.oldest:,.0f} s" if report.oldest is not None else ""
        dead = (BAD if report.dead else FAINT, f", {count(report.dead, 'dead letter')}")
        held = line(f"{count(report.depth, 'item')} in the queue ({kind.value}){since}", dead)
    rates = (
        f"{report.published_per_second:,.1f} a second published, {report.done_per_second:,.1f} done,"
        f" {report.failed_per_second:,.1f} failed"
    )
    return (held, line(f"{report.unpublished:,} not published yet; {rates} by this process in the last minute"))


def dead_page(dead: Sequence[DeadLetter]) -> Page:
    """A line for each message that was given up, and how to bring them back."""
    if not dead:
        return page("no message was given up")
    lines = []
    for one in dead:
        place = f"{one.item.kind.value}: message {one.item.serial} in room {one.item.room}: "
        lines.append(line(place, (BAD, one.reason or "failed too often")))
    return (*lines, line((FAINT, "weavebot queue --retry-dead tries them again")))


def cache_page(counts: Counts, server: SharedCache | None) -> Page:
    """How often evidence was at hand since the start; empty when nobody has asked."""
    lines = []
    if counts.asked:
        found = f"evidence at hand for {counts.rate:.0%} of {count(counts.asked, 'look')} since the start"
        shared = f" ({counts.own:,} here, {counts.shared:,} in Redis)" if server is not None else ""
        lines.append(line(found + shared))
    return tuple(lines)


def passed_page(passed: Mapping[str, int]) -> Page:
    """Events that this version does not know, since the start; empty without any."""
    if not passed:
        return ()
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(passed.items()))
    return (line((BAD, "passed over, of kinds that this version does not know"), f": {kinds}"),)


def stores_page(stores: Mapping[str, str]) -> Page:
    """A line for each server that is left alone after a failure (`bot.shapes.stores_object`)."""
    away = [name for name, state in stores.items() if state != "well"]
    return tuple(line((BAD, f"{name} does not answer and is left alone for some seconds")) for name in away)


def _waiting(depth: Depth) -> Page:
    """What waits to have memories derived from it, when something does."""
    if not depth.waiting and not depth.failed:
        return ()
    age = "" if depth.oldest is None else f", the oldest for {round(depth.oldest.total_seconds())} s"
    failed = f", {depth.failed:,} failed" if depth.failed else ""
    return page(f"{depth.waiting:,} wait to be reflected on{age}{failed}")


def bar(share: float) -> str:
    """A share of 1 as ten cells: ``███████▌░░``."""
    eighths = round(min(max(share, 0.0), 1.0) * len(_BAR) * CELLS)
    whole, rest = divmod(eighths, len(_BAR))
    return ("█" * whole + (_BAR[rest] if rest else "")).ljust(CELLS, "░")


def spark(means: Iterable[float]) -> str:
    """Means in [0, 1] as one small column each: ``▂▄▆▇``."""
    return "".join(_SPARK[min(int(mean * len(_SPARK)), len(_SPARK) - 1)] for mean in means)


def digest_page(digest: Digest, *, zone: tzinfo, prefix: str, language: str = "en") -> Page:
    """A room's week, readable in half a minute; empty sections are left out."""
    week = dates.span(digest.since, digest.until, zone=zone, language=language)
    title = line((HEAD, f"This week in {digest.room}"), (FAINT, f" · {week} · {_counts(digest)}"))
    sections = (
        ("⭐ Starred", _items(digest.starred, zone, language)),
        ("👍 Helped", _items(digest.helped, zone, language)),
        ("❓ Open", _items(digest.open_questions, zone, language, now=digest.until)),
        ("💬 Asked", _items(digest.asked, zone, language)),
        ("📈 Routes", [_route_words(route) for route in digest.routes if route.recent or route.change]),
    )
    lines: list[Line] = [title]
    for name, items in sections:
        if items:
            lines += [line((HEAD, name)), *items]
    if len(lines) == 1:
        lines.append(line("A quiet week: nothing was asked, starred or left open."))
    return (*lines, hint_line(f"`{prefix} digest off` stops this · people who opted out are not quoted"))


def _counts(digest: Digest) -> str:
    said = f"{count(digest.messages, 'message')}, {count(digest.people, 'person')}"
    if not digest.answers:
        return said
    return f"{said} · {count(digest.answers, 'answer')}, 👍 {digest.liked} 👎 {digest.disliked}"


def _items(items: Iterable[Item], zone: tzinfo, language: str, *, now: datetime | None = None) -> list[Line]:
    lines = []
    for item in items:
        when = dates.ago(item.at, now=now) if now else dates.hour(item.at, zone=zone, language=language)
        who = f"{item.author}, {when}" if item.author else when
        lines.append(line("  ", one_line(item.text, WIDE), (FAINT, f"  ({who})")))
    return lines


def _route_words(route: RouteStats) -> Line:
    sure = (
        f"reward {_number(route.mean)} ({_number(route.low)} to {_number(route.high)})" if route.votes else "no votes"
    )
    change, style = _change(route)
    return line(f"  {route.route}: {count(route.recent, 'answer')} this week, {sure} ", (style, change))


def _route_row(route: RouteStats) -> tuple[str, ...]:
    interval = f"{_number(route.low)} to {_number(route.high)}" if route.votes else ""
    return (
        route.route,
        f"{route.decisions:,}",
        f"{route.votes:,}",
        f"{route.evidence:.1f}",
        _number(route.mean) if route.votes else "",
        interval,
        _change(route)[0],
    )


def _change(route: RouteStats) -> tuple[str, str]:
    """How the mean reward moved this week, in words and a style."""
    if route.change is None or not math.isfinite(route.change):
        return "", FAINT
    if abs(route.change) < CHANGED:
        return "steady", FAINT
    return f"{route.change:+.2f}", GOOD if route.change > 0 else BAD


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "?"
