"""Requests to a homeserver, and what its refusals mean.

Nothing here is tried again: whoever asks decides. The errors are those of ``memory.errors``, with what the homeserver
said about when to come back.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

from aiohttp import ClientError, ClientResponse
from nio import AsyncClient, ErrorResponse

from memory.errors import NotFound, Refused, Unavailable, WeavebotError

CLIENT: Final = "/_matrix/client/v3"
UNKNOWN_WAIT: Final = 5.0  # seconds, when a homeserver limits us and does not say for how long
LONGEST_WAIT: Final = 900.0  # seconds that we let a homeserver put us off at once
_GONE: Final = frozenset({"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED"})


class Limited(Unavailable):
    """The homeserver asks us to come back in ``wait`` seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"the homeserver limits our rate for {wait:.0f} s")
        self.wait = wait


class LoggedOut(Unavailable):
    """The homeserver no longer takes our token."""

    def __init__(self, user_id: str) -> None:
        super().__init__(
            f"the homeserver no longer accepts the access token of {user_id or 'the account'}; "
            "log in again with `weavebot matrix login`"
        )


class Challenge(Refused):
    """The homeserver wants proof of who we are before it does that (user-interactive authentication)."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        super().__init__("the homeserver asks for proof of who we are; run `weavebot matrix login`")
        self.asked = asked


class TooLarge(Refused):
    """What was sent is larger than the homeserver takes."""


class Homeserver:
    """Plain requests as one account, over the connections of its nio client."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def ask(
        self,
        method: str,
        *path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        prefix: str = CLIENT,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """The JSON object that the homeserver answers with.

        Raises Limited, LoggedOut, NotFound, Refused, Challenge, TooLarge, or Unavailable when it does not answer.
        """
        where = prefix + "".join(f"/{quote(part, safe='')}" for part in path)
        where += f"?{urlencode(query)}" if query else ""
        headers = {"Content-Type": "application/json"}
        if self._client.access_token:
            headers["Authorization"] = f"Bearer {self._client.access_token}"
        data = None if body is None else json.dumps(body)
        with unanswered():
            response = await self._client.send(method, where, data, headers, timeout=seconds)
            said = await _object(response)
        if response.status < HTTPStatus.BAD_REQUEST:
            if said is None:  # a page for people: of a proxy, of a hotel's network
                raise Unavailable("what answers there is no homeserver, or not now")
            return said
        said = said or {}
        if response.status == HTTPStatus.UNAUTHORIZED and "flows" in said:
            raise Challenge(said)
        raise _failure(response.status, said, response.headers, self._client.user_id)


@contextlib.contextmanager
def unanswered() -> Iterator[None]:
    """Turns what the network does to a request into Unavailable."""
    try:
        yield
    except (TimeoutError, ClientError, OSError) as exc:
        raise Unavailable(f"the homeserver does not answer ({type(exc).__name__})") from exc


def failure_of(response: ErrorResponse, user_id: str) -> WeavebotError:
    """The error behind an error object of nio."""
    said = {"errcode": response.status_code, "error": response.message, "retry_after_ms": response.retry_after_ms}
    transport = response.transport_response
    status = transport.status if transport is not None else HTTPStatus.BAD_GATEWAY
    headers = transport.headers if transport is not None else {}
    return _failure(status, said, headers, user_id)


def _failure(status: int, said: Mapping[str, Any], headers: Mapping[str, str], user_id: str) -> WeavebotError:
    code, words = str(said.get("errcode") or ""), str(said.get("error") or "")
    if code in _GONE:
        return LoggedOut(user_id)
    if status == HTTPStatus.TOO_MANY_REQUESTS or code == "M_LIMIT_EXCEEDED":
        return Limited(_wait(said, headers))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or code == "M_TOO_LARGE":
        return TooLarge("that is too large for the homeserver")
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if not (code and refused):  # without a code it is something between us and the homeserver that speaks
        return Unavailable(f"the homeserver does not answer (HTTP {status}{f', {code}' if code else ''})")
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(f"the homeserver knows no such thing ({code})")
    return Refused(f"the homeserver refuses that: {words or code} ({code})")


def _wait(said: Mapping[str, Any], headers: Mapping[str, str]) -> float:
    """Seconds until we may come back: what the body says (older homeservers), else what the header says."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return min(LONGEST_WAIT, max(0.0, float(said["retry_after_ms"]) / 1000))
    with contextlib.suppress(KeyError, ValueError):
        return min(LONGEST_WAIT, max(0.0, float(headers["Retry-After"])))
    return UNKNOWN_WAIT


async def _object(response: ClientResponse) -> dict[str, Any] | None:
    """The body as an object; None when it is none."""
    try:
        said = json.loads(await response.text())
    except ValueError:
        return None
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None
