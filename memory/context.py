"""Evidence as a text within a token budget, in time order, with speaker and date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, tzinfo

from memory.models import Context, Message

_ELLIPSIS = " …"
_SHORTEST_LINE = 4  # tokens: a name, a colon, a word
_SHORTEST_CUT = 24  # tokens: less of a message than this is not worth its line


def build(
    ranked: Sequence[Message],
    budget: int,
    count: Callable[[str], int],
    known: Mapping[int, int] | None = None,
    zone: tzinfo = UTC,
) -> Context:
    """The best messages that fit into ``budget`` tokens, best first chosen, in time order told.

    A day is told once, as a line of its own, so that a message costs its text and its author's name. A message that
    alone is longer than what is left is cut at a word and marked; the last line says how many were left out. ``count``
    counts the tokens of a text; counts of lines add up, as they do for word pieces. ``known`` holds the tokens of
    messages' texts that need no counting, by serial; days are those of ``zone``.
    """
    sizes = known or {}
    names: dict[str, int] = {}

    def cost_of(message: Message, line: str) -> int:
        size = sizes.get(message.serial)
        if size is None:
            return count(line)
        if message.author_name not in names:
            names[message.author_name] = count(f"{message.author_name}:")
        return names[message.author_name] + size

    left_out_line = "(… {} more left out)"
    left = budget - count(left_out_line.format(len(ranked)))
    chosen: list[tuple[Message, str]] = []
    days: set[date] = set()
    for message in ranked:
        if left < _SHORTEST_LINE:
            break
        day = message.sent_at.astimezone(zone).date()
        heading = 0 if day in days else count(_heading(day))
        line = _line(message)
        cost = cost_of(message, line) + heading
        if cost > left:
            line = _cut(line, left - heading, count)
            cost = count(line) + heading if line else 0
        if line and cost <= left:
            left -= cost
            days.add(day)
            chosen.append((message, line))
    text = _told(chosen, zone)
    missing = len(ranked) - len(chosen)
    if missing and chosen:
        text += "\n" + left_out_line.format(missing)
    return Context(text, count(text), tuple(message.serial for message, _ in chosen), missing)


def _told(chosen: Sequence[tuple[Message, str]], zone: tzinfo) -> str:
    lines: list[str] = []
    day: date | None = None
    for message, line in sorted(chosen, key=lambda pair: (pair[0].sent_at, pair[0].serial)):
        there = message.sent_at.astimezone(zone).date()
        if there != day:
            day = there
            lines.append(_heading(day))
        lines.append(line)
    return "\n".join(lines)


def _heading(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"


def _line(message: Message) -> str:
    return f"{message.author_name}: {' '.join(message.text.split())}"


def _cut(line: str, budget: int, count: Callable[[str], int]) -> str:
    """The longest run of leading words within the budget, by bisection; empty when it would be a stump."""
    if budget < _SHORTEST_CUT:
        return ""
    words = line.split(" ")
    low, high = 0, min(len(words), budget)  # a word is one token or more
    while low < high:
        middle = (low + high + 1) // 2
        if count(" ".join(words[:middle]) + _ELLIPSIS) <= budget:
            low = middle
        else:
            high = middle - 1
    return " ".join(words[:low]) + _ELLIPSIS if low > 1 else ""
