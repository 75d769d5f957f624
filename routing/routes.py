"""The curated menu: every route that Weavebot may take, in one table.

A menu of a few good routes learns several times faster than the product of all sources, patterns and fusions. A release
that changes what a route does raises its ``version``: older votes on it then count 0.3 of what they did, once for each
step. Costs are round numbers. Priors are what a plain thumb on the demo room's questions would give, to 0.05.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from memory.errors import NotFound
from routing.models import Route

CHAT: Final = "chat"
DOCUMENTS: Final = "documents"
LINKED: Final = "linked"
KEYWORD: Final = "keyword"
VECTOR: Final = "vector"
RECENT: Final = "recent"
BALANCE: Final = "balance"
BLEND: Final = "blend"

MENU: Final[tuple[Route, ...]] = (
    Route(
        CHAT,
        ("vector", "keyword"),
        "parallel",
        "learned",
        cost=0.01,
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

BY_NAME: Final[Mapping[str, Route]] = MappingProxyType({route.name: route for route in MENU})


def route_named(name: str) -> Route:
    """The route of that name. Raises NotFound, listing the names there are."""
    try:
        return BY_NAME[name]
    except KeyError as exc:
        raise NotFound(f"There is no route {name!r}; choose one of {', '.join(BY_NAME)}.") from exc
