"""The cache on a Redis server, shared by several processes.

A value is a string with an end. Each tag has a sorted set of the keys under it, by when they end, and a fence: a word
that changes when the tag is dropped, so that a value which somebody began to compute before is not put afterwards. The
sets outlive what they name by a day; with the policy ``volatile-ttl`` a server that is short of memory therefore takes
values first. All of it ends by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from redis.asyncio import Redis

from memory.adapters.redis_link import RedisLink
from memory.models import CacheHealth, Slot

_DAY: Final = timedelta(days=1)
_FENCE: Final = timedelta(hours=1)
"""Longer than anybody computes a value."""

_PUT: Final = """
local tags = (#KEYS - 1) / 2
for i = 1, tags do
  if (redis.call('GET', KEYS[2 * i]) or '') ~= ARGV[3 + i] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, tags do
  local index = KEYS[2 * i + 1]
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  redis.call('ZADD', index, now + ARGV[2], KEYS[1])
  redis.call('PEXPIRE', index, ARGV[3])
end
return 1
"""
_DROP: Final = """
for i = 1, #KEYS / 2 do
  local index = KEYS[2 * i]
  local held = redis.call('ZRANGE', index, 0, -1)
  for first = 1, #held, 500 do
    redis.call('UNLINK', unpack(held, first, math.min(first + 499, #held)))
  end
  redis.call('DEL', index)
  redis.call('SET', KEYS[2 * i - 1], ARGV[1], 'PX', ARGV[2])
end
return 1
"""
"""What takes memory comes last: a server that has none left refuses a script that begins with it."""
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_COUNT: Final = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
"""


@dataclass(frozen=True, slots=True)
class _Names:
    """The keys of one installation."""

    installation: str

    def key(self, kind: str, namespace: str, key: str) -> str:
        return f"weavebot:{self.installation}:{kind}:{namespace}:{key}"

    def value(self, slot: Slot) -> str:
        return self.key("value", slot.namespace, slot.key)

    def fence(self, namespace: str, tag: str) -> str:
        return self.key("fence", namespace, tag)

    def index(self, namespace: str, tag: str) -> str:
        return self.key("tag", namespace, tag)


class RedisCache:
    """See `memory.ports.Cache`."""

    def __init__(self, link: RedisLink, installation: str) -> None:
        """``installation`` tells our keys from another installation's on the same server."""
        self._link = link
        self._names = _Names(installation)

    async def get(self, slot: Slot) -> tuple[bytes | None, tuple[str, ...]]:
        """See the port."""
        keys = [self._names.value(slot), *(self._names.fence(slot.namespace, tag) for tag in slot.tags)]
        value, *fences = cast("list[bytes | None]", await self._link.run(lambda redis: redis.mget(keys), repeat=True))
        return value, tuple((fence or b"").decode("ascii", "replace") for fence in fences)

    async def put(self, slot: Slot, value: bytes, ttl: timedelta, seen: Sequence[str]) -> bool:
        """See the port."""
        keys = [self._names.value(slot)]
        for tag in slot.tags:
            keys += [self._names.fence(slot.namespace, tag), self._names.index(slot.namespace, tag)]
        given = [value, _ms(ttl), _ms(ttl + _DAY), *seen]
        return bool(await self._script(_PUT, keys, given, repeat=True))

    async def drop(self, namespace: str, tags: Sequence[str]) -> None:
        """See the port."""
        keys = [name(namespace, tag) for tag in tags for name in (self._names.fence, self._names.index)]
        await self._script(_DROP, keys, [secrets.token_hex(8), _ms(_FENCE)], repeat=True)

    async def claim(self, slot: Slot, ttl: timedelta) -> str | None:
        """See the port."""
        token = secrets.token_hex(8)
        key = self._names.key("claim", slot.namespace, slot.key)
        taken = await self._link.run(lambda redis: redis.set(key, token, nx=True, px=_ms(ttl)))
        return token if taken else None

    async def release(self, slot: Slot, token: str) -> None:
        """See the port."""
        await self._script(_RELEASE, [self._names.key("claim", slot.namespace, slot.key)], [token], repeat=True)

    async def count(self, slot: Slot, window: timedelta) -> int:
        """See the port."""
        key = self._names.key("count", slot.namespace, slot.key)
        return int(await self._script(_COUNT, [key], [_ms(window)]))

    @property
    def resting(self) -> bool:
        """Whether the server is left alone after a failure."""
        return self._link.resting

    async def health(self) -> CacheHealth:
        """What the server says of itself; waits longer for it than a question does."""

        async def ask(redis: Redis) -> dict[str, Any]:
            return {**await redis.info("server"), **await redis.info("memory")}

        said = await self._link.run(ask, repeat=True, limit=self._link.patience)
        return CacheHealth(
            server=f"Redis {said['redis_version']}",
            used=int(said["used_memory"]),
            limit=int(said["maxmemory"]),
            policy=str(said["maxmemory_policy"]),
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._link.close()

    async def _script(self, words: str, keys: Sequence[str], given: Sequence[Any], *, repeat: bool = False) -> Any:
        async def run(redis: Redis) -> Any:
            return await redis.eval(words, len(keys), *keys, *given)  # type: ignore[misc]  # it types both its editions

        return await self._link.run(run, repeat=repeat)


def _ms(time: timedelta) -> int:
    return max(1, round(time / timedelta(milliseconds=1)))
