"""Doing a transaction again that the database took back because another one was in its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, ParamSpec, TypeVar

import stamina
import structlog
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from memory.errors import Contended

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS: Final = 5

log = structlog.get_logger(__name__)


def again(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Calls again, with growing pauses, while `Contended` is raised; the last one is let through.

    For what is one transaction: nothing of a try that failed was kept.
    """
    return stamina.retry(on=Contended, attempts=ATTEMPTS, timeout=None, wait_initial=0.02, wait_max=0.5)(call)


def _tell(details: RetryDetails) -> None:
    """Without the arguments, which stamina's own hook would log: they hold texts and names."""
    log.info("transaction.again", call=details.name, tries=details.retry_num, seconds=round(details.wait_for, 3))


set_on_retry_hooks([_tell])
