"""The real Redis: where it is, and one of a test's own that speaks TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from deploy.local_services.installing import redis_program
from deploy.local_services.recipes import free_port
from memory.adapters.redis_link import Address, RedisLink
from memory.breaker import Breaker
from memory.ports import Clock
from tests.doubles import HandClock
from tests.e2e.eventually import eventually
from tests.services.servers import address

SERVER = "redis"
PATIENT = 5.0
"""Seconds that a test gives a command which it does not measure: the machine is shared."""


def redis_address(answering: float = PATIENT, database: int = 0) -> Address:
    """Where the server is."""
    return replace(Address.read(address("REDIS_URL"), answering=answering), database=database)


@asynccontextmanager
async def open_link(where: Address, clock: Clock | None = None) -> AsyncIterator[RedisLink]:
    """A line to a server."""
    link = RedisLink(where, Breaker("Redis", clock or HandClock()))
    try:
        yield link
    finally:
        await link.close()


async def ping(client: Redis) -> bool:
    """Whether it answers."""
    return bool(await client.ping())  # type: ignore[misc]  # the driver types both of its editions at once


@asynccontextmanager
async def secure_server(folder: Path) -> AsyncIterator[int]:
    """A Redis that speaks TLS alone, with the certificate in the folder; gives its port."""
    port = free_port()
    files = "--tls-cert-file server.pem --tls-key-file server.key --tls-ca-cert-file ca.pem --tls-auth-clients no"
    server = await asyncio.create_subprocess_exec(
        redis_program(),
        *f"--port 0 --tls-port {port} --bind 127.0.0.1 --save".split(),
        "",
        *files.split(),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await eventually(lambda: _listens(port), bool)
        yield port
    finally:
        server.kill()
        await server.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("localhost", port)
        writer.close()
        await writer.wait_closed()
    except OSError:
        return False
    return True


async def scan(link: RedisLink, installation: str) -> dict[str, bytes]:
    """Everything of an installation on the server: each key with its value, members of a set one after the other."""

    async def read(client: Redis) -> dict[str, bytes]:
        found = {}
        async for key in client.scan_iter(f"*{installation}*", count=1000):
            if await client.type(key) == b"zset":
                found[key.decode()] = b" ".join(await client.zrange(key, 0, -1))
            else:
                found[key.decode()] = await client.get(key) or b""
        return found

    return await link.run(read)


async def lasting(link: RedisLink, installation: str) -> dict[str, int]:
    """The milliseconds that each key of an installation has left; below 0 for one that does not end."""

    async def read(client: Redis) -> dict[str, int]:
        return {key.decode(): await client.pttl(key) async for key in client.scan_iter(f"*{installation}*", count=1000)}

    return await link.run(read)
