"""How a route's sources are run: one table of patterns, each a small function over the sources of a `Run`.

A pattern gives the candidates of one room, described and unordered. It spends no more than the route's budget, can be
cancelled at any await, and on the same room finds the same for the same seed, unless its time runs out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from memory.models import Candidates
from routing.patterns.branching import beam, monte_carlo
from routing.patterns.plain import feed_forward, parallel
from routing.patterns.refining import recursive, strange_loop
from routing.patterns.run import Run
from routing.patterns.stepping import adaptive, hierarchical


class Pattern(Protocol):
    """One way to run sources."""

    async def __call__(self, run: Run) -> Candidates:
        """The candidates of the run's room. Raises Unavailable when no source answers."""


PATTERNS: Final[Mapping[str, Pattern]] = MappingProxyType(
    {
        "feed-forward": feed_forward,
        "parallel": parallel,
        "recursive": recursive,
        "strange loop": strange_loop,
        "beam": beam,
        "Monte Carlo": monte_carlo,
        "hierarchical": hierarchical,
        "adaptive": adaptive,
    }
)
"""By the name that a route gives."""

SEEDED: Final = frozenset({"Monte Carlo"})
"""Patterns that draw: another seed may find otherwise."""
