"""What waits for a kind of work, as rows of a table: the truth, whoever hands it out.

The index has ``index_outbox``, reflection has ``reflection_queue`` (`memory.reflection.reading`). Each has the key
``message_serial``, a number that grows when the work is to be done anew (the revision), the tries, the claim
(`memory.leases`), a priority, and when a queue took the row over (``published_at``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.models import TRIES, Priority, WorkItem, WorkKind
from memory.tables import index_outbox, messages, rooms


class Waiting(Protocol):
    """A message that waits."""

    @property
    def serial(self) -> int:
        """Of the message."""

    @property
    def row_revision(self) -> int:
        """Which revision of its row was read."""

    @property
    def text(self) -> str:
        """Of the message."""


T = TypeVar("T", bound=Waiting)

PAGE: Final = 256
"""Messages read at once: at 1 MiB each they are what a batch holds in the worst case."""

CHARACTERS: Final = 1 << 19
"""Of a batch's texts: their token states and vectors are some 80 MB, twice in flight."""


@dataclass(frozen=True, slots=True)
class Outbox(Generic[T]):
    """A kind of work.

    ``rows`` joins the table with all that ``task`` needs of a row; ``stale`` selects the serials of messages that are
    there, each with the revision below which an item is of no use. At most ``most`` tasks are done together.
    """

    kind: WorkKind
    table: Table
    revision: ColumnElement[int]
    rows: Select[Any]
    task: Callable[[AnyRow], T]
    stale: Select[Any]
    most: int

    @property
    def serial(self) -> ColumnElement[int]:
        """The key."""
        return self.table.c.message_serial

    @property
    def alive(self) -> ColumnElement[bool]:
        """What was not given up."""
        return self.table.c.attempts < TRIES

    @property
    def waiting(self) -> Select[Any]:
        """The next page behind the serial ``after``."""
        behind = self.rows.where(self.serial > bindparam("after"), self.alive)
        return behind.order_by(self.serial).limit(PAGE)

    async def pages(self, conn: AsyncConnection, query: Select[Any], after: int) -> list[T]:
        """The tasks of a batch, by pages of the query."""
        tasks: list[T] = []
        characters = 0
        while len(tasks) < self.most and characters < CHARACTERS:
            page = [self.task(row) for row in await conn.execute(query, {"after": after})]
            tasks += page
            if len(page) < PAGE:
                break
            characters += sum(len(task.text) for task in page)
            after = page[-1].serial
        return tasks

    def of(self, task: T) -> ColumnElement[bool]:
        """The row of a task, as long as it is of that revision."""
        return and_(self.serial == task.serial, self.revision == task.row_revision)

    def which(self, items: Sequence[WorkItem]) -> list[ColumnElement[bool]]:
        """The rows of items, in conditions that use the key."""
        by_revision: dict[int, list[int]] = defaultdict(list)
        for item in items:
            by_revision[item.revision].append(item.serial)
        return [and_(self.serial.in_(serials), self.revision == revision) for revision, serials in by_revision.items()]


@dataclass(frozen=True, slots=True)
class Task:
    """A message that waits to be indexed, as its row is."""

    serial: int
    revision: int
    room: int
    tenant: int
    author: int
    text: str
    content_hash: bytes
    sent_at: datetime
    replied_to: int | None  # author of the message that it replies to
    priority: Priority

    @property
    def row_revision(self) -> int:
        """That of the text."""
        return self.revision


def _task(row: AnyRow) -> Task:
    return Task(
        serial=row.serial,
        revision=row.wanted,
        room=row.room_id,
        tenant=row.tenant_id,
        author=row.author_id,
        text=row.text,
        content_hash=row.content_hash,
        sent_at=row.sent_at,
        replied_to=row.to,
        priority=Priority(row.priority),
    )


_PARENT = messages.alias("parent")

INDEX: Final = Outbox(
    kind=WorkKind.INDEX,
    table=index_outbox,
    revision=index_outbox.c.revision,
    rows=select(
        messages,
        index_outbox.c.revision.label("wanted"),
        index_outbox.c.priority,
        rooms.c.tenant_id,
        _PARENT.c.author_id.label("to"),
    )
    .join(index_outbox, index_outbox.c.message_serial == messages.c.serial)
    .join(rooms, rooms.c.id == messages.c.room_id)
    .outerjoin(_PARENT, and_(_PARENT.c.room_id == messages.c.room_id, _PARENT.c.external_id == messages.c.reply_to)),
    task=_task,
    stale=select(messages.c.serial, messages.c.revision.label("below")),
    most=2048,  # the more, the less padding (2 % of the tokens; 4 % of 1,024)
)
"""Messages that are to be embedded, with their entities and relations."""
