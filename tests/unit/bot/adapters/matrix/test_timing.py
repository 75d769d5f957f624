"""Pauses that grow, and what waits for a sync."""

from __future__ import annotations

import asyncio

from bot.adapters.matrix.timing import Backoff, Pulse, Timing


class TestBackoff:
    def test_doubles_up_to_a_longest_pause(self) -> None:
        backoff = Backoff(Timing(first_pause=1.0, longest_pause=60.0), draw=lambda: 1.0)
        assert [backoff.pause() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
        backoff.reset()
        assert backoff.pause() == 1

    def test_has_full_jitter(self) -> None:
        draws = iter([0.0, 0.5, 1.0])
        backoff = Backoff(Timing(first_pause=1.0), draw=lambda: next(draws))
        assert [backoff.pause() for _ in range(3)] == [0.0, 1.0, 4.0]

    def test_stays_finite(self) -> None:
        backoff = Backoff(Timing(), draw=lambda: 1.0)
        assert [backoff.pause() for _ in range(5_000)][-1] == 60.0


class TestPulse:
    async def test_wakes_who_waits_for_what_a_sync_brings(self) -> None:
        pulse = Pulse()
        waiting = asyncio.create_task(pulse.until(lambda: pulse.beats >= 2, seconds=5))
        for _ in range(2):
            await asyncio.sleep(0)
            await pulse.beat()
        assert await waiting

    async def test_gives_up_in_time(self) -> None:
        assert not await Pulse().until(lambda: False, seconds=0.01)
