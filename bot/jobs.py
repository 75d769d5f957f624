"""The jobs in one table: name, what it does, when, function.

When a job is due is a question of the calendar; whether it ran is a row in ``job_runs``, unique on job, room and due
time. The row decides which process runs it and what is made up, once, after a time when nothing ran. APScheduler only
wakes us: its jobs live in memory.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bot import falls, teams
from bot.app import App
from bot.pages import Page
from bot.preferences import Preferences
from bot.reports import digest_page
from bot.settings import parse_weekly
from bot.tables import job_runs
from memory.errors import BadInput
from memory.models import Room

log = structlog.get_logger(__name__)

NO_ROOM: Final = 0
LEASE: Final = timedelta(minutes=15)
"""A run that has not ended after this long belongs to a process that died; another takes it over."""
KEPT: Final = timedelta(days=60)
"""How long runs are remembered; longer than any rhythm."""

REFLECTED: Final = 2_000
"""Messages after which a run of reflection stops: half a second to a few; the other jobs wait for it."""

Post: TypeAlias = Callable[[Room, Page, str], Awaitable[None]]
"""Says something in a room; the last argument names the occasion, so that it is said once."""


class Rhythm(enum.Enum):
    """How often a job is due; the longest wait until the next time."""

    HOURLY = timedelta(hours=1)
    NIGHTLY = timedelta(days=1)
    WEEKLY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Job:
    """A job. One that is ``per_room`` is due in each room at the room's own time; one that ``posts`` says it there."""

    name: str
    words: str
    rhythm: Rhythm
    function: Callable[[App, Post, Room | None], Awaitable[str]]
    per_room: bool = False
    posts: bool = False

    def trigger(self, preferences: Preferences | None, zone: ZoneInfo) -> CronTrigger | None:
        """When it is due; None for a room that does not want it."""
        if self.rhythm is Rhythm.HOURLY:
            return CronTrigger(minute=17, timezone=zone)
        if self.rhythm is Rhythm.NIGHTLY:
            return CronTrigger(hour=3, minute=23, timezone=preferences.zone if preferences else zone)
        if preferences is None or not preferences.digest:
            return None
        day, hour, minute = parse_weekly(preferences.digest_at)
        return CronTrigger(day_of_week=day[:3], hour=hour, minute=minute, timezone=preferences.zone)


def last_due(trigger: CronTrigger, rhythm: Rhythm, now: datetime) -> datetime | None:
    """The newest time up to ``now`` at which the trigger fired, looking back as far as one and a half rhythms."""
    found: datetime | None = None
    at: datetime | None = now - rhythm.value * 1.5
    while at is not None:
        at = trigger.get_next_fire_time(found, at)
        if at is None or at > now:
            break
        found, at = at, at + timedelta(seconds=1)
    return found


@dataclass(frozen=True, slots=True)
class Due:
    """A job that is due: in which room, since when."""

    job: Job
    room: Room | None
    at: datetime

    @property
    def key(self) -> tuple[str, int, datetime]:
        """What makes the run one of its kind."""
        return self.job.name, self.room.id if self.room else NO_ROOM, self.at


