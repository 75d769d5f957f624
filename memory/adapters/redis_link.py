"""The line to a Redis server: one pool of connections and its limits, errors in our own words, a breaker.

Each call is bounded as a whole, with the connection that it may have to open. The driver tries nothing again by itself:
what may be done twice is tried again here, with jitter, within the same bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

import stamina
import structlog
from redis import exceptions as driver
from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from memory.adapters.authorities import context_of, is_distrusted
from memory.breaker import Breaker
from memory.errors import BadInput, Unavailable

log = structlog.get_logger()

POOL: Final = 20
"""Connections at most."""

ATTEMPTS: Final = 3
"""How often a command is sent that may be done twice."""

_PORT: Final = 6379
_SETTING: Final = "WEAVEBOT_REDIS_URL"
_WRONG_URL: Final = "{} is not right: write redis://USER:PASSWORD@HOST:6379/0, or rediss:// for TLS, without options."

_Given = TypeVar("_Given")
Work: TypeAlias = Callable[[Redis], Awaitable[_Given]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and for how long it may keep us waiting, in seconds.

    ``answering`` bounds a command with everything that it waits for, ``connecting`` the opening of a connection in
    calls that may take longer. With ``secure`` the server's certificate is checked, against the system's authorities
    or those in the file ``authorities``. ``setting`` is where it was read, for whoever has to correct it.
    """

    host: str
    port: int = _PORT
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    secure: bool = False
    authorities: Path | None = None
    connecting: float = 3.0
    answering: float = 0.1
    setting: str = _SETTING

    @property
    def authorities_setting(self) -> str:
        """Where the file of authorities was read."""
        return self.setting.removesuffix("_URL") + "_CA"

    @classmethod
    def read(
        cls,
        url: str,
        *,
        authorities: Path | None = None,
        connecting: float = 3.0,
        answering: float = 0.1,
        setting: str = _SETTING,
    ) -> Address:
        """The address that a URL names. Raises BadInput, which does not repeat it, when it names none."""
        try:
            parts = urlsplit(url)
            port, database = parts.port or _PORT, int(parts.path.strip("/") or 0)
        except ValueError:
            raise BadInput(_WRONG_URL.format(setting)) from None
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.query or parts.fragment:
            raise BadInput(_WRONG_URL.format(setting))
        if database < 0:
            raise BadInput(_WRONG_URL.format(setting))
        return cls(
            host=parts.hostname,
            port=port,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            database=database,
            secure=parts.scheme == "rediss",
            authorities=authorities,
            connecting=connecting,
            answering=answering,
            setting=setting,
        )


