"""Threads that compute, most urgent job first."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

_AGEING = 10.0  # a job waits at most ten times its own duration longer than one of no duration


@dataclass(frozen=True, slots=True, order=True)
class _Job:
    """What runs, and when it is due."""

    due: float
    serial: int
    future: Future[Any] = field(compare=False)
    run: Callable[[], Any] = field(compare=False)

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.run()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits for the job
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Workers:
    """A few threads and one queue ordered by ``time of submission + 10 · expected duration``.

    So a question of a millisecond overtakes the rest of an import, and no import waits for ever behind questions.
    """

    def __init__(self, threads: int, *, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._serial = itertools.count()
        self._waiting: list[_Job] = []
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def submit(self, run: Callable[[], T], *, seconds: float = 0.0) -> Future[T]:
        """Run a job of an expected duration; a future that is cancelled before its turn never runs.

        Raises RuntimeError once the workers are closed.
        """
        job = _Job(self._clock() + _AGEING * seconds, next(self._serial), Future[T](), run)
        with self._lock:
            self._pool.submit(
                self._take_turn
            )  # as many turns as jobs; which job a turn takes, it decides when it comes
            heapq.heappush(self._waiting, job)
        return job.future

    def close(self) -> None:
        """Cancel what has not begun and wait for what has."""
        with self._lock:
            for job in self._waiting:
                job.future.cancel()
        self._pool.shutdown(wait=True)

    def _take_turn(self) -> None:
        with self._lock:
            job = heapq.heappop(self._waiting)
        job()
