"""What an operation yields while it works: JSON-able, so that it reads the same in this process and over the socket.

One key a record: ``{"progress": {stage, done, total}}`` (total None: not known), ``{"note": sentence}`` (for stderr),
``{"result": object, "page": lines}`` (the object for ``--json``, the page for people), ``{"status": n}`` (the exit
status when it is not 0), and, added by the owner's end of a socket, ``{"error": sentence, "status": n}`` or
``{"done": true}``.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, TypeAlias, TypeVar

from bot.pages import Page

T = TypeVar("T")
Event: TypeAlias = dict[str, Any]


def progress(stage: str, done: int, total: int | None) -> Event:
    """How far a long step has come."""
    return {"progress": {"stage": stage, "done": done, "total": total}}


def note(sentence: str) -> Event:
    """Something to know that is no result: a bad line, a warning."""
    return {"note": sentence}


def result(value: Mapping[str, Any], page: Page = ()) -> Event:
    """One object of the outcome, and what people see of it."""
    return {"result": dict(value), "page": page}


def status(code: int) -> Event:
    """The exit status to end with."""
    return {"status": code}


@contextlib.asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """The items, whose generator is closed with the block: one left half-way would end whenever it is collected."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
