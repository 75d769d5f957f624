"""The REST side: what every request passes through before its handler, and what every error looks like.

In order: the network may be away, the address banned, a fault be due; then the global limit, the token, the bucket of
the route.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from aiohttp import BodyPartReader, web
from multidict import MultiMapping

from tests.standins.discord.deeds import Deeds
from tests.standins.discord.errors import UNAUTHORIZED, Refused, invalid
from tests.standins.discord.faults import Fault, Faults
from tests.standins.discord.limits import Ledger
from tests.standins.discord.state import Json, World

API: Final = "/api/v10"
VIA: Final = "1.1 google"  # real answers pass a proxy that says so; Cloudflare's own do not
UNTOUCHED: Final = ("/interactions/", "/webhooks/", "/attachments/")  # outside the global limit; no bot token needed
REMEMBERED: Final = 20_000

Payload: TypeAlias = "Json | list[Any] | None"


@dataclass(slots=True)
class Call:
    """One request with what it brought."""

    world: World
    deeds: Deeds
    path: Mapping[str, str]
    query: MultiMapping[str]
    body: Any
    files: list[tuple[str, bytes]] = field(default_factory=list)

    def number(self, name: str) -> int:
        """An id of the path. Raises Refused (50035) when it is none."""
        text = self.path[name]
        if not text.isdecimal():
            raise invalid(name, "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
        return int(text)

    def asked(self, name: str) -> int | None:
        """A number of the query. Raises Refused (50035)."""
        text = self.query.get(name)
        if text is None:
            return None
        if not text.isdecimal():
            raise invalid(name, "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
        return int(text)

    def limit(self, default: int, most: int) -> int:
        """The page size. Raises Refused (50035) when it is out of bounds."""
        asked = self.asked("limit")
        if asked is None:
            return default
        if not 1 <= asked <= most:
            raise invalid("limit", "NUMBER_TYPE_MAX", f"int value should be between 1 and {most}.")
        return asked


Handler: TypeAlias = Callable[[Call], Awaitable[Payload]] | Callable[[Call], Awaitable[None]]
Routes: TypeAlias = Mapping[tuple[str, str], Handler]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came and how it was answered (0: not at all)."""

    request: str
    status: int
    body: Any = None


class Rest:
    """The HTTP application."""

    def __init__(self, deeds: Deeds, ledger: Ledger, faults: Faults) -> None:
        self._deeds = deeds
        self._ledger = ledger
        self._faults = faults
        self.seen: deque[Seen] = deque(maxlen=REMEMBERED)
        self.unknown: list[str] = []

    def add_to(self, app: web.Application, routes: Routes) -> None:
        """Puts the handlers on their paths, and a 404 on all others."""
        for (method, path), handler in routes.items():
            app.router.add_route(method, API + path, self._answering(f"{method} {path}", handler))
        app.router.add_route("*", API + "/{rest:.*}", self._unknown)

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        self.unknown.append(f"{request.method} {request.path}")
        return _json_response(404, {"message": "404: Not Found", "code": 0})

    def _answering(self, route: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            name = f"{request.method} {request.path.removeprefix(API)}"
            if self._faults.away:
                _abort(request)
            fault = self._faults.take(name)
            call = await self._call(request)
            if fault is not None and fault.delay:
                await asyncio.sleep(fault.delay)
            response, headers = self._refusal(request, route, fault)
            response = response or await self._carry_out(route, call, handler)
            response.headers.update(headers)  # every answer carries the state of its bucket
            self.seen.append(Seen(name, response.status, call.body))
            if fault is not None and fault.lost:
                _abort(request)
            return response

        return answer

    async def _call(self, request: web.Request) -> Call:
        body: Any = None
        files: list[tuple[str, bytes]] = []
        if request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    continue
                if part.name == "payload_json":
                    body = json.loads(await part.text())
                elif part.name is not None and part.name.startswith("files["):
                    files.append((part.filename or "unnamed", bytes(await part.read())))
        elif request.can_read_body:
            with contextlib.suppress(ValueError):
                body = json.loads(await request.read())
        return Call(self._deeds.world, self._deeds, request.match_info, request.query, body, files)

    def _refusal(
        self, request: web.Request, route: str, fault: Fault | None
    ) -> tuple[web.Response | None, Mapping[str, str]]:
        """The answer when the request may not reach its handler, and the headers of its bucket."""
        if (seconds := self._ledger.banned_for()) > 0:
            return _cloudflare(seconds), {}
        response, headers = self._first_refusal(request, route, fault)
        if response is not None:
            self._ledger.count(response.status)
        return response, headers

    def _first_refusal(
        self, request: web.Request, route: str, fault: Fault | None
    ) -> tuple[web.Response | None, Mapping[str, str]]:
        if fault is not None and fault.status is not None:
            return _faulty(fault), {}
        outside = request.path.removeprefix(API).startswith(UNTOUCHED)
        if not outside and (wait := self._ledger.admit_globally()) > 0:
            limited = {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
            return _too_many(wait, limited, everywhere=True), {}
        if not outside and request.headers.get("Authorization") != f"Bot {self._deeds.world.app.token}":
            return _json_response(401, Refused(UNAUTHORIZED).body()), {}
        verdict = self._ledger.admit(route, _major(request))
        if verdict.refused:
            return _too_many(verdict.retry_after, {"X-RateLimit-Scope": verdict.scope}), verdict.headers
        return None, verdict.headers

    async def _carry_out(self, route: str, call: Call, handler: Handler) -> web.Response:
        try:
            payload = await handler(call)
        except Refused as refused:
            self._ledger.count(refused.status)
            return _json_response(refused.status, refused.body())
        if isinstance(payload, Raw):
            return web.Response(body=payload.data, content_type="application/octet-stream")
        return web.Response(status=204) if payload is None else _json_response(_CREATED.get(route, 200), payload)


class Raw(dict[str, Any]):
    """Bytes instead of JSON: an attachment."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


_CREATED: Final = {"POST /channels/{channel}/threads": 201, "POST /channels/{channel}/messages/{message}/threads": 201}


def _major(request: web.Request) -> str:
    """The part of the path that has a bucket of its own."""
    info = request.match_info
    return "/".join(info.get(name, "") for name in ("channel", "guild", "webhook", "token"))


def _json_response(status: int, payload: Payload, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON with exactly ``application/json``: with a charset discord.py would take it for text."""
    body = json.dumps(payload, separators=(",", ":")).encode()
    return web.Response(
        status=status, body=body, content_type="application/json", headers={"Via": VIA, **(headers or {})}
    )


def _too_many(wait: float, headers: Mapping[str, str], *, everywhere: bool = False) -> web.Response:
    body = {"message": "You are being rate limited.", "retry_after": round(wait, 3), "global": everywhere}
    return _json_response(429, body, {"Retry-After": str(max(1, round(wait))), **headers})


def _cloudflare(seconds: int) -> web.Response:
    return web.Response(
        status=429,
        body=b"<html><head><title>Access denied</title></head><body>error code: 1015</body></html>",
        content_type="text/html",
        headers={"Retry-After": str(seconds)},
    )


def _faulty(fault: Fault) -> web.Response:
    status = fault.status or 500
    if status == 429 and not fault.via:
        return _cloudflare(round(fault.retry_after or 1))
    if status == 429:
        return _too_many(fault.retry_after or 0.05, {"X-RateLimit-Scope": "user"})
    return _json_response(status, {"message": f"{status}: on purpose", "code": fault.code})


def _abort(request: web.Request) -> None:
    """Breaks the connection instead of answering."""
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError
