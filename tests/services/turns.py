"""Tests run beside each other on the same servers; one that disturbs them, or measures, waits until it is alone."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Runs the block beside others, or (``alone``) when they have ended and before they go on.

    All go through the door one by one, so that whoever waits there for the others to end is not passed by new ones. The
    locks are the system's (flock): they end with the process, whatever becomes of it.
    """
    with (folder / "door.lock").open("w") as door, (folder / "room.lock").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
