"""Moving house: an embedded data folder into PostgreSQL, with a proof that what was asked before is found after.

The folder is this process's alone meanwhile: what another one wrote into it would stay behind.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from pydantic import SecretStr
from sqlalchemy import func, select

from bot import copying, moved, owner, schema, teams
from bot.app import App
from bot.clock import SystemClock
from bot.copying import Count, Part
from bot.events import Event, closing, note, progress, result
from bot.pages import BAD, CODE, FAINT, GOOD, HEAD, Page, count, line, page
from bot.settings import Settings
from bot.wiring import open_app
from bot.wiring.stores import open_database
from memory.errors import BadInput, NotFound, Refused
from memory.models import Room, Scope
from memory.ports import Clock, Database
from memory.tables import messages
from routing.tables import answers


class Opening(Protocol):
    """`open_app`, or a double of it."""

    def __call__(self, settings: Settings, /, *, half_moved: bool = False) -> Awaitable[App]:
        """The app; ``half_moved``: also on a database into which a move is under way."""


ROUTES: Final = ("chat", "linked")
"""What each question is asked by: the words, the meaning and the graph take part."""
ASKED: Final = 10  # questions, those that were asked most
OWN: Final = 10  # questions made of the rooms' own words
_NEWEST: Final = 2_000  # answers among which the most asked are looked for
_WORDS: Final = 12  # of a message that is asked
_SERVERS: Final = ("postgresql:", "postgresql+asyncpg:", "postgres:")
_FORM: Final = "write postgresql://USER:PASSWORD@HOST:5432/DATABASE, or name a file that holds it"
FILE: Final = "weavebot.sqlite3"
STAYS: Final[dict[str, str]] = {
    "matrix": "the logins of Matrix accounts, with their keys",
    "learning": "what is learnt of paths, kept by key",
    owner.IDENTITY: "the name of this folder among those that share the database",
}
"""What else a data folder holds, by the name of its file."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask a room, and how."""

    room: Room
    words: str
    route: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A table here and there."""

    table: str
    here: Count
    there: Count

    @property
    def same(self) -> bool:
        """Whether both hold the same rows."""
        return self.here == self.there


async def move(
    chosen: Settings,
    *,
    to: str,
    dry_run: bool = False,
    opening: Opening = open_app,
    clock: Clock | None = None,
    rows: int = copying.PAGE,
) -> AsyncIterator[Event]:
    """Moves the data folder, which the caller has locked, to the database ``to``; run again, it goes on.

    ``to`` is a URL, or a file that holds one; ``rows`` go in one transaction. Raises BadInput for an address that is
    none, NotFound for an empty folder, Refused when either of the two is not fit for it.
    """
    there = chosen.model_copy(update={"database_url": SecretStr(_address(to)), "neo4j_url": None, "queue_url": None})
    here = chosen.model_copy(update={"neo4j_url": None})  # the proof is about rows; a graph server holds none
    if chosen.database_url is not None:
        raise Refused("The data is in PostgreSQL already: unset WEAVEBOT_DATABASE_URL to move what a data folder holds")
    if not (chosen.data / FILE).exists():
        raise NotFound(f"{chosen.data} holds no data to move: choose the folder with --data")
    async with contextlib.AsyncExitStack() as stack:
        target = open_database(there)
        stack.push_async_callback(target.close)
        source = open_database(here)
        stack.push_async_callback(source.close)
        await _check_schema(source)
        name = owner.identity(chosen.data)
        await copying.check_free(target, name)
        if dry_run:
            yield await _plan(source)
            return
        mover = _Mover(source, target, clock or SystemClock(), rows)
        async with closing(mover.move(here, there, name, opening)) as events:
            async for event in events:
                yield event


def _address(to: str) -> str:
    """The URL that was given, or that stands in the file that was given. Raises BadInput."""
    url = to
    if "://" not in to:
        try:
            url = Path(to).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise BadInput(f"--to {to} is no URL, and no file that can be read: {_FORM}") from exc
    if not url.startswith(_SERVERS):
        raise BadInput(f"--to takes the address of a PostgreSQL database: {_FORM}")
    return url


async def _check_schema(source: Database) -> None:
    """Raises Refused for a folder that another version of the program wrote."""
    found, wanted = await schema.revision_of(source), schema.newest()
    if found == wanted:
        return
    if found is None or found < wanted:
        raise Refused(
            f"The data folder is at schema {found or 'none'} and this Weavebot moves {wanted}: run weavebot migrate"
            " without --to first"
        )
    raise Refused(
        f"The data folder was written by a newer Weavebot (schema {found}, this one knows {wanted}): update Weavebot"
    )


async def _plan(source: Database) -> Event:
    """What would be moved."""
    rows = {one.name: await copying.rows_in(source, one) for one in copying.tables()}
    total = sum(rows.values())
    shown = [line(f"{name:<20}{number:>12,}") for name, number in rows.items() if number]
    words = f"{count(total, 'row')} of {count(len(shown), 'table')} would be moved; nothing was written"
    return result({"tables": rows, "rows": total, "moved": False}, page(*shown, words))


class _Mover:
    """One move, between two databases that are open."""

    def __init__(self, source: Database, target: Database, clock: Clock, rows: int) -> None:
        self._source = source
        self._target = target
        self._clock = clock
        self._rows = rows

    async def move(self, here: Settings, there: Settings, name: str, opening: Opening) -> AsyncIterator[Event]:
        """Everything: copied, compared, asked."""
        await schema.bring_up_to_date(self._target)
        resumed = await copying.claim(self._target, name)
        if resumed:
            done = await copying.ended_at(self._target)
            if done is not None:
                async with closing(self._done_before(here, done)) as events:
                    async for event in events:
                        yield event
                return
            yield note("a move that was interrupted goes on")
        at = self._clock.now()
        async with _opened(opening, here) as app:
            questions = await _questions(app)
            before = await _found(app, questions, at)
        compared: list[Compared] = []
        async with closing(self._brought(compared, resumed=resumed)) as events:
            async for event in events:
                yield event
        async with _opened(opening, there, half_moved=True) as app:
            after = await _found(app, questions, at)
        apart = [one for one, old, new in zip(questions, before, after, strict=True) if old != new]
        if apart:
            raise Refused(
                f"{count(len(apart), 'question')} of {len(questions)} find something else in PostgreSQL (the first in"
                f" {apart[0].room.name} by {apart[0].route}): keep to the data folder, and report this"
            )
        ended = self._clock.now()
        await copying.end(self._target, ended)
        moved.mark(here.data, ended)
        yield _report(here, compared, len(questions))

    async def _done_before(self, here: Settings, at: datetime) -> AsyncIterator[Event]:
        """That it was done, if the folder is as it was then; the database has gone its own way since."""
        parts = await copying.parts(self._target)
        kept = {name: then for name, one in parts.items() if (then := one.compared) is not None}
        compared: list[Compared] = []
        async with closing(self._compared(compared, kept)) as events:
            async for event in events:
                yield event
        _check_unused(compared, at)
        moved.mark(here.data, at)
        words = f"This folder was moved to that database at {at.isoformat(timespec='minutes')}."
        yield result({"moved": True, "ended_at": at.isoformat()}, page(words, *_what_next(here)))

    async def _brought(self, compared: list[Compared], *, resumed: bool) -> AsyncIterator[Event]:
        """Copied and compared. What was compared once is looked at again and changed no more."""
        before = await copying.parts(self._target)
        done = all(one.compared for one in before.values())
        for steps in (self._compared(compared),) if done else (self._copied(), self._compared(compared)):
            async with closing(steps) as events:
                async for event in events:
                    yield event
        if done:
            _check_untouched(compared, before)
            return
        if resumed and not all(one.same for one in compared):
            _check_brought(compared, await copying.parts(self._target))
            yield note("the data folder has changed since the move began, so it begins again")
            await copying.clear(self._target)
            compared.clear()
            for steps in (self._copied(), self._compared(compared)):
                async with closing(steps) as events:
                    async for event in events:
                        yield event
        _check(compared)
        await copying.note_compared(self._target, {one.table: one.there for one in compared}, self._clock.now())

    async def _copied(self) -> AsyncIterator[Event]:
        for one in copying.tables():
            total = await copying.rows_in(self._source, one)
            async with closing(copying.copy(self._source, self._target, one, self._rows)) as steps:
                async for there in steps:
                    yield progress(f"moving {one.name}", there, max(total, there))
        await copying.set_sequences(self._source, self._target)

    async def _compared(self, into: list[Compared], kept: Mapping[str, Count] | None = None) -> AsyncIterator[Event]:
        """The folder with the database, or with what was ``kept`` of it."""
        sides = (self._source, self._target) if kept is None else (self._source,)
        for one in copying.tables():
            total = len(sides) * await copying.rows_in(self._source, one)
            counts, done = [], 0
            for database in sides:
                last = Count(0, "")
                async with closing(copying.count_of(database, one)) as steps:
                    async for last in steps:
                        yield progress("comparing", done + last.rows, max(total, done + last.rows))
                counts.append(last)
                done += last.rows
            into.append(Compared(one.name, counts[0], counts[1] if kept is None else kept.get(one.name, counts[0])))


def _check(compared: Sequence[Compared]) -> None:
    apart = [f"{one.table} ({one.here.rows:,} and {one.there.rows:,} rows)" for one in compared if not one.same]
    if apart:
        raise Refused(
            f"Not the same in both: {', '.join(apart)}. Stop whatever else writes to the database, then run the command"
            " again"
        )


def _check_unused(compared: Sequence[Compared], at: datetime) -> None:
    """Raises Refused for a folder that was used after it was moved; ``there`` is what was moved."""
    apart = [one for one in compared if not one.same]
    if apart:
        only = sum(max(0, one.here.rows - one.there.rows) for one in apart)
        tables = ", ".join(f"{one.table}: {one.here.rows:,} rows, {one.there.rows:,} moved" for one in apart)
        raise Refused(
            f"The data folder was used after it was moved at {at.isoformat(timespec='minutes')}: {count(only, 'row')}"
            f" more than were moved ({tables}). What is new there is not in that database: do not erase the folder"
            " before you have it elsewhere, or create an empty database and move into that"
        )


def _check_untouched(compared: Sequence[Compared], before: Mapping[str, Part]) -> None:
    """Raises Refused when one of the sides is not what it was when they were compared, saying which."""
    sides: dict[str, list[str]] = {"data folder": [], "database": []}
    for one in compared:
        was = before[one.table]
        for side, now in zip(sides, (one.here, one.there), strict=True):
            if now != was.compared:
                sides[side].append(f"{one.table}: {now.rows:,} rows, {was.moved:,} moved")
    changed = [f"the {side} has changed ({', '.join(told)})" for side, told in sides.items() if told]
    if changed:
        raise Refused(
            f"Everything was moved already, and since then {' and '.join(changed)}. Both are left as they are: create"
            " an empty database, and move into that"
        )


def _check_brought(compared: Sequence[Compared], brought: Mapping[str, Part]) -> None:
    """Raises Refused when the database holds what no move brought: it is not ours to take out."""
    strange = [
        f"{one.table} ({one.there.rows:,} rows, {brought[one.table].moved:,} moved)"
        for one in compared
        if one.there.rows != brought[one.table].moved
    ]
    if strange:
        raise Refused(
            f"Something else wrote to the database: {', '.join(strange)}. It is left as it is: create an empty one, and"
            " move into that"
        )


@contextlib.asynccontextmanager
async def _opened(opening: Opening, chosen: Settings, *, half_moved: bool = False) -> AsyncIterator[App]:
    app = await opening(chosen, half_moved=half_moved)
    try:
        yield app
    finally:
        await app.close()


# ------------------------------------------------------------------------------------------------------------ asking


async def _questions(app: App) -> list[Question]:
    """What was asked most, and some messages' own words, each by every one of `ROUTES`."""
    rooms = {room.id: room for room in await teams.rooms(app)}
    async with app.database.read() as conn:
        newest = select(answers.c.room_id, answers.c.question).order_by(answers.c.serial.desc()).limit(_NEWEST)
        often = Counter((row.room_id, row.question) for row in await conn.execute(newest))
        sizes = select(messages.c.room_id, func.count().label("size")).group_by(messages.c.room_id)
        largest = (await conn.execute(sizes.order_by(func.count().desc(), messages.c.room_id).limit(OWN))).all()
        own: list[tuple[int, str]] = []
        for place in _spread([row.size for row in largest], OWN):
            row = largest[place[0]]
            said = select(messages.c.text).where(messages.c.room_id == row.room_id).order_by(messages.c.serial)
            words = await conn.scalar(said.limit(1).offset(place[1]))
            own.append((row.room_id, " ".join((words or "").split()[:_WORDS])))
    asked = [key for key, _ in often.most_common(ASKED)]
    return [Question(rooms[room], words, route) for room, words in (*asked, *own) if words for route in ROUTES]