class JobBook:
    """The runs of jobs: who claimed which, and how it ended."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def free(self, dues: Sequence[Due]) -> list[Due]:
        """Those that nobody has done or is at; only reads, because it is asked every minute."""
        patience = self._app.clock.now() - LEASE
        held = or_(job_runs.c.state == "done", job_runs.c.started_at > patience)
        query = select(job_runs.c.job, job_runs.c.room_id, job_runs.c.due_at)
        async with self._app.database.read() as conn:
            rows = await conn.execute(query.where(job_runs.c.due_at.in_({due.at for due in dues}), held))
            taken = {(row.job, row.room_id, row.due_at) for row in rows}
        return [due for due in dues if due.key not in taken]

    async def claim(self, job: str, room: int, due: datetime) -> bool:
        """Takes a run; False when it was done, or somebody is at it.

        One that failed, or was left by a dead process, may be taken again when its lease has run out.
        """
        now = self._app.clock.now()
        started = {"state": "running", "started_at": now}
        try:
            async with self._app.database.write() as conn:
                await conn.execute(insert(job_runs).values(job=job, room_id=room, due_at=due, **started))
        except IntegrityError:
            again = update(job_runs).where(*_key(job, room, due), job_runs.c.state != "done")
            async with self._app.database.write() as conn:
                taken = await conn.execute(again.where(job_runs.c.started_at <= now - LEASE).values(**started))
            return taken.rowcount > 0
        return True

    async def end(self, job: str, room: int, due: datetime, *, state: str) -> None:
        """The run ended: done or failed."""
        values = {"state": state, "ended_at": self._app.clock.now()}
        async with self._app.database.write() as conn:
            await conn.execute(update(job_runs).where(*_key(job, room, due)).values(**values))

    async def tidy(self) -> None:
        """At start: old runs go; embedded, no other process can be at one, so that all that were left are free."""
        now = self._app.clock.now()
        left = update(job_runs).where(job_runs.c.state == "running")
        async with self._app.database.write() as conn:
            if self._app.settings.database_url is None:
                await conn.execute(left.values(state="failed", started_at=now - LEASE))
            await conn.execute(delete(job_runs).where(job_runs.c.due_at < now - KEPT))

    async def newest(self, job: str) -> datetime | None:
        """When a job was last done."""
        query = select(job_runs.c.ended_at).where(job_runs.c.job == job, job_runs.c.state == "done")
        async with self._app.database.read() as conn:
            return (await conn.execute(query.order_by(job_runs.c.ended_at.desc()).limit(1))).scalar()


def _since(room: Room | None, preferences: Preferences | None) -> datetime:
    """The moment from which something can be due."""
    moments = [room.first_seen_at] if room else []
    moments += [preferences.changed_at] if preferences and preferences.changed_at else []
    return max(moments, default=datetime.min.replace(tzinfo=UTC))


def _key(job: str, room: int, due: datetime) -> tuple[ColumnElement[bool], ...]:
    return job_runs.c.job == job, job_runs.c.room_id == room, job_runs.c.due_at == due


async def post_digest(app: App, post: Post, room: Room | None) -> str:
    """The weekly summary into its room."""
    if room is None:
        raise BadInput("The digest is of a room; say which.")
    summary = await app.digests.compose(room)
    wanted = await app.preferences.of(room)
    shown = digest_page(summary, zone=wanted.zone, prefix=app.settings.prefix, language=wanted.language)
    await post(room, shown, summary.until.isoformat())
    if await app.digests.keep(room, summary):
        await app.digests.posted(room, summary.until)
    return f"the digest of {room.name} is posted"


async def clean_sessions(app: App, _post: Post, _room: Room | None) -> str:
    """Ends conversations that fell silent."""
    ended, removed = await app.sessions.clean_up()
    return f"{ended} conversations ended, {removed} empty ones removed"


async def expire(app: App, _post: Post, room: Room | None) -> str:
    """Erases what is older than the room wants to keep."""
    if room is None:
        raise BadInput("Retention is a room's; say which.")
    days = (await app.preferences.of(room)).retention
    if not days:
        return f"{room.name} keeps everything"
    erased = await app.privacy.expire(room, app.clock.now() - timedelta(days=days))
    return f"{erased} messages of {room.name} older than {days} days erased"


async def erase_departed(app: App, _post: Post, _room: Room | None) -> str:
    """Erases what is kept of teams that put us out, when their time to come back is over."""
    async with app.database.scrubbing_later():  # also what was put off during the day
        teams_ = await app.departures.since(app.clock.now() - timedelta(days=app.settings.departed))
        erased = sum([await app.departures.erase(team) for team in teams_])
    return f"{erased} messages of {len(teams_)} teams that we left erased"


async def recompute_rewards(app: App, _post: Post, _room: Room | None) -> str:
    """Learned state from the votes that stand, from nothing; it must agree with what was learned step by step."""
    drift = max([await app.learner.recompute(team.id) for team in await app.directory.tenants()])
    return f"learned state recomputed; what was learned step by step was off by {drift:.1e}"


async def look_at_the_tripwire(app: App, _post: Post, _room: Room | None) -> str:
    """Falls back to the rules in every team whose policy the votes show to be worse; ``bot.falls`` tells its admins."""
    looked, fell = 0, 0
    for team in await app.directory.tenants():
        trip = await app.judge.trip(team.id)
        looked += trip is not None
        if trip is not None and trip.fell:
            fell += 1
            await falls.record(app, team.id, trip)
    return f"{looked} policies compared with the rules, {fell} taken out"


async def reflect(app: App, _post: Post, _room: Room | None) -> str:
    """Derives memories from what waits, and from the history where the rules are newer; a slice of it at a time."""
    if app.settings.reflection == "off":
        return "reflection is off"
    if app.reflector.is_running:
        app.reflector.nudge()
        return "the worker beside this reflects on what waits"
    return f"{await app.reflector.drain(REFLECTED)} messages and sessions reflected on"


TABLE: Final[Mapping[str, Job]] = {
    job.name: job
    for job in (
        Job("digest", "posts the weekly digest in each room", Rhythm.WEEKLY, post_digest, per_room=True, posts=True),
        Job("reflection", "derives memories from what waits, and from history by new rules", Rhythm.HOURLY, reflect),
        Job("sessions", "ends conversations that fell silent", Rhythm.HOURLY, clean_sessions),
        Job("retention", "erases what is older than its room keeps", Rhythm.NIGHTLY, expire, per_room=True),
        Job("departed", "erases what is kept of teams that put us out", Rhythm.NIGHTLY, erase_departed),
        Job(
            "tripwire",
            "falls back to the rules where votes show them to be better",
            Rhythm.HOURLY,
            look_at_the_tripwire,
        ),
        Job("rewards", "recomputes what was learned from the votes that stand", Rhythm.NIGHTLY, recompute_rewards),
    )
}


Rooms: TypeAlias = Callable[[], Awaitable[Sequence[Room]]]
"""The rooms that a process can say something in, as they are now."""


class Schedule:
    """Runs the jobs of a process. What is posted in rooms other than ``rooms`` is not its own."""

    def __init__(self, app: App, post: Post, rooms: Rooms) -> None:
        self._app = app
        self._post = post
        self._rooms = rooms
        self._book = JobBook(app)
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._notices = falls.Notices(app, post, rooms)
        self._turn = asyncio.Lock()
        self._first: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Keeps looking; what was missed is made up, once, beside whatever follows."""
        await self._book.tidy()
        self._first = asyncio.create_task(self._make_up())
        self._scheduler.add_job(self.look, CronTrigger(second=1, timezone="UTC"), max_instances=1, coalesce=True)
        self._scheduler.start()

    async def stop(self) -> None:
        """No more jobs are started."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if self._first is not None:
            self._first.cancel()
            await asyncio.gather(self._first, return_exceptions=True)

    async def made_up(self) -> None:
        """Waits until what was missed is made up."""
        if self._first is not None:
            await self._first

    async def _make_up(self) -> None:
        try:
            await self.look()
        except Exception:
            log.exception("jobs.first_look_failed")

    async def look(self) -> list[str]:
        """Runs everything that is due and was not run, and says what is to be said; gives what each job said."""
        async with self._turn:
            free = await self._book.free([due async for due in self.due()])
            said = [await self._run(due) for due in free if await self._book.claim(*due.key)]
            await self._notices.tell()
            return said

    async def due(self) -> AsyncIterator[Due]:
        """For each job (and room) the newest time at which it was due.

        Nothing was due in a room before it was seen, nor, by a time that was set later, before that was set.
        """
        now = self._app.clock.now()
        zone = ZoneInfo(self._app.settings.timezone)
        ours, everywhere = await self._rooms(), await teams.rooms(self._app)
        for job in TABLE.values():
            for room in (ours if job.posts else everywhere) if job.per_room else [None]:
                preferences = await self._app.preferences.of(room) if room else None
                trigger = job.trigger(preferences, zone)
                at = last_due(trigger, job.rhythm, now) if trigger else None
                if at is not None and at > _since(room, preferences):
                    yield Due(job, room, at)

    async def _run(self, due: Due) -> str:
        name, room, at = due.key
        try:
            said = await due.job.function(self._app, self._post, due.room)
        except Exception:
            log.exception("job.failed", job=name, room=room)
            await self._book.end(name, room, at, state="failed")
            return f"{name} failed; it is tried again"
        await self._book.end(name, room, at, state="done")
        log.info("job.done", job=name, room=room)
        return said
