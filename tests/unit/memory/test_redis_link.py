"""The address of a Redis server, and what a line to it says when nobody answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis import exceptions as driver

from memory.adapters.redis_link import ATTEMPTS, Address, RedisLink
from memory.breaker import Breaker
from memory.errors import BadInput, Unavailable
from tests.doubles import HandClock

SECRET = "s3cr3t-word"  # noqa: S105 - of nothing


def line(address: Address) -> RedisLink:
    return RedisLink(address, Breaker("Redis", HandClock()))


class TestAddress:
    def test_a_url_names_user_password_host_port_and_database(self) -> None:
        read = Address.read("redis://weavebot:p%40ss%2Fword@cache.example.org:6380/3")
        assert (read.user, read.password) == ("weavebot", "p@ss/word")
        assert (read.host, read.port, read.database, read.secure) == ("cache.example.org", 6380, 3, False)

    def test_what_is_left_out_has_the_usual_value(self) -> None:
        read = Address.read("redis://localhost")
        assert (read.user, read.password, read.port, read.database) == (None, None, 6379, 0)

    def test_two_letters_more_make_it_tls(self) -> None:
        assert Address.read("rediss://:word@cache.example.org").secure

    @pytest.mark.parametrize(
        "url",
        [
            f"http://:{SECRET}@cache.example.org",
            f"redis://:{SECRET}@",
            f"redis://:{SECRET}@cache.example.org:port",
            f"redis://:{SECRET}@cache.example.org/first",
            f"redis://:{SECRET}@cache.example.org/-1",
            f"rediss://:{SECRET}@cache.example.org?ssl_cert_reqs=none",  # the check of certificates is not for sale
            SECRET,
        ],
    )
    def test_what_is_no_url_is_refused_without_being_repeated(self, url: str) -> None:
        with pytest.raises(BadInput, match="WEAVEBOT_REDIS_URL is not right") as refused:
            Address.read(url)
        assert SECRET not in str(refused.value)
        assert refused.value.__cause__ is None

    def test_a_password_is_not_shown(self) -> None:
        assert SECRET not in repr(Address.read(f"redis://:{SECRET}@cache.example.org"))

    def test_a_file_without_certificates_names_its_setting(self, tmp_path: Path) -> None:
        file = tmp_path / "ca.pem"
        with pytest.raises(BadInput, match="WEAVEBOT_REDIS_CA names"):
            line(Address("localhost", secure=True, authorities=file))
        file.write_text("nothing")
        with pytest.raises(BadInput, match="holds no certificates"):
            line(Address("localhost", secure=True, authorities=file))


class TestCalls:
    """No server is needed: what the driver says is raised by the work itself."""

    @pytest.fixture
    def link(self) -> RedisLink:
        return line(Address("localhost", answering=0.5))

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (driver.AuthenticationError(f"WRONGPASS {SECRET}"), "refuses the login"),
            (driver.NoPermissionError(SECRET), "does not let this user"),
            (driver.ReadOnlyError(SECRET), "takes no writes"),
            (driver.BusyLoadingError(SECRET), "is loading its data"),
            (driver.MaxConnectionsError(SECRET), "no more connections"),
            (driver.ResponseError(f"WRONGTYPE {SECRET}"), r"could not do it \(WRONGTYPE\)"),
            (driver.ConnectionError(SECRET), "does not answer: start it"),
            (driver.TimeoutError(SECRET), "did not answer within"),
            (OSError(SECRET), "does not answer: start it"),
        ],
    )
    async def test_what_goes_wrong_is_one_sentence_in_our_words(
        self, link: RedisLink, error: Exception, words: str
    ) -> None:
        async def fail(_: object) -> None:
            raise error

        with pytest.raises(Unavailable, match=words) as raised:
            await link.run(fail)
        assert SECRET not in str(raised.value)
        assert link.resting

    @pytest.mark.parametrize("error", [driver.AuthenticationError(), driver.ReadOnlyError(), driver.ConnectionError()])
    async def test_the_setting_that_it_names_is_the_one_that_the_address_was_read_from(self, error: Exception) -> None:
        async def fail(_: object) -> None:
            raise error

        with pytest.raises(BadInput, match="WEAVEBOT_QUEUE_URL is not right"):
            Address.read("", setting="WEAVEBOT_QUEUE_URL")
        link = line(Address.read("redis://localhost", answering=0.5, setting="WEAVEBOT_QUEUE_URL"))
        with pytest.raises(Unavailable, match="WEAVEBOT_QUEUE_URL"):
            await link.run(fail)

    async def test_a_server_without_memory_is_not_left_alone(self, link: RedisLink) -> None:
        async def fail(_: object) -> None:
            raise driver.OutOfMemoryError(SECRET)

        with pytest.raises(Unavailable, match="no memory left") as raised:
            await link.run(fail)
        assert SECRET not in str(raised.value)
        assert not link.resting

    async def test_a_command_that_may_be_done_twice_is_sent_again(self, link: RedisLink) -> None:
        tries = []

        async def fail_twice(_: object) -> str:
            tries.append(1)
            if len(tries) < ATTEMPTS:
                raise driver.ConnectionError
            return "done"

        assert await link.run(fail_twice, repeat=True) == "done"
        assert not link.resting

    async def test_another_one_is_not(self, link: RedisLink) -> None:
        tries = []

        async def fail(_: object) -> None:
            tries.append(1)
            raise driver.ConnectionError

        with pytest.raises(Unavailable):
            await link.run(fail)
        assert len(tries) == 1

    async def test_a_refusal_is_not_asked_for_again(self, link: RedisLink) -> None:
        tries = []

        async def fail(_: object) -> None:
            tries.append(1)
            raise driver.AuthenticationError

        with pytest.raises(Unavailable):
            await link.run(fail, repeat=True)
        assert len(tries) == 1

    async def test_a_call_is_bounded_as_a_whole(self) -> None:
        link = line(Address("localhost", answering=0.02))
        with pytest.raises(Unavailable, match=r"did not answer within 0\.02 s"):
            await link.run(lambda _: asyncio.sleep(60))

    async def test_a_call_that_is_cancelled_says_nothing_of_the_server(self, link: RedisLink) -> None:
        call = asyncio.ensure_future(link.run(lambda _: asyncio.sleep(60)))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not link.resting