def _spread(sizes: Sequence[int], wanted: int) -> Iterator[tuple[int, int]]:
    """Places of messages, as many as wanted: which room, and which message of it; in turn and evenly."""
    if not sizes:
        return
    rounds = -(-wanted // len(sizes))
    for number in range(wanted):
        room, turn = number % len(sizes), number // len(sizes)
        yield room, min(sizes[room] - 1, (2 * turn + 1) * sizes[room] // (2 * rounds))


async def _found(app: App, questions: Sequence[Question], at: datetime) -> list[tuple[int, ...]]:
    """The messages that each question would cite, best first. Nothing is kept of the asking."""
    found = []
    for one in questions:
        scope = Scope(one.room.tenant, (one.room.id,))
        hits = (await app.shuttle.find(one.words, scope, one.route, asked_at=at, limit=app.settings.limit)).hits
        found.append(tuple(hit.serial for hit in hits[: app.settings.limit]))
        await asyncio.sleep(0)
    return found


# ------------------------------------------------------------------------------------------------------------ telling


def _report(here: Settings, compared: Sequence[Compared], asked: int) -> Event:
    held = [one for one in compared if one.here.rows]
    rows = sum(one.here.rows for one in held)
    shown = [line((HEAD, f"{'table':<20}{'rows':>12}  checksum, here and there"))]
    shown += [line(f"{one.table:<20}{one.here.rows:>12,}  ", (GOOD, one.here.sum[:12])) for one in held]
    shown.append(
        line(
            f"{count(rows, 'row')} moved; {count(asked, 'question')} asked here and there: the same messages, in the"
            " same order"
        )
    )
    value = {
        "tables": {one.table: {"rows": one.there.rows, "checksum": one.there.sum} for one in compared},
        "rows": rows,
        "questions": asked,
        "moved": True,
    }
    return result(value, page(*shown, *_what_next(here)))


def _what_next(here: Settings) -> Page:
    stays = [f"{name} ({words})" for name, words in STAYS.items() if (here.data / name).exists()]
    lines = [
        line("Set ", (CODE, "WEAVEBOT_DATABASE_URL"), " to the new address from now on, and keep this data folder"),
        line((FAINT, f"It still holds {'; '.join(stays)}.")),
        line((BAD, f"{FILE} stays as it was: what is forgotten from now on is not forgotten there, so erase it.")),
    ]
    if here.discord_shards or here.discord_shard_count:
        lines.append(line((FAINT, "Processes that share out the shards of Discord cannot share a PostgreSQL.")))
    return tuple(lines)
