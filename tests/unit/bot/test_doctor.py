"""The doctor finds what is wrong and says the exact fix."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.app import App
from bot.cli import perform
from bot.exits import FAILED
from bot.pages import BAD, FAINT, GOOD, Page, line, page
from memory.models import Embedding
from tests.doubles import WordEmbedder
from tests.unit.bot.rooms import Platform, batch, history, open_bot, results, run, shown


class Narrow(WordEmbedder):
    """Gives vectors that are shorter than it says."""

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        other = WordEmbedder()
        other.dim = 8
        return await other.embed(texts)


class Ailing(Platform):
    """An account with something wrong."""

    platform = "ailing"
    team = "hospital"

    async def health(self, room: str | None = None) -> Page:
        del room
        wrong = line((BAD, "wrong "), "files: key is open to others", (FAINT, " → chmod 600 key"))
        return page(line((GOOD, "connected")), wrong, line((BAD, "the token is revoked")))


async def found(app: App) -> dict[str, tuple[bool, str]]:
    return {one["check"]: (one["ok"], one["fix"]) for one in await results(app, "doctor")}


class TestWhatIsWrong:
    async def test_a_misspelt_variable(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEAVEBOT_TIMEZON", "UTC")

        assert (await found(app))["settings"] == (False, "correct the names, or unset them")

    async def test_a_folder_that_others_can_read(self, app: App) -> None:
        app.settings.data.chmod(0o755)

        assert (await found(app))["data folder"] == (False, f"chmod 700 {app.settings.data}")

    async def test_a_model_that_does_not_run(self, tmp_path: Path) -> None:
        words = WordEmbedder()
        words.broken = True
        async with open_bot(tmp_path, embedder=words) as app:
            ok, fix = (await found(app))["model"]

        assert not ok
        assert "cannot run now" in fix

    async def test_a_model_of_another_size(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path, embedder=Narrow()) as app:
            assert (await found(app))["model"] == (False, "make setup installs the right one")

    async def test_a_database_that_does_not_answer(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path) as app:
            await run(app, "import", batch(*history(*[("Ana", f"a longer message, number {i}") for i in range(300)])))
        with sqlite3.connect(tmp_path / "weavebot.sqlite3") as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.close()
        async with open_bot(tmp_path) as app:
            raw = bytearray((tmp_path / "weavebot.sqlite3").read_bytes())
            raw[-40 * 4096 :] = b"\xff" * (40 * 4096)
            (tmp_path / "weavebot.sqlite3").write_bytes(raw)
            ok, fix = (await found(app))["database"]

        assert not ok
        assert "restore a copy" in fix

    async def test_a_chat_account_that_is_not_well(self, app: App) -> None:
        app.ports.append(Ailing())

        events = await run(app, "doctor")

        assert "ok    ailing hospital: connected" in shown(events)
        assert "wrong ailing hospital: files: key is open to others → chmod 600 key" in shown(events)
        found = [event["result"] for event in events if "result" in event]
        fixes = [one["fix"] for one in found if one["check"] == "ailing hospital"]
        assert fixes == [None, "chmod 600 key", "the token is revoked"]
        assert events[-1] == {"status": 1}

    async def test_it_fails_and_shows_the_fix(self, app: App) -> None:
        app.settings.data.chmod(0o755)

        events = await run(app, "doctor")

        assert events[-1] == {"status": 1}
        assert f"wrong data folder: {app.settings.data} (0755) → chmod 700" in shown(events)


class TestAFolderThatDoesNotOpen:
    def test_it_is_examined_from_outside(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "weavebot.sqlite3").write_text("no database, " * 100)

        assert perform(["--data", str(tmp_path), "doctor"]) == FAILED

        out, err = capsys.readouterr()
        assert "wrong opening: it does not open" in out
        assert "restore a copy" in out
        assert "Traceback" not in err
