"""Environments of their own for peers that are heavy or want other versions, made on the first call."""

from __future__ import annotations

import subprocess
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HOME: Final = Path.home() / ".cache" / "weavebot-bench"
INSIDE: Final = "WEAVEBOT_BENCH_INSIDE"
"""Set in the environment of a program that runs inside."""


def environment(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages, and behind them those of the one that runs this."""
    home = HOME / name
    python, ready = home / "bin" / "python", home / "ready"
    if not ready.exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        ours = sysconfig.get_path("purelib")
        theirs = subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.strip()
        Path(theirs, "zz_weavebot.pth").write_text(ours + "\n", "utf-8")  # behind its own packages
        ready.touch()
    return python
