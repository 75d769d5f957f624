"""The demo room: a fictional community's chat, with its dates moved so that "last Tuesday" is last Tuesday.

All dates move by the same whole number of weeks, so weekdays and times of day stay what the texts say they are. The
story ends in the week that holds its newest Tuesday; what of that week still lies ahead is left out, and joins at a
later start. A demo that was loaded before keeps the shift that it has.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any, Final

from sqlalchemy import select

from bot.app import App
from bot.lines import BATCH_LINES
from memory.tables import messages, rooms

ROOM: Final = "beekeepers"
WEEK: Final = timedelta(weeks=1)
TUESDAY: Final = 1  # date.weekday()
QUESTIONS: Final = (
    "Who inspected the hives last Tuesday?",
    "Why did the colony in hive 4 die?",
    "When is the spring market?",
)
"""To start with; shown as a welcome."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message of the demo; ``line`` is its object, ``sent_at`` not yet moved."""

    line: dict[str, Any]
    sent_at: datetime


def story() -> list[Told]:
    """The messages as they were written."""
    raw = (files("bot") / "demo" / "beekeepers.jsonl").read_text(encoding="utf-8")
    told = [json.loads(one) for one in raw.splitlines() if one.strip()]
    return [Told(one, datetime.fromisoformat(one["sent_at"])) for one in told]


def shift_for(told: Sequence[Told], now: datetime) -> timedelta:
    """Whole weeks that bring the story's newest Tuesday to the newest one before today."""
    anchor: date = max(one.sent_at.date() for one in told if one.sent_at.weekday() == TUESDAY)
    yesterday = now.astimezone(UTC).date() - timedelta(days=1)
    return WEEK * ((yesterday - anchor) // WEEK)


async def shift_in_use(app: App, told: Sequence[Told]) -> timedelta | None:
    """The shift of a demo that is there already, also when its load was cut off; None when there is none."""
    original = {one.line["id"]: one.sent_at for one in told}
    query = (
        select(messages.c.external_id, messages.c.sent_at)
        .join(rooms, rooms.c.id == messages.c.room_id)
        .where(rooms.c.tenant_id == app.tenant, rooms.c.external_id == ROOM, messages.c.external_id.in_(original))
        .limit(1)
    )
    async with app.database.read() as conn:
        row = (await conn.execute(query)).one_or_none()
    return None if row is None else row.sent_at - original[row.external_id]


async def lines(app: App) -> AsyncIterator[list[bytes]]:
    """The demo up to now as the lines of a history file."""
    told, now = story(), app.clock.now()
    shift = await shift_in_use(app, told)
    shift = shift_for(told, now) if shift is None else shift
    moved = [{**one.line, "sent_at": (one.sent_at + shift).isoformat()} for one in told if one.sent_at + shift <= now]
    encoded = [json.dumps(one).encode() for one in moved]
    for start in range(0, len(encoded), BATCH_LINES):
        yield encoded[start : start + BATCH_LINES]
