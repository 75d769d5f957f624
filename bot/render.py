"""An answer, a vote, a room's numbers as pages. Where the page is shown (terminal, Markdown) is decided later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from rich.cells import cell_len

from bot import dates
from bot.pages import BAD, CODE, FAINT, GOOD, HEAD, MARK, STRONG, Line, Page, count, line, one_line, page
from routing import wording
from routing.models import Answer, Citation
from routing.routes import LEARNABLE
from routing.shuttle import VoteResult

QUOTE: Final = 160  # characters of a quote
REMINDER: Final = 48  # characters of a quote that stands in the answer's text already
SHOWN: Final = 3  # sources shown when the text refers to fewer
_MARKS: Final = re.compile(r"(\[\d{1,3}\])")


@dataclass(frozen=True, slots=True)
class View:
    """Whose eyes a page is for: the moment, the timezone, the command prefix, what can be done there."""

    now: datetime
    zone: tzinfo
    prefix: str = "!weave"
    hint: str = ""  # how to react there
    language: str = "en"  # of dates
    buttons: bool = False  # what is asked there is answered by a click


def answer_page(answer: Answer, view: View) -> Page:
    """The text with its marks, the sources, one small line on how sure and by which route, and how to react."""
    shown = _shown(answer)
    lines: list[Line] = [_marked(one) for one in answer.text.split("\n")]
    if shown:
        lines += [line(), *(source_line(number, one, view, told=answer.text) for number, one in enumerate(shown, 1))]
    lines += [line(), small_line(answer)]
    if answer.decision.solicited:
        lines.append(line("Did this answer it?" if view.buttons else "Did this answer it? One reaction helps."))
    if view.hint:
        lines.append(hint_line(view.hint))
    return tuple(lines)


def withdrawn_page(answer: Answer | None, prefix: str) -> Page:
    """What stands where an answer stood of which a source, or the question, was taken away."""
    words = "This answer is taken back: a message that it rested on, or its question, was deleted or changed."
    if answer is None or not answer.citations:
        return (line((FAINT, words)),)
    return (line((FAINT, words)), hint_line(f"Ask again with `{prefix}` for an answer from what is left."))


def vote_page(told: VoteResult, *, removed: bool = False) -> Page:
    """What a reaction did, in one quiet line."""
    if not told.known:
        return (hint_line(f"{told.emoji} says nothing about an answer; these do: `👍` `👎` `⭐`"),)
    if told.sources is not None:
        has = "has no sources" if not told.sources else f"has {count(told.sources, 'source')}"
        return (hint_line(f"That answer {has}, so {told.emoji} picks none."),)
    if not told.changed:
        return (hint_line(f"{told.emoji} was not there" if removed else f"{told.emoji} was already there"),)
    done = "taken back" if removed else "noted"
    if told.pick is not None:
        return (hint_line(f"{done}: source {told.pick} is the one"),)
    if told.route not in LEARNABLE:
        return (hint_line(f"{done}: {told.route} route, which is taken on request alone"),)
    return (hint_line(f"{done}: {told.route} route {told.before:.2f} → {told.after:.2f}"),)


def source_line(number: int, citation: Citation, view: View, *, told: str = "") -> Line:
    """``[1] Ana, Tue 12 May 16:04 - "let's ship Thursday instead"``; a quote that was ``told`` already is shortened."""
    when = dates.short(citation.sent_at, now=view.now, zone=view.zone, language=view.language)
    quote = citation.quote or citation.text
    quote = one_line(quote, REMINDER if quote in told else QUOTE)
    return line((MARK, f"[{number}] "), (STRONG, citation.author), (FAINT, f", {when} — "), f"\u201c{quote}\u201d")


def small_line(answer: Answer) -> Line:
    """How sure in words, the reason, the route, the number."""
    words, style = sure(answer)
    parts = [*answer.reasons[:1], f"{answer.decision.route} route", f"{answer.confidence:.2f}"]
    number = f"#{answer.serial} "
    return line((FAINT, number), (style, words), (FAINT, "".join(f" · {part}" for part in parts)))


def sure(answer: Answer) -> tuple[str, str]:
    """How sure the answer is, in words, and the style that shows it."""
    if answer.abstained:
        return wording.NOT_SURE, BAD
    said = wording.words(answer.confidence)
    return said, FAINT if said == wording.NOT_SURE else GOOD


def table(rows: Sequence[Sequence[str]], *, head: Sequence[str]) -> Page:
    """Columns of text, the first left-aligned and the others right, the head in bold."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def laid(row: Sequence[str]) -> str:
        first = row[0].ljust(widths[0])
        return "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])

    return page(line((HEAD, laid(head))), *(laid(row) for row in rows))


def facts(rows: Iterable[tuple[str, str]]) -> Page:
    """Names and values, one pair a line."""
    pairs = list(rows)
    width = max((len(name) for name, _ in pairs), default=0)
    return tuple(line((FAINT, name.ljust(width) + "  "), value) for name, value in pairs)


def typed(rows: Iterable[tuple[str, str]]) -> Page:
    """What can be typed, and what it does, one pair a line."""
    pairs = list(rows)
    width = max(cell_len(what) for what, _ in pairs)
    return tuple(line((CODE, what + " " * (width - cell_len(what))), (FAINT, f"  {words}")) for what, words in pairs)


def hint_line(*parts: str) -> Line:
    """Words with what to type between backquotes shown as code."""
    pieces = "".join(parts).split("`")
    return line(*((CODE if odd % 2 else FAINT, piece) for odd, piece in enumerate(pieces) if piece))


def _shown(answer: Answer) -> Sequence[Citation]:
    """The citations that the text refers to, and at least the first few."""
    marks = [int(mark[1:-1]) for mark in _MARKS.findall(answer.text)]
    return answer.citations[: max(SHOWN, *marks)] if marks else answer.citations[:SHOWN]


def _marked(text: str) -> Line:
    return line(*((MARK, part) if _MARKS.fullmatch(part) else part for part in _MARKS.split(text) if part))
