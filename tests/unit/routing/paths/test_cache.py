"""The mapped file: what it keeps, what it refuses, who may write it, and what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import Refused, Unavailable
from routing.paths import cache as module
from routing.paths.abstract import key_of
from routing.paths.cache import Cache
from tests.unit.routing.paths.compacting import PAIRS

A, B, C = "who|message|hit>follows|stop", "when|message|hit>follows|stop", "any|message|hit>on>~on|stop"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "learning" / "paths-1.bin"


def written(file: Path, stamp: bytes = b"one") -> Cache:
    cache = Cache.open(file)
    cache.replace({A: (1.5, 3.0), B: (0.25, 1.0)}, stamp)
    return cache


class TestKeeping:
    def test_what_was_written_is_read_again(self, file: Path) -> None:
        written(file)
        cache = Cache.open(file)
        assert cache.problem is None
        assert cache.stamp == b"one"
        assert cache.get(key_of(A)) == (1.5, 3.0)
        assert cache.get(key_of(C)) == (0.0, 0.0)
        assert cache.state() == {A: (1.5, 3.0), B: (0.25, 1.0)}

    def test_a_record_is_sixteen_bytes_in_the_order_of_keys(self, file: Path) -> None:
        written(file)
        content = file.read_bytes()
        assert len(content) == 64 + 2 * 16
        keys = [int.from_bytes(content[at : at + 8], "little") for at in (64, 80)]
        assert keys == sorted(map(key_of, (A, B)))

    def test_changes_count_at_once_and_are_in_the_file_after_compaction(self, file: Path) -> None:
        cache = written(file)
        cache.add(A, 0.5, 1.0)
        cache.add(C, 1.0, 1.0)
        assert cache.get(key_of(A)) == (2.0, 4.0)
        assert Cache.open(file).get(key_of(A)) == (1.5, 3.0)
        assert cache.compact(b"two")
        assert cache.waiting == 0
        again = Cache.open(file)
        assert again.stamp == b"two"
        assert again.state() == {A: (2.0, 4.0), B: (0.25, 1.0), C: (1.0, 1.0)}

    def test_a_pair_without_evidence_is_forgotten(self, file: Path) -> None:
        cache = written(file)
        cache.add(A, -1.5, -3.0)
        assert cache.state() == {B: (0.25, 1.0)}
        cache.compact(b"two")
        assert A.encode() not in b"".join(each.read_bytes() for each in file.parent.iterdir())

    def test_an_empty_state_is_a_state(self, file: Path) -> None:
        Cache.open(file).replace({}, b"none")
        cache = Cache.open(file)
        assert cache.problem is None
        assert cache.stamp == b"none"
        assert cache.state() == {}

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.integers(-8, 8), st.booleans()), max_size=25))
    def test_any_history_gives_the_sums(self, tmp_path_factory: pytest.TempPathFactory, history: object) -> None:
        cache = Cache.open(tmp_path_factory.mktemp("cache") / "paths-1.bin")
        sums: dict[str, float] = {}
        assert isinstance(history, list)
        for number, (text, change, compacts) in enumerate(history):
            cache.add(text, change / 8, abs(change) / 8)
            sums[text] = sums.get(text, 0.0) + change / 8
            if compacts:
                cache.compact(str(number).encode())
                cache = Cache.open(cache.path)
                sums |= {}
        for text, total in sums.items():
            assert cache.get(key_of(text))[0] == total


class TestRefusing:
    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda file: file.write_bytes(file.read_bytes()[:-3]), "cut short"),
            (lambda file: file.write_bytes(file.read_bytes() + b"x"), "cut short or has grown"),
            (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\x7f"), "damaged"),
            (lambda file: file.write_bytes(b"nonsense" * 20), "not a file of path values"),
            (lambda file: file.write_bytes(b""), "not a file of path values"),
            (lambda file: file.write_bytes(b"weavpath\x00\x00\x00\x00" + file.read_bytes()[12:]), "format 0"),
            (lambda file: next(file.parent.glob("*.keys")).unlink(), "lost the file of its keys"),
            (lambda file: next(file.parent.glob("*.keys")).write_text("who"), "damaged file of keys"),
        ],
    )
    def test_a_spoiled_or_older_file_is_set_aside_and_said(self, file: Path, spoil: object, words: str) -> None:
        written(file)
        assert callable(spoil)
        spoil(file)
        cache = Cache.open(file)
        assert cache.problem is not None
        assert words in cache.problem
        assert "set aside as paths-1.1.aside" in cache.problem
        assert cache.state() == {}
        assert not file.exists()
        assert file.with_suffix(".1.aside").exists()
        cache.replace({A: (1.0, 1.0)}, b"again")
        assert Cache.open(file).problem is None

    def test_each_spoiled_file_is_kept(self, file: Path) -> None:
        for _ in range(2):
            written(file)
            file.write_bytes(b"nonsense" * 20)
            Cache.open(file)
        assert file.with_suffix(".2.aside").exists()

    def test_two_pairs_with_one_key_are_refused(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cache = written(file)
        monkeypatch.setattr(module, "key_of", lambda _: key_of(A))
        with pytest.raises(Refused, match="have one key"):
            cache.add(C, 1.0, 1.0)
        with pytest.raises(Refused, match="have one key"):
            cache.replace({A: (1.0, 1.0), C: (1.0, 1.0)}, b"two")

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
    def test_a_closed_folder_is_told_in_one_sentence(self, file: Path) -> None:
        cache = written(file)
        file.parent.chmod(0o500)
        try:
            with pytest.raises(Unavailable, match="check the data folder"):
                cache.replace({A: (1.0, 1.0)}, b"two")
        finally:
            file.parent.chmod(0o700)

    def test_a_folder_that_is_a_file_is_told_in_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "learning").write_text("x")
        with pytest.raises(Unavailable, match="check the data folder"):
            Cache.open(tmp_path / "learning" / "paths-1.bin")


class TestTwoProcesses:
    def test_whoever_counted_from_an_older_file_does_not_write_over_a_newer_one(self, file: Path) -> None:
        ours = written(file)
        theirs = Cache.open(file)
        theirs.add(A, 1.0, 1.0)
        assert theirs.compact(b"two")
        ours.add(A, 1.0, 1.0)
        assert not ours.compact(b"other")
        assert Cache.open(file).state()[A] == (2.5, 4.0)
        ours.replace({A: (9.0, 9.0)}, b"whole")  # what the caller does then
        assert Cache.open(file).state() == {A: (9.0, 9.0)}

    def test_a_mapped_file_stays_readable_when_it_is_replaced(self, file: Path) -> None:
        reader = written(file)
        Cache.open(file).replace({C: (1.0, 1.0)}, b"two")
        assert reader.get(key_of(A)) == (1.5, 3.0)

    def test_another_process_is_noticed(self, file: Path) -> None:
        ours = written(file)
        program = (
            "import sys; from pathlib import Path; from routing.paths.cache import Cache\n"
            f"cache = Cache.open(Path(sys.argv[1])); cache.add({C!r}, 1.0, 2.0); assert cache.compact(b'theirs')"
        )
        subprocess.run([sys.executable, "-c", program, str(file)], check=True)
        ours.add(A, 1.0, 1.0)
        assert not ours.compact(b"ours")
        assert Cache.open(file).get(key_of(C)) == (1.0, 2.0)


class TestKill:
    @pytest.mark.parametrize(
        ("at", "stamp"), [("fsync 1", "one"), ("fsync 2", "one"), ("rename", "one"), ("fsync 3", "two")]
    )
    def test_killed_at_any_step_of_a_compaction_the_old_or_the_new_file_is_whole(
        self, file: Path, at: str, stamp: str
    ) -> None:
        written(file)
        program = (
            "import itertools, os, signal, sys\n"
            "from pathlib import Path\n"
            "from routing.paths.cache import Cache\n"
            "die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "where, calls, real = sys.argv[2], itertools.count(1), os.fsync\n"
            "os.fsync = lambda fd: die() if where == f'fsync {next(calls)}' else real(fd)\n"
            "Path.replace = die if where == 'rename' else Path.replace\n"
            f"cache = Cache.open(Path(sys.argv[1])); cache.add({C!r}, 1.0, 2.0); cache.compact(b'two')\n"
        )
        ended = subprocess.run([sys.executable, "-c", program, str(file), at], check=False)
        assert ended.returncode == -signal.SIGKILL
        cache = Cache.open(file)
        assert cache.problem is None
        assert cache.stamp == stamp.encode()
        assert cache.get(key_of(C)) == ((1.0, 2.0) if stamp == "two" else (0.0, 0.0))
        assert cache.get(key_of(A)) == (1.5, 3.0)
        cache.add(B, 1.0, 1.0)
        assert cache.compact(b"three")
        assert len(list(file.parent.glob("*.keys"))) == 1
        assert not list(file.parent.glob("*.new"))

    def test_killed_while_it_compacts_the_file_is_one_of_the_states_that_were_written(self, file: Path) -> None:
        last = 0
        for delay in (0.0, 0.004, 0.011, 0.017, 0.023, 0.03, 0.041, 0.053):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.routing.paths.compacting", str(file)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            if not delay:
                while not file.exists():
                    time.sleep(0.001)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            process.stdout.close()
            cache = Cache.open(file)
            assert cache.problem is None
            number = int(cache.stamp or b"0")
            assert number >= last
            last = number
            state = cache.state()
            assert len(state) == (PAIRS if number else 0)
            assert set(state.values()) <= {(float(number), float(number))}
        assert last > 0
        Cache.open(file).replace({A: (1.0, 1.0)}, b"1")
        left = {each.name for each in file.parent.iterdir() if each.suffix not in {".lock", ".new"}}
        assert len(left) == 2, "the file and its keys, nothing half-written"
