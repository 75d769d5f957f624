"""Processes are known by id and birth, and end with all that they started."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local_services.processes import alive, born, collect, end, send, spawn, tree

_PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(600)"
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def family(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A process with a child that will not hear SIGTERM."""
    log = tmp_path / "log"
    pid, birth = spawn([sys.executable, "-c", _PARENT.format(child=_DEAF)], {}, folder=tmp_path, log=log)
    until = time.monotonic() + 20
    while "deaf" not in log.read_text() and time.monotonic() < until:
        time.sleep(0.02)
    yield pid, birth
    end(pid, birth, signal.SIGKILL, patience=0)


class TestProcesses:
    def test_end_takes_the_children_along(self, family: tuple[int, int]) -> None:
        pid, birth = family
        members = tree(pid)
        assert len(members) == 2
        end(pid, birth, signal.SIGTERM, patience=0.3)
        assert not alive(pid, birth)
        assert [one for one in members if born(one) is not None] == []

    def test_one_with_the_same_id_but_another_birth_is_left_alone(self, family: tuple[int, int]) -> None:
        pid, birth = family
        end(pid, birth + 1, signal.SIGTERM, patience=0)
        assert alive(pid, birth)

    def test_what_another_has_killed_is_collected(self, family: tuple[int, int]) -> None:
        pid, _ = family
        members = tree(pid)
        send(members[::-1], signal.SIGKILL)
        until = time.monotonic() + 20
        while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
            collect()
        assert not Path(f"/proc/{pid}").exists()

    def test_a_signal_to_somebody_gone_is_no_error(self, family: tuple[int, int]) -> None:
        pid, birth = family
        end(pid, birth, signal.SIGTERM, patience=0)
        send([pid], signal.SIGCONT)
        assert born(pid) is None
