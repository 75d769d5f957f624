"""A page as Discord's Markdown. Pure.

People's words are escaped, so that they cannot format, mention or link; addresses in them stand in angle brackets,
which keeps them whole and without a preview. Small lines (how sure, by which route, how to react) are subtext. A
source's mark links to its message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bot.adapters.discord.ids import is_message, link
from bot.adapters.discord.splitting import FENCE, LONGEST, length, split
from bot.pages import BAD, CODE, FAINT, GOOD, HEAD, MARK, STRONG, Line, Page

AT_MOST: Final = 2
"""Messages of one answer; what is longer goes into a file."""
MORE: Final = "-# … the rest stands in the file"
SMALL: Final = frozenset({FAINT, GOOD, BAD, CODE})
_URL: Final = re.compile(r"https?://[^\s<>]+[^\s<>.,;:!?\"')\]}*_~]")
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>|~])")
_LINE_START: Final = re.compile(r"^(\s*)(#{1,3}\s|-#|[-+]\s|>)", re.MULTILINE)
_NUMBERED: Final = re.compile(r"^(\s*\d+)([.)]\s)", re.MULTILINE)
_COLUMNS: Final = re.compile(r"\S {2,}\S")
_WRAPS: Final = {STRONG: "**", HEAD: "**", GOOD: "**", BAD: "**"}
_SOURCE: Final = re.compile(r"\[(\d{1,3})\] ?")
_BARE: Final = re.compile(r"[\[\]\\`<>]")


def messages(page: Page, *, team: str, sources: Sequence[str] = (), longest: int = LONGEST) -> tuple[list[str], bool]:
    """The texts of at most two messages, and whether they hold the whole page."""
    text = markdown(page, team=team, sources=sources)
    pieces = split(text, longest)
    if len(pieces) <= AT_MOST:
        return pieces, True
    first = pieces[0]
    rest = text[len(first) :] if text.startswith(first) else "\n".join(pieces[1:])
    second = split(rest, longest - length(MORE) - 1)[0]
    return [first, f"{second}\n{MORE}"], False


def markdown(page: Page, *, team: str, sources: Sequence[str] = ()) -> str:
    """The page as one text; ``sources`` are the event ids of the messages that the marks [1], [2] … refer to."""
    lines: list[str] = []
    for at, one in enumerate(page):
        laid = _in_columns(page, at)
        if laid != _in_columns(page, at - 1):
            lines.append(FENCE)
        lines.append(_plain(one) if laid else _line(one, team, sources))
    if _in_columns(page, len(page) - 1):
        lines.append(FENCE)
    return "\n".join(lines).strip("\n")


def escape(text: str) -> str:
    """Somebody's words, so that Discord shows them as they are."""
    parts: list[str] = []
    end = 0
    for found in _URL.finditer(text):
        parts += [_escaped(text[end : found.start()]), f"<{found[0]}>"]
        end = found.end()
    return "".join([*parts, _escaped(text[end:])])


def _escaped(text: str) -> str:
    text = _MARKUP.sub(r"\\\1", text)
    text = _LINE_START.sub(lambda found: f"{found[1]}\\{found[2]}", text)
    return _NUMBERED.sub(r"\1\\\2", text)


def _line(one: Line, team: str, sources: Sequence[str]) -> str:
    marked = _SOURCE.fullmatch(one[0][1]) if one and one[0][0] == MARK else None
    if marked is not None and len(one) > 1:
        return _source(int(marked[1]), one, team, sources)
    if _is_small(one):
        return "-# " + "".join(_styled(style if style != FAINT else "", text) for style, text in one).lstrip()
    return "".join(_styled(style, text) for style, text in one)


def _source(number: int, one: Line, team: str, sources: Sequence[str]) -> str:
    """``1. [Ana, 12 May](<link>) — “quote”``: who and when are the link."""
    who, rest = one[1], list(one[2:])
    label = who[1]
    if rest and rest[0][0] == FAINT:
        when, dash, after = rest.pop(0)[1].partition(" — ")
        label += when
        rest.insert(0, ("", dash + after))
    tail = "".join(_styled(style, text) for style, text in rest)
    target = sources[number - 1] if number <= len(sources) else ""
    shown = _BARE.sub("", label)
    return f"{number}. [{shown}](<{link(team, target)}>){tail}" if is_message(target) else f"{number}. {shown}{tail}"


def _is_small(one: Line) -> bool:
    """Whether a line is an aside: nothing in it but faint words, what to type, and how sure."""
    styles = [style for style, text in one if text.strip()]
    return bool(styles) and styles[0] != CODE and FAINT in styles and set(styles) <= SMALL


def _styled(style: str, text: str) -> str:
    if style == CODE:
        return "`" + text.replace("`", "'") + "`" if text.strip() else text
    body, wrap = escape(text), _WRAPS.get(style, "")
    inner = body.strip()
    return body.replace(inner, f"{wrap}{inner}{wrap}", 1) if wrap and inner else body


def _plain(one: Line) -> str:
    return "".join(text for _, text in one).replace("`", "'")


def _in_columns(page: Page, at: int) -> bool:
    """Whether a line and one beside it are laid out in columns by spaces; letters there must be of one width."""

    def spaced(index: int) -> bool:
        return 0 <= index < len(page) and _COLUMNS.search("".join(text for _, text in page[index])) is not None

    return spaced(at) and (spaced(at - 1) or spaced(at + 1))
