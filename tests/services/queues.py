"""Work queues on the real servers, each test's under a name of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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


class RabbitCorner:
    """Queues of one installation that nobody else is."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(4)
        self.opened: list[RabbitQueue] = []

    async def open(self, patience: float = 5.0) -> RabbitQueue:
        """One more worker."""
        breaker = Breaker("RabbitMQ", SystemClock())
        queue = RabbitQueue(
            address("RABBITMQ_URL"),
            self.name,
            breaker,
            shards=SHARDS,
            tries=TRIES,
            patience=patience,
            balance=0.1,
        )
        self.opened.append(queue)
        return queue

    async def wipe(self) -> None:
        """Nothing of it is left on the server."""
        queue = self.opened[0]
        async with await aio_pika.connect(address("RABBITMQ_URL")) as connection:
            channel = await connection.channel()
            for kind in WorkKind:
                for name in [*queue._queues(kind), queue._letters(kind)]:
                    await channel.queue_delete(name)


@asynccontextmanager
async def rabbit_corner() -> AsyncIterator[RabbitCorner]:
    """Gone afterwards."""
    corner = RabbitCorner()
    try:
        yield corner
    finally:
        for queue in corner.opened:
            await queue.close()
        if corner.opened:
            await corner.wipe()


class RedisCorner:
    """Streams of one installation that nobody else is."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(4)
        self.opened: list[RedisQueue] = []

    async def open(self, patience: float = 5.0) -> RedisQueue:
        """One more worker."""
        link = RedisLink(redis_address(), Breaker("Redis", SystemClock()))
        queue = RedisQueue(link, self.name, shards=SHARDS, tries=TRIES, lease=0.9, patience=patience)
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


@asynccontextmanager
async def redis_corner() -> AsyncIterator[RedisCorner]:
    """Gone afterwards."""
    corner = RedisCorner()
    try:
        yield corner
    finally:
        for queue in corner.opened:
            await queue.close()
        await corner.wipe()
