"""A database with its tables, made once and copied: making them takes a test longer than what it is about.

What is copied is what the program's own code has made; that it can make it on an empty folder is shown in
tests/e2e/test_migrations.py, and by every test that starts the program.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from memory.adapters.sql import SqlDatabase

FILE = "weavebot.sqlite3"
Make = Callable[[SqlDatabase], Awaitable[object]]
_made: dict[Make, bytes] = {}


async def copy_tables(folder: Path, make: Make) -> None:
    """Puts a database into the folder as ``make`` leaves it, unless there is one."""
    if (folder / FILE).exists():
        return
    if make not in _made:
        with tempfile.TemporaryDirectory() as place:
            database = SqlDatabase.in_folder(Path(place))
            await make(database)
            await database.close()
            _made[make] = (Path(place) / FILE).read_bytes()
    (folder / FILE).write_bytes(_made[make])
