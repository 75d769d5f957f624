"""The line to a Qdrant server: gRPC where it may, limits, errors in our own words, a breaker.

Each call is bounded as a whole. What is asked or told may be done twice, so a call whose connection was lost is made
again, with jitter, within the same bound.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import grpc
import httpx
import stamina
import structlog
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from memory.breaker import Breaker
from memory.errors import BadInput, Unavailable

log = structlog.get_logger()

ATTEMPTS: Final = 3
"""How often a call is made whose connection was lost."""

_GRPC_PORT: Final = 6334
_PORT: Final = 6333
_REFUSED: Final = (401, 403)
_WRONG_URL: Final = (
    "WEAVEBOT_QDRANT_URL is not right: write http://HOST:6333, or https://HOST:6333 for TLS, without a path; the key"
    " goes into WEAVEBOT_QDRANT_KEY."
)
_BACK_OFF: Final = {"grpc.initial_reconnect_backoff_ms": 200, "grpc.max_reconnect_backoff_ms": 2_000}
"""The driver's own rest after a lost connection may last two minutes: the breaker's is enough."""

_Given = TypeVar("_Given")
Work: TypeAlias = Callable[[AsyncQdrantClient], Awaitable[_Given]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and for how long it may keep us waiting, in seconds.

    ``reading`` bounds what a question waits for, ``writing`` everything else. Without a ``grpc_port`` HTTP is spoken
    alone. With https the certificate is checked, against the client's authorities or those in the file ``authorities``.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    grpc_port: int = _GRPC_PORT
    authorities: Path | None = None
    reading: float = 1.0
    writing: float = 30.0


class QdrantLink:
    """Makes calls. Raises Unavailable, with what to do, for everything that goes wrong there."""

    def __init__(self, client: AsyncQdrantClient, breaker: Breaker, *, reading: float, writing: float) -> None:
        """``reading`` and ``writing`` as in `Address`."""
        self._client = client
        self._breaker = breaker
        self._reading = reading
        self._writing = writing
        self._down = False

    @classmethod
    def to(cls, address: Address, breaker: Breaker) -> QdrantLink:
        """The line to a server. Nothing is opened before it is needed. Raises BadInput for an address that is none."""
        try:
            parts = urlsplit(address.url)
            port = parts.port or _PORT
        except ValueError:
            raise BadInput(_WRONG_URL) from None
        odd = parts.username or parts.query or parts.fragment or parts.path.strip("/")
        if parts.scheme not in ("http", "https") or not parts.hostname or odd:
            raise BadInput(_WRONG_URL)
        options: dict[str, Any] = dict(_BACK_OFF)
        trusted: dict[str, Any] = {}
        if parts.scheme == "https" and address.authorities is not None:
            trusted = {"verify": _trusting(address.authorities)}
            options["root_certificates"] = address.authorities.read_bytes()
        client = AsyncQdrantClient(
            url=f"{parts.scheme}://{parts.hostname if ':' not in parts.hostname else f'[{parts.hostname}]'}:{port}",
            grpc_port=address.grpc_port or _GRPC_PORT,
            prefer_grpc=bool(address.grpc_port),
            timeout=math.ceil(max(address.reading, address.writing)),
            headers={"api-key": address.key} if address.key else None,
            grpc_options=options,
            check_compatibility=False,  # it would ask in a thread and warn; `weavebot doctor` says it
            **trusted,
        )
        return cls(client, breaker, reading=address.reading, writing=address.writing)

    @property
    def resting(self) -> bool:
        """Whether the server is left alone after a failure."""
        return self._breaker.resting

    def check(self) -> None:
        """Raises Unavailable while the server rests after a failure."""
        self._breaker.check()

    async def read(self, work: Work[_Given]) -> _Given:
        """What a question waits for."""
        return await self._run(work, self._reading)

    async def write(self, work: Work[_Given]) -> _Given:
        """What nobody waits for: a batch, a whole room, a change of collections."""
        return await self._run(work, self._writing)

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.close()

    async def _run(self, work: Work[_Given], limit: float) -> _Given:
        try:
            with self._breaker.watched():
                given = await self._bounded(work, limit)
        except Unavailable as exc:
            if not self._down and self._breaker.resting:
                self._down = True
                log.warning("qdrant.down", reason=str(exc))
            raise
        if self._down:
            self._down = False
            log.info("qdrant.back")
        return given

    async def _bounded(self, work: Work[_Given], limit: float) -> _Given:
        late = Unavailable(f"Qdrant did not answer within {limit:g} s: is the server overloaded?")
        try:
            async with asyncio.timeout(limit):
                async for attempt in stamina.retry_context(
                    on=_is_lost, attempts=ATTEMPTS, timeout=None, wait_initial=0.02, wait_max=0.2, wait_jitter=0.05
                ):
                    with attempt:
                        return await work(self._client)
        except TimeoutError as exc:
            raise late from exc
        except (ApiException, QdrantException, grpc.RpcError, OSError, ValueError) as exc:
            raise (late if _is_late(exc) else Unavailable(_sentence(exc))) from exc
        raise late  # not reached: the last attempt gives or raises


def _trusting(file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(file))
    except OSError as exc:
        raise BadInput(
            f"WEAVEBOT_QDRANT_CA names {file}, which holds no certificates: write the path of a PEM file."
        ) from exc


def _code(exc: BaseException) -> Any:
    """What gRPC says that went wrong; None for anything else."""
    return exc.code() if isinstance(exc, grpc.RpcError) and callable(getattr(exc, "code", None)) else None


def _is_lost(exc: Exception) -> bool:
    """The connection went away, or could not be made; not: the server is slow or refuses us."""
    if isinstance(exc, ResponseHandlingException):
        return isinstance(exc.source, httpx.TransportError) and not isinstance(exc.source, httpx.TimeoutException)
    return bool(_code(exc) is grpc.StatusCode.UNAVAILABLE)


def _is_late(exc: Exception) -> bool:
    if isinstance(exc, ResponseHandlingException):
        return isinstance(exc.source, httpx.TimeoutException)
    return bool(_code(exc) is grpc.StatusCode.DEADLINE_EXCEEDED)


def _sentence(exc: Exception) -> str:
    """What to do. Nothing of what the server said, which may quote what was asked."""
    code = _code(exc)
    status = exc.status_code if isinstance(exc, UnexpectedResponse) else None
    if status in _REFUSED or code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return "Qdrant refuses the key: correct WEAVEBOT_QDRANT_KEY"
    if _is_lost(exc) or isinstance(exc, OSError):
        return "Qdrant does not answer: start it, or correct WEAVEBOT_QDRANT_URL"
    said = status or (code.name if code is not None else type(exc).__name__)
    return f"Qdrant could not do it ({said})"
