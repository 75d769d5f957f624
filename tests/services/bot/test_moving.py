"""A data folder moves to a real PostgreSQL: whole, also when it is killed on the way, and questions find the same."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from bot import copying, demo_room
from bot.app import App
from bot.events import Event
from bot.moved import MARK
from bot.moving import FILE, Opening, move
from bot.settings import Settings
from bot.wiring import open_app
from memory.adapters.sql import SqlDatabase
from memory.errors import BadInput, NotFound, Refused
from memory.models import Scope
from tests.doubles import START, HandClock, WordEmbedder
from tests.parts import draft
from tests.services.databases import bare_database, connect, empty_database
from tests.unit.bot.rooms import open_bot, run

pytestmark = pytest.mark.services

KILLED = -signal.SIGKILL
FORGOTTEN = "m391"
QUESTIONS = ("Who inspected hives 3 and 5?", "Where is the padlock code?")


async def opening(chosen: Settings, *, half_moved: bool = False) -> App:
    return await open_app(chosen, clock=HandClock(), embedder=WordEmbedder(), half_moved=half_moved)


async def asking_fails(chosen: Settings, *, half_moved: bool = False) -> App:
    """As when the model does not load: everything was copied and compared, and no question is asked there."""
    if half_moved:
        raise Refused("no model")
    return await opening(chosen)


async def live(folder: Path) -> None:
    """The demo room in a folder, with an edit, a forgotten message, questions, votes and one taken back."""
    async with open_bot(folder) as app:
        await run(app, "import", demo_room.lines(app), room=demo_room.ROOM)
        room = await app.directory.find_room(app.tenant, demo_room.ROOM)
        [author] = [one for one in await app.directory.people(app.tenant) if one.name.startswith("Ana")][:1]
        await app.journal.admit(room, [draft("x1", "Ana", "the combination is 7702"), draft("x2", "Ben", "noted")])
        await app.journal.edit(room, "x1", "ana", "the combination is no more", START)
        await app.engine.settle()
        await app.privacy.forget_message(app.tenant, FORGOTTEN, room)
        await app.privacy.forget_message(app.tenant, "x2", room)  # the highest serial that was ever given
        for number, question in enumerate(QUESTIONS * 2):
            scope = Scope(app.tenant, (room.id,), author.id)
            answer = await app.shuttle.weave(question, scope, asked_at=START, asked_in=room.id, seed=number)
            await app.shuttle.vote(app.tenant, answer.id, author, "👍", at=START + timedelta(minutes=number))
        await app.shuttle.vote(app.tenant, answer.id, author, "👍", remove=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that has seen something, made once."""
    place = tmp_path_factory.mktemp("kept")
    asyncio.run(live(place))
    return place


