"""Reading a file line by line, a batch at a time, without holding it in memory and without blocking the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeAlias

Lines: TypeAlias = AsyncIterator[list[bytes]]

BATCH_LINES: Final = 500
BATCH_BYTES: Final = 2 << 20
LONGEST_LINE: Final = 8 << 20
"""Bytes. A text of 1 MiB with each character escaped takes 6; what is longer is cut, and so refused as too long."""


@dataclass(slots=True)
class Meter:
    """How many bytes have been read; a progress bar looks at it."""

    done: int = 0


async def read_lines(source: BinaryIO, meter: Meter | None = None) -> AsyncIterator[list[bytes]]:
    """Batches of the lines of an open file; reading happens in a thread, because a pipe may keep us waiting."""
    counter = meter or Meter()
    while batch := await asyncio.to_thread(_batch, source.readline, counter):
        yield batch


def _batch(readline: Callable[[int], bytes], meter: Meter) -> list[bytes]:
    batch: list[bytes] = []
    size = 0
    while len(batch) < BATCH_LINES and size < BATCH_BYTES and (one := readline(LONGEST_LINE + 1)):
        meter.done += len(one)
        if len(one) > LONGEST_LINE and not one.endswith(b"\n"):
            meter.done += _skip_line(readline)
        batch.append(one)
        size += len(one)
    return batch


def _skip_line(readline: Callable[[int], bytes]) -> int:
    """Leaves the rest of a line that is too long unread in memory; gives its length."""
    skipped = 0
    while rest := readline(1 << 20):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped
