"""Work queues on the real servers, each test's under a name of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, TypeAlias

import aio_pika
from redis.asyncio import Redis

from bot.clock import SystemClock
from memory.adapters.rabbitmq import RabbitQueue
from memory.adapters.redis_link import RedisLink
from memory.adapters.redis_queue import RedisQueue
from memory.breaker import Breaker
from memory.models import WorkKind
from tests.contract.work_queue import TRIES
from tests.services.redis import redis_address
from tests.services.servers import address

SHARDS = 4
REST = timedelta(seconds=0.3)
"""A server that was away is tried again soon, so that a test need not wait."""


class RabbitCorner:
    """Queues of one installation that nobody else is."""

    server = "rabbitmq"

    def __init__(self, name: str = "") -> None:
        self.name = name or secrets.token_hex(4)
        self.shards = SHARDS
        self.opened: list[RabbitQueue] = []

    async def open(self, patience: float = 5.0) -> RabbitQueue:
        """One more worker."""
        breaker = Breaker("RabbitMQ", SystemClock(), REST)
        queue = RabbitQueue(
            address("RABBITMQ_URL"),
            self.name,
            breaker,
            shards=self.shards,
            tries=TRIES,
            patience=patience,
            balance=0.1,
        )
        self.opened.append(queue)
        return queue

    async def wipe(self) -> None:
        """Nothing of it is left on the server."""
        queue = await self.open()
        async with await aio_pika.connect(address("RABBITMQ_URL")) as connection:
            channel = await connection.channel()
            for kind in WorkKind:
                for name in [*queue._queues(kind), queue._letters(kind)]:
                    await channel.queue_delete(name)


class RedisCorner:
    """Streams of one installation that nobody else is."""

    server = "redis"

    def __init__(self, name: str = "") -> None:
        self.name = name or secrets.token_hex(4)
        self.shards = SHARDS
        self.opened: list[RedisQueue] = []

    async def open(self, patience: float = 5.0) -> RedisQueue:
        """One more worker."""
        link = RedisLink(redis_address(), Breaker("Redis", SystemClock(), REST))
        queue = RedisQueue(link, self.name, shards=self.shards, tries=TRIES, lease=0.9, patience=patience)
        self.opened.append(queue)
        return queue

    async def keys(self) -> list[str]:
        """Everything that is there."""
        async with Redis.from_url(address("REDIS_URL"), decode_responses=True) as client:
            return [key async for key in client.scan_iter(f"weavebot:{{{self.name}}}:*")]

    async def wipe(self) -> None:
        """Nothing of it is left on the server."""
        if keys := await self.keys():
            async with Redis.from_url(address("REDIS_URL")) as client:
                await client.delete(*keys)


Corner: TypeAlias = RabbitCorner | RedisCorner
CORNERS: Final[dict[str, type[Corner]]] = {"redis": RedisCorner, "rabbitmq": RabbitCorner}


@asynccontextmanager
async def corner_of(server: str) -> AsyncIterator[Corner]:
    """Gone afterwards."""
    corner = CORNERS[server]()
    try:
        yield corner
    finally:
        for queue in corner.opened:
            await queue.close()
        await corner.wipe()
