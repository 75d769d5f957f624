"""Long texts cut at sense: between sentences, else between words, else where a word without end is full.

For embedders that take texts. One that takes token ids cuts them itself and needs no second count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from memory.text import sentences

MOST: Final = 64
"""Chunks of one text; what lies behind is left out, so that a megabyte costs no more than these."""

WINDOW: Final = 254
"""Tokens of a chunk; with the two special ones the 256 that the model was trained on."""

OVERLAP: Final = 32
"""Tokens at most that a chunk repeats of the one before, whole sentences or words: an eighth of the window."""

_WORD: Final = 4  # characters of a token at least, on average, in anything that people write
_LONGEST_TOKEN: Final = 32  # characters: a text of more than this times its tokens is one word for hundreds of letters

_Count = Callable[[str], int]


def chunks(text: str, count: _Count, *, window: int = WINDOW, overlap: int = OVERLAP) -> list[str]:
    """At most `MOST` pieces of at most ``window`` tokens each, in order; the whole text when it fits, none when blank.

    Args:
        text: Anything.
        count: Tokens of a text by the model's own tokenizer. Counts of pieces must add up, as those of word pieces do.
        window: Tokens of a piece, at least 4: one character may be four tokens.
        overlap: Tokens at most, of whole sentences or words, that a piece repeats from the end of the one before.
    """
    whole = text.strip()
    if len(whole) <= window * _LONGEST_TOKEN and count(whole) <= window:
        return [whole] if whole else []
    found: list[str] = []
    for piece in _packed(_sized(whole, count, window), window, overlap):
        found.append(piece)
        if len(found) == MOST:
            break
    return found


def _packed(sized: Iterator[tuple[str, int]], window: int, overlap: int) -> Iterator[str]:
    """As many neighbouring pieces together as fit, with the overlap."""
    held: deque[tuple[str, int]] = deque()
    size = 0
    for piece, tokens in sized:
        if held and size + tokens > window:
            yield " ".join(said for said, _ in held)
            while held and (size > overlap or size + tokens > window):
                size -= held.popleft()[1]
        held.append((piece, tokens))
        size += tokens
    if held:
        yield " ".join(said for said, _ in held)


def _sized(text: str, count: _Count, window: int) -> Iterator[tuple[str, int]]:
    """Sentences with their tokens; of a sentence that does not fit its words, of a word that does not fit parts."""
    for sentence in sentences(text):
        if len(sentence) <= window * _LONGEST_TOKEN and (tokens := count(sentence)) <= window:
            yield sentence, tokens
            continue
        for word in sentence.split():
            yield from _fitting(word, count, window)


def _fitting(word: str, count: _Count, window: int) -> Iterator[tuple[str, int]]:
    """A word in parts that fit."""
    step = window * _WORD
    for start in range(0, len(word), step):
        part = word[start : start + step]
        tokens = count(part)
        if tokens <= window:
            yield part, tokens
        else:
            yield from _halves(part, count, window)


def _halves(part: str, count: _Count, window: int) -> Iterator[tuple[str, int]]:
    half = (len(part) + 1) // 2
    for side in (part[:half], part[half:]):
        tokens = count(side)
        if tokens <= window or len(side) == 1:
            yield side, tokens
        else:
            yield from _halves(side, count, window)
