"""A store that failed is left alone for a while."""

from __future__ import annotations

from datetime import timedelta

import pytest

from memory.breaker import Breaker
from memory.errors import Unavailable
from tests.doubles import HandClock

LONG = timedelta(seconds=13)  # a rest of ten, with its jitter


class Store:
    """Answers only while it is well; counts how often it was asked."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.well = True
        self.asked = 0

    def ask(self) -> bool:
        """Whether it answered."""
        try:
            with self.breaker.watched():
                self._reach()
        except Unavailable:
            return False
        return True

    def _reach(self) -> None:
        self.asked += 1
        if not self.well:
            raise Unavailable("the store does not answer")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(clock: HandClock) -> Store:
    return Store(Breaker("The store", clock, timedelta(seconds=10)))


class TestBreaker:
    def test_while_all_is_well_everybody_goes_through(self, store: Store) -> None:
        assert [store.ask() for _ in range(3)] == [True] * 3

    def test_after_a_failure_nobody_is_kept_waiting(self, store: Store) -> None:
        store.well = False
        assert [store.ask() for _ in range(5)] == [False] * 5
        assert store.asked == 1
        with pytest.raises(Unavailable, match="The store did not answer just now"), store.breaker.watched():
            pass

    def test_after_its_rest_one_may_try_and_closes_it(self, store: Store, clock: HandClock) -> None:
        store.well = False
        store.ask()
        store.well = True
        clock.advance(LONG)
        assert [store.ask() for _ in range(3)] == [True] * 3

    def test_a_try_that_fails_begins_the_rest_anew(self, store: Store, clock: HandClock) -> None:
        store.well = False
        store.ask()
        clock.advance(LONG)
        assert [store.ask() for _ in range(3)] == [False] * 3
        assert store.asked == 2

    def test_while_one_tries_the_others_are_still_refused(self, store: Store, clock: HandClock) -> None:
        store.well = False
        store.ask()
        store.well = True
        clock.advance(LONG)
        with store.breaker.watched():
            assert not store.ask()
        assert store.ask()

    def test_a_clock_that_goes_back_does_not_make_it_rest_longer(self, store: Store, clock: HandClock) -> None:
        store.well = False
        store.ask()
        clock.advance(-LONG * 1000)
        assert not store.breaker.resting
        store.well = True
        assert store.ask()

    def test_what_is_no_failure_of_the_store_opens_nothing(self, store: Store) -> None:
        with pytest.raises(ValueError, match="ours"), store.breaker.watched():
            raise ValueError("ours")
        assert store.ask()
