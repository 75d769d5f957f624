"""Rated answers, for the tests of what learns from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from hypothesis import strategies as st

from routing.models import Evidence, Vote
from routing.routes import BY_NAME, MENU
from tests.unit.routing.asking import numbers

DAY: Final = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ROUTES: Final = tuple(route.name for route in MENU)
QUESTIONS: Final = ("Who inspected the hives?", "When did Kwame move hive 4?", "What's new?", "How many frames?")


def vote(
    answer: int, emoji: str = "👍", *, person: int = 1, asker: bool = True, days: float = 0, solicited: bool = False
) -> Vote:
    """A vote; the asker's unless told otherwise."""
    return Vote(answer, person, emoji, DAY + timedelta(days=days), asker, solicited)


def rated(
    answer: int, route: str = "chat", *, y: float = 0.8, w: float = 0.25, question: str = QUESTIONS[0]
) -> Evidence:
    """A rated answer by a route, which the rules had chosen if it is chat."""
    version = BY_NAME[route].version if route in BY_NAME else 1
    return Evidence(answer, route, version, route == "chat", numbers(question).x, y, w)


evidence_lists = st.lists(
    st.builds(
        rated,
        st.integers(0, 400),
        st.sampled_from(ROUTES),
        y=st.floats(0, 1),
        w=st.floats(0.001, 1),
        question=st.sampled_from(QUESTIONS),
    ),
    max_size=25,
    unique_by=lambda one: one.answer,
)


def largest(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """The largest absolute value."""
    return float(np.abs(values).max())
