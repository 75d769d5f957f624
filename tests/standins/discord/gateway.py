"""The gateway: sessions that outlive their sockets, sequence numbers, heartbeats, RESUME, and how they end.

https://docs.discord.com/developers/events/gateway
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import zstandard
from aiohttp import WSCloseCode, WSMsgType, web

from tests.standins.discord import opcodes
from tests.standins.discord.events import KNOWN_BITS, PRIVILEGED, Announcement, Intent
from tests.standins.discord.limits import Limits
from tests.standins.discord.opcodes import Close, Op
from tests.standins.discord.payloads import full_guild_json, member_json, user_json
from tests.standins.discord.sessions import Session, Sessions
from tests.standins.discord.state import Guild, Json, World

LONGEST_FRAME: Final = 4096  # bytes that a client may send at once
PATIENCE: Final = 1.5  # heartbeat intervals without a heartbeat until the socket is closed


class _Stream(Protocol):
    def __call__(self, text: str) -> bytes: ...


def _zlib_stream() -> _Stream:
    packer = zlib.compressobj()
    return lambda text: packer.compress(text.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)


def _zstd_stream() -> _Stream:
    packer = zstandard.ZstdCompressor().compressobj()
    flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return lambda text: packer.compress(text.encode()) + packer.flush(flush)


_STREAMS: Final[dict[str, Callable[[], _Stream]]] = {"zlib-stream": _zlib_stream, "zstd-stream": _zstd_stream}


class Gateway:
    """All connections of the bot."""

    def __init__(self, world: World, limits: Limits, *, heartbeat: float, shards: int) -> None:
        self.world = world
        self.limits = limits
        self.heartbeat = heartbeat
        self.shards = shards
        self.sessions = Sessions(world)
        self.connections: set[Connection] = set()
        self.answers_heartbeats = True
        self.address = ""
        self.received: list[Json] = []
        self.closed: list[int] = []
        self._last_identify = float("-inf")

    def publish(self, announcement: Announcement) -> None:
        """Tells every session that hears of such things, also those whose socket is gone."""
        for session in self.sessions.known():
            self._tell(session, announcement)
        self.world.changed()

    def _tell(self, session: Session, announcement: Announcement) -> None:
        guild = announcement.guild
        if not session.has(guild) or not announcement.wants(session.intents):
            return
        if guild is not None and announcement.event != "GUILD_DELETE" and self.world.bot.id not in guild.members:
            return
        inside = announcement.channel if announcement.event.startswith(("MESSAGE", "THREAD")) else None
        if inside is not None and not self.world.sees(self.world.bot, inside):
            return
        session.dispatch(announcement.event, announcement.make(session.intents))

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """A websocket from its opening to its end."""
        socket = web.WebSocketResponse(max_msg_size=LONGEST_FRAME)
        await socket.prepare(request)
        stream = _STREAMS.get(request.query.get("compress", ""))
        connection = Connection(self, request, socket, stream() if stream else None)
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)
            self.closed.append(socket.close_code or WSCloseCode.ABNORMAL_CLOSURE)
        return socket

    def may_identify(self) -> bool:
        """Whether an identify is allowed now: one in every ``identify_every`` seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._last_identify < self.limits.identify_every:
            return False
        self._last_identify = now
        return True

    def drop(self) -> None:
        """Breaks all sockets without a word; sessions stay and can be resumed."""
        for connection in list(self.connections):
            connection.abort()

    async def send_all(self, frame: Json | str | bytes) -> None:
        """Sends a frame to everybody, as it is."""
        for connection in list(self.connections):
            await connection.send(frame)


