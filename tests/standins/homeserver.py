"""A homeserver that fails on demand: alone it is dead from the start; before a real one it fails when it is told to.

It counts what it is asked, and when, so that a test can say how hard it was pressed.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

RETRY_AFTER = 2.0  # seconds that a limited answer asks for


class Fault(enum.Enum):
    """What it does instead of answering."""

    BAD_GATEWAY = "502 with a page of HTML"
    LOGGED_OUT = "401, the token is gone"
    SOFT_LOGOUT = "401, the token has expired"
    PROXY_LOGIN = "401 of a proxy that is no homeserver"
    LIMITED_BY_BODY = "429 with retry_after_ms"
    LIMITED_BY_HEADER = "429 with a Retry-After header"
    LIMITED_BARE = "429 without a word"
    SLOW = "takes the request and never answers"
    CUT = "closes the connection in the middle of the answer"
    CUT_AFTER = "does what was asked, then closes the connection"
    NONSENSE = "200 with a page of HTML"


_LIMIT = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too many requests"}
_GONE = {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"}


_ANSWERS: dict[Fault, Callable[[], web.Response]] = {
    Fault.BAD_GATEWAY: lambda: web.Response(status=502, text="<h1>Bad Gateway</h1>", content_type="text/html"),
    Fault.NONSENSE: lambda: web.Response(status=200, text="<h1>Welcome to the hotel</h1>", content_type="text/html"),
    Fault.PROXY_LOGIN: lambda: web.Response(status=401, text="Authorization Required"),
    Fault.LOGGED_OUT: lambda: web.json_response({**_GONE, "soft_logout": False}, status=401),
    Fault.SOFT_LOGOUT: lambda: web.json_response({**_GONE, "soft_logout": True}, status=401),
    Fault.LIMITED_BARE: lambda: web.Response(status=429),
    Fault.LIMITED_BY_HEADER: lambda: web.json_response(
        _LIMIT, status=429, headers={"Retry-After": f"{RETRY_AFTER:.0f}"}
    ),
    Fault.LIMITED_BY_BODY: lambda: web.json_response(
        {**_LIMIT, "retry_after_ms": round(RETRY_AFTER * 1000)}, status=429
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    at: float  # seconds of a monotonic clock


class FaultyHomeserver:
    """Answers as ``upstream`` does while ``fault`` is None."""

    def __init__(self, url: str, upstream: str | None, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.fault: Fault | None = Fault.BAD_GATEWAY if upstream is None else None
        self.only = ""  # a part of the paths that the fault is for; empty: all
        self.times: int | None = None  # how often it fails before it recovers; None: always
        self.over = asyncio.Event()
        self._upstream = upstream
        self._session = session

    def count(self, path: str = "", *, since: float = 0.0) -> int:
        """How many requests had that in their path."""
        return sum(path in one.path and one.at >= since for one in self.asked)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.asked.append(Asked(request.method, request.path, time.monotonic()))
        fault = self.fault if self.only in request.path else None
        if fault is not None and self.times is not None:
            self.times -= 1
            self.fault = None if self.times <= 0 else self.fault
        if fault is None:
            return await self._forwarded(request)
        return await self._fail(request, fault)

    async def _fail(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault in _ANSWERS:
            return _ANSWERS[fault]()
        if fault is Fault.SLOW:
            await self.over.wait()
        if fault is Fault.CUT_AFTER:
            await self._forwarded(request)
        return await _cut(request)

    async def _forwarded(self, request: web.Request) -> web.StreamResponse:
        url = f"{self._upstream}{request.raw_path}"
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        body = await request.read()
        async with self._session.request(request.method, URL(url, encoded=True), data=body, headers=headers) as reply:
            kept = {name: reply.headers[name] for name in ("Content-Type", "Retry-After") if name in reply.headers}
            return web.Response(status=reply.status, body=await reply.read(), headers=kept)


async def _cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"next_batch"')
    if request.transport is not None:
        request.transport.abort()
    return response


@contextlib.asynccontextmanager
async def faulty_homeserver(upstream: str | None = None) -> AsyncIterator[FaultyHomeserver]:
    """On a free port of this machine, for the time of the block."""
    app = web.Application(client_max_size=100 * 2**20)
    async with aiohttp.ClientSession() as session:
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        server = FaultyHomeserver("", upstream, session)
        app.router.add_route("*", "/{path:.*}", server.answer)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        try:
            yield server
        finally:
            server.over.set()
            await runner.cleanup()
