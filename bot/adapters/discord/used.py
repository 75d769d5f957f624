"""Commands that people used (slash commands, menus, buttons), from their deferral to their answer.

Discord gives three seconds for a first response and fifteen minutes for the answer. So the first response is always
a deferral, at once; the answer takes its place later. What is open is kept in the notebook too: after a restart the
answer still goes where it was asked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import discord
import structlog

from bot.adapters.discord.ids import command_id
from bot.ports import Notebook
from memory.ports import Clock

LIFETIME: Final = timedelta(minutes=14, seconds=30)  # Discord gives 15 minutes
_NOTE: Final = "interactions"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Open:
    """A command that waits for its answer. ``original`` is the message that says "thinking".

    One that a person used alone stays when it is ``answered`` (by which transaction): whoever was killed before it
    noted that it had sent the answer sends it again, and then changes nothing.
    """

    event_id: str
    application: int
    token: str
    channel: int
    original: int
    private: bool
    used_at: datetime
    answered: str = ""


class Desk:
    """The open commands."""

    def __init__(self, notebook: Notebook, clock: Clock) -> None:
        self._notebook = notebook
        self._clock = clock
        self._open: dict[str, Open] = {}
        self._changed = False
        self.slowest = 0.0
        self.missed = 0

    async def recall(self) -> None:
        """Takes up those of before the last stop. Raises Unavailable."""
        for kept in json.loads(await self._notebook.read(_NOTE) or "[]"):
            one = Open(**{**kept, "used_at": datetime.fromisoformat(kept["used_at"])})
            self._open.setdefault(one.event_id, one)
        self._expire()

    async def defer(self, used: discord.Interaction[Any], *, private: bool) -> Open | None:
        """Asks Discord for time, and keeps the command; None when even that came too late."""
        try:
            told = await used.response.defer(ephemeral=private, thinking=True)
        except (discord.DiscordException, OSError) as exc:
            self.missed += 1
            log.warning("discord.deferral_failed", error=type(exc).__name__)
            return None
        took = (discord.utils.utcnow() - used.created_at).total_seconds()
        self.slowest = max(self.slowest, took)
        original = told.message_id if told is not None and told.message_id is not None else 0
        one = Open(
            command_id(used.id, alone=private),
            used.application_id,
            used.token,
            used.channel_id or 0,
            original,
            private,
            self._clock.now(),
        )
        self._open[one.event_id] = one
        self._changed = True
        return one

    async def keep(self) -> None:
        """Notes what is open, if that changed. Raises Unavailable."""
        if not self._changed:
            return
        self._expire()
        kept = [{**asdict(one), "used_at": one.used_at.isoformat()} for one in self._open.values()]
        await self._notebook.note(_NOTE, json.dumps(kept))
        self._changed = False

    def find(self, event_id: str | None) -> Open | None:
        """The command of an event, while it can be answered; also one that was, if it is kept."""
        self._expire()
        return self._open.get(event_id or "")

    def close(self, event_id: str, transaction: str = "none") -> None:
        """It has its answer."""
        one = self._open.pop(event_id, None)
        if one is not None and one.private:
            self._open[event_id] = replace(one, answered=transaction)
        self._changed |= one is not None

    def waits_in(self, channel: int) -> bool:
        """Whether somebody sees "thinking" in a channel."""
        return any(one.channel == channel and not one.answered for one in self._open.values())

    def _expire(self) -> None:
        before = self._clock.now() - LIFETIME
        over = [event_id for event_id, one in self._open.items() if one.used_at < before]
        for event_id in over:
            del self._open[event_id]
        self._changed |= bool(over)


def webhook_of(client: discord.Client, one: Open) -> discord.Webhook:
    """The webhook on which the conversation about a command goes on; it needs no permission in the channel."""
    data: Any = {"id": one.application, "type": 3, "token": one.token}
    return discord.Webhook.from_state(data=data, state=client._connection)  # noqa: SLF001 - as Interaction.followup does
