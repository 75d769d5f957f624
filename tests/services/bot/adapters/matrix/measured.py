"""Runs the adapter alone in this process until its first sync is done, and prints its resident memory in bytes.

Arguments: homeserver, user id, device id, folder; the access token comes on stdin.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bot.adapters.matrix.accounts import Account
from bot.adapters.matrix.port import MatrixPort
from bot.clock import SystemClock
from tests.notebooks import MemoryNotebook

REST = 5.0  # seconds after the first batches


def peak_memory() -> int:
    """The most that this process has been resident with, in bytes.

    ``getrusage`` would tell the parent's peak where that was higher: it is kept across the start of a program.
    """
    status = Path("/proc/self/status").read_text("ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


async def main(homeserver: str, user_id: str, device_id: str, folder: str, token: str) -> None:
    account = Account(homeserver, user_id, device_id, token)
    port = MatrixPort(account, Path(folder), MemoryNotebook(), SystemClock())
    seen: set[str] = set()

    async def listen() -> None:
        async for batch in port.events():
            seen.update(one.place.room for one in batch)

    task = asyncio.create_task(listen())
    before = -1
    while before != len(seen) or not seen:
        before = len(seen)
        await asyncio.sleep(REST)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await port.close()
    peak = peak_memory()
    print(len(seen), peak)  # noqa: T201 - what this program is for


if __name__ == "__main__":
    where, who, device, place = sys.argv[1:]
    asyncio.run(main(where, who, device, place, sys.stdin.readline().strip()))