class Connection:
    """One websocket, and the session that speaks through it once it is identified."""

    def __init__(
        self, gateway: Gateway, request: web.Request, socket: web.WebSocketResponse, stream: _Stream | None
    ) -> None:
        self._gateway = gateway
        self._request = request
        self._socket = socket
        self._stream = stream
        self._lock = asyncio.Lock()
        self._beaten_at = asyncio.get_running_loop().time()
        self._sends: list[float] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.session: Session | None = None

    async def run(self) -> None:
        """Speaks with the client until one of the two leaves."""
        interval = int(self._gateway.heartbeat * 1000)
        try:
            await self.send({"op": Op.HELLO, "d": {"heartbeat_interval": interval, "_trace": []}, "s": None, "t": None})
            self._tasks.append(asyncio.create_task(self._watch_heart()))
            async for frame in self._socket:
                if frame.type is WSMsgType.TEXT:
                    await self._receive(frame.data)
                elif frame.type is WSMsgType.BINARY:
                    await self.close(Close.DECODE_ERROR)
        except ConnectionError:
            pass  # the client is gone; its session stays
        finally:
            await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        session = self.session
        if session is not None and session.connection is self:
            session.left(self._gateway.world.now())
            if self._socket.close_code in (WSCloseCode.OK, WSCloseCode.GOING_AWAY):
                self._gateway.sessions.forget(session)  # a polite goodbye ends the session

    async def send(self, frame: Json | str | bytes) -> None:
        """One frame, compressed as the client asked."""
        text = frame if isinstance(frame, (str, bytes)) else json.dumps(frame, separators=(",", ":"))
        async with self._lock:
            if self._socket.closed:
                return
            if isinstance(text, bytes):
                await self._socket.send_bytes(text)
            elif self._stream is None:
                await self._socket.send_str(text)
            else:
                await self._socket.send_bytes(self._stream(text))

    async def close(self, code: int) -> None:
        """Ends the socket with one of Discord's close codes."""
        await self._socket.close(code=code, message=opcodes.words(code).encode())

    def abort(self) -> None:
        """Breaks the socket as a network does."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _watch_heart(self) -> None:
        while True:
            await asyncio.sleep(self._gateway.heartbeat / 2)
            silence = asyncio.get_running_loop().time() - self._beaten_at
            if silence > PATIENCE * self._gateway.heartbeat:
                await self.close(Close.SESSION_TIMED_OUT)
                return

    async def _receive(self, text: str) -> None:
        if not self._within_rate():
            await self.close(Close.RATE_LIMITED)
            return
        try:
            frame = json.loads(text)
            number = frame["op"]
        except (ValueError, KeyError, TypeError):
            await self.close(Close.DECODE_ERROR)
            return
        if number not in set(Op):
            await self.close(Close.UNKNOWN_OPCODE)
            return
        self._gateway.received.append(frame)
        self._gateway.world.changed()
        await self._take(Op(number), frame.get("d"))

    async def _take(self, op: Op, data: Any) -> None:
        match op:
            case Op.HEARTBEAT:
                self._beaten_at = asyncio.get_running_loop().time()
                if self._gateway.answers_heartbeats:
                    await self.send({"op": Op.HEARTBEAT_ACK, "d": None, "s": None, "t": None})
            case Op.IDENTIFY if self.session is None:
                await self._identify(data)
            case Op.RESUME if self.session is None:
                await self._resume(data)
            case Op.IDENTIFY | Op.RESUME:
                await self.close(Close.ALREADY_AUTHENTICATED)
            case _ if self.session is None:
                await self.close(Close.NOT_AUTHENTICATED)
            case Op.REQUEST_GUILD_MEMBERS:
                self._chunk(self.session, data)
            case Op.PRESENCE_UPDATE | Op.VOICE_STATE_UPDATE:
                pass
            case _:
                await self.close(Close.UNKNOWN_OPCODE)

    def _within_rate(self) -> bool:
        most, window = self._gateway.limits.gateway_sends
        now = asyncio.get_running_loop().time()
        self._sends = [sent for sent in self._sends if sent > now - window] + [now]
        return len(self._sends) <= most

    async def _identify(self, data: Json) -> None:
        refused = self._refusal(data)
        if refused is not None:
            await self.close(refused)
            return
        if not self._gateway.may_identify():
            await self.send({"op": Op.INVALID_SESSION, "d": False, "s": None, "t": None})
            return
        shard, count = data.get("shard", (0, 1))
        session = self._gateway.sessions.open(Intent(data["intents"]), shard, count)
        self._attach(session, 0)
        self._greet(session)

    def _refusal(self, data: Json) -> Close | None:
        app = self._gateway.world.app
        if data.get("token") != app.token:
            return Close.AUTHENTICATION_FAILED
        bits = data.get("intents")
        if not isinstance(bits, int) or bits & ~KNOWN_BITS:
            return Close.INVALID_INTENTS
        if any(bits & bit and name not in app.privileged for bit, name in PRIVILEGED.items()):
            return Close.DISALLOWED_INTENTS
        shard = data.get("shard", (0, 1))
        if len(shard) != 2 or not 0 <= shard[0] < shard[1]:
            return Close.INVALID_SHARD
        return Close.SHARDING_REQUIRED if self._gateway.shards > shard[1] else None

    def _greet(self, session: Session) -> None:
        world = self._gateway.world
        guilds = [guild for guild in world.bot_guilds() if session.has(guild)]
        session.dispatch(
            "READY",
            {
                "v": 10,
                "user": user_json(world.bot) | {"verified": True, "mfa_enabled": False, "email": None, "flags": 0},
                "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
                "session_id": session.id,
                "resume_gateway_url": self._gateway.address,
                "session_type": "normal",
                "private_channels": [],
                "shard": [session.shard, session.shards],
                "application": {"id": str(world.app.id), "flags": 0},
            },
        )
        for guild in guilds:
            self._show(session, guild)

    def _show(self, session: Session, guild: Guild) -> None:
        if not guild.unavailable and session.intents & Intent.GUILDS:
            data = full_guild_json(self._gateway.world, guild, members=bool(session.intents & Intent.GUILD_MEMBERS))
            session.dispatch("GUILD_CREATE", data | {"unavailable": False})

    async def _resume(self, data: Json) -> None:
        if data.get("token") != self._gateway.world.app.token:
            await self.close(Close.AUTHENTICATION_FAILED)
            return
        session = self._gateway.sessions.find(str(data.get("session_id")))
        seq = data.get("seq")
        if session is None or not isinstance(seq, int):
            await self.send({"op": Op.INVALID_SESSION, "d": False, "s": None, "t": None})
            return
        if not session.holds(seq):
            await self.close(Close.INVALID_SEQ)
            return
        if session.connection is not None:
            session.connection.abort()
        session.resumes += 1
        self._attach(session, seq)
        session.dispatch("RESUMED", {"_trace": []})

    def _attach(self, session: Session, seq: int) -> None:
        self.session = session
        session.connection = self
        self._tasks.append(asyncio.create_task(self._write(session, seq)))

    async def _write(self, session: Session, seq: int) -> None:
        """Everything after a sequence number, in order, and then whatever comes."""
        with contextlib.suppress(ConnectionError):
            while session.connection is self:
                for number, text in session.after(seq):
                    await self.send(text)
                    seq = number
                session.fresh.clear()
                await session.fresh.wait()

    def _chunk(self, session: Session, data: Json) -> None:
        guild = self._gateway.world.guilds.get(int(data["guild_id"]))
        if guild is None:
            return
        wanted = {int(user) for user in _as_list(data.get("user_ids"))}
        query = str(data.get("query") or "").lower()
        found = [
            member
            for member in guild.members.values()
            if (member.user.id in wanted if wanted else member.user.name.lower().startswith(query))
        ]
        if not wanted and not query and not session.intents & Intent.GUILD_MEMBERS:
            found = []
        chunk = {
            "guild_id": str(guild.id),
            "members": [member_json(member) for member in found],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [],
        }
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk | ({"nonce": data["nonce"]} if "nonce" in data else {}))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
