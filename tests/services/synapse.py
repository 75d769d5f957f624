"""A real Synapse: accounts on it, people with them, and its ups and downs."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import aiohttp

from tests.services.matrix import Account, Person, Refused
from tests.services.servers import Server, address

ROOM_VERSIONS = ("10", "11", "12")


class Homeserver(Server):
    """Synapse without limits, or (``limited``) with those it has by default."""

    def __init__(self, session: aiohttp.ClientSession, *, limited: bool = False, alone: bool = False) -> None:
        super().__init__("synapse-default-limits" if limited else "synapse", alone=alone)
        prefix = "SYNAPSE_LIMITED" if limited else "SYNAPSE"
        self.url = address(f"{prefix}_URL")
        self._secret = address(f"{prefix}_SECRET")
        self.session = session

    async def register(self, name: str, *, admin: bool = False) -> Account:
        """A new account; the name gets a random end, so that tests may share the server.

        The administrators' endpoint, which answers with a token at once:
        element-hq.github.io/synapse/latest/admin_api/register_api.html
        """
        url = f"{self.url}/_synapse/admin/v1/register"
        async with self.session.get(url) as reply:
            nonce = (await reply.json())["nonce"]
        user, password = f"{name.lower()}-{secrets.token_hex(4)}", secrets.token_hex(8)
        words = "\0".join([nonce, user, password, "admin" if admin else "notadmin"])
        mac = hmac.new(self._secret.encode(), words.encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": user, "password": password, "admin": admin, "mac": mac, "displayname": name}
        async with self.session.post(url, json=body) as reply:
            told = await reply.json()
            if not reply.ok:
                raise Refused(reply.status, told)
        return Account(told["user_id"], told["access_token"], told["device_id"], password)

    async def person(self, name: str) -> Person:
        """Somebody new."""
        return Person(self.session, self.url, await self.register(name))

    async def versions(self) -> list[str]:
        """The versions of the protocol that it speaks."""
        async with self.session.get(f"{self.url}/_matrix/client/versions") as reply:
            return list((await reply.json())["versions"])
