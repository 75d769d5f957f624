"""Processes that outlive the command that started them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from deploy.local_services import processes


def test_a_child_that_ended_leaves_no_zombie_though_another_process_killed_it(tmp_path: Path) -> None:
    pid, birth = processes.spawn(["sleep", "60"], os.environ, folder=tmp_path, log=tmp_path / "log")
    assert processes.alive(pid, birth)
    subprocess.run(["kill", "-9", str(pid)], check=True)
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
    assert not processes.alive(pid, birth)
