"""The cache in the process keeps the promises of a cache, within its bound."""

from __future__ import annotations

from datetime import timedelta

import pytest

from memory.adapters.in_memory import ProcessCache
from tests.contract.cache import LONG, CacheContract, Pause, kept, slot, there
from tests.doubles import HandClock


class TestProcessCache(CacheContract):
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def cache(self, clock: HandClock) -> ProcessCache:
        return ProcessCache(clock)

    @pytest.fixture
    def pause(self, clock: HandClock) -> Pause:
        async def pass_by(time: timedelta) -> None:
            clock.advance(time)

        return pass_by

    async def test_what_was_not_used_for_longest_makes_room(self, clock: HandClock) -> None:
        small = ProcessCache(clock, limit=100)
        for key in "abc":
            await kept(small, slot(key), b"x" * 40, LONG)
            await there(small, slot("a"))
        assert [key for key in "abc" if await there(small, slot(key))] == ["a", "c"]

    async def test_one_that_is_larger_than_all_of_it_is_not_kept(self, clock: HandClock) -> None:
        small = ProcessCache(clock, limit=100)
        await kept(small, slot("a", "x"), b"x" * 101, LONG)
        assert await there(small, slot("a", "x")) is None
        assert small._bytes == 0
        assert not small._tags
