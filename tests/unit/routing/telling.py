"""Evidence and answers in words, to be compared."""

from __future__ import annotations

from dataclasses import replace

import zstandard

from routing.models import Answer


def opened(value: bytes) -> str:
    """The words of packed findings."""
    return zstandard.ZstdDecompressor().decompress(value[18:]).decode()


def ordered(answer: Answer) -> str:
    """All of an answer in words: a number that is missing (NaN) equals itself there, and features have one order."""
    cited = [
        replace(one, hit=replace(one.hit, features=dict(sorted(one.hit.features.items())))) for one in answer.citations
    ]
    return repr(replace(answer, citations=tuple(cited)))
