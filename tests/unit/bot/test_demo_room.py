"""The demo room's last Tuesday is last Tuesday."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import demo_room
from bot.app import App
from tests.doubles import HandClock
from tests.unit.bot.rooms import batch, clock_of, open_bot, result, run

pytestmark = pytest.mark.embedded

SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
INSPECTION = "m391"  # "Inspected hives 3 and 5 this morning", a Tuesday


async def dated(app: App) -> dict[str, datetime]:
    """The messages that a load would bring now: when each was sent."""
    told = [one async for batch in demo_room.lines(app) for one in map(json.loads, batch)]
    return {one["id"]: datetime.fromisoformat(one["sent_at"]) for one in told}


async def load(app: App, count: int = 5) -> dict[str, datetime]:
    """Loads the first messages, as a load that was cut off; what it would have brought."""
    [lines] = [one async for one in demo_room.lines(app)]
    await run(app, "import", batch(*lines[:count]), room=demo_room.ROOM)
    return await dated(app)


class TestTheShift:
    @pytest.mark.parametrize("days", range(14))
    def test_on_any_day_the_inspection_was_on_the_last_tuesday_before_it(self, days: int) -> None:
        now = SATURDAY + timedelta(days=days)
        told = demo_room.story()

        moved = next(one.sent_at for one in told if one.line["id"] == INSPECTION) + demo_room.shift_for(told, now)

        assert moved.weekday() == demo_room.TUESDAY
        assert timedelta(days=1) <= now.date() - moved.date() <= timedelta(days=7)

    def test_it_is_whole_weeks(self) -> None:
        assert demo_room.shift_for(demo_room.story(), SATURDAY) % timedelta(weeks=1) == timedelta(0)

    def test_it_may_go_back(self) -> None:
        assert demo_room.shift_for(demo_room.story(), datetime(2025, 1, 1, tzinfo=UTC)) < timedelta(0)


class TestLoading:
    async def test_nothing_of_it_lies_ahead(self, app: App) -> None:
        clock_of(app).time = SATURDAY

        brought = await dated(app)

        assert max(brought.values()) <= SATURDAY
        assert len(brought) > 400

    async def test_the_rest_of_its_week_joins_at_a_later_start(self, app: App) -> None:
        clock_of(app).time = SATURDAY
        first = await load(app)

        clock_of(app).time = SATURDAY + timedelta(days=2)
        second = await dated(app)

        assert set(first) < set(second)
        assert all(second[key] == sent_at for key, sent_at in first.items())
        assert len(second) == len(demo_room.story())

    async def test_weeks_later_it_keeps_its_dates(self, tmp_path: Path) -> None:
        clock = HandClock(SATURDAY)
        async with open_bot(tmp_path, clock=clock) as app:
            first = await load(app)
        clock.advance(timedelta(weeks=5))
        async with open_bot(tmp_path, clock=clock) as app:
            second = await dated(app)

        assert all(second[key] == sent_at for key, sent_at in first.items())

    async def test_what_was_forgotten_stays_forgotten(self, app: App) -> None:
        clock_of(app).time = SATURDAY
        await load(app)
        await run(app, "forget", message="m001")
        [lines] = [one async for one in demo_room.lines(app)]

        told = await result(app, "import", batch(*lines[:5]), room=demo_room.ROOM)

        assert (told["imported"], told["already_known"], told["kept_out"]) == (0, 4, 1)
