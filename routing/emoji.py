"""What an emoji says about an answer: one form for each, and its evidence.

👍, 👍️ and 👍🏽 are one emoji: variation selectors, skin tones and gender signs are cut. A rating is a log-likelihood
ratio (how much likelier it is on a good answer than on a bad one), not a mark; the values are a start, to be estimated
again from answers whose rating was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from routing.models import Emotion

_SHAPES: Final = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]|\u200d[\u2640\u2642]")

_CLASSES: Final[Mapping[float, str]] = {
    2.2: "⭐ 🌟 💯",
    1.6: "👍 ✅ ✔ ☑ 🎯",
    0.8: "❤ ♥ 🧡 💛 💚 💙 💜 🤎 🖤 🤍 🩷 💖 🎉 🥳 🙏 👏 🙌",  # affect, not correctness
    -0.6: "🤔 😕 🫤 🤨",
    -0.8: "🔁 🔄",  # asks for another try
    -1.8: "👎 ❌ ✖",
    -2.2: "⛔ 🚫 🙅",
}

LLR: Final[Mapping[str, float]] = MappingProxyType(
    {emoji: llr for llr, class_ in _CLASSES.items() for emoji in class_.split()}
)
"""Rating emoji to its log-likelihood ratio."""

RATINGS: Final = tuple(LLR)
"""The emoji that rate, normalised."""

ATTENTION: Final = frozenset("👀 🔖 📌 🐌 ⏳ ⌛".split())
"""Emoji that rate nothing: somebody looks, keeps, or waits."""

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "+1": "👍",
        "-1": "👎",
        "*": "⭐",
        ":+1:": "👍",
        ":-1:": "👎",
        ":thumbsup:": "👍",
        ":thumbsdown:": "👎",
        ":star:": "⭐",
        ":100:": "💯",
        ":white_check_mark:": "✅",
        ":heart:": "❤",
        ":tada:": "🎉",
        ":pray:": "🙏",
        ":thinking:": "🤔",
        ":x:": "❌",
        ":no_entry:": "⛔",
        ":eyes:": "👀",
    }
)
"""What can be typed instead."""

_PICKS: Final = {**{f"{n}\u20e3": n for n in range(1, 10)}, "🔟": 10}

PICKS: Final = tuple(_PICKS)
"""The emoji that pick a citation, normalised."""


def normalise(emoji: str) -> str:
    """The one form of an emoji, of what is typed for it (``+1``, ``*``) or of it behind a plus (``+👍``)."""
    bare = _SHAPES.sub("", emoji.strip())
    if bare.lower() in ALIASES:
        return ALIASES[bare.lower()]
    unsigned = bare.removeprefix("+").lstrip()
    return unsigned if means(unsigned) is not None else bare


def means(normal: str) -> Emotion | None:
    """What a normalised emoji does; None for one that says nothing, such as a custom one."""
    if normal in LLR:
        return Emotion.RATING
    if normal in _PICKS:
        return Emotion.PICK
    return Emotion.ATTENTION if normal in ATTENTION else None


def counts(normal: str) -> bool:
    """Whether a normalised emoji rates an answer."""
    return normal in LLR


PLACES: Final = MappingProxyType(_PICKS)
"""Normalised picks to the number of the citation, 1 first."""


STAR: Final = "⭐"
"""The rating that keeps an answer for the week's digest."""

WRONG: Final = frozenset(emoji for emoji, llr in LLR.items() if llr < -1)
"""Ratings that call an answer wrong."""


def pick(normal: str) -> int | None:
    """The number of the citation that a normalised emoji picks, 1 to 10; None when it is no pick."""
    return _PICKS.get(normal)
