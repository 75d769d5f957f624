"""The curated menu: every route that Weavebot may take, in one table, and those that it takes on request only.

A menu of a few good routes learns several times faster than the product of all sources, patterns and fusions. A release
that changes what a route does raises its ``version``: older votes on it then count 0.3 of what they did, once for each
step. Costs are round numbers. Priors are what a plain thumb on the demo room's questions would give, to 0.05.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from memory.errors import NotFound
from routing.models import Budget, Route

CHAT: Final = "chat"
DOCUMENTS: Final = "documents"
LINKED: Final = "linked"
KEYWORD: Final = "keyword"
VECTOR: Final = "vector"
RECENT: Final = "recent"
BALANCE: Final = "balance"
BLEND: Final = "blend"
RECURSIVE: Final = "recursive"
STRANGE_LOOP: Final = "strange-loop"
BEAM: Final = "beam"
MONTE_CARLO: Final = "monte-carlo"
HIERARCHICAL: Final = "hierarchical"
ADAPTIVE: Final = "adaptive"

MENU: Final[tuple[Route, ...]] = (
    Route(
        CHAT,
        ("vector", "keyword"),
        "parallel",
        "learned",
        cost=0.01,
        version=2,
        words="meaning and words together, weighing who spoke, when, and the turns around it",
    ),
    Route(
        DOCUMENTS,
        ("vector", "keyword", "graph"),
        "parallel",
        "graph",
        cost=0.02,
        words="meaning and words, then along the names that long messages share",
    ),
    Route(
        LINKED,
        ("vector", "keyword", "graph", "recent"),
        "parallel",
        "learned",
        cost=0.03,
        version=2,
        words="everywhere at once: meaning, words, linked names and the newest messages",
    ),
    Route(
        KEYWORD,
        ("keyword",),
        "feed-forward",
        "weighted",
        cost=0.0,
        words="the exact words only",
        prior=0.5,
    ),
    Route(
        VECTOR,
        ("vector",),
        "feed-forward",
        "weighted",
        cost=0.005,
        words="the meaning only",
        prior=0.5,
    ),
    Route(
        RECENT,
        ("recent", "keyword"),
        "feed-forward",
        "weighted",
        cost=0.005,
        words="the newest messages first, then the words",
        on_request=True,
    ),
    Route(
        BALANCE,
        ("vector", "keyword"),
        "parallel",
        "weighted",
        cost=0.01,
        words="meaning and words in equal parts",
        prior=0.55,
    ),
    Route(
        BLEND,
        ("vector", "keyword", "graph"),
        "parallel",
        "rrf",
        cost=0.02,
        words="the best places of meaning, words and linked names, voted together",
        prior=0.55,
    ),
)

_EVERYWHERE: Final = ("vector", "keyword", "graph")
_PATIENT: Final = Budget(calls=9, ms=1_000)

PATTERNED: Final[tuple[Route, ...]] = (
    Route(
        RECURSIVE,
        _EVERYWHERE,
        "recursive",
        "learned",
        cost=0.03,
        words="asks again with the names and rare words of what it finds first",
        version=2,
        on_request=True,
        budget=_PATIENT,
    ),
    Route(
        STRANGE_LOOP,
        _EVERYWHERE,
        "strange loop",
        "learned",
        cost=0.03,
        words="holds what it finds against the question and asks again for what is missing",
        version=2,
        on_request=True,
        budget=_PATIENT,
    ),
    Route(
        BEAM,
        _EVERYWHERE,
        "beam",
        "learned",
        cost=0.03,
        words="every source at once, then the best two of them deeper",
        version=2,
        on_request=True,
        budget=_PATIENT,
    ),
    Route(
        MONTE_CARLO,
        _EVERYWHERE,
        "Monte Carlo",
        "probable",
        cost=0.02,
        words="many random mixes of the sources, voted together by their probabilities",
        version=2,
        on_request=True,
        budget=_PATIENT,
    ),
    Route(
        HIERARCHICAL,
        _EVERYWHERE,
        "hierarchical",
        "learned",
        cost=0.02,
        words="the best conversations first, then the best messages in them",
        version=2,
        on_request=True,
        budget=_PATIENT,
    ),
    Route(
        ADAPTIVE,
        ("keyword", "vector", "graph"),
        "adaptive",
        "learned",
        cost=0.02,
        words="words first, then meaning and names only as far as the evidence falls short",
        version=2,
        on_request=True,
        budget=_PATIENT,
    ),
)
"""Routes outside the menu, for people who ask for them: they win nowhere that was measured (docs/learning.md)."""

BY_NAME: Final[Mapping[str, Route]] = MappingProxyType({route.name: route for route in (*MENU, *PATTERNED)})
"""Every route that can be asked for."""

LEARNABLE: Final = frozenset(route.name for route in MENU)
"""The routes that rules may advise and votes are counted for."""


def route_named(name: str) -> Route:
    """The route of that name. Raises NotFound, listing the names there are."""
    try:
        return BY_NAME[name]
    except KeyError as exc:
        raise NotFound(f"There is no route {name!r}; choose one of {', '.join(BY_NAME)}.") from exc
