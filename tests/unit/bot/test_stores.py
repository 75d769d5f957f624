"""What is told of the servers: every breaker by its server's name, a server once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.pages import plain
from bot.reports import stores_page
from bot.shapes import stores_object
from memory.breaker import Breaker
from memory.errors import Unavailable
from tests.doubles import HandClock
from tests.unit.bot.rooms import open_bot, results

pytestmark = pytest.mark.embedded  # nothing here depends on the database


def fail(breaker: Breaker) -> None:
    with pytest.raises(Unavailable), breaker.watched():
        raise Unavailable("no answer")


def test_every_server_is_told_once_and_is_away_when_anything_that_uses_it_rests() -> None:
    clock = HandClock()
    cache, queue, graph = Breaker("Redis", clock), Breaker("Redis", clock), Breaker("Neo4j", clock)
    assert stores_object([cache, queue, graph]) == {"Redis": "well", "Neo4j": "well"}
    for failing in (cache, queue):
        fail(failing)
        assert stores_object([cache, queue, graph]) == {"Redis": "away", "Neo4j": "well"}
    assert plain(stores_page(stores_object([cache, queue, graph]))).count("Redis does not answer") == 1
    fail(rabbit := Breaker("RabbitMQ", clock))
    assert "RabbitMQ does not answer" in plain(stores_page(stores_object([rabbit])))


async def test_every_server_that_is_configured_is_told(tmp_path: Path) -> None:
    nobody: dict[str, Any] = {
        "redis_url": "redis://127.0.0.1:1",
        "queue_url": "redis://127.0.0.1:1",
        "qdrant_url": "http://127.0.0.1:1",
    }
    async with open_bot(tmp_path, **nobody) as app:
        [stats] = await results(app, "stats")
        assert set(stats["stores"]) == {"Qdrant", "Redis"}
    async with open_bot(tmp_path, queue_url="amqp://127.0.0.1:1") as app:
        [stats] = await results(app, "stats")
        assert set(stats["stores"]) == {"RabbitMQ"}
