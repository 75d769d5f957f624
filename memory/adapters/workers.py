"""Threads that compute, most urgent job first."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_AGEING = 10.0  # a job waits at most ten times its own duration longer than one of no duration


class Workers:
    """A few threads and one queue ordered by ``time of submission + 10 · expected duration``.

    So a question of a millisecond overtakes the rest of an import, and no import waits for ever behind questions.
    """

    def __init__(self, threads: int, *, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._serial = itertools.count()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def submit(self, job: Callable[[], T], *, seconds: float = 0.0) -> Future[T]:
        """Run a job of an expected duration; a future that is cancelled before its turn never runs."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits for the job
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            heapq.heappush(self._waiting, (self._clock() + _AGEING * seconds, next(self._serial), run))
        self._pool.submit(
            self._run_most_urgent
        )  # as many turns as jobs; which job a turn takes is decided when it comes
        return future

    def close(self) -> None:
        """Cancel what has not begun and wait for what has."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run_most_urgent(self) -> None:
        with self._lock:
            _, _, run = heapq.heappop(self._waiting)
        run()
