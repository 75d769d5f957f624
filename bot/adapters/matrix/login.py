"""Logging in: finding the homeserver, the ways in that it offers, and a device of our own.

Sources: Matrix client-server API, "Server discovery" and "Login".
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from nio import AsyncClient, AsyncClientConfig

from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.client import REQUEST_TIMEOUT
from bot.adapters.matrix.homeserver import CLIENT, Homeserver, LoggedOut
from memory.errors import BadInput, NotFound, Refused, Rejected, Unavailable

DEVICE_NAME: Final = "Weavebot"
PASSWORD: Final = "m.login.password"  # noqa: S105 - the name of a way in, no password
SSO: Final = "m.login.sso"
TOKEN: Final = "m.login.token"  # noqa: S105 - likewise
RETURN_TO: Final = "http://localhost:8765/"
"""Where a browser is sent after single sign-on. Nothing listens there: the token is read from the address bar."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Door:
    """A homeserver that was found: its base URL and the ways in that it offers."""

    url: str
    flows: frozenset[str]

    @property
    def sso_page(self) -> str:
        """The page that a person opens for single sign-on."""
        return f"{self.url}{CLIENT}/login/sso/redirect?redirectUrl={quote(RETURN_TO, safe='')}"


async def find(where: str) -> Door:
    """The homeserver behind a server name (``example.org``), a user id or a URL.

    Raises BadInput when there is none, naming what was tried.
    """
    tried = []
    for base in _candidates(where):
        async for url in _told_by(base):
            tried.append(url)
            with contextlib.suppress(Unavailable, NotFound, Rejected):
                async with _visitor(url) as visitor:
                    said = await visitor.ask("GET", "versions", prefix="/_matrix/client")
                    if "versions" in said:
                        return Door(url, await _flows(visitor))
    raise BadInput(
        f"There is no Matrix homeserver at {where or 'an empty name'} (tried {', '.join(tried) or 'nothing'}); "
        "give its name, such as example.org, or its URL, such as https://matrix.example.org"
    )


async def with_password(door: Door, user: str, password: str) -> Account:
    """A new device by user name (or id) and password. Raises Refused, Unavailable."""
    identifier = {"type": "m.id.user", "user": user}
    return await _log_in(door, {"type": PASSWORD, "identifier": identifier, "password": password})


async def with_login_token(door: Door, given: str) -> Account:
    """A new device by the token that single sign-on gave, or by the whole address that it led to."""
    token = parse_qs(urlsplit(given.strip()).query).get("loginToken", [given.strip()])[0]
    return await _log_in(door, {"type": TOKEN, "token": token})


async def with_access_token(door: Door, token: str) -> Account:
    """The device that an access token belongs to. Raises Refused when the homeserver does not take it."""
    async with _visitor(door.url, token) as visitor:
        try:
            said = await visitor.ask("GET", "account", "whoami")
        except LoggedOut as exc:
            raise Refused("the homeserver does not accept that access token; copy it again") from exc
    user, device = said.get("user_id"), said.get("device_id")
    if not isinstance(user, str) or not isinstance(device, str):
        raise Refused("that access token belongs to no device, and encrypted rooms need one; log in by password")
    return Account(door.url, user, device, token)


async def log_out(account: Account) -> bool:
    """Ends the device on the homeserver; False when it was ended already. Raises Unavailable."""
    async with _visitor(account.homeserver, account.access_token) as visitor:
        try:
            await visitor.ask("POST", "logout", body={})
        except LoggedOut:
            return False
    return True


async def _log_in(door: Door, how: dict[str, Any]) -> Account:
    async with _visitor(door.url) as visitor:
        try:
            said = await visitor.ask("POST", "login", body={**how, "initial_device_display_name": DEVICE_NAME})
        except Rejected as exc:
            raise Refused("the homeserver did not let us in; check the user name and the secret") from exc
    account = Account(door.url, str(said["user_id"]), str(said["device_id"]), str(said["access_token"]))
    checked = await with_access_token(door, account.access_token)
    if (checked.user_id, checked.device_id) != (account.user_id, account.device_id):
        raise Refused("the homeserver gave us the token of another account; try again")
    return account


async def _flows(visitor: Homeserver) -> frozenset[str]:
    said = await visitor.ask("GET", "login")
    flows = said.get("flows")
    return (
        frozenset(str(one.get("type")) for one in flows if isinstance(one, dict))
        if isinstance(flows, list)
        else frozenset()
    )


def _candidates(where: str) -> list[str]:
    """Base URLs to try: https, but for this machine itself."""
    named = where.strip().rstrip("/")
    if named.startswith("@"):
        named = named.partition(":")[2]
    if not named:
        return []
    if "://" in named:
        return [named] if named.startswith(("http://", "https://")) else []
    host = named.rsplit(":", 1)[0] if not named.endswith("]") else named
    # a server without TLS keeps silent when it is greeted with TLS, and 30 seconds pass; one with TLS says no at once
    return [f"http://{named}", f"https://{named}"] if host in _LOOPBACK else [f"https://{named}"]


async def _told_by(base: str) -> AsyncIterator[str]:
    """Where a server says that its homeserver is, then the server itself."""
    with contextlib.suppress(Unavailable, NotFound, Rejected):
        async with _visitor(base) as visitor:
            said = await visitor.ask("GET", "client", prefix="/.well-known/matrix")
        told = said.get("m.homeserver")
        url = told.get("base_url") if isinstance(told, dict) else None
        if isinstance(url, str) and url.startswith(("http://", "https://")) and url.rstrip("/") != base:
            yield url.rstrip("/")
    yield base


@contextlib.asynccontextmanager
async def _visitor(url: str, token: str = "") -> AsyncIterator[Homeserver]:
    """Requests to a homeserver without an account's store."""
    config = AsyncClientConfig(
        max_limit_exceeded=0, max_timeouts=0, request_timeout=REQUEST_TIMEOUT, encryption_enabled=False, store=None
    )
    client = AsyncClient(url, config=config)
    client.access_token = token
    try:
        yield Homeserver(client)
    finally:
        await client.close()
