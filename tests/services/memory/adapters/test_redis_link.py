"""The line to the real Redis: a wrong password, TLS, and a server that stops, freezes and comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from memory.adapters.redis_link import Address
from memory.errors import Unavailable
from tests.doubles import HandClock
from tests.services.redis import open_link, ping, redis_address, secure_server
from tests.services.servers import Server
from tests.services.tls import make_authority

pytestmark = pytest.mark.services

AGAIN = timedelta(seconds=20)
"""Longer than a breaker rests."""
SHORT = 0.1  # seconds
WRONG = "not-the-word"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Redis, for a test that is alone with it; it runs again afterwards."""
    found = Server("redis", alone=True)
    yield found
    await found.recover()


class TestLogin:
    async def test_with_the_password_it_answers(self) -> None:
        async with open_link(redis_address()) as link:
            assert await link.run(ping)

    async def test_with_another_it_says_which_setting_is_wrong(self) -> None:
        async with open_link(replace(redis_address(), password=WRONG)) as link:
            with pytest.raises(Unavailable, match="refuses the login: correct the user and the password") as refused:
                await link.run(ping)
        assert WRONG not in str(refused.value)

    async def test_without_one_too(self) -> None:
        async with open_link(replace(redis_address(), password=None)) as link:
            with pytest.raises(Unavailable, match="refuses the login"):
                await link.run(ping)


@pytest.mark.alone("redis")
class TestFaults:
    async def test_a_server_that_was_stopped_is_used_again_when_it_is_back(self, server: Server) -> None:
        clock = HandClock()
        async with open_link(redis_address(), clock) as link:
            assert await link.run(ping)
            with structlog.testing.capture_logs() as logged:
                await server.stop()
                for _ in range(3):
                    with pytest.raises(Unavailable, match="does not answer: start it"):
                        await link.run(ping, repeat=True)
                    with pytest.raises(Unavailable, match="rests for some seconds"):
                        await link.run(ping)
                    clock.advance(AGAIN)
                await server.start()
                assert await link.run(ping)
            assert [line["event"] for line in logged if line["event"].startswith("redis.")] == [
                "redis.down",
                "redis.back",
            ]

    async def test_a_restart_between_two_commands_is_not_noticed(self, server: Server) -> None:
        async with open_link(redis_address()) as link:
            assert await link.run(ping)
            await server.restart()
            assert await link.run(ping, repeat=True)

    async def test_a_frozen_server_keeps_nobody_waiting_longer_than_the_limit(self, server: Server) -> None:
        clock = HandClock()
        async with open_link(redis_address(answering=SHORT), clock) as link:
            assert await link.run(ping, limit=5.0)
            await server.pause()
            began = time.perf_counter()
            with pytest.raises(Unavailable, match=r"did not answer within 0\.1 s"):
                await link.run(ping, repeat=True)
            assert time.perf_counter() - began < 20 * SHORT  # the machine is shared
            for _ in range(100):
                with pytest.raises(Unavailable, match="rests"):
                    await link.run(ping)
            assert time.perf_counter() - began < 20 * SHORT
            await server.resume()
            clock.advance(AGAIN)
            assert await link.run(ping, limit=5.0)

    async def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one(self, server: Server) -> None:
        clock = HandClock()
        async with open_link(redis_address(answering=SHORT), clock) as link:
            await link.run(lambda client: client.set("late", "one", ex=60), limit=5.0)
            await server.pause()
            with pytest.raises(Unavailable):
                await link.run(lambda client: client.get("late"))
            await server.resume()
            clock.advance(AGAIN)
            assert await link.run(ping, limit=5.0) is True


class TestTls:
    @pytest.fixture
    async def secure(self, tmp_path: Path) -> AsyncIterator[Address]:
        """A server with a certificate of an authority that nobody knows."""
        authorities = make_authority(tmp_path)
        async with secure_server(tmp_path) as port:
            yield Address("localhost", port, secure=True, authorities=authorities, answering=5.0)

    async def test_a_certificate_of_a_known_authority_is_taken(self, secure: Address) -> None:
        async with open_link(secure) as link:
            assert await link.run(ping)

    async def test_one_of_an_unknown_authority_is_not(self, secure: Address) -> None:
        async with open_link(replace(secure, authorities=None)) as link:
            with pytest.raises(Unavailable, match="is not trusted: name its authority's file in WEAVEBOT_REDIS_CA"):
                await link.run(ping, repeat=True)

    async def test_nor_one_of_another_host(self, secure: Address) -> None:
        async with open_link(replace(secure, host="127.0.0.1")) as link:
            with pytest.raises(Unavailable, match="is not trusted"):
                await link.run(ping)

    async def test_without_tls_it_is_not_spoken_to(self, secure: Address) -> None:
        async with open_link(replace(secure, secure=False)) as link:
            with pytest.raises(Unavailable, match="does not answer"):
                await link.run(ping)

    async def test_one_that_is_frozen_can_be_left(self, secure: Address) -> None:
        async with open_link(replace(secure, connecting=0.3)) as link:
            said: dict[str, int] = await link.run(lambda redis: redis.info("server"))
            os.kill(said["process_id"], signal.SIGSTOP)
            with structlog.testing.capture_logs() as logs:
                await link.close()
            assert [entry["event"] for entry in logs] == ["redis.not_closed"]
