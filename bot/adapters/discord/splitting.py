"""A text cut into messages of at most so many characters: at paragraphs, lines, sentences, words. Pure.

Discord counts UTF-16 code units no differently from code points for most texts, but an emoji may count as two: lengths
here are UTF-16 units, the larger of the two. A code block that is cut is closed and opened again.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 2000
FENCE: Final = "```"
_SENTENCE: Final = re.compile(r"[.!?…][\"')\]\u201d\u2019»*_]*\s+")
_SPACE: Final = re.compile(r"\s+")
_ENOUGH: Final = 0.4  # of a message: a nicer cut before that would waste too much
_BEYOND_BMP: Final = 0xFFFF


def length(text: str) -> int:
    """Characters as Discord counts them at most."""
    return len(text) + sum(ord(char) > _BEYOND_BMP for char in text)


def split(text: str, limit: int = LONGEST) -> list[str]:
    """The text in pieces of at most ``limit``; none is empty, code blocks are whole in each piece."""
    pieces: list[str] = []
    rest, opened = text.strip("\n"), ""
    while rest:
        head = f"{opened}\n" if opened else ""
        if length(head + rest) <= limit:
            pieces.append(head + rest)
            break
        room = limit - length(head) - len(FENCE) - 1
        cut = _cut(rest, room)
        piece, rest = rest[:cut].rstrip(), rest[cut:].lstrip("\n")
        opened = _open_fence(head + piece)
        pieces.append(f"{head}{piece}\n{FENCE}" if opened else head + piece)
        if opened and rest.startswith(FENCE):  # the block ended just there
            rest, opened = rest[len(FENCE) :].lstrip("\n"), ""
    return [piece for piece in pieces if piece.strip()]


def _cut(text: str, limit: int) -> int:
    """Where the first piece ends."""
    most = _fitting(text, limit)
    window = text[:most]
    least = int(most * _ENOUGH)
    for at in (window.rfind("\n\n"), window.rfind("\n")):
        if at >= least:
            return at
    for pattern in (_SENTENCE, _SPACE):
        ends = [found.end() for found in pattern.finditer(window)]
        if ends and ends[-1] >= least:
            return ends[-1]
    return most


def _fitting(text: str, limit: int) -> int:
    """How many code points fit into ``limit``, at least one."""
    used = 0
    for at, char in enumerate(text):
        used += 2 if ord(char) > _BEYOND_BMP else 1
        if used > limit:
            return max(1, at)
    return len(text)


def _open_fence(text: str) -> str:
    """The line that opened the code block which is still open at the end of the text; empty when none is."""
    opened = ""
    for line in text.split("\n"):
        if line.lstrip().startswith(FENCE):
            opened = "" if opened else line.strip()
    return opened
