"""Discord's limits: per-route buckets, 50 requests a second, and the count of invalid requests.

https://docs.discord.com/developers/topics/rate-limits. Discord publishes the global and the invalid-request limit; the
limits of routes are known from responses and may change, so clients must read the headers. The numbers here are usual
ones.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

Window = tuple[int, float]  # so many requests in so many seconds

INVALID: Final = frozenset({401, 403, 429})
USUAL: Final[Window] = (50, 1.0)
ROUTES: Final[Mapping[str, Window]] = MappingProxyType(
    {
        "POST /channels/{channel}/messages": (5, 5.0),
        "PATCH /channels/{channel}/messages/{message}": (5, 5.0),
        "DELETE /channels/{channel}/messages/{message}": (5, 1.0),
        "GET /channels/{channel}/messages": (10, 5.0),
        "PUT /channels/{channel}/messages/{message}/reactions/{emoji}/@me": (1, 0.25),
        "DELETE /channels/{channel}/messages/{message}/reactions/{emoji}/@me": (1, 0.25),
        "POST /channels/{channel}/threads": (50, 300.0),
        "POST /webhooks/{webhook}/{token}": (5, 2.0),
        "POST /users/@me/channels": (10, 10.0),
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the stand-in allows. ``Limits.open()`` is for tests whose matter is something else."""

    routes: Mapping[str, Window] = field(default_factory=lambda: ROUTES)
    usual: Window = USUAL
    per_second: int = 50
    invalid: int = 10_000
    invalid_window: float = 600.0
    identify_every: float = 5.0  # seconds between two identifies (max_concurrency 1)
    session_starts: int = 1000  # identifies a day
    gateway_sends: Window = (120, 60.0)
    nonce_window: float = 300.0  # "the past few minutes"

    @classmethod
    def open(cls) -> Limits:
        """No waiting: routes and starts are not limited, the rest is as ever."""
        return cls(routes={}, usual=(1_000_000, 1.0), per_second=1_000_000, identify_every=0.0)


@dataclass(slots=True)
class Verdict:
    """What a bucket says to one request."""

    headers: dict[str, str]
    retry_after: float = 0.0
    scope: str = "user"

    @property
    def refused(self) -> bool:
        """Whether the request came too early."""
        return self.retry_after > 0


@dataclass(slots=True)
class _Bucket:
    limit: int
    window: float
    resets: float = 0.0
    used: int = 0


@dataclass(slots=True)
class Ledger:
    """Counts requests against the limits."""

    limits: Limits
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _recent: deque[float] = field(default_factory=deque)
    _invalid: deque[float] = field(default_factory=deque)
    banned_until: float = 0.0

    @property
    def invalid(self) -> int:
        """Invalid requests in the current window."""
        _forget(self._invalid, time.monotonic() - self.limits.invalid_window)
        return len(self._invalid)

    def admit(self, route: str, major: str) -> Verdict:
        """Counts a request in its bucket: the route with its channel, server or webhook."""
        limit, window = self.limits.routes.get(route, self.limits.usual)
        now = time.monotonic()
        bucket = self._buckets.setdefault(f"{route}:{major}", _Bucket(limit, window))
        if now >= bucket.resets:
            bucket.resets, bucket.used = now + bucket.window, 0
        left = bucket.resets - now
        refused = bucket.used >= bucket.limit
        bucket.used += 0 if refused else 1
        headers = {
            "X-RateLimit-Limit": str(bucket.limit),
            "X-RateLimit-Remaining": str(bucket.limit - bucket.used),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": hashlib.blake2b(route.encode(), digest_size=16).hexdigest(),
        }
        return Verdict(headers, left if refused else 0.0)

    def admit_globally(self) -> float:
        """Seconds to wait when more than the global limit came in the last second, else 0."""
        now = time.monotonic()
        _forget(self._recent, now - 1.0)
        if len(self._recent) >= self.limits.per_second:
            return max(0.001, self._recent[0] + 1.0 - now)
        self._recent.append(now)
        return 0.0

    def count(self, status: int) -> None:
        """Counts an invalid request; too many of them bring the ban of the address."""
        if status not in INVALID:
            return
        self._invalid.append(time.monotonic())
        if self.invalid >= self.limits.invalid:
            self.banned_until = time.monotonic() + self.limits.invalid_window

    def banned_for(self) -> int:
        """Seconds that the ban still lasts, rounded up; 0 when there is none."""
        return max(0, math.ceil(self.banned_until - time.monotonic()))


def _forget(times: deque[float], before: float) -> None:
    while times and times[0] < before:
        times.popleft()
