"""What goes over the line to RabbitMQ and back: items as bytes, publishing, dead letters, errors in our own words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeAlias

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import (
    AuthenticationError,
    ChannelNotFoundEntity,
    DeliveryError,
    ProbableAuthenticationError,
)

from memory.adapters.authorities import is_distrusted
from memory.models import DeadLetter, Priority, WorkItem, WorkKind

CRASHES: Final = 200
"""Deliveries that were never answered: the item takes its worker with it. The server counts what it has merely sent
ahead, too, whenever a worker leaves: so many that nobody restarts a worker as often while the same items wait."""
AUTHORITIES: Final = "WEAVEBOT_QUEUE_CA"
_MOST_AHEAD: Final = 65_535  # of a channel; 0 is any number
_SILENCE: Final = 0.5  # seconds after which no more dead letters are sent

Bodies: TypeAlias = Sequence[tuple[str, bytes]]


async def messages(channel: AbstractChannel, name: str, limit: float) -> AsyncIterator[AbstractIncomingMessage]:
    """As the server sends them, all without being asked: one that is asked for takes a way there and back."""
    waiting = int(min(limit, (await count(channel, name))[0]))
    if not waiting:
        return
    await channel.set_qos(prefetch_count=waiting if waiting <= _MOST_AHEAD else 0)
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await (await channel.get_queue(name, ensure=False)).consume(arrived.put)
    for _ in range(waiting):
        try:
            async with asyncio.timeout(_SILENCE):
                message = await arrived.get()
        except TimeoutError:
            return  # somebody else is looking at the others
        yield message


async def publish(channel: AbstractChannel, bodies: Bodies) -> None:
    """Until all are confirmed. Raises DeliveryError when there is no such queue."""
    exchange, kept = channel.default_exchange, aio_pika.DeliveryMode.PERSISTENT
    made = [(aio_pika.Message(one, delivery_mode=kept, timestamp=time.time()), name) for name, one in bodies]
    await asyncio.gather(*(exchange.publish(message, name) for message, name in made))


async def count(channel: AbstractChannel, name: str) -> tuple[int, int]:
    """Messages that wait, and consumers."""
    found = (await channel.declare_queue(name, passive=True)).declaration_result
    return found.message_count or 0, found.consumer_count or 0


async def never(_: AbstractIncomingMessage) -> None:
    """Nothing comes in the queue of the workers."""


def body(item: WorkItem, tries: int, reason: str = "") -> bytes:
    """An item as it stands in a queue: numbers, and for a dead letter the name of an error."""
    return json.dumps([item.room, item.serial, item.revision, int(item.priority), tries, reason]).encode()


def read(message: bytes, kind: WorkKind) -> tuple[WorkItem, int, str]:
    """The item, how often it was tried, and why it is dead."""
    room, serial, revision, priority, tries, reason = json.loads(message)
    return WorkItem(kind, room, serial, revision, Priority(priority)), tries, reason


def letter(kind: WorkKind, message: AbstractIncomingMessage) -> DeadLetter:
    """One that the server has put there itself was never answered."""
    item, tries, reason = read(message.body, kind)
    return DeadLetter(item, tries, reason or f"taken {CRASHES} times and never finished")


def sentence(exc: BaseException, patience: float) -> str:
    """Without the address: it holds the password."""
    if is_distrusted(exc):
        return f"The certificate of RabbitMQ is not trusted: name its authority's file in {AUTHORITIES}"
    if isinstance(exc, AuthenticationError | ProbableAuthenticationError):
        return "RabbitMQ refuses the login: correct the user and the password in WEAVEBOT_QUEUE_URL"
    if isinstance(exc, TimeoutError):
        return f"RabbitMQ did not answer within {patience:g} s: is the server overloaded?"
    if isinstance(exc, DeliveryError | ChannelNotFoundEntity):
        return "RabbitMQ has lost its queues: they are declared anew"
    return "RabbitMQ does not answer: start it, or correct WEAVEBOT_QUEUE_URL"
