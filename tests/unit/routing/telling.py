"""Evidence that is made up, and evidence and answers in words, to be compared."""

from __future__ import annotations

from dataclasses import replace

import zstandard

from memory.models import Context
from routing.confidence import Confidence
from routing.evidence import Evidence, Findings
from routing.models import Answer


def evidence(*serials: int, whole: bool = True) -> Evidence:
    """What somebody found, telling of which messages."""
    findings = Findings(serials, (), Confidence(0.5, (), abstains=False), whole=whole)
    return Evidence(findings, (), Context("", 0, (), 0), f"said by {serials}")


def opened(value: bytes) -> str:
    """The words of packed findings."""
    return zstandard.ZstdDecompressor().decompress(value[18:]).decode()


def ordered(answer: Answer) -> str:
    """All of an answer in words: a number that is missing (NaN) equals itself there, and features have one order."""
    cited = [
        replace(one, hit=replace(one.hit, features=dict(sorted(one.hit.features.items())))) for one in answer.citations
    ]
    return repr(replace(answer, citations=tuple(cited)))