class RedisLink:
    """Runs commands. Raises Unavailable, with what to do, for everything that goes wrong there."""

    def __init__(self, address: Address, breaker: Breaker) -> None:
        """Nothing is opened before it is needed. Raises BadInput for a file of authorities that cannot be read."""
        self._address = address
        self._breaker = breaker
        self._down = False
        secure: dict[str, Any] = {}
        if address.secure:
            context_of(address.authorities, address.authorities_setting)  # before anything is opened
            secure = {"ssl_ca_certs": str(address.authorities) if address.authorities else None}
        self._pool = BlockingConnectionPool(
            max_connections=POOL,
            timeout=address.connecting,
            connection_class=SSLConnection if address.secure else Connection,
            host=address.host,
            port=address.port,
            db=address.database,
            username=address.user,
            password=address.password,
            socket_connect_timeout=address.connecting,
            socket_timeout=None,  # a call is bounded as a whole; one that blocks there on purpose says for how long
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            client_name="weavebot",
            **secure,
        )
        self._client = Redis(connection_pool=self._pool)

    @property
    def resting(self) -> bool:
        """Whether the server is left alone after a failure."""
        return self._breaker.resting

    @property
    def patience(self) -> float:
        """Seconds for a call that nobody waits for, the opening of a connection included."""
        return self._address.connecting + self._address.answering

    def check(self) -> None:
        """Raises Unavailable while the server rests after a failure."""
        self._breaker.check()

    async def run(self, work: Work[_Given], *, repeat: bool = False, limit: float | None = None) -> _Given:
        """What ``work`` does with the client, within ``limit`` seconds (`Address.answering`).

        With ``repeat`` it is done again when the connection is lost: only for what may be done twice. Raises
        Unavailable when the server does not answer in time, refuses, or rests after a failure. One that has no memory
        left is not left alone: what needs none it can do, as to delete.
        """
        allowed = self._address.answering if limit is None else limit
        full: driver.OutOfMemoryError | None = None
        try:
            with self._breaker.watched():
                try:
                    given = await self._bounded(work, allowed, ATTEMPTS if repeat else 1)
                except driver.OutOfMemoryError as exc:
                    full = exc
        except Unavailable as exc:
            if not self._down and self._breaker.resting:
                self._down = True
                log.warning("redis.down", reason=str(exc))
            raise
        if self._down:
            self._down = False
            log.info("redis.back")
        if full is not None:
            raise Unavailable(_sentence(full, self._address)) from full
        return given

    async def close(self) -> None:
        """Closes every connection, also to a server that does not say goodbye."""
        try:
            await self._client.aclose()
            await self._pool.disconnect()  # all of them, whatever one raises
        except (driver.RedisError, OSError) as exc:
            log.warning("redis.not_closed", reason=_sentence(exc, self._address))

    async def _bounded(self, work: Work[_Given], limit: float, attempts: int) -> _Given:
        late = Unavailable(f"Redis did not answer within {limit:g} s: is the server overloaded?")
        try:
            async with asyncio.timeout(limit):
                async for attempt in stamina.retry_context(
                    on=_is_lost, attempts=attempts, timeout=None, wait_initial=0.005, wait_max=0.02, wait_jitter=0.01
                ):
                    with attempt:
                        return await work(self._client)
        except (TimeoutError, driver.TimeoutError) as exc:
            raise late from exc
        except driver.OutOfMemoryError:
            raise
        except (driver.RedisError, OSError) as exc:
            raise Unavailable(_sentence(exc, self._address)) from exc
        raise late  # not reached: the last attempt gives or raises


def _is_lost(exc: Exception) -> bool:
    """The connection went away, or could not be made; not: it was made and the server refuses us."""
    if isinstance(exc, (driver.AuthenticationError, driver.MaxConnectionsError)) or is_distrusted(exc):
        return False
    return isinstance(exc, (driver.ConnectionError, OSError)) and not isinstance(exc, TimeoutError)


_REFUSALS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (driver.AuthenticationError, "Redis refuses the login: correct the user and the password in {}"),
    (driver.NoPermissionError, "Redis does not let this user do it: give it the rights that docs/redis.md lists"),
    (driver.OutOfMemoryError, "Redis has no memory left: raise maxmemory, or set maxmemory-policy to volatile-lru"),
    (driver.ReadOnlyError, "Redis is a replica that takes no writes: name the primary in {}"),
    (driver.BusyLoadingError, "Redis is loading its data: wait until it has started"),
    (driver.MaxConnectionsError, "Redis takes no more connections: raise maxclients there"),
)
"""The driver's errors that have a fix of their own, the special ones first."""


def _sentence(exc: Exception, address: Address) -> str:
    """What to do. Nothing of what the server said, which may quote what was asked."""
    if is_distrusted(exc):
        return f"The certificate of Redis is not trusted: name its authority's file in {address.authorities_setting}"
    for kind, words in _REFUSALS:
        if isinstance(exc, kind):
            return words.format(address.setting)
    if isinstance(exc, driver.ResponseError):
        return f"Redis could not do it ({str(exc).partition(' ')[0]})"
    return f"Redis does not answer: start it, or correct {address.setting}"
