"""Waiting for a database server that went away: what is long and can be done again goes on when it is back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec, TypeVar

import stamina

from memory.errors import Unreachable

P = ParamSpec("P")
T = TypeVar("T")

LONGEST: Final = 120.0  # seconds; a server that restarts and recovers takes some


def patiently(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Calls again while the server cannot be reached, up to `LONGEST`. For what may be done twice."""
    return stamina.retry(on=Unreachable, attempts=None, timeout=LONGEST, wait_initial=0.2, wait_max=5.0)(call)
