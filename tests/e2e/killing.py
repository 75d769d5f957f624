"""A story that is told to a memory, and a process that is killed in the middle of it.

``told(folder, story, kill_at)`` tells the story in a forked process which kills itself (SIGKILL) just before the n-th
statement reaches the database. Everything in the story is an event with an id, as a platform delivers it, so telling it
again from the start is what happens after a crash.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from memory.adapters.sql import SqlDatabase
from tests.doubles import START
from tests.parts import Memory, draft, open_memory

Story = Callable[[Memory], Coroutine[Any, Any, None]]

FINISHED = 0
LINES = [
    ("Ana", "the gate code is 4471"),
    ("Ben", "Ana, who mended the HV-07 extractor?"),
    ("Cleo", "Ben did, on Sunday, see https://example.org/log"),
    ("Ana", "good morning"),
    ("Ben", "good morning"),
]

REFLECTED = [
    ("Ana", "I prefer cold tea"),
    ("Ben", "Let's use the blue lids this year"),
    ("Cleo", "Agreed!"),
    ("Ben", "I moved hive 6 to the hedge yesterday"),
    ("Cleo", "The grey cupboard is locked at night"),
]


async def chat(memory: Memory) -> None:
    """Messages one by one and in a batch, an edit, a deletion, a question, a vote that changes."""
    room = await memory.room()
    for i, (author, text) in enumerate(LINES[:2]):
        await memory.journal.admit(room, [draft(f"e{i}", author, text)])
    await memory.journal.admit(room, [draft(f"e{i}", *line) for i, line in enumerate(LINES)])
    await memory.indexer.drain()
    await memory.journal.edit(room, "e0", "ana", "the gate code is 9876", START)
    await memory.journal.delete(room, "e3", START)
    await memory.indexer.drain()
    ana = await memory.directory.find_person(memory.tenant, "ana")
    scope = memory.scope(room, asker=ana.id)
    answer = await memory.shuttle.weave("who mended the extractor?", scope, asked_at=START, seed=1, event_id="q1")
    await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎", at=START)
    await memory.shuttle.vote(memory.tenant, answer.id, ana, "👎", remove=True, at=START)
    await memory.shuttle.vote(memory.tenant, answer.id, ana, "👍", at=START)


def told(folder: Path, story: Story, kill_at: int | None = None) -> int:
    """Tells the story in a process of its own: 0 when it came to its end, -9 when it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(_tell(folder, story, kill_at))
            status = FINISHED
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


async def _tell(folder: Path, story: Story, kill_at: int | None) -> None:
    async with open_memory(folder) as memory:
        if kill_at is not None:
            arm(memory.database, kill_at)
        await story(memory)


def arm(database: SqlDatabase, kill_at: int) -> None:
    """From now on the n-th statement kills this process before it reaches the database."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database._engine.sync_engine, "before_cursor_execute", count)
    event.listen(database._engine.sync_engine, "commit", count)


async def reflect(memory: Memory) -> None:
    """Two conversations, the first of which has ended; everything that waits is indexed and reflected on."""
    room = await memory.room()
    for start, lines in ((START - timedelta(hours=2), REFLECTED), (START, LINES)):
        told = [draft(f"{start:%H}.{i}", *line, start + timedelta(minutes=i)) for i, line in enumerate(lines)]
        await memory.journal.admit(room, told)
    await memory.indexer.drain()
    await memory.reflector.drain()
    await memory.journal.edit(room, "07.0", "ana", "I prefer green tea", START)
    await memory.indexer.drain()
    await memory.reflector.drain()