@pytest.fixture
def folder(kept: Path, tmp_path: Path) -> Path:
    """A data folder to move."""
    return shutil.copytree(kept, tmp_path / "data")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A database without tables."""
    async with bare_database() as found:
        yield found


async def moved(folder: Path, to: str, opening: Opening = opening, **given: Any) -> list[Event]:
    """What a move yields."""
    return [
        one
        async for one in move(
            Settings.model_validate({"data": folder}), to=to, opening=opening, clock=HandClock(), **given
        )
    ]


async def sums(database: SqlDatabase) -> dict[str, copying.Count]:
    """Rows and checksums of every table."""
    return {one.name: [each async for each in copying.count_of(database, one)][-1] for one in copying.tables()}


async def both(folder: Path, url: str) -> tuple[dict[str, copying.Count], dict[str, copying.Count]]:
    """Those of the folder, and of the server."""
    here, there = SqlDatabase.in_folder(folder), SqlDatabase(url)
    try:
        return await sums(here), await sums(there)
    finally:
        await here.close()
        await there.close()


class TestMoving:
    async def test_everything_is_there_and_answers_as_before(self, folder: Path, url: str) -> None:
        events = await moved(folder, url)
        told = events[-1]["result"]
        here, there = await both(folder, url)
        assert here == there
        assert told["moved"]
        assert told["tables"]["messages"]["rows"] == here["messages"].rows == 443
        assert told["questions"] == 2 * (len(QUESTIONS) + 10)
        assert {one["progress"]["stage"] for one in events if "progress" in one} >= {"moving messages", "comparing"}
        async with open_bot(folder, database_url=url) as app:
            room = await app.directory.find_room(app.tenant, demo_room.ROOM)
            scope = Scope(app.tenant, (room.id,))
            answer = await app.shuttle.weave(QUESTIONS[0], scope, asked_at=START, asked_in=room.id, seed=1)
            assert FORGOTTEN not in [one.message_id for one in answer.citations]
            assert [one["votes"] for one in [e["result"] for e in await run(app, "stats") if "result" in e]] == [3]
            known = await app.journal.admit(room, [draft(FORGOTTEN, "Ana", "I am back")])
            assert known.serials == (), "what was forgotten stays forgotten"

    async def test_keys_go_on_behind_the_highest_that_was_ever_given(self, folder: Path, url: str) -> None:
        await moved(folder, url)
        before = SqlDatabase.in_folder(folder)
        async with before.read() as conn:
            highest = await conn.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'messages'"))
            held = await conn.scalar(text("SELECT max(serial) FROM messages"))
        await before.close()
        assert highest > held
        async with open_bot(folder, database_url=url) as app:
            room = await app.directory.find_room(app.tenant, demo_room.ROOM)
            admitted = await app.journal.admit(room, [draft("new", "Ana", "the new hive")])
            assert admitted.serials == (highest + 1,)
            assert (await app.directory.person(app.tenant, "zoe", "Zoe")).id not in {None, 0}

    async def test_again_it_says_that_it_was_done(self, folder: Path, url: str) -> None:
        await moved(folder, url)
        async with open_bot(folder, database_url=url) as app:
            room = await app.directory.find_room(app.tenant, demo_room.ROOM)
            await app.journal.admit(room, [draft("new", "Ana", "said in the new home")])
        (folder / MARK).unlink()
        told = (await moved(folder, url))[-1]
        assert told["result"] == {"moved": True, "ended_at": START.isoformat()}
        assert (folder / MARK).exists()

    async def test_the_folder_is_not_opened_by_mistake_afterwards(self, folder: Path, url: str) -> None:
        await moved(folder, url)
        with pytest.raises(Refused, match="set WEAVEBOT_DATABASE_URL"):
            await opening(Settings.model_validate({"data": folder}))
        await (await opening(Settings.model_validate({"data": folder, "database_url": url}))).close()

    async def test_a_folder_that_was_used_afterwards_is_not_to_be_erased(self, folder: Path, url: str) -> None:
        await moved(folder, url)
        (folder / MARK).unlink()
        async with open_bot(folder) as app:
            room = await app.directory.find_room(app.tenant, demo_room.ROOM)
            await app.journal.admit(room, [draft("late", "Ana", "said in the folder")])
        with pytest.raises(Refused, match=r"messages: 444 rows, 443 moved.*do not erase"):
            await moved(folder, url)

    async def test_a_dry_run_counts_and_leaves_the_server_as_it_was(self, folder: Path, url: str) -> None:
        [told] = await moved(folder, url, dry_run=True)
        assert told["result"]["tables"]["messages"] == 443
        assert not told["result"]["moved"]
        connection = await connect(url)
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        await connection.close()

    async def test_the_url_may_stand_in_a_file(self, folder: Path, url: str, tmp_path: Path) -> None:
        secret = tmp_path / "database-url"
        secret.write_text(url + "\n", "utf-8")
        [told] = await moved(folder, str(secret), dry_run=True)
        assert told["result"]["rows"] > 443


def killed(folder: Path, url: str, kill_at: int) -> int:
    """Moves in a process of its own, which kills itself before its n-th commit or batch; gives how it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            seen = 0

            def count(*_: object) -> None:
                nonlocal seen
                seen += 1
                if seen == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(Engine, "commit", count)
            asyncio.run(moved(folder, url, rows=100))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


