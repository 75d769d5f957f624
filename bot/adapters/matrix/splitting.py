"""Where a page that is too long is cut: after a paragraph, else after a sentence, else after a word. Pure."""

from __future__ import annotations

import re
from typing import Final

from bot.pages import Line, Page, Span

_SENTENCE: Final = re.compile(r"[.!?…][\"')\]\u201d\u2019»]*\s")
_WORD: Final = re.compile(r"\s")
_ENOUGH: Final = 0.5  # of the room that there is: a cut before that would waste more than it tidies


def size(text: str) -> int:
    """Bytes of a text as it travels."""
    return len(text.encode())


def cut(shown: Page, limit: int) -> Page:
    """The beginning of a page, at most ``limit`` bytes of plain text; the whole page when it fits."""
    kept: list[Line] = []
    used = 0
    for one in shown:
        words = "".join(text for _, text in one)
        needed = size(words) + 1
        if used + needed > limit:
            if used < limit * _ENOUGH:
                kept.append(_shorter(one, limit - used - 1))
                return tuple(kept)
            return _at_paragraph(kept, limit)
        kept.append(one)
        used += needed
    return shown


def _at_paragraph(lines: list[Line], limit: int) -> Page:
    """Without what comes after the last empty line, when enough is left."""
    used = 0
    end = len(lines)
    for at, one in enumerate(lines):
        words = "".join(text for _, text in one)
        used += size(words) + 1
        if not words.strip() and used >= limit * _ENOUGH:
            end = at
    return tuple(lines[:end])


def _shorter(one: Line, limit: int) -> Line:
    """A line cut to ``limit`` bytes, its styles kept."""
    words = "".join(text for _, text in one)
    fitting = words.encode()[: max(0, limit)].decode(errors="ignore")
    ends = [found.end() for found in _SENTENCE.finditer(fitting)] or [found.end() for found in _WORD.finditer(fitting)]
    if ends and ends[-1] >= len(fitting) * _ENOUGH:
        fitting = fitting[: ends[-1]].rstrip()
    spans: list[Span] = []
    left = len(fitting)
    for style, text in one:
        if left <= 0:
            break
        spans.append((style, text[:left]))
        left -= len(text)
    return tuple(spans)
