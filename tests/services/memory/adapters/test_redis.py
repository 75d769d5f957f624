"""Redis keeps the promises of a cache; several processes share it, installations do not."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memory.adapters.redis import RedisCache
from memory.adapters.redis_link import Address, RedisLink
from memory.errors import Unavailable
from tests.contract.cache import LONG, SHORT, CacheContract, Pause, kept, slot, there
from tests.services.redis import PATIENT, lasting, open_link, redis_address, secure_server
from tests.services.tls import make_authority

pytestmark = pytest.mark.services


@pytest.fixture
async def link() -> AsyncIterator[RedisLink]:
    async with open_link(redis_address()) as link:
        yield link


@pytest.fixture
def cache(link: RedisLink) -> RedisCache:
    """Of an installation that nobody else is."""
    return RedisCache(link, secrets.token_hex(4))


class TestRedisCache(CacheContract):
    @pytest.fixture
    def pause(self) -> Pause:
        async def pass_by(time: timedelta) -> None:
            await asyncio.sleep(time.total_seconds())

        return pass_by


class TestServer:
    async def test_another_process_finds_what_this_one_put(self, cache: RedisCache) -> None:
        await kept(cache, slot("a", "x"))
        async with open_link(redis_address()) as other:
            beside = RedisCache(other, cache._names.installation)
            assert await there(beside, slot("a", "x")) == b"value"
            await beside.drop("evidence", ["x"])
        assert await there(cache, slot("a", "x")) is None

    async def test_installations_never_mix(self, cache: RedisCache, link: RedisLink) -> None:
        await kept(cache, slot("a", "x"))
        stranger = RedisCache(link, secrets.token_hex(4))
        assert await there(stranger, slot("a", "x")) is None
        await stranger.drop("evidence", ["x"])
        assert await there(cache, slot("a", "x")) == b"value"

    async def test_whatever_is_there_ends_by_itself(self, cache: RedisCache, link: RedisLink) -> None:
        await kept(cache, slot("a", "x"))
        await cache.drop("evidence", ["y"])
        await cache.claim(slot("b"), LONG)
        await cache.count(slot("c"), LONG)
        keys = await lasting(link, cache._names.installation)
        assert len(keys) == 5
        assert all(left > 0 for left in keys.values())

    async def test_what_names_the_values_of_a_tag_outlives_them(self, cache: RedisCache, link: RedisLink) -> None:
        await kept(cache, slot("a", "x"), ttl=LONG)
        keys = await lasting(link, cache._names.installation)
        lasts = {key.split(":")[2]: left for key, left in keys.items()}
        assert lasts["tag"] > lasts["value"] + 80_000_000  # ms: most of a day

    async def test_a_tag_forgets_what_has_ended(self, cache: RedisCache, link: RedisLink) -> None:
        await kept(cache, slot("a", "x"), ttl=SHORT)
        await asyncio.sleep(2 * SHORT.total_seconds())
        await kept(cache, slot("b", "x"))
        index = cache._names.index("evidence", "x")
        assert await link.run(lambda redis: redis.zcard(index)) == 1

    async def test_a_deletion_removes_also_when_the_server_is_full(self, tmp_path: Path) -> None:
        make_authority(tmp_path)
        async with secure_server(tmp_path) as port:  # of its own: it refuses everybody
            where = Address("localhost", port, secure=True, authorities=tmp_path / "ca.pem", answering=PATIENT)
            async with open_link(where) as link:
                cache = RedisCache(link, secrets.token_hex(4))
                await kept(cache, slot("a", "x"))
                await link.run(lambda redis: redis.config_set("maxmemory", 1))
                with pytest.raises(Unavailable, match="no memory left"):
                    await kept(cache, slot("b", "x"))
                await cache.drop("evidence", ["x"])
                assert await there(cache, slot("a", "x")) is None

    async def test_it_says_what_it_is(self, cache: RedisCache) -> None:
        health = await cache.health()
        assert health.server.startswith("Redis ")
        assert health.used > 0
        assert health.policy

    async def test_the_rights_in_the_docs_are_enough(self, link: RedisLink) -> None:
        page = (Path(__file__).parents[4] / "docs" / "redis.md").read_text("utf-8")
        told = re.search(r"A user of its own needs `([^`]+)`", page)
        assert told is not None
        name, word = f"user-{secrets.token_hex(4)}", secrets.token_hex(8)
        words = told.group(1).split()
        rights: dict[str, Any] = {
            "keys": [one.removeprefix("~") for one in words if one.startswith("~")],
            "categories": [one for one in words if one.startswith("+@")],
            "commands": [one for one in words if one.startswith("+") and not one.startswith("+@")],
        }
        await link.run(lambda redis: redis.acl_setuser(name, enabled=True, passwords=[f"+{word}"], **rights))
        try:
            async with open_link(replace(redis_address(), user=name, password=word)) as limited:
                cache = RedisCache(limited, secrets.token_hex(4))
                assert await kept(cache, slot("a", "x"))
                assert await there(cache, slot("a", "x")) == b"value"
                token = await cache.claim(slot("a"), LONG)
                assert token is not None
                await cache.release(slot("a"), token)
                assert await cache.count(slot("a"), LONG) == 1
                await cache.drop("evidence", ["x"])
                assert await there(cache, slot("a", "x")) is None
                assert (await cache.health()).server
                with pytest.raises(Unavailable, match="does not let this user"):
                    await limited.run(lambda redis: redis.set("another-key", "x"))
        finally:
            await link.run(lambda redis: redis.acl_deluser(name))
