"""One connection to RabbitMQ and what hangs on it: the shards that a worker consumes, and what it was sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from memory.models import Priority, Taken, WorkKind

Place: TypeAlias = tuple[WorkKind, int]
"""A kind of work and a shard of it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The message of an item, and the shard through which it came."""

    share: Share
    message: AbstractIncomingMessage


@dataclass(slots=True)
class Share:
    """A shard that this worker consumes: what was delivered and not yet given, and what is out."""

    channel: AbstractChannel
    ready: dict[Priority, deque[Taken]] = field(default_factory=lambda: {one: deque() for one in Priority})
    out: set[tuple[Priority, int]] = field(default_factory=set)


@dataclass(slots=True)
class Session:
    """One connection and what hangs on it."""

    connection: Any
    publishing: AbstractChannel
    asking: AbstractChannel
    shares: dict[Place, Share] = field(default_factory=dict)
    declared: set[WorkKind] = field(default_factory=set)
    consuming: dict[WorkKind, asyncio.Task[None]] = field(default_factory=dict)
    present: dict[WorkKind, AbstractChannel] = field(default_factory=dict)  # on which it is counted as a worker
    arrived: dict[WorkKind, asyncio.Event] = field(default_factory=lambda: {kind: asyncio.Event() for kind in WorkKind})
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    closed: bool = False

    def lost(self, *_: object) -> None:
        """Nothing of it can be used any more; whoever waits finds out."""
        self.closed = True
        for event in self.arrived.values():
            event.set()

    @contextmanager
    def or_anew(self) -> Iterator[None]:
        """Broken off, nobody knows what the server has taken: on a new connection all that is left comes again."""
        try:
            yield
        except BaseException:
            self.lost()
            raise


def has_ready(session: Session, kind: WorkKind) -> bool:
    """Whether something was sent that was not yet given."""
    return any(ready for (of, _), share in session.shares.items() if of is kind for ready in share.ready.values())


def receipt_of(taken: Taken) -> Receipt:
    """That of an item which this worker has taken."""
    assert isinstance(taken.receipt, Receipt)  # noqa: S101 - receipts are our own
    return taken.receipt


def tag_of(taken: Taken) -> int:
    """The number of the delivery on its channel."""
    return receipt_of(taken).message.delivery_tag or 0


def still_out(taken: Taken) -> AbstractIncomingMessage | None:
    """The message of an item that is out, which it is not from now on; None when it is not, or its channel is lost."""
    receipt = receipt_of(taken)
    place = (taken.item.priority, tag_of(taken))
    if place not in receipt.share.out:
        return None
    receipt.share.out.discard(place)
    return None if receipt.share.channel.is_closed else receipt.message
