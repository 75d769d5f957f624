"""Gateway sessions: what was told to the bot, kept for a while so that it can be told again."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Final

from tests.standins.discord.events import Intent
from tests.standins.discord.snowflakes import TIME_SHIFT
from tests.standins.discord.state import Guild, Json, World

if TYPE_CHECKING:
    from tests.standins.discord.gateway import Connection

KEPT: Final = 20_000  # events of a session that can be replayed
RESUMABLE: Final = 180.0  # seconds after the socket is gone


class Session:
    """One identified client (or shard) with its intents and everything told to it, numbered from 1."""

    def __init__(self, intents: Intent, shard: int, shards: int) -> None:
        self.id = secrets.token_hex(16)
        self.intents = intents
        self.shard = shard
        self.shards = shards
        self.fresh = asyncio.Event()
        self.connection: Connection | None = None
        self.gone_at: float | None = None
        self.resumes = 0
        self._told: list[str] = []
        self._dropped = 0

    @property
    def seq(self) -> int:
        """The number of the latest event."""
        return self._dropped + len(self._told)

    def has(self, guild: Guild | None) -> bool:
        """Whether the shard hears of this server; direct messages belong to shard 0."""
        return self.shard == (0 if guild is None else (guild.id >> TIME_SHIFT) % self.shards)

    def dispatch(self, event: str, data: Json) -> None:
        """Tells an event."""
        frame = {"op": 0, "t": event, "s": self.seq + 1, "d": data}
        self._told.append(json.dumps(frame, separators=(",", ":")))
        if len(self._told) > 2 * KEPT:
            self._dropped += len(self._told) - KEPT
            self._told = self._told[-KEPT:]
        self.fresh.set()

    def holds(self, seq: int) -> bool:
        """Whether everything after that number can be told again."""
        return self._dropped <= seq <= self.seq

    def after(self, seq: int) -> list[tuple[int, str]]:
        """Numbers and frames of what was told after that number, oldest first."""
        start = seq - self._dropped
        return [(self._dropped + start + i + 1, text) for i, text in enumerate(self._told[start:])]

    def left(self, now: float) -> None:
        """The socket is gone."""
        self.connection = None
        self.gone_at = now


class Sessions:
    """All sessions, by id."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._open: dict[str, Session] = {}
        self.started = 0

    def open(self, intents: Intent, shard: int, shards: int) -> Session:
        """A new session."""
        session = Session(intents, shard, shards)
        self._open[session.id] = session
        self.started += 1
        return session

    def known(self) -> list[Session]:
        """Those that are connected or can still be resumed."""
        now = self._world.now()
        for session in list(self._open.values()):
            if session.connection is None and session.gone_at is not None and now - session.gone_at > RESUMABLE:
                self.forget(session)
        return list(self._open.values())

    def find(self, session_id: str) -> Session | None:
        """A session that can be resumed."""
        return next((session for session in self.known() if session.id == session_id), None)

    def forget(self, session: Session) -> None:
        """Ends a session; it cannot be resumed."""
        self._open.pop(session.id, None)

    def forget_all(self) -> None:
        """Ends all sessions."""
        self._open.clear()
