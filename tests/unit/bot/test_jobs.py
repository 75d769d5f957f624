"""Jobs run when they are due: once, also after a time when nothing ran."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import select

from bot.app import App
from bot.jobs import KEPT, LEASE, NO_ROOM, TABLE, JobBook, Rhythm, Schedule, last_due, post_digest
from bot.pages import Page, plain
from bot.tables import job_runs
from memory.errors import BadInput
from memory.models import Room
from routing.tables import digests
from tests.doubles import HandClock
from tests.unit.bot.rooms import clock_of, open_bot, told

MONDAY_0859 = datetime(2026, 3, 9, 8, 59, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


class Room1:
    """A room with a schedule that posts into a list."""

    def __init__(self, app: App, room: Room) -> None:
        self.app = app
        self.room = room
        self.posted: list[str] = []
        self.schedule = Schedule(app, self.post, self.rooms)
        self.broken = False

    async def rooms(self) -> list[Room]:
        return [self.room]

    async def post(self, room: Room, said: Page, _occasion: str) -> None:
        if self.broken:
            raise OSError
        self.posted.append(f"{room.name}: {plain(said).splitlines()[0]}")


async def nowhere() -> list[Room]:
    return []


@pytest.fixture
async def hives(app: App) -> Room1:
    await told(app, ("Ana", "hello"))
    return Room1(app, await app.directory.find_room(app.tenant, "hives"))


class TestWhenSomethingWasDue:
    def test_the_newest_time_up_to_now_counts(self) -> None:
        trigger = CronTrigger(day_of_week="mon", hour=9, timezone="UTC")

        assert last_due(trigger, Rhythm.WEEKLY, datetime(2026, 3, 9, 9, 0, tzinfo=UTC)) == datetime(
            2026, 3, 9, 9, tzinfo=UTC
        )
        assert last_due(trigger, Rhythm.WEEKLY, MONDAY_0859) == datetime(2026, 3, 2, 9, tzinfo=UTC)

    def test_the_rooms_own_timezone_counts_also_when_clocks_change(self) -> None:
        trigger = CronTrigger(day_of_week="mon", hour=9, timezone="Europe/Berlin")

        winter = last_due(trigger, Rhythm.WEEKLY, datetime(2026, 3, 25, tzinfo=UTC))
        summer = last_due(trigger, Rhythm.WEEKLY, datetime(2026, 4, 1, tzinfo=UTC))

        assert winter == datetime(2026, 3, 23, 8, tzinfo=UTC)
        assert summer == datetime(2026, 3, 30, 7, tzinfo=UTC)

    def test_every_rhythm_finds_its_last_time(self) -> None:
        now = datetime(2026, 3, 9, 12, 30, tzinfo=UTC)
        hourly = CronTrigger(minute=17, timezone="UTC")

        assert last_due(hourly, Rhythm.HOURLY, now) == now.replace(minute=17)


class TestTheDigest:
    async def test_it_comes_on_monday_at_nine_and_once(self, hives: Room1) -> None:
        clock = clock_of(hives.app)
        clock.time = MONDAY_0859
        await hives.schedule.look()
        assert hives.posted == []

        clock.advance(timedelta(minutes=1))
        await hives.schedule.look()
        await hives.schedule.look()

        assert hives.posted == ["hives: This week in hives · 2-9 Mar 2026 · 1 message, 1 person"]

    async def test_a_missed_one_is_made_up_once_after_a_restart(self, tmp_path: Path) -> None:
        clock = HandClock()
        async with open_bot(tmp_path, clock=clock) as app:
            await told(app, ("Ana", "hello"))
        clock.advance(3 * WEEK + DAY)
        async with open_bot(tmp_path, clock=clock) as app:
            room = Room1(app, await app.directory.find_room(app.tenant, "hives"))
            await room.schedule.start()
            await room.schedule.made_up()
            await room.schedule.stop()
            assert len(room.posted) == 1
        async with open_bot(tmp_path, clock=clock) as app:
            room = Room1(app, await app.directory.find_room(app.tenant, "hives"))
            await room.schedule.start()
            await room.schedule.made_up()
            await room.schedule.stop()
            assert room.posted == []

    async def test_a_new_room_has_missed_nothing(self, hives: Room1) -> None:
        await hives.schedule.look()

        assert hives.posted == []

    async def test_a_rooms_own_time_and_zone_hold(self, hives: Room1) -> None:
        await hives.app.preferences.change(hives.room, "digest_at", "friday 16:00", None)
        await hives.app.preferences.change(hives.room, "timezone", "Asia/Tokyo", None)
        clock_of(hives.app).time = datetime(2026, 3, 6, 6, 59, tzinfo=UTC)
        await hives.schedule.look()
        assert hives.posted == []

        clock_of(hives.app).advance(timedelta(minutes=1))
        await hives.schedule.look()

        assert len(hives.posted) == 1

    async def test_a_time_that_is_set_later_was_not_missed(self, hives: Room1) -> None:
        clock = clock_of(hives.app)
        clock.time = datetime(2026, 3, 11, 12, tzinfo=UTC)
        await hives.schedule.look()
        assert len(hives.posted) == 1

        await hives.app.preferences.change(hives.room, "digest_at", "wednesday 11:00", None)
        await hives.schedule.look()
        await hives.app.preferences.change(hives.room, "digest_at", None, None)
        await hives.schedule.look()
        assert len(hives.posted) == 1

        clock.advance(WEEK)
        await hives.schedule.look()
        assert len(hives.posted) == 2

    async def test_a_room_that_does_not_want_it_is_left_alone(self, hives: Room1) -> None:
        await hives.app.preferences.change(hives.room, "digest", "off", None)
        clock_of(hives.app).advance(WEEK)

        await hives.schedule.look()

        assert hives.posted == []

    async def test_rooms_where_nothing_can_be_posted_wait_for_their_own_process(self, hives: Room1) -> None:
        clock_of(hives.app).advance(WEEK)
        await Schedule(hives.app, hives.post, nowhere).look()
        assert hives.posted == []

        await hives.schedule.look()

        assert len(hives.posted) == 1

    async def test_one_that_was_posted_is_kept(self, hives: Room1) -> None:
        clock_of(hives.app).advance(WEEK)
        await hives.schedule.look()

        async with hives.app.database.read() as conn:
            [row] = (await conn.execute(select(digests))).all()
        assert row.posted_at == hives.app.clock.now()

    async def test_one_that_failed_is_tried_again_later(self, hives: Room1) -> None:
        clock = clock_of(hives.app)
        clock.advance(WEEK)
        hives.broken = True
        assert "digest failed; it is tried again" in await hives.schedule.look()
        hives.broken = False
        await hives.schedule.look()
        assert hives.posted == []

        clock.advance(LEASE)
        await hives.schedule.look()

        assert len(hives.posted) == 1

    async def test_it_needs_a_room(self, hives: Room1) -> None:
        with pytest.raises(BadInput, match="say which"):
            await post_digest(hives.app, hives.post, None)


class TestWhoRunsIt:
    async def test_one_process_gets_it(self, app: App) -> None:
        book, due = JobBook(app), app.clock.now()

        assert await book.claim("digest", 1, due)
        assert not await book.claim("digest", 1, due)
        assert await book.claim("digest", 2, due)
        assert await book.claim("digest", 1, due + WEEK)

    async def test_a_dead_process_loses_it_when_its_lease_is_over(self, app: App) -> None:
        book, due = JobBook(app), app.clock.now()
        await book.claim("digest", 1, due)
        clock_of(app).advance(LEASE - timedelta(seconds=1))
        assert not await book.claim("digest", 1, due)

        clock_of(app).advance(timedelta(seconds=1))

        assert await book.claim("digest", 1, due)

    @pytest.mark.embedded
    async def test_when_alone_a_dead_process_loses_it_at_once(self, app: App) -> None:
        book, due = JobBook(app), app.clock.now()
        await book.claim("digest", 1, due)

        await book.tidy()

        assert await book.claim("digest", 1, due)

    async def test_runs_of_long_ago_are_not_kept(self, app: App) -> None:
        book, due = JobBook(app), app.clock.now()
        await book.claim("digest", 1, due)
        await book.end("digest", 1, due, state="done")
        clock_of(app).advance(KEPT + DAY)

        await book.tidy()

        assert await book.newest("digest") is None

    async def test_what_is_done_is_never_run_again(self, app: App) -> None:
        book, due = JobBook(app), app.clock.now()
        await book.claim("digest", 1, due)
        await book.end("digest", 1, due, state="done")
        clock_of(app).advance(WEEK)
        await book.tidy()

        assert not await book.claim("digest", 1, due)
        assert await book.newest("digest") == due
        assert await book.newest("sessions") is None


class TestTheOthers:
    async def test_sessions_are_cleaned_up_every_hour_and_rewards_every_night(self, hives: Room1) -> None:
        clock = clock_of(hives.app)
        for _ in range(48):
            clock.advance(HOUR)
            await hives.schedule.look()

        async with hives.app.database.read() as conn:
            runs = (await conn.execute(select(job_runs.c.job, job_runs.c.room_id, job_runs.c.state))).all()
        assert {run.state for run in runs} == {"done"}
        assert sum(run.job == "sessions" and run.room_id == NO_ROOM for run in runs) == 48
        assert sum(run.job == "rewards" for run in runs) == 3

    def test_every_job_says_what_it_does(self) -> None:
        assert all(job.words for job in TABLE.values())

    async def test_nobody_waits_for_what_is_made_up_at_the_start(self, hives: Room1) -> None:
        asked, answered = asyncio.Event(), asyncio.Event()

        async def slow() -> list[Room]:
            asked.set()
            await answered.wait()
            return []

        schedule = Schedule(hives.app, hives.post, slow)
        async with asyncio.timeout(10):
            await schedule.start()
            await asked.wait()
            await schedule.stop()
        assert not answered.is_set()

    async def test_the_scheduler_looks_every_minute_until_it_is_stopped(self, hives: Room1) -> None:
        await hives.schedule.start()
        [looking] = hives.schedule._scheduler.get_jobs()
        assert str(looking.trigger) == "cron[second='1']"
        for _ in range(2):
            await hives.schedule.stop()
        await asyncio.sleep(0)
        assert not hives.schedule._scheduler.running
