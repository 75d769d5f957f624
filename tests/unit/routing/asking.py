"""Questions in a situation, for the tests of rules, features and policies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from routing.features import Probe, Situation, features
from routing.models import Advice, Features
from routing.policies.rules import advise
from routing.questions import read

NOON: Final = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
CHATTING: Final = Probe(top=0.55, gap=0.1, linked=1, degree=4.0, messages=400, authors=8, mean_words=20.0)
READING: Final = replace(CHATTING, mean_words=90.0, authors=1)


def advised(question: str, probe: Probe = CHATTING, **situation: Any) -> Advice:
    """What the rules say about a question at noon."""
    return advise(read(question), probe, Situation(NOON, **situation))


def numbers(question: str, probe: Probe = CHATTING, *, with_text: bool = True, **situation: Any) -> Features:
    """The features of a question at noon."""
    return features(read(question), probe, Situation(NOON, **situation), with_text=with_text)
