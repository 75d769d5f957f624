"""Requests to the homeserver that matrix-nio has no method for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from aiohttp import ClientError
from nio import AsyncClient

from memory.errors import Unavailable

CLIENT: Final = "/_matrix/client/v3"
OK: Final = 200
UNAUTHORIZED: Final = 401
NOT_FOUND: Final = 404
LIMITED: Final = 429
TRIES: Final = 4
LONGEST_WAIT: Final = 30.0  # seconds; a server that asks for more is told to people as unavailable


@dataclass(frozen=True, slots=True)
class Said:
    """What a homeserver said: the HTTP status and the JSON object (empty when it sent none)."""

    status: int
    body: Mapping[str, Any]

    @property
    def well(self) -> bool:
        """Whether it did what was asked."""
        return self.status == OK

    @property
    def reason(self) -> str:
        """Its error in words: ``M_FORBIDDEN: Invalid password``."""
        words = [str(self.body[name]) for name in ("errcode", "error") if self.body.get(name)]
        return ": ".join(words) or f"HTTP {self.status}"


def path(*parts: str) -> str:
    """A path of the client API; each part is escaped."""
    return "/".join((CLIENT, *(quote(part, safe="") for part in parts)))


async def call(client: AsyncClient, method: str, where: str, body: Mapping[str, Any] | None = None) -> Said:
    """One request with the account's token; a rate limit is waited for, a few times.

    Raises Unavailable when the server does not answer or asks for more patience than we have.
    """
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {client.access_token}"}
    data = None if body is None else json.dumps(body)
    for turn in range(TRIES):
        said, wait = await _once(client, method, where, data, headers)
        if said.status != LIMITED or wait > LONGEST_WAIT or turn == TRIES - 1:
            break
        await asyncio.sleep(wait)
    if said.status == LIMITED:
        raise Unavailable(f"The homeserver limits how often we may ask ({wait:.0f} s); try again later.")
    return said


async def must(
    client: AsyncClient, method: str, where: str, body: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """The body of a request that has to succeed; raises Unavailable with the server's words."""
    said = await call(client, method, where, body)
    if not said.well:
        raise Unavailable(f"The homeserver {client.homeserver} refused a request ({said.reason}); see its log.")
    return said.body


async def _once(
    client: AsyncClient, method: str, where: str, data: str | None, headers: dict[str, str]
) -> tuple[Said, float]:
    try:
        answer = await client.send(method, where, data, headers)
        text = await answer.text()
    except (ClientError, TimeoutError, OSError) as exc:
        raise Unavailable(
            f"The homeserver {client.homeserver} does not answer ({type(exc).__name__}); check that it runs."
        ) from exc
    body = _object(text)
    wait = body.get("retry_after_ms")
    seconds = wait / 1000 if isinstance(wait, int | float) else _seconds(answer.headers.get("Retry-After", ""))
    return Said(answer.status, body), seconds


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(header: str) -> float:
    return float(header) if header.isdecimal() else 1.0