class TestKilled:
    async def test_at_any_point_it_goes_on_and_nothing_is_doubled(self, folder: Path, url: str) -> None:
        for kill_at in (40, 75, 115, 150):
            assert await asyncio.to_thread(killed, folder, url, kill_at) == KILLED
        events = await moved(folder, url, rows=100)
        notes = [one["note"] for one in events if "note" in one]
        assert notes == ["a move that was interrupted goes on"]
        assert events[-1]["result"]["moved"]
        here, there = await both(folder, url)
        assert here == there

    async def test_half_way_the_program_does_not_open_it(self, folder: Path, url: str) -> None:
        assert await asyncio.to_thread(killed, folder, url, 75) == KILLED
        with pytest.raises(Refused, match="run weavebot migrate --to again"):
            async with open_bot(folder, database_url=url):
                pass

    async def test_what_was_forgotten_meanwhile_does_not_arrive(self, folder: Path, url: str) -> None:
        assert await asyncio.to_thread(killed, folder, url, 150) == KILLED
        async with open_bot(folder) as app:
            room = await app.directory.find_room(app.tenant, demo_room.ROOM)
            await app.privacy.forget_message(app.tenant, "m001", room)
        events = await moved(folder, url)
        assert "the data folder has changed since the move began, so it begins again" in [
            one.get("note") for one in events
        ]
        here, there = await both(folder, url)
        assert here == there
        assert there["messages"].rows == 442


class TestNotAsked:
    """Killed, or refused, when everything was compared and the questions were not asked."""

    async def test_the_program_does_not_open_it(self, folder: Path, url: str) -> None:
        with pytest.raises(Refused, match="no model"):
            await moved(folder, url, asking_fails)
        with pytest.raises(Refused, match="run weavebot migrate --to again"):
            async with open_bot(folder, database_url=url):
                pass
        events = await moved(folder, url)
        assert events[-1]["result"]["moved"]
        assert not any("moving" in one["progress"]["stage"] for one in events if "progress" in one)
        async with open_bot(folder, database_url=url):
            pass

    async def test_what_was_written_there_since_is_kept(self, folder: Path, url: str) -> None:
        with pytest.raises(Refused, match="no model"):
            await moved(folder, url, asking_fails)
        app = await opening(Settings.model_validate({"data": folder, "database_url": url}), half_moved=True)
        room = await app.directory.find_room(app.tenant, demo_room.ROOM)
        await app.journal.admit(room, [draft("since", "Ana", "said in the new home")])
        await app.close()
        with pytest.raises(Refused, match=r"the database has changed \(.*messages: 444 rows, 443 moved"):
            await moved(folder, url)
        connection = await connect(url)
        assert await connection.fetchval("SELECT count(*) FROM messages WHERE external_id = 'since'") == 1
        await connection.close()

    async def test_a_folder_that_was_used_since_goes_into_an_empty_database(self, folder: Path, url: str) -> None:
        with pytest.raises(Refused, match="no model"):
            await moved(folder, url, asking_fails)
        async with open_bot(folder) as app:
            room = await app.directory.find_room(app.tenant, demo_room.ROOM)
            await app.journal.admit(room, [draft("since", "Ana", "said in the folder")])
        with pytest.raises(Refused, match=r"the data folder has changed .*create an empty database"):
            await moved(folder, url)
        async with bare_database() as another:
            assert (await moved(folder, another))[-1]["result"]["tables"]["messages"]["rows"] == 444


class TestRefusing:
    async def test_a_database_with_data_of_its_own(self, folder: Path) -> None:
        async with empty_database() as url:
            other = folder.parent / "other"
            other.mkdir()
            async with open_bot(other, database_url=url) as app:
                await app.directory.room(app.tenant, "cellar", "cellar")
            with pytest.raises(Refused, match=r"holds data of its own \(in \w+\): create an empty one"):
                await moved(folder, url)

    async def test_what_is_no_postgresql(self, folder: Path, tmp_path: Path) -> None:
        for wrong in ("sqlite:///there.sqlite3", "mysql://a@b/c", str(tmp_path / "no such file")):
            with pytest.raises(BadInput, match="postgresql://USER:PASSWORD@HOST:5432/DATABASE"):
                await moved(folder, wrong)

    async def test_a_folder_of_another_version(self, folder: Path, url: str) -> None:
        for revision, words in (("0001", "run weavebot migrate without --to first"), ("9999", "update Weavebot")):
            database = SqlDatabase.in_folder(folder)
            async with database.write() as conn:
                await conn.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": revision})
            await database.close()
            with pytest.raises(Refused, match=words):
                await moved(folder, url)

    async def test_a_folder_without_data(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(NotFound, match="holds no data to move"):
            await moved(tmp_path, url)
        assert not (tmp_path / FILE).exists()
