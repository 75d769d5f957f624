"""The command line: flags, help, exit statuses, one sentence for each error."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot import exchange, operations, owner
from bot.cli import cli, perform
from bot.exits import DONE, FAILED, WRONG_USE
from tests.unit.bot.rooms import history, open_bot, told

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in list(os.environ):
        if name.startswith("WEAVEBOT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def seeded(tmp_path: Path) -> Path:
    """A data folder in which a room has heard something; its vectors are the double's, so nothing can be asked."""

    async def seed() -> None:
        async with open_bot(tmp_path / "data") as app:
            await told(app, ("Ana", "the queen is red"), ("Ben", "hello"))

    (tmp_path / "data").mkdir()
    asyncio.run(seed())
    return tmp_path / "data"


class TestHelp:
    def test_it_comes_alone_and_when_asked_for(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert perform([]) == DONE
        assert perform(["--help"]) == DONE

        assert capsys.readouterr().out.count("weavebot chat --demo") == 2

    @pytest.mark.parametrize("command", [one.name or one.callback.__name__ for one in cli.registered_commands])  # type: ignore[union-attr]  # each has one
    def test_every_command_teaches_by_an_example(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert perform([command, "--help"]) == DONE

        shown = " ".join(capsys.readouterr().out.split())
        assert f"Example: weavebot {command}" in shown
        assert "--json" in shown

    def test_it_is_quick(self) -> None:
        heavy = ("torch", "numpy", "sqlalchemy", "pydantic")
        program = f"import sys; import bot.cli; print(*(m for m in {heavy} if m in sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)

        assert loaded.stdout.split() == []


class TestWrongUse:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["frobnicate"], "No such command 'frobnicate'"),
            (["ask", "x", "--nope"], "No such option: --nope"),
            (["ask"], "Give a question, or a file of questions with --batch"),
            (["ask", "x", "--batch", "f"], "Give a question, or a file"),
            (["ask", "x", "--limit", "0"], "--limit"),
            (["ask", "x", "--limit", "many"], "--limit"),
            (["import"], "Missing argument"),
            (["react"], "Say which answer, which emoji and who you are"),
            (["react", "a", "👍"], "Say which answer"),
            (["react", "a", "👍", "--batch", "f"], "or a file of votes"),
            (["forget"], "--message ID or --person NAME"),
            (["forget", "--message", "a", "--person", "b"], "Say what to forget"),
            (["export"], "--person"),
            (["migrate", "--dry-run"], "--dry-run goes with --to URL"),
        ],
    )
    def test_it_is_one_sentence_and_status_two(
        self, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert perform(arguments) == WRONG_USE

        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("weavebot: ")
        assert said in err
        assert len(err.splitlines()) == 1

    def test_a_bad_setting_is_named(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("WEAVEBOT_LIMIT", "many")

        assert perform(["stats"]) == WRONG_USE
        assert "WEAVEBOT_LIMIT is not right" in capsys.readouterr().err

    def test_a_file_that_is_missing_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert perform(["import", "none.jsonl"]) == FAILED
        assert capsys.readouterr().err == "weavebot: The file none.jsonl cannot be read: No such file or directory.\n"


class TestWorking:
    def test_flags_hold_before_and_after_the_command(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folder = str(tmp_path / "elsewhere")

        assert perform(["--data", folder, "--json", "stats"]) == DONE
        assert perform(["stats", "--data", folder, "--json"]) == DONE

        first, second = capsys.readouterr().out.splitlines()
        assert json.loads(first) == json.loads(second)
        assert json.loads(first)["messages"] == 0

    def test_a_settings_file_holds(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "w.toml").write_text(f'data = "{tmp_path / "there"}"\n')

        assert perform(["stats", "--config", "w.toml"]) == DONE
        assert (tmp_path / "there").is_dir()
        assert "0 messages" in capsys.readouterr().out

    def test_an_empty_folder_is_told_how_to_start(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert perform(["ask", "who?"]) == FAILED

        assert "weavebot import FILE --room NAME" in capsys.readouterr().err

    def test_vectors_of_another_model_are_refused_with_the_command_that_mends_it(
        self, seeded: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert perform(["--data", str(seeded), "ask", "who?"]) == FAILED

        err = capsys.readouterr().err
        assert "words@1" in err
        assert "weavebot" in err
        assert len(err.splitlines()) == 1

    def test_a_defect_ends_in_one_sentence_after_its_traceback(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def defect() -> None:
            raise RuntimeError("a wheel came off")

        monkeypatch.setattr("bot.wiring.SystemClock", defect)

        assert perform(["--data", str(tmp_path), "stats"]) == FAILED

        assert capsys.readouterr().err.splitlines()[-1].startswith("weavebot: Something went wrong inside Weavebot (")


class TestBesideAnOwner:
    async def test_every_command_goes_through_it(
        self, seeded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "more.jsonl").write_bytes(b"\n".join([*history(("Cleo", "bye")), b"garbage"]))
        claim = owner.take(seeded, owner.Card(os.getpid(), "chat", "now", lasting=True))
        assert claim is not None
        async with open_bot(seeded) as app:
            desk = exchange.Desk(lambda *asked: operations.perform(app, *asked))
            async with owner.serving(claim, desk.serve, frame=exchange.FRAME):

                async def weavebot(*arguments: str) -> tuple[int, str, str]:
                    status = await asyncio.to_thread(perform, ["--data", str(seeded), *arguments])
                    return status, *capsys.readouterr()

                assert json.loads((await weavebot("stats", "--json"))[1])["messages"] == 2
                answer = json.loads((await weavebot("ask", "queen?", "--json"))[1])
                assert answer["citations"][0]["author"] == "Ana"
                assert (await weavebot("import", "more.jsonl", "--room", "other"))[1:] == (
                    "1 imported, 0 already known, 1 rejected\n",
                    "weavebot: line 2: not JSON (Expecting value, column 1)\n",
                )
                assert await weavebot("ask", "x", "--room", "nope") == (
                    FAILED,
                    "",
                    "weavebot: There is no room 'nope': the rooms are hives, other.\n",
                )
                assert "friday 16:00" in (await weavebot("settings", "digest_at", "fri", "16:00", "--room", "hives"))[1]
                assert (await weavebot("chat"))[0] == FAILED
                status, out, err = await weavebot("migrate", "--to", "postgresql://a:b@127.0.0.1:1/c")
                assert (status, out) == (FAILED, "")
                assert "'weavebot chat'" in err
                assert "would stay behind: stop it, then move" in err
        claim.release()


class TestAReaderWhoLeaves:
    def test_it_is_no_error(self, tmp_path: Path) -> None:
        weavebot = [sys.executable, "-c", "from bot.cli import main; main()", "--data", str(tmp_path / "d"), "job"]
        with subprocess.Popen(weavebot, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait() == FAILED


def test_stdin_is_not_read_by_commands_that_need_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("unread"))

    assert perform(["--help"]) == DONE
    assert sys.stdin.read() == "unread"
