"""Processes that outlive the command that started them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from deploy.local_services import processes


def test_a_child_that_ended_leaves_no_zombie_once_it_was_collected(tmp_path: Path) -> None:
    pid, _ = processes.spawn(["true"], os.environ, folder=tmp_path, log=tmp_path / "log")
    until = time.monotonic() + 10
    while processes.born(pid) is not None and time.monotonic() < until:
        time.sleep(0.01)
    assert Path(f"/proc/{pid}").exists()
    processes.collect()
    assert not Path(f"/proc/{pid}").exists()
