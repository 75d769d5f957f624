"""The order in which jobs get their turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from functools import partial

import pytest

from memory.adapters.workers import Workers


class Bench:
    """One worker, held by a job until released; the time stands where the test puts it."""

    def __init__(self) -> None:
        self.time = 0.0
        self.done: list[str] = []
        self.workers = Workers(1, name="test", clock=lambda: self.time)
        self._release = threading.Event()
        self.workers.submit(self._release.wait)

    def add(self, name: str, seconds: float = 0.0) -> Future[None]:
        return self.workers.submit(partial(self.done.append, name), seconds=seconds)

    def finish(self) -> list[str]:
        """Let all jobs run, and say in which order they did."""
        last = self.add("last", seconds=1e9)
        self._release.set()
        last.result(5)
        return self.done[:-1]

    def release(self) -> None:
        self._release.set()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.release()
    made.workers.close()


class TestOrder:
    def test_equal_jobs_run_in_the_order_they_came(self, bench: Bench) -> None:
        for name in "abc":
            bench.add(name)
        assert bench.finish() == ["a", "b", "c"]

    def test_a_short_job_overtakes_a_long_one(self, bench: Bench) -> None:
        bench.add("import", seconds=2.0)
        bench.add("question", seconds=0.001)
        assert bench.finish() == ["question", "import"]

    def test_a_long_job_does_not_wait_for_ever(self, bench: Bench) -> None:
        bench.add("import", seconds=2.0)
        bench.time = 25.0
        bench.add("question", seconds=0.001)
        assert bench.finish() == ["import", "question"]


class TestOutcomes:
    def test_a_result_reaches_its_future(self, bench: Bench) -> None:
        bench.release()
        assert bench.workers.submit(lambda: 7).result(5) == 7

    def test_an_error_reaches_its_future_and_the_worker_lives_on(self, bench: Bench) -> None:
        bench.release()
        with pytest.raises(ZeroDivisionError):
            bench.workers.submit(lambda: 1 // 0).result(5)
        assert bench.workers.submit(lambda: 7).result(5) == 7

    def test_a_cancelled_job_never_runs(self, bench: Bench) -> None:
        bench.add("kept")
        assert bench.add("cancelled").cancel()
        assert bench.finish() == ["kept"]

    def test_closing_cancels_what_has_not_begun_and_waits_for_what_has(self) -> None:
        bench = Bench()
        waiting = bench.add("late")
        closer = threading.Thread(target=bench.workers.close)
        closer.start()
        with pytest.raises(CancelledError):
            waiting.result(5)
        assert closer.is_alive()
        bench.release()
        closer.join(5)
        assert not closer.is_alive()
        assert bench.done == []

    def test_closed_workers_take_no_job(self) -> None:
        bench = Bench()
        bench.release()
        bench.workers.close()
        with pytest.raises(RuntimeError):
            bench.add("late")
