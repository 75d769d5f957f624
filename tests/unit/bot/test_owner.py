"""One process owns a data folder; nobody is locked out by the dead."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from bot import owner
from bot.owner import Card, Claim, Link, holder, prepare_folder, reach, serving, socket_path, take
from memory.errors import Refused

FRAME = 1 << 16
ASK = Card(1, "ask", "2026-03-02T09:00:00+00:00")
CHAT = Card(2, "chat", "2026-03-02T09:00:00+00:00", lasting=True)


def claimed(folder: Path, card: Card = ASK) -> Claim:
    claim = take(folder, card)
    assert claim is not None
    return claim


async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(owner.GREETING)
    writer.close()


def silent(_who: Card) -> None:
    """Takes no notice of waiting."""


class TestTheLock:
    def test_only_one_has_it(self, tmp_path: Path) -> None:
        claim = claimed(tmp_path)

        assert take(tmp_path, CHAT) is None
        claim.release()
        claimed(tmp_path).release()

    def test_it_says_who_has_it(self, tmp_path: Path) -> None:
        claim = claimed(tmp_path, CHAT)

        told = holder(tmp_path)

        assert told == CHAT
        assert "weavebot chat" in CHAT.words()
        assert "process 2" in CHAT.words()
        claim.release()

    def test_after_release_nobody_has_it(self, tmp_path: Path) -> None:
        claimed(tmp_path).release()

        assert holder(tmp_path) is None

    def test_a_killed_owner_leaves_it_free(self, tmp_path: Path) -> None:
        program = textwrap.dedent(
            """
            import sys, time
            from pathlib import Path
            from bot.owner import Card, take
            claim = take(Path(sys.argv[1]), Card(7, "run", "now", lasting=True))
            print("held", flush=True)
            time.sleep(60)
            """
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            assert take(tmp_path, ASK) is None
            process.send_signal(signal.SIGKILL)
            process.wait()

        claimed(tmp_path).release()

    def test_a_half_written_card_is_nobody(self, tmp_path: Path) -> None:
        (tmp_path / owner.LOCK).write_text('{"pid": 1')

        assert holder(tmp_path) is None


class TestTheFolder:
    def test_a_new_one_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        folder = prepare_folder(tmp_path / "a" / "data")

        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_ours_is_closed_again(self, tmp_path: Path) -> None:
        folder = prepare_folder(tmp_path / "data")
        claimed(folder).release()
        folder.chmod(0o755)

        assert stat.S_IMODE(prepare_folder(folder).stat().st_mode) == 0o700

    def test_one_that_was_made_read_only_stays_so(self, tmp_path: Path) -> None:
        folder = prepare_folder(tmp_path / "data")
        claimed(folder).release()
        folder.chmod(0o555)

        assert stat.S_IMODE(prepare_folder(folder).stat().st_mode) == 0o500
        folder.chmod(0o700)

    def test_the_mode_of_a_folder_with_other_things_in_it_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("dear")
        tmp_path.chmod(0o755)

        assert stat.S_IMODE(prepare_folder(tmp_path).stat().st_mode) == 0o755

    def test_a_file_in_its_place_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("")

        with pytest.raises(Refused, match=r"is a file; choose another with --data"):
            prepare_folder(tmp_path / "data")

    def test_a_folder_below_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("")

        with pytest.raises(Refused, match="cannot be used"):
            prepare_folder(tmp_path / "x" / "data")

    def test_a_folder_that_cannot_be_written_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / owner.LOCK).mkdir()  # stands for any failure to write; root may write everywhere

        with pytest.raises(Refused, match="cannot be written"):
            take(tmp_path, ASK)


class TestTheSocket:
    def test_it_is_in_the_folder(self) -> None:
        folder = Path("/srv/weavebot")

        assert socket_path(folder) == folder / owner.SOCKET

    def test_a_path_that_is_too_long_is_replaced_by_a_short_one_for_us_alone(self) -> None:
        path = socket_path(Path("/" + "x" * 200))

        assert len(os.fsencode(path)) <= owner.LONGEST_SOCKET_PATH
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_a_short_folder_that_others_can_enter_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with tempfile.TemporaryDirectory() as place:  # the folders that pytest makes may be too long for a socket
            monkeypatch.setattr("tempfile.tempdir", place)
            (Path(place) / f"weavebot-{os.getuid()}").mkdir(mode=0o755)

            with pytest.raises(Refused, match="not a folder of yours alone"):
                socket_path(Path("/" + "x" * 200))

    async def test_it_is_for_its_owner_alone_and_gone_afterwards(self, tmp_path: Path) -> None:
        claim = claimed(tmp_path)

        async with serving(claim, greet, frame=FRAME) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            told = holder(tmp_path)
            assert told is not None
            assert told.socket == str(path)

        assert not path.exists()
        claim.release()

    async def test_one_that_a_killed_owner_left_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / owner.SOCKET).write_text("stale")
        claim = claimed(tmp_path)

        async with serving(claim, greet, frame=FRAME) as path:
            assert path.is_socket()
        claim.release()


class TestReaching:
    async def test_a_free_folder_is_claimed(self, tmp_path: Path) -> None:
        reached = await reach(tmp_path, ASK, frame=FRAME, on_wait=silent)

        assert isinstance(reached, Claim)
        reached.release()

    async def test_a_served_folder_is_reached_through_its_owner(self, tmp_path: Path) -> None:
        claim = claimed(tmp_path, CHAT)
        async with serving(claim, greet, frame=FRAME):
            reached = await reach(tmp_path, ASK, frame=FRAME, on_wait=silent)

            assert isinstance(reached, Link)
            assert reached.card.command == "chat"
            reached.writer.close()
        claim.release()

    async def test_a_second_lasting_command_is_refused_naming_the_first(self, tmp_path: Path) -> None:
        claim = claimed(tmp_path, CHAT)

        with pytest.raises(Refused, match=r"'weavebot chat' \(process 2, since 2026-03-02.*already uses .*--data"):
            await reach(tmp_path, CHAT, frame=FRAME, on_wait=silent)
        claim.release()

    async def test_a_short_command_is_waited_for_and_named_once(self, tmp_path: Path) -> None:
        claim = claimed(tmp_path)
        named: list[Card] = []

        def told(who: Card) -> None:
            named.append(who)
            claim.release()

        reached = await reach(tmp_path, CHAT, frame=FRAME, on_wait=told)

        assert isinstance(reached, Claim)
        assert named == [ASK]
        reached.release()

    async def test_an_owner_that_is_just_ending_is_waited_for(self, tmp_path: Path) -> None:
        claim = claimed(tmp_path, CHAT)
        came = asyncio.Event()

        async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.set()
            writer.close()

        async with serving(claim, hang_up, frame=FRAME):
            reaching = asyncio.ensure_future(reach(tmp_path, ASK, frame=FRAME, on_wait=silent))
            await came.wait()
        claim.release()

        reached = await reaching
        assert isinstance(reached, Claim)
        reached.release()

    async def test_a_card_whose_socket_is_gone_is_waited_out(self, tmp_path: Path) -> None:
        claim = claimed(tmp_path)
        claim.announce(tmp_path / "nowhere.sock")
        reaching = asyncio.ensure_future(reach(tmp_path, ASK, frame=FRAME, on_wait=lambda _: claim.release()))

        reached = await reaching

        assert isinstance(reached, Claim)
        assert json.loads((tmp_path / owner.LOCK).read_text())["socket"] is None
        reached.release()
