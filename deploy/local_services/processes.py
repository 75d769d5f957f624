"""Processes that outlive the command that started them, known by id and by the moment they were born."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a program in an orderly way."""
_STATE, _PARENT, _BORN = 0, 1, 19
"""Fields of /proc/PID/stat, counted from the one after the program's name (proc(5))."""
_COLLECTED_SECONDS = 10.0


@contextmanager
def undisturbed() -> Iterator[None]:
    """Holds back the signals that end a program, so that none falls between a start and its being written down."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for held in came:
            signal.raise_signal(held)


def spawn(
    command: Sequence[str], environ: Mapping[str, str], *, folder: Path, log: Path, user: str | None = None
) -> tuple[int, int]:
    """Starts a program in a session of its own, its output at the end of ``log``. Gives its id and its birth."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    process.returncode = 0  # it may outlive us: Popen is not to wait for it, nor to warn
    # without this it stays a zombie when it has ended, and its id is taken: PostgreSQL does not start again beside one
    threading.Thread(target=_collect, args=(process.pid,), daemon=True).start()
    return process.pid, born(process.pid) or 0


def born(pid: int) -> int | None:
    """When the process was started, in clock ticks since the machine was; None when it is gone or a zombie."""
    fields = _fields(pid)
    return None if fields is None or fields[_STATE] == "Z" else int(fields[_BORN])


def alive(pid: int, birth: int) -> bool:
    """Whether that very process runs; a later one with the same id is another."""
    return born(pid) == birth


def tree(pid: int) -> list[int]:
    """The process and all that descend from it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _fields(int(entry.name))):
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Sends a signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end(pid: int, birth: int, number: signal.Signals, *, patience: float) -> None:
    """Asks the process to end, waits, and then kills what is left of its tree."""
    if not alive(pid, birth):
        return
    members = [(one, born(one)) for one in tree(pid)]
    send([pid], signal.SIGCONT)
    send([pid], number)
    until = time.monotonic() + patience
    while time.monotonic() < until and any(mark is not None and alive(one, mark) for one, mark in members):
        time.sleep(0.05)
    send([one for one, mark in members if mark is not None and alive(one, mark)], signal.SIGKILL)
    while any(mark is not None and alive(one, mark) for one, mark in members):
        time.sleep(0.02)
    until = time.monotonic() + _COLLECTED_SECONDS
    while time.monotonic() < until and any(mark is not None and _lingers(one, mark) for one, mark in members):
        time.sleep(0.02)


def _collect(pid: int) -> None:
    """Waits for the end of a child and takes note of it."""
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _lingers(pid: int, birth: int) -> bool:
    """Whether the process has ended and nobody has collected its end yet; PostgreSQL takes such a one for alive."""
    fields = _fields(pid)
    return fields is not None and int(fields[_BORN]) == birth


def _fields(pid: int) -> list[str] | None:
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return line.rpartition(")")[2].split()
