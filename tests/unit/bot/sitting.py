"""A chat on a terminal, for a test that types into it: the program's console with the doubles behind it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from pathlib import Path
from bot.flags import Flags
from bot.hosting import host_chat
from tests.unit.bot.test_hosting import opening
sys.exit(host_chat(Flags(data=Path(sys.argv[1])), demo=sys.argv[2] == "demo", person="Ana", opening=opening))
"""
PATIENCE = 30.0  # seconds


class Terminal:
    """The other end of a terminal."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.screen = ""

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def until(self, words: str) -> str:
        """Reads until the words appear, or all of it when the program has ended; what was read since the last call."""
        read, end = "", time.monotonic() + PATIENCE
        while words not in read and time.monotonic() < end:
            if select.select([self._descriptor], [], [], 0.1)[0]:
                try:
                    got = os.read(self._descriptor, 1 << 16).decode("utf-8", "replace")
                except OSError:  # the program has ended
                    break
                read += got
                if "\x1b[6n" in got:  # the program asks where the cursor is
                    self.type("\x1b[1;1R")
        self.screen += read
        return read


@contextmanager
def sitting(data: Path, *, demo: bool = False) -> Iterator[Terminal]:
    """The console on a terminal of 100 columns; killed at the end when it is still there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [sys.executable, "-c", PROGRAM, str(data), "demo" if demo else "plain"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment) as process:
        os.close(theirs)
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            os.close(ours)
