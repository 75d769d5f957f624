"""Claims on rows that several processes could work on: whose a row is, and until when.

A process that dies leaves its claims behind; they run out, and the same process takes its own at once when it comes
back: its name is that of its data folder. Tables that are worked on have the columns ``claimed_by`` and
``claimed_until``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, or_

from memory.ports import Clock

LASTS: Final = timedelta(minutes=5)
"""Several times what a batch or a reply takes; the longest that work of a dead process waits for another one."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The claims of one process. ``name`` is no other process's; at most 32 characters."""

    name: str
    clock: Clock

    def free(self, table: Table) -> ColumnElement[bool]:
        """Rows that this process may take: nobody's, its own, and those whose claim has run out."""
        until = table.c.claimed_until
        return or_(until.is_(None), table.c.claimed_by == self.name, until < self.clock.now())

    def may_take(self, name: str | None, until: datetime | None) -> bool:
        """`free` of a row that was read."""
        return until is None or name == self.name or until < self.clock.now()

    def marks(self) -> dict[str, Any]:
        """The columns of a row that is taken now."""
        return {"claimed_by": self.name, "claimed_until": self.clock.now() + LASTS}
