"""The commands that stay: they own the folder, serve it, and leave it whole."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot import settings
from bot.app import App
from bot.exits import DONE, FAILED, WRONG_USE
from bot.flags import Flags
from bot.hosting import LOG, host_chat, host_run, owning
from bot.owner import Card, holder, take
from bot.settings import Settings
from bot.terminal import Screen
from bot.wiring import open_app
from bot.working import JOBS
from memory.models import WorkKind
from memory.reflection.queue import put
from tests.doubles import HandClock, WordEmbedder
from tests.parts import draft
from tests.unit.bot.sitting import sitting


async def opening(chosen: Settings) -> App:
    return await open_app(chosen, clock=HandClock(), embedder=WordEmbedder())


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file whose lines are typed into the console."""
    lines = tmp_path / "typed"
    lines.write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WEAVEBOT_DATA", raising=False)
    return lines


def chat(typed: Path, lines: str, monkeypatch: pytest.MonkeyPatch, **given: str | bool) -> int:
    typed.write_text(lines)
    with typed.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        return host_chat(Flags(data=typed.parent / "data"), opening=opening, **given)  # type: ignore[arg-type]  # as the command line gives them


class TestChat:
    def test_a_pipe_is_a_room_and_its_end_settles_everything(
        self, typed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert chat(typed, "the queen is red\n!weave queen?\n+👍\n", monkeypatch, room="hives", person="Ana") == DONE
        first = capsys.readouterr()
        assert chat(typed, "!weave stats\n", monkeypatch, room="hives") == DONE
        second = capsys.readouterr()

        assert "[1] Ana" in first.out
        assert "noted" in first.out
        assert "1 message of 1 person" in second.out
        assert "\x1b" not in first.out + second.out
        assert first.err == ""

    def test_it_leaves_nothing_but_the_database_and_its_log(self, typed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        chat(typed, "the secret plan\n!weave plan?\n", monkeypatch)

        data = typed.parent / "data"
        assert {path.name for path in data.iterdir()} == {"owner.lock", LOG, "weavebot.sqlite3"}
        assert holder(data) is None
        assert "secret" not in (data / LOG).read_text()

    def test_the_demo_is_loaded_once(
        self, typed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for _ in range(2):
            assert chat(typed, "!weave stats\n", monkeypatch, demo=True) == DONE

        first, second = (line for line in capsys.readouterr().out.splitlines() if " messages of " in line)
        assert first == second
        assert first.startswith("4")

    def test_a_second_one_is_refused_naming_the_first(
        self, typed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (typed.parent / "data").mkdir()
        claim = take(typed.parent / "data", Card(4711, "run", "2026-03-02T09:00:00", lasting=True))
        assert claim is not None

        assert chat(typed, "hello\n", monkeypatch) == FAILED

        assert "'weavebot run' (process 4711, since 2026-03-02T09:00:00) already uses" in capsys.readouterr().err
        assert not (typed.parent / "data" / LOG).exists()
        claim.release()

    def test_an_ambiguous_person_is_one_sentence(
        self, typed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        chat(typed, "/as Ana Bell\na\n/as Ana Cole\nb\n", monkeypatch)

        assert chat(typed, "", monkeypatch, person="ana") == FAILED
        assert "use one of the ids" in capsys.readouterr().err


class TestRun:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_serves_until_it_is_told_to_stop(
        self, number: signal.Signals, typed: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data = typed.parent / "data"
        seen: list[Card | None] = []

        def stop() -> None:
            until = time.monotonic() + 20
            card = None
            while (card is None or card.socket is None) and time.monotonic() < until:
                os.sched_yield()
                card = holder(data)
            seen.append(card)
            os.kill(os.getpid(), number)

        stopping = threading.Thread(target=stop)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
        stopping.start()
        assert host_run(Flags(data=data, json=True), opening=opening) == DONE
        stopping.join()
        signal.signal(signal.SIGINT, before)

        [card] = seen
        assert card is not None
        assert (card.command, card.lasting) == ("run", True)
        assert holder(data) is None
        assert not (data / "owner.sock").exists()
        assert '"event": "owner.ready"' in capsys.readouterr().err

    def test_a_worker_alone_derives_what_waits_and_opens_no_account(
        self, typed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data = typed.parent / "data"
        monkeypatch.setenv("WEAVEBOT_REFLECTION", "off")
        chat(typed, "The gate code is 4471\n", monkeypatch, room="hives", person="Ana")
        monkeypatch.setenv("WEAVEBOT_REFLECTION", "worker")
        monkeypatch.setenv("WEAVEBOT_DISCORD_TOKEN", "never used: no adapter is opened")

        def stop() -> None:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                with sqlite3.connect(data / "weavebot.sqlite3") as conn:
                    if conn.execute("SELECT count(*) FROM memories").fetchone() == (1,):
                        break
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGTERM)

        stopping = threading.Thread(target=stop)
        stopping.start()
        assert host_run(Flags(data=data), only="worker", opening=opening) == DONE
        stopping.join()

        with sqlite3.connect(data / "weavebot.sqlite3") as conn:
            assert conn.execute("SELECT kind, aspect FROM memories").fetchall() == [("semantic", "fact")]
        assert f"running on {data}: worker only" in capsys.readouterr().err

    def test_a_part_that_there_is_not_is_refused(self, typed: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert host_run(Flags(data=typed.parent / "data"), only="api", opening=opening) == WRONG_USE
        assert "--only takes a comma list of adapters, jobs, worker" in capsys.readouterr().err


class TestBesideAWorkerElsewhere:
    async def test_what_is_said_is_in_the_queue_at_once(self, tmp_path: Path) -> None:
        chosen = settings.load(data=tmp_path / "data", queue_url=SecretStr("memory:"))
        async with owning(chosen, "run --only jobs", Screen(as_json=False), opening, (JOBS,)) as app:
            room = await app.directory.room(app.tenant, "hives", "hives")
            await asyncio.sleep(0.05)
            await app.journal.admit(room, [draft("e1", "Ana", "the gate code is 4471")])
            async with asyncio.timeout(10):
                while (await app.queues[WorkKind.INDEX].report()).depth != 1:  # noqa: ASYNC110 - the queue tells nobody
                    await asyncio.sleep(0.01)

    async def test_so_is_what_is_to_be_reflected_on_unless_that_is_off(self, tmp_path: Path) -> None:
        for reflection, published in (("worker", 1), ("off", 0)):
            folder = tmp_path / reflection
            chosen = settings.load(data=folder, queue_url=SecretStr("memory:"), reflection=reflection)
            async with owning(chosen, "run --only jobs", Screen(as_json=False), opening, (JOBS,)) as app:
                room = await app.directory.room(app.tenant, "hives", "hives")
                [serial] = (await app.journal.admit(room, [draft("e1", "Ana", "the gate code is 4471")])).serials
                async with app.database.write() as conn:
                    await put(conn, [serial], app.clock.now())
                app.indexer.nudge()
                async with asyncio.timeout(10):
                    while (await app.queues[WorkKind.INDEX].report()).depth != 1:  # noqa: ASYNC110 - likewise
                        await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                assert (await app.queues[WorkKind.REFLECT].report()).depth == published


class TestOnATerminal:
    def test_one_is_welcomed_talks_and_leaves_with_control_d(self, tmp_path: Path) -> None:
        with sitting(tmp_path / "data") as terminal:
            assert "You are in lobby" in terminal.until("Ctrl-D leaves")
            terminal.type("the queen is red\r")
            terminal.until("1 message remembered")
            terminal.type("!weave queen?\r")
            terminal.until("teach the routing")
            terminal.type("+👍\r")
            terminal.until("noted: ")
            terminal.until("Ctrl-D leaves")  # the next prompt
            terminal.type("\x04")
            terminal.until("never shown")
            assert terminal.process.wait() == DONE

        assert "\x1b[" in terminal.screen
        assert "Traceback" not in terminal.screen

    def test_control_c_leaves_too_and_everything_is_kept(self, tmp_path: Path) -> None:
        with sitting(tmp_path / "data") as terminal:
            terminal.until("Ctrl-D leaves")
            terminal.type("the queen is red\r")
            terminal.until("1 message remembered · !weave help · Ctrl-D leaves")
            terminal.type("\x03")
            terminal.until("never shown")
            assert terminal.process.wait() == DONE
        with sitting(tmp_path / "data") as terminal:
            terminal.until("1 message remembered")

        assert "Traceback" not in terminal.screen

    def test_the_demo_shows_how_far_it_is_and_what_to_ask(self, tmp_path: Path) -> None:
        with sitting(tmp_path / "data", demo=True) as terminal:
            shown = terminal.until("Ctrl-D leaves")

        assert "reading" in shown
        assert "indexing" in shown
        assert "!weave Who inspected the hives last Tuesday?" in shown
