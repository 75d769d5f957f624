"""The program as a newcomer meets it: the command line, the demo room, the real model, a data folder of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bot.cli import perform

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "bot" / "demo" / "beekeepers.jsonl"
pytestmark = pytest.mark.model

Said = subprocess.CompletedProcess[str]


def weavebot(folder: Path, *words: str) -> Said:
    """One command on a data folder, in this process: the same program without a start of it for each."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = perform(["--data", str(folder), *words])
    return Said(words, status, out.getvalue(), err.getvalue())


def started(folder: Path, *words: str, stdin: str | None = None) -> Said:
    """The program, started for one command."""
    program = [sys.executable, "-c", "from bot.cli import main; main()", "--data", str(folder), *words]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, input=stdin, timeout=120, check=False)


def objects(said: Said) -> list[dict[str, Any]]:
    """The JSON lines of a command that must have succeeded."""
    assert said.returncode == 0, said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds the demo room as it was written."""
    place = tmp_path_factory.mktemp("cli") / "data"
    counts = objects(started(place, "import", str(DEMO), "--json"))[-1]
    assert (counts["imported"], counts["already_known"], counts["rejected"]) == (443, 0, 0)
    return place


class TestImporting:
    def test_a_second_import_knows_everything(self, folder: Path) -> None:
        counts = objects(weavebot(folder, "import", str(DEMO), "--json"))[-1]
        assert (counts["imported"], counts["already_known"]) == (0, 443)

    def test_a_bad_line_is_named_and_the_rest_goes_on(self, tmp_path: Path) -> None:
        lines = DEMO.read_text("utf-8").splitlines()[:3]
        lines.insert(1, '{"id": "x", "room": "beekeepers", "author": "Ana", "text": "", "sent_at": "2026-01-01"}')
        lines.insert(2, "{not json")
        said = started(tmp_path / "data", "import", "-", stdin="\n".join(lines))
        assert said.returncode == 0
        assert "2" in said.stderr + said.stdout
        assert "3 imported, 0 already known, 2 rejected" in said.stdout

    def test_the_folder_is_its_owners_alone(self, folder: Path) -> None:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_a_killed_import_loses_nothing_that_was_committed_and_doubles_nothing(self, tmp_path: Path) -> None:
        place = tmp_path / "data"
        program = [sys.executable, "-c", "from bot.cli import main; main()", "--data", str(place), "import", str(DEMO)]
        running = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not (place / "weavebot.sqlite3").exists() and time.monotonic() < until:
            os.sched_yield()
        running.send_signal(signal.SIGKILL)
        running.wait()
        counts = objects(weavebot(place, "import", str(DEMO), "--json"))[-1]
        assert counts["imported"] + counts["already_known"] == 443
        [stats] = objects(weavebot(place, "stats", "--json"))
        assert stats["messages"] == 443


class TestAsking:
    def test_the_readmes_question_is_answered_with_its_proof(self, folder: Path) -> None:
        [answer] = objects(started(folder, "ask", "Who inspected hives 3 and 5?", "--room", "beekeepers", "--json"))
        assert "m391" in [citation["message_id"] for citation in answer["citations"]][:3]
        assert not answer["abstained"]
        assert set(answer["route"]) >= {"sources", "pattern", "fusion", "policy", "propensity"}
        assert 0 < answer["context_tokens"] <= 4096

    def test_a_question_from_another_world_is_not_answered(self, folder: Path) -> None:
        asked = "Which quarterback threw the winning touchdown in the Kubernetes release?"
        [answer] = objects(weavebot(folder, "ask", asked, "--room", "beekeepers", "--json"))
        assert answer["abstained"]

    def test_a_batch_gives_one_line_a_question_with_its_id(self, folder: Path, tmp_path: Path) -> None:
        questions = [{"id": f"q{i}", "room": "beekeepers", "question": f"What about hive {i}?"} for i in range(1, 6)]
        file = tmp_path / "questions.jsonl"
        file.write_text("\n".join(json.dumps(one) for one in questions), "utf-8")
        answers = objects(weavebot(folder, "ask", "--batch", str(file), "--limit", "3", "--json"))
        assert [answer["id"] for answer in answers] == ["q1", "q2", "q3", "q4", "q5"]
        assert all(0 < len(answer["citations"]) <= 3 for answer in answers)

    def test_a_vote_shows_in_the_stats_and_goes_again(self, folder: Path) -> None:
        [answer] = objects(weavebot(folder, "ask", "Where is the padlock code?", "--room", "beekeepers", "--json"))
        key = answer["answer_id"]
        for more, votes in (((), 1), (("--remove",), 0)):
            objects(weavebot(folder, "react", key, "👍", "--as", "Ana Ferreira", "--json", *more))
            [stats] = objects(weavebot(folder, "stats", "--json"))
            assert stats["votes"] == votes

    @pytest.mark.parametrize(
        ("words", "status"),
        [
            (("ask", "hello?", "--room", "nowhere"), 1),
            (("react", "nope", "👍", "--as", "Ana Ferreira"), 1),
            (("forget", "--person", "Nobody"), 1),
            (("import", "/no/such/file"), 1),
            (("ask",), 2),
            (("nonsense",), 2),
        ],
    )
    def test_mistakes_are_one_sentence_and_the_right_status(
        self, folder: Path, words: tuple[str, ...], status: int
    ) -> None:
        said = started(folder, *words)
        assert said.returncode == status
        assert "Traceback" not in said.stderr
        assert said.stderr.strip()


class TestForgetting:
    def test_no_byte_of_a_forgotten_message_is_left(self, tmp_path: Path) -> None:
        place, secret = tmp_path / "data", "Quillfeather hid the brass compass under the seventh stone"
        line = {"id": "s1", "room": "r", "author": "Zed", "text": secret, "sent_at": "2026-01-01T10:00:00+00:00"}
        started(place, "import", "-", stdin=json.dumps(line) + "\n")
        [answer] = objects(weavebot(place, "ask", "Where is the brass compass?", "--room", "r", "--json"))
        assert "seventh stone" in answer["text"]
        assert _holding(place, b"seventh stone")
        objects(weavebot(place, "forget", "--message", "s1", "--json"))
        assert _holding(place, b"seventh stone") == []
        assert _holding(place, b"uillfeather") == []
        objects(weavebot(place, "forget", "--person", "Zed", "--json"))
        assert _holding(place, b"Zed") == []


def _holding(folder: Path, needle: bytes) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file() and needle in file.read_bytes()]


class TestPolicies:
    def test_what_decides_is_told_and_nothing_is_promoted_without_votes(self, folder: Path) -> None:
        assert objects(weavebot(folder, "promote", "--json")) == [{"policy": "thompson", "since": None}]
        for words in (("promote", "greedy"), ("evaluate", "--policy", "greedy"), ("learn",)):
            said = weavebot(folder, *words)
            assert said.returncode == 1
            assert "decisions have a vote, and judging a policy needs 30" in said.stderr
