"""The database's schema: brought up to this version at start, in one transaction; a newer one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from memory.errors import Refused
from memory.ports import Database

MIGRATIONS: Final = Path(__file__).resolve().parents[1] / "migrations"


async def bring_up_to_date(database: Database) -> str:
    """Applies what is missing and gives the revision that the database is at.

    One transaction: killed in the middle, the database is what it was. Of several processes that start at once one does
    it, and the others find it done. Raises Refused when a newer Weavebot wrote it.
    """
    wanted = newest()
    if await revision_of(database) == wanted:
        return wanted
    async with database.write(alone=True) as conn:
        return await conn.run_sync(_upgrade)


async def revision_of(database: Database) -> str | None:
    """The revision that the database is at; None for an empty one."""
    async with database.read() as conn:
        return await conn.run_sync(_current)


def newest() -> str:
    """The revision that this version of the program wants."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if head is None:
        raise Refused("The migrations are missing from this installation; install Weavebot anew.")
    return head


def _upgrade(connection: Connection) -> str:
    wanted = newest()
    current = _current(connection)
    if current == wanted:
        return wanted
    if current is not None and current not in {
        one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    }:
        raise Refused(
            f"The data was written by a newer Weavebot (schema {current}, this one knows {wanted}); "
            "update Weavebot, or choose another data folder with --data."
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return wanted


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
