"""The command line on PostgreSQL, from the first message to its forgetting, and its words when something is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from bot.cli import perform
from tests.e2e.eventually import eventually
from tests.services.databases import bare_database, connect
from tests.services.servers import Server

pytestmark = [pytest.mark.services, pytest.mark.model]

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "bot" / "demo" / "beekeepers.jsonl"
MESSAGES = 443
TIMEOUT = "3"


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Its JSON lines; it must have succeeded."""
        assert self.status == 0, self.err
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Awaitable[Said]]


@dataclass(frozen=True, slots=True)
class Line:
    """The command line with a data folder and a database, each command a process of its own."""

    folder: Path
    url: str

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """A command that is under way."""
        program = [sys.executable, "-c", "from bot.cli import main; main()", "--data", str(self.folder), *words]
        environ = {**os.environ, "WEAVEBOT_DATABASE_URL": self.url, "WEAVEBOT_DATABASE_TIMEOUT": TIMEOUT}
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*program, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe)

    async def __call__(self, *words: str) -> Said:
        """One command, to its end."""
        return await heard(await self.start(*words))


async def heard(running: asyncio.subprocess.Process) -> Said:
    """What a command says until it ends."""
    out, err = await running.communicate()
    return Said(running.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A database without tables."""
    async with bare_database() as found:
        yield found


@pytest.fixture
def weavebot(tmp_path: Path, url: str) -> Line:
    return Line(tmp_path / "data", url)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path, str], Command]:
    """The command line in this process: the same commands, without a start of the interpreter for each."""

    def line(folder: Path, url: str) -> Command:
        async def command(*words: str) -> Said:
            monkeypatch.setenv("WEAVEBOT_DATABASE_URL", url)
            monkeypatch.setenv("WEAVEBOT_DATABASE_TIMEOUT", TIMEOUT)
            status = await asyncio.to_thread(perform, ["--data", str(folder), *words])
            return Said(status, *capsys.readouterr())

        return command

    return line


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """PostgreSQL, for a test that is alone with it; it runs again afterwards."""
    found = Server("postgres", alone=True)
    yield found
    await found.recover()


class TestTheWholeWay:
    async def test_from_the_first_message_to_its_forgetting(
        self, tmp_path: Path, url: str, at_once: Callable[[Path, str], Command]
    ) -> None:
        weavebot, elsewhere = at_once(tmp_path / "data", url), at_once(tmp_path / "another folder", url)
        [counts] = (await weavebot("import", str(DEMO), "--json")).objects[-1:]
        assert (counts["imported"], counts["already_known"]) == (MESSAGES, 0)
        question = ("ask", "Who inspected hives 3 and 5?", "--room", "beekeepers", "--as", "Zoe", "--json")
        [answer] = (await weavebot(*question)).objects
        assert "m391" in [citation["message_id"] for citation in answer["citations"]][:3]
        assert (await weavebot("react", answer["answer_id"], "👍", "--as", "Zoe")).status == 0
        [stats] = (await weavebot("stats", "--json")).objects
        assert (stats["messages"], stats["answers"], stats["votes"]) == (MESSAGES, 1, 1)

        [again] = (await elsewhere(*question)).objects
        assert [one["message_id"] for one in again["citations"]] == [one["message_id"] for one in answer["citations"]]

        assert (await weavebot("forget", "--message", "m391")).status == 0
        [after] = (await elsewhere(*question)).objects
        assert "m391" not in [citation["message_id"] for citation in after["citations"]]
        exported = (await weavebot("export", "--person", "Zoe", "--json")).objects
        assert [one["kind"] for one in exported].count("vote") == 1
        assert (await weavebot("forget", "--person", "Zoe")).status == 0
        assert "Nobody called 'Zoe'" in (await weavebot("export", "--person", "Zoe")).err

        assert (await weavebot("reindex")).status == 0
        examined = await weavebot("doctor")
        assert "PostgreSQL 1" in examined.out
        assert "up to date" in examined.out
        [stats] = (await weavebot("stats", "--json")).objects
        assert (stats["messages"], stats["answers"], stats["votes"]) == (MESSAGES - 1, 3, 0)
        assert not (tmp_path / "data" / "weavebot.sqlite3").exists()


class TestSayingWhatIsWrong:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"password": "wrong"}, "refuses the user or the password"),
            ({"drivername": "mysql"}, "must look like postgresql://"),
        ],
    )
    async def test_one_sentence_says_what_to_do(
        self, tmp_path: Path, url: str, at_once: Callable[[Path, str], Command], changes: dict[str, Any], words: str
    ) -> None:
        wrong = make_url(url).set(**changes).render_as_string(hide_password=False)
        said = await at_once(tmp_path / "data", wrong)("stats")
        assert said.status in {1, 2}
        assert words in said.err
        assert len(said.err.strip().splitlines()) == 1
        assert "Traceback" not in said.err

    async def test_a_user_without_rights_is_told_which(
        self, tmp_path: Path, url: str, at_once: Callable[[Path, str], Command]
    ) -> None:
        weavebot, owner = at_once(tmp_path / "data", url), await connect(url)
        await owner.execute("REVOKE ALL ON SCHEMA public FROM public; ALTER SCHEMA public OWNER TO pg_database_owner")
        await owner.execute(
            "CREATE TABLE alembic_version (version_num varchar(32)); REVOKE ALL ON alembic_version FROM weavebot"
        )
        await owner.close()
        said = await weavebot("stats")
        assert said.status == 1
        assert "make it the owner of its database" in said.err


@pytest.mark.alone("postgres")
class TestFaults:
    async def test_an_import_goes_on_when_the_server_was_killed_in_the_middle(
        self, weavebot: Line, server: Server, at_once: Callable[[Path, str], Command]
    ) -> None:
        running = await weavebot.start("import", str(DEMO), "--json")
        await first_messages(weavebot.url)
        await server.kill()
        await server.start()
        [counts] = (await heard(running)).objects[-1:]
        assert counts["imported"] + counts["already_known"] == MESSAGES
        after = at_once(weavebot.folder, weavebot.url)
        [stats] = (await after("stats", "--json")).objects
        assert stats["messages"] == MESSAGES
        assert "up to date" in (await after("doctor")).out

    async def test_a_frozen_server_is_one_sentence_and_afterwards_all_is_well(
        self, tmp_path: Path, url: str, server: Server, at_once: Callable[[Path, str], Command]
    ) -> None:
        weavebot = at_once(tmp_path / "data", url)
        assert (await weavebot("migrate")).status == 0
        await server.pause()
        said = await weavebot("stats")
        await server.resume()
        assert said.status == 1
        assert "PostgreSQL does not answer" in said.err
        assert (await weavebot("stats")).status == 0


async def first_messages(url: str) -> None:
    """Waits until an import has committed something."""
    connection = await connect(url)

    async def look() -> int:
        there = await connection.fetchval("SELECT to_regclass('messages') IS NOT NULL")
        return await connection.fetchval("SELECT count(*) FROM messages") if there else 0

    await eventually(look, bool, patience=60)
    await connection.close()
