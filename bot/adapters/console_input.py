"""What a typed line means in the console room.

::

    any text               a message                      !weave ...            a command or a question
    +👍  +1  *  +⭐ 3      react, to answer 3             -1  +👎               thumbs down
    -👍  undo +1  undo     take a reaction back           pick 2  pick 2 of 3   source 2 is the one
    /edit TEXT             change your last message       /delete               take it away
    /as NAME  /say TEXT  /help  /quit
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, TypeAlias

UP, DOWN, STAR = "👍", "👎", "⭐"
ASCII: Final = {"+1": UP, "-1": DOWN, "*": STAR}
KEYCAP: Final = "\ufe0f\u20e3"
_NUMBERED: Final = re.compile(r"(\S+)(?:\s+#?(\d{1,9}))?")
_PICK: Final = re.compile(r"/?pick\s+([1-9])(?:\s+of\s+#?(\d{1,9}))?", re.IGNORECASE)
_NO_PICK: Final = re.compile(r"/?pick\s+\d+(?:\s+of\s+\S+)?", re.IGNORECASE)
_SCORE: Final = re.compile(r"[+-]\d{1,9}")
_UNDO: Final = re.compile(r"/?undo(?:\s+(\S+)(?:\s+#?(\d{1,9}))?)?", re.IGNORECASE)
_SLASH: Final = re.compile(r"/(edit|delete|as|say|help|quit|exit|q)(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)
_SYMBOLS: Final = {"So", "Sk"}


@dataclass(frozen=True, slots=True)
class Say:
    """A message, or something for the bot."""

    text: str


@dataclass(frozen=True, slots=True)
class React:
    """A reaction to an answer; the last one without a number. ``remove`` takes it back."""

    emoji: str
    number: int | None = None
    remove: bool = False


@dataclass(frozen=True, slots=True)
class Undo:
    """The last reaction of this session is taken back."""


@dataclass(frozen=True, slots=True)
class Order:
    """Something for the console itself: edit, delete, as, help, quit."""

    name: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What looks like a reaction or a pick and is none; ``words`` say what would be."""

    words: str


Input: TypeAlias = Say | React | Undo | Order | Wrong | None


def read(line: str) -> Input:
    """The meaning of a line; None for an empty one."""
    text = line.strip()
    if not text:
        return None
    return _reaction(text) or _undo(text) or _pick(text) or _order(text) or _wrong(text) or Say(text)


def _reaction(text: str) -> React | None:
    match = _NUMBERED.fullmatch(text)
    if match is None:
        return None
    word, number = match[1], _number(match[2])
    if word in ASCII:
        return React(ASCII[word], number)
    if word[0] in "+-" and _is_emoji(word[1:]):
        return React(word[1:], number, remove=word[0] == "-")
    return None


def _undo(text: str) -> React | Undo | None:
    match = _UNDO.fullmatch(text)
    if match is None:
        return None
    if match[1] is None:
        return Undo()
    word = match[1]
    emoji = ASCII.get(word) or (word[1:] if word[0] == "+" else word)
    return React(emoji, _number(match[2]), remove=True) if _is_emoji(emoji) else None


def _pick(text: str) -> React | None:
    match = _PICK.fullmatch(text)
    return React(match[1] + KEYCAP, _number(match[2])) if match else None


def _wrong(text: str) -> Wrong | None:
    """``+9`` and ``pick 30``, which nobody says to a room."""
    if (match := _SCORE.fullmatch(text)) is not None:
        return Wrong(f"`{match[0]}` is no reaction: `+1` and `-1` are, and `pick 2` picks source 2")
    if _NO_PICK.fullmatch(text) is not None:
        return Wrong("sources are picked by their number, 1 to 9: `pick 2`, or `pick 2 of 3` for answer 3")
    return None


def _order(text: str) -> Order | None:
    match = _SLASH.fullmatch(text)
    if match is None:
        return None
    name, rest = match[1].lower(), (match[2] or "").strip()
    return Order("quit" if name in {"exit", "q"} else name, rest)


def _is_emoji(word: str) -> bool:
    """A symbol, with its modifiers; no letters, so that "+é" stays a message."""
    if not word or any(sign.isalpha() for sign in word):
        return False
    return word.endswith("\u20e3") or any(unicodedata.category(sign) in _SYMBOLS for sign in word)


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None
