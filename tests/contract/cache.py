"""What every `Cache` promises; each adapter's test inherits it and gives the fixtures ``cache`` and ``pause``."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

import pytest

from memory.models import Slot
from memory.ports import Cache

Pause: TypeAlias = Callable[[timedelta], Awaitable[None]]

LONG = timedelta(minutes=10)
SHORT = timedelta(milliseconds=60)


def slot(key: str = "a", *tags: str, namespace: str = "evidence") -> Slot:
    return Slot(namespace, key, tags)


async def kept(cache: Cache, where: Slot, value: bytes = b"value", ttl: timedelta = LONG) -> bool:
    """Whether a value was put after a look."""
    _, seen = await cache.get(where)
    return await cache.put(where, value, ttl, seen)


async def there(cache: Cache, where: Slot) -> bytes | None:
    return (await cache.get(where))[0]


class CacheContract:
    """The promises."""

    async def test_what_was_put_is_given_letter_for_letter(self, cache: Cache) -> None:
        value = secrets.token_bytes(5000) + b"\0\r\n"
        assert await there(cache, slot()) is None
        assert await kept(cache, slot(), value)
        assert await there(cache, slot()) == value

    async def test_the_newest_counts(self, cache: Cache) -> None:
        await kept(cache, slot(), b"one")
        await kept(cache, slot(), b"two")
        assert await there(cache, slot()) == b"two"

    async def test_it_is_gone_when_its_time_is_over(self, cache: Cache, pause: Pause) -> None:
        await kept(cache, slot(), ttl=SHORT)
        await kept(cache, slot("b"), ttl=LONG)
        await pause(2 * SHORT)
        assert await there(cache, slot()) is None
        assert await there(cache, slot("b")) == b"value"

    async def test_namespaces_never_mix(self, cache: Cache) -> None:
        await kept(cache, slot("a", "t"), b"one")
        await kept(cache, slot("a", "t", namespace="other"), b"two")
        assert await there(cache, slot("a", "t")) == b"one"
        await cache.drop("other", ["t"])
        assert await there(cache, slot("a", "t")) == b"one"
        assert await there(cache, slot("a", "t", namespace="other")) is None

    async def test_everything_under_a_tag_goes_and_nothing_else(self, cache: Cache) -> None:
        for key in range(600):  # more than one statement takes
            await kept(cache, slot(f"k{key}", "x", "y" if key % 2 else "z"))
        await kept(cache, slot("other", "z"))
        await cache.drop("evidence", ["x"])
        assert [key for key in range(600) if await there(cache, slot(f"k{key}"))] == []
        assert await there(cache, slot("other", "z")) == b"value"

    async def test_a_value_of_several_tags_goes_with_any_of_them(self, cache: Cache) -> None:
        for tag in ("x", "y"):
            await kept(cache, slot("a", "x", "y"))
            await cache.drop("evidence", [tag])
            assert await there(cache, slot("a", "x", "y")) is None

    async def test_what_was_begun_before_a_tag_was_dropped_is_not_put(self, cache: Cache) -> None:
        where = slot("a", "x", "y")
        for tag in ("x", "y", "x"):
            _, seen = await cache.get(where)
            await cache.drop("evidence", [tag])
            assert not await cache.put(where, b"old", LONG, seen)
            assert await there(cache, where) is None
            assert await kept(cache, where, b"new")

    async def test_dropping_what_is_not_there_does_nothing(self, cache: Cache) -> None:
        await kept(cache, slot("a", "x"))
        await cache.drop("evidence", ["nobody", "nothing"])
        await cache.drop("evidence", [])
        assert await there(cache, slot("a", "x")) == b"value"

    async def test_one_of_many_may_compute(self, cache: Cache) -> None:
        tokens = await asyncio.gather(*(cache.claim(slot(), LONG) for _ in range(20)))
        assert sum(token is not None for token in tokens) == 1
        assert await cache.claim(slot("b"), LONG) is not None

    async def test_a_claim_that_is_given_back_can_be_taken(self, cache: Cache) -> None:
        token = await cache.claim(slot(), LONG)
        assert token is not None
        await cache.release(slot(), token)
        assert await cache.claim(slot(), LONG) is not None

    async def test_a_claim_ends_by_itself_and_is_then_not_the_first_ones_to_give_back(
        self, cache: Cache, pause: Pause
    ) -> None:
        first = await cache.claim(slot(), SHORT)
        await pause(2 * SHORT)
        assert await cache.claim(slot(), LONG) is not None
        assert first is not None
        await cache.release(slot(), first)
        assert await cache.claim(slot(), LONG) is None

    async def test_counting_loses_nobody(self, cache: Cache) -> None:
        counts = await asyncio.gather(*(cache.count(slot(namespace="asks"), LONG) for _ in range(30)))
        assert sorted(counts) == list(range(1, 31))

    async def test_each_is_counted_apart(self, cache: Cache) -> None:
        assert [await cache.count(slot(key, namespace="asks"), LONG) for key in ("a", "b", "a")] == [1, 1, 2]

    async def test_a_window_begins_with_its_first_and_does_not_grow_with_the_others(
        self, cache: Cache, pause: Pause
    ) -> None:
        window = 10 * SHORT
        assert await cache.count(slot(namespace="asks"), window) == 1
        await pause(2 * SHORT)
        assert await cache.count(slot(namespace="asks"), window) == 2
        await pause(9 * SHORT)
        assert await cache.count(slot(namespace="asks"), window) == 1

    @pytest.mark.parametrize("key", ["", "a:b", "ключ", "a\nb", "k" * 500])
    async def test_any_key_will_do(self, cache: Cache, key: str) -> None:
        assert await kept(cache, slot(key, key))
        assert await there(cache, slot(key, key)) == b"value"
        assert await there(cache, slot(key + "'")) is None
