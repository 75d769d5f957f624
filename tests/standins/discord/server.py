"""The stand-in as one object: start it, point discord.py at it, let people speak, let things go wrong."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import discord as library
import yarl
from aiohttp import web

from tests.standins.discord import rest_commands, rest_messages, rest_places, rest_reactions
from tests.standins.discord.deeds import Deeds
from tests.standins.discord.faults import Fault, Faults
from tests.standins.discord.gateway import Gateway
from tests.standins.discord.interactions import Interactions
from tests.standins.discord.limits import Ledger, Limits
from tests.standins.discord.opcodes import Op
from tests.standins.discord.people import Person, Server
from tests.standins.discord.rest import API, Rest, Seen
from tests.standins.discord.rest_interactions import Conversations
from tests.standins.discord.state import Json, Message, User, World

if TYPE_CHECKING:
    from aiohttp.web_runner import TCPSite

HEARTBEAT = 41.25  # seconds, Discord's usual interval


class Discord:
    """A Discord of its own on a free port of 127.0.0.1."""

    def __init__(self, *, limits: Limits | None = None, heartbeat: float = HEARTBEAT, shards: int = 1) -> None:
        self.world = World()
        self.gateway = Gateway(self.world, limits or Limits.open(), heartbeat=heartbeat, shards=shards)
        self.deeds = Deeds(self.world, self.gateway)
        self.interactions = Interactions(self.deeds)
        self.faults = Faults()
        self.ledger = Ledger(self.gateway.limits)
        self.rest = Rest(self.deeds, self.ledger, self.faults)
        self._runner: web.AppRunner | None = None
        self._site: TCPSite | None = None
        self.port = 0

    # where it is

    @property
    def token(self) -> str:
        """The bot's token."""
        return self.world.app.token

    @property
    def api_url(self) -> str:
        """What stands for https://discord.com/api/v10."""
        return f"http://127.0.0.1:{self.port}{API}"

    @property
    def gateway_url(self) -> str:
        """What stands for wss://gateway.discord.gg/."""
        return f"ws://127.0.0.1:{self.port}/gateway"

    async def start(self) -> None:
        """Listens."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        routes = {**rest_messages.ROUTES, **rest_reactions.ROUTES, **rest_places.ROUTES, **rest_commands.ROUTES}
        self.rest.add_to(app, routes | dict(Conversations(self.interactions).routes()))
        app.router.add_get("/gateway", self._connect)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        self.gateway.address = self.gateway_url
        self.deeds.base = self.api_url

    async def stop(self) -> None:
        """Leaves the port."""
        self.gateway.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        if self.faults.away:
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        return await self.gateway.connect(request)

    @contextlib.contextmanager
    def pointed(self) -> Iterator[Discord]:
        """discord.py in this process speaks to the stand-in; afterwards to Discord again."""
        before = library.http.Route.BASE, library.gateway.DiscordWebSocket.DEFAULT_GATEWAY
        library.http.Route.BASE = self.api_url
        library.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(self.gateway_url)
        try:
            yield self
        finally:
            library.http.Route.BASE, library.gateway.DiscordWebSocket.DEFAULT_GATEWAY = before

    # who is there

    def guild(self, name: str, *, with_bot: bool = True, shard: tuple[int, int] | None = None) -> Server:
        """The server of that name; made when there is none. ``shard`` (which, of how many) chooses a fitting id."""
        for known in self.world.guilds.values():
            if known.name == name:
                return Server(self, known)
        number = self.world.make_id()
        while shard is not None and (number >> 22) % shard[1] != shard[0]:
            number += 1 << 22
        made = Server(self, self.world.guild(name, self.user(f"owner of {name}"), guild_id=number))
        if with_bot:
            made.invites_bot()
        return made

    def user(self, name: str) -> User:
        """The account of that name; made when there is none."""
        for user in self.world.users.values():
            if user.name == name and not user.bot:
                return user
        return self.world.user(name)

    def person(self, name: str) -> Person:
        """Somebody who need not be in any server."""
        return Person(self, self.user(name))

    @property
    def bot_mention(self) -> str:
        """How people name the bot in a text."""
        return f"<@{self.world.bot.id}>"

    @property
    def commands(self) -> list[Json]:
        """The bot's global commands as registered."""
        return list(self.world.app.commands.values())

    def unfurls(self, message: Message, url: str = "https://example.org/") -> None:
        """Shows what a link leads to, moments after the message: an update that is no edit."""
        self.deeds.unfurl(message, url)

    # what the bot did

    @property
    def requests(self) -> list[Seen]:
        """Every request with its status, oldest first."""
        return list(self.rest.seen)

    def asked(self, pattern: str) -> int:
        """How many requests there were whose ``METHOD /path`` begins so."""
        return sum(one.request.startswith(pattern) for one in self.rest.seen)

    @property
    def invalid_requests(self) -> int:
        """Requests that count towards the ban of the address (401, 403, 429), in the last ten minutes."""
        return self.ledger.invalid

    # what goes wrong

    def fail(
        self,
        request: str,
        status: int,
        times: int = 1,
        *,
        retry_after: float | None = None,
        via: bool = True,
        code: int = 0,
    ) -> None:
        """The next requests that match (``POST /channels/*/messages``) get this status."""
        self.faults.add(Fault(request, times, status, retry_after, via, code))

    def lose_reply(self, request: str, times: int = 1) -> None:
        """The next requests that match take effect, but the connection breaks before their answer."""
        self.faults.add(Fault(request, times, lost=True))

    def delay(self, request: str, seconds: float, times: int = 1) -> None:
        """The next requests that match take so long."""
        self.faults.add(Fault(request, times, delay=seconds))

    def drop_sockets(self) -> None:
        """All websockets break; sessions can be resumed."""
        self.gateway.drop()

    async def ask_reconnect(self) -> None:
        """Op 7: go and come back with RESUME."""
        await self.gateway.send_all({"op": Op.RECONNECT, "d": None, "s": None, "t": None})

    async def invalidate(self, *, resumable: bool) -> None:
        """Op 9; when it is not resumable the sessions are gone."""
        if not resumable:
            self.gateway.sessions.forget_all()
        await self.gateway.send_all({"op": Op.INVALID_SESSION, "d": resumable, "s": None, "t": None})

    async def demand_heartbeat(self) -> None:
        """Op 1 from the gateway: a heartbeat is wanted now."""
        await self.gateway.send_all({"op": Op.HEARTBEAT, "d": None, "s": None, "t": None})

    def restart(self) -> None:
        """The gateway starts anew: sockets break, sessions are lost."""
        self.gateway.sessions.forget_all()
        self.gateway.drop()

    @contextlib.contextmanager
    def offline(self, *, keep_sessions: bool = False) -> Iterator[None]:
        """Discord cannot be reached, while its people go on writing. Sessions are lost unless they are kept."""
        self.faults.away = True
        if not keep_sessions:
            self.gateway.sessions.forget_all()
        self.gateway.drop()
        try:
            yield
        finally:
            self.faults.away = False

    def later(self, seconds: float) -> None:
        """Moves Discord's clock forward: tokens, nonces and sessions age."""
        self.world.later(seconds)


@contextlib.asynccontextmanager
async def running(
    *, limits: Limits | None = None, heartbeat: float = HEARTBEAT, shards: int = 1
) -> AsyncIterator[Discord]:
    """A stand-in that listens, with discord.py pointed at it."""
    stand_in = Discord(limits=limits, heartbeat=heartbeat, shards=shards)
    await stand_in.start()
    try:
        with stand_in.pointed():
            yield stand_in
    finally:
        await stand_in.stop()
