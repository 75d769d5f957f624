"""stdout and stderr of this process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from typing import cast

from bot.exits import FAILED


def prepare_streams() -> None:
    """UTF-8 on stdout and stderr whatever the locale says; what UTF-8 cannot hold is shown escaped."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # replaced streams may not know how
            cast("TextIOWrapper", stream).reconfigure(encoding="utf-8", errors="backslashreplace")


@contextlib.contextmanager
def murmur(words: str) -> Iterator[None]:
    """Words on the terminal that are gone with the block; nothing in a pipe."""
    seen = sys.stderr.isatty()
    if seen:
        sys.stderr.write(words)
        sys.stderr.flush()
    try:
        yield
    finally:
        if seen:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def leave_quietly() -> int:
    """After the reader of our output has gone (``| head``): nothing more is written, also not at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
