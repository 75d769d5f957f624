"""A page: text in lines of styled spans, the one form between what we say and where it is shown.

A page is JSON-able (it travels over the owner's socket) and turns into plain text, Markdown, or a terminal's colours
(``bot.terminal``). A style is a word about meaning, never a colour.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

Span: TypeAlias = tuple[str, str]
Line: TypeAlias = tuple[Span, ...]
Page: TypeAlias = tuple[Line, ...]

PLAIN: Final = ""
STRONG: Final = "strong"
HEAD: Final = "head"
FAINT: Final = "faint"
GOOD: Final = "good"
BAD: Final = "bad"
MARK: Final = "mark"  # the number of a citation
CODE: Final = "code"  # something to type

# Control characters could steer a terminal, and direction overrides could make a quote read as something else.
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>#|~])")
_COLUMNS: Final = re.compile(r"\S {2,}\S")
_TAGS: Final = {STRONG: "strong", HEAD: "strong", GOOD: "strong", BAD: "strong", FAINT: "em", CODE: "code"}
_WRAPS: Final = {STRONG: "**", HEAD: "**", GOOD: "**", BAD: "**", MARK: "", FAINT: "_"}


def line(*parts: str | Span) -> Line:
    """A line of plain strings and styled spans, made safe to show."""
    return tuple((PLAIN, safe(part)) if isinstance(part, str) else (part[0], safe(part[1])) for part in parts)


def page(*lines: Line | str) -> Page:
    """A page of lines; a string is a plain line."""
    return tuple(line(one) if isinstance(one, str) else one for one in lines)


def paragraphs(text: str, style: str = PLAIN) -> Page:
    """A longer text as lines of one style."""
    return tuple(line((style, one)) for one in text.split("\n"))


def safe(text: str) -> str:
    """The text without what could steer a terminal or turn the reading direction; line ends and tabs stay."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str, limit: int) -> str:
    """The text on one line, cut at a word near ``limit`` characters."""
    flat = " ".join(safe(text).split())
    if len(flat) <= limit:
        return flat
    cut = flat[: limit - 1]
    word = cut.rsplit(" ", 1)[0]
    return (word if len(word) > limit // 2 else cut) + "…"


def count(number: int, thing: str) -> str:
    """``1 message``, ``2,000 messages``; ``people`` is the plural of ``person``."""
    plural = "people" if thing == "person" else f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def sentence(words: str) -> str:
    """The words as a sentence: a capital first, a full stop at the end."""
    ends = words[-1:] in ".!?…)"
    return words[:1].upper() + words[1:] + ("" if ends else ".")


def plain(shown: Iterable[Sequence[Sequence[str]]]) -> str:
    """The page as text alone; also for a page that came over the socket as lists."""
    return "\n".join("".join(text for _, text in spans) for spans in shown)


def markdown(shown: Iterable[Sequence[Sequence[str]]]) -> str:
    """The page as Markdown: people's words are escaped, so that they cannot format or link."""
    return "\n".join("".join(_marked(style, text) for style, text in spans) for spans in shown)


def _marked(style: str, text: str) -> str:
    if style == CODE:
        return "`" + text.replace("`", "'") + "`"
    body = _MARKDOWN.sub(r"\\\1", text)
    wrap = _WRAPS.get(style, "")
    inner = body.strip()
    return body.replace(inner, f"{wrap}{inner}{wrap}", 1) if wrap and inner else body


def page_html(shown: Sequence[Sequence[Sequence[str]]], links: Mapping[str, str] = MappingProxyType({})) -> str:
    """The page in the few tags of HTML that chat clients show; people's words are escaped.

    ``links`` are addresses of marks: ``[1]`` leads there. Lines that are laid out in columns by spaces stand as they
    are typed: HTML would draw the columns together.
    """
    blocks: list[tuple[bool, list[str]]] = []
    for at, spans in enumerate(shown):
        laid = _in_columns(shown, at)
        if not blocks or blocks[-1][0] != laid:
            blocks.append((laid, []))
        shown_as = [(style if style == MARK or not laid else PLAIN, text) for style, text in spans]
        blocks[-1][1].append("".join(_tagged(style, text, links) for style, text in shown_as))
    return "".join(
        f"<pre><code>{chr(10).join(lines)}</code></pre>" if laid else "<br>".join(lines) for laid, lines in blocks
    )


def _in_columns(shown: Sequence[Sequence[Sequence[str]]], at: int) -> bool:
    """Whether a line and one beside it hold runs of spaces between words."""

    def spaced(index: int) -> bool:
        return 0 <= index < len(shown) and _COLUMNS.search("".join(text for _, text in shown[index])) is not None

    return spaced(at) and (spaced(at - 1) or spaced(at + 1))


def _tagged(style: str, text: str, links: Mapping[str, str]) -> str:
    body, bare = html.escape(text), text.strip()
    if style == MARK and bare in links:
        return body.replace(bare, f'<a href="{html.escape(links[bare])}">{bare}</a>', 1)
    tag = _TAGS.get(style)
    return f"<{tag}>{body}</{tag}>" if tag and bare else body
