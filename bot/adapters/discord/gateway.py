"""discord.py's gateway held by the hand: malformed frames are put aside, and coming back is paced.

The library would end the whole client at the first payload that it cannot read, resume with a sequence number that the
gateway has refused for ever, and reconnect without a pause. It offers no hook for that, so each socket is wrapped when
the library makes it known (``_update_references``); `docs/decisions/0014-discord-py-held-by-the-hand.md` has the why.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
import yarl
from discord.errors import ConnectionClosed
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from discord.state import AutoShardedConnectionState

LOST: Final = frozenset({4003, 4005, 4007, 4009})
"""Close codes after which a session cannot be resumed, though the library would try."""
STEADY: Final = 30.0  # seconds that a socket must live for the next one to come at once
LONGEST_PAUSE: Final = 60.0
STEP: Final = 10_000  # by which a sequence number may grow at once
DISPATCH, HELLO = 0, 10
OPCODES: Final = frozenset({0, 1, 7, 9, 10, 11})

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Pace:
    """How often a shard had to come back soon after it came."""

    opened_at: float = 0.0
    hurried: int = 0


class Guard:
    """Holds the sockets of a client. ``malformed`` counts the frames that were put aside."""

    def __init__(self, *, first_pause: float = 1.0) -> None:
        """``first_pause`` is the wait before the second return in a row, in seconds; it doubles."""
        self._first_pause = first_pause
        self._paces: dict[int | None, Pace] = {}
        self.malformed = 0
        self.returns = 0

    def hold(self, ws: DiscordWebSocket) -> None:
        """Wraps a socket that was just opened."""
        pace = self._paces.setdefault(ws.shard_id, Pace())
        pace.opened_at = asyncio.get_running_loop().time()
        receive, poll = ws.received_message, ws.poll_event

        async def received(raw: Any, /) -> None:
            await self._receive(ws, receive, raw)

        async def polled() -> None:
            try:
                await poll()
            except ReconnectWebSocket as exc:
                self.returns += 1
                await self._wait(pace)
                lost = (ws._close_code or ws.socket.close_code) in LOST  # noqa: SLF001 - see the module's first lines
                raise ReconnectWebSocket(ws.shard_id, resume=exc.resume and not lost) from None

        ws.received_message = received  # type: ignore[method-assign] # the wrap that this class is for
        ws.poll_event = polled  # type: ignore[method-assign] # likewise

    async def _receive(self, ws: DiscordWebSocket, receive: Callable[[Any], Any], raw: Any) -> None:
        text = self._text(ws, raw)
        if text is None:
            return
        before = ws.sequence
        frame = _frame(text)
        if frame is None or not _fits(frame, ws):
            self._put_aside("frame", None)
            return
        try:
            await receive(text)
        except (ReconnectWebSocket, ConnectionClosed):
            raise
        except Exception as exc:  # noqa: BLE001 - the top of a frame: the next one may be sound
            self._put_aside(str(frame.get("t"))[:64], exc)
        if frame.get("s") is not None and not _follows(frame["s"], before):
            ws.sequence = before

    def _text(self, ws: DiscordWebSocket, raw: Any) -> str | None:
        """The frame as text; None while a part of it is still to come. A broken stream begins anew."""
        if not isinstance(raw, bytes):
            return str(raw)
        try:
            return ws._decompressor.decompress(raw)  # noqa: SLF001 - the stream's state lives there
        except Exception as exc:
            log.warning("discord.stream_broken", error=type(exc).__name__)
            raise ReconnectWebSocket(ws.shard_id) from exc

    def _put_aside(self, event: str, exc: Exception | None) -> None:
        self.malformed += 1
        if self.malformed <= 10 or self.malformed % 1000 == 0:  # noqa: PLR2004 - a flood fills no log
            log.warning(
                "discord.frame_malformed",
                event_type=event,
                error=type(exc).__name__ if exc else None,
                count=self.malformed,
            )

    async def _wait(self, pace: Pace) -> None:
        """A pause when the last socket did not live long: 0, then growing with jitter."""
        lived = asyncio.get_running_loop().time() - pace.opened_at
        pace.hurried = 0 if lived >= STEADY else pace.hurried + 1
        if pace.hurried > 1:
            most = min(LONGEST_PAUSE, self._first_pause * 2.0 ** min(pace.hurried - 2, 20))
            await asyncio.sleep(most * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


class HeldState(AutoShardedConnectionState[Any]):
    """The library's state, which tells the guard of each new socket, and forgets servers that were left meanwhile."""

    guard: Guard

    def _update_references(self, ws: DiscordWebSocket) -> None:
        super()._update_references(ws)
        self.guard.hold(ws)

    def parse_ready(self, data: Any) -> None:
        """A new session: servers of this shard that are not in it any more are dropped from the cache."""
        shard, shards = data["shard"]
        there = {int(guild["id"]) for guild in data["guilds"]}
        for guild in list(self._guilds.values()):
            if (guild.id >> 22) % shards == shard and guild.id not in there:
                self._remove_guild(guild)
        super().parse_ready(data)


def _frame(text: str) -> dict[str, Any] | None:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, dict) else None


def _fits(frame: dict[str, Any], ws: DiscordWebSocket) -> bool:
    """Whether a frame has the form of one, and comes at a time when such a one may come."""
    op, event, seq, data = frame.get("op"), frame.get("t"), frame.get("s"), frame.get("d")
    if type(op) is not int or op not in OPCODES:
        return False
    if not (seq is None or type(seq) is int) or not (event is None or isinstance(event, str)):
        return False
    if op == HELLO:
        interval = data.get("heartbeat_interval") if isinstance(data, dict) else None
        timed = isinstance(interval, int | float) and not isinstance(interval, bool) and interval > 0
        return timed and ws._keep_alive is None  # noqa: SLF001 - one heartbeat a socket
    if op != DISPATCH:
        return True
    if not isinstance(data, dict) or not event or seq is None:
        return False
    return event != "READY" or (ws.session_id is None and _is_ready(data))


def _is_ready(data: dict[str, Any]) -> bool:
    """Whether READY has what later steps rest on."""
    address = data.get("resume_gateway_url")
    shard, user, guilds = data.get("shard"), data.get("user"), data.get("guilds")
    try:
        scheme = yarl.URL(address).scheme if isinstance(address, str) else ""
    except ValueError:
        return False
    sharded = isinstance(shard, list) and [type(one) for one in shard] == [int, int]
    return sharded and scheme in {"ws", "wss"} and isinstance(user, dict) and isinstance(guilds, list)


def _follows(seq: int, before: int | None) -> bool:
    """Whether a sequence number can come after another."""
    return before is None or before < seq <= before + STEP
