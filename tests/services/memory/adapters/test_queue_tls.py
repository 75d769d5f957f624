"""Work queues over TLS: a certificate of an authority that is named is taken, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.clock import SystemClock
from bot.wiring.stores import open_queue
from memory.adapters.rabbitmq import RabbitQueue
from memory.breaker import Breaker
from memory.errors import BadInput, Unavailable
from memory.models import WorkKind
from memory.ports import WorkQueue
from tests.contract.work_queue import INDEX, item, serials, taken
from tests.parts import open_memory
from tests.services.queues import CORNERS
from tests.services.redis import secure_server
from tests.services.servers import address
from tests.services.tls import door, make_authority

pytestmark = pytest.mark.services


@pytest.fixture(params=["redis", "rabbitmq"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a server with a certificate of an authority that nobody knows."""
    make_authority(tmp_path)
    if request.param == "redis":
        async with secure_server(tmp_path) as port:
            yield f"rediss://localhost:{port}/0"
        return
    parts = urlsplit(address("RABBITMQ_URL"))
    async with door(tmp_path, parts.hostname or "", parts.port or 5672) as port:
        yield f"amqps://{parts.username}:{parts.password}@localhost:{port}/"


@asynccontextmanager
async def opened(url: str, authorities: Path | None, folder: Path) -> AsyncIterator[WorkQueue]:
    """The queue as the program opens it; nothing of it stays on the server."""
    (folder / "data").mkdir()
    async with open_memory(folder / "data") as memory:
        clock = SystemClock()
        queue = await open_queue(url, authorities, memory.database, clock, lambda name: Breaker(name, clock))
        try:
            yield queue
        finally:
            await queue.close()
            if isinstance(queue, RabbitQueue):
                corner = CORNERS["rabbitmq"](queue._name.removeprefix("weavebot."))
                corner.shards = 8  # as the program has them
                await corner.wipe()
                await corner.opened[0].close()


async def test_a_certificate_of_the_authority_that_is_named_is_taken(url: str, tmp_path: Path) -> None:
    async with opened(url, tmp_path / "ca.pem", tmp_path) as queue:
        await queue.publish([item(1), item(2, kind=WorkKind.REFLECT)])
        found = [*await taken(queue, 1), *await taken(queue, 1, WorkKind.REFLECT)]
        assert serials(found) == [1, 2]
        await queue.done(found)
        assert (await queue.state(INDEX)).depth == 0


async def test_one_of_an_unknown_authority_is_not(url: str, tmp_path: Path) -> None:
    async with opened(url, None, tmp_path) as queue:
        with pytest.raises(Unavailable, match="is not trusted: name its authority's file in WEAVEBOT_QUEUE_CA"):
            await queue.publish([item(1)])


async def test_nor_one_of_another_host(url: str, tmp_path: Path) -> None:
    async with opened(url.replace("localhost", "127.0.0.1"), tmp_path / "ca.pem", tmp_path) as queue:
        with pytest.raises(Unavailable, match="is not trusted"):
            await queue.publish([item(1)])


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
async def test_a_file_without_certificates_is_named(scheme: str, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(BadInput, match=r"WEAVEBOT_QUEUE_CA names .*empty.pem, which holds no certificates"):
        async with opened(f"{scheme}://host", tmp_path / "empty.pem", tmp_path):
            pass


def test_checking_cannot_be_turned_off() -> None:
    with pytest.raises(BadInput, match="Certificates are always checked: name the authority's file in WEAVEBOT_QUEUE"):
        RabbitQueue("amqps://host/?no_verify_ssl=1", "x", Breaker("RabbitMQ", SystemClock()))
