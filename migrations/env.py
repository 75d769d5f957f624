"""Runs the migrations on a connection that the program hands over, or on the URL given with ``-x url=``."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, create_engine

import bot.tables
import memory.tables
import routing.tables
from memory.columns import CompressedText, Instant, metadata

TABLES = (bot.tables, memory.tables, routing.tables)  # imported so that every table is in the metadata


def plain(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Revisions name plain column types: they must read the same when the program's own types have moved on."""
    if kind == "type" and isinstance(item, Instant):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, CompressedText):
        return "sa.LargeBinary()"
    return False


def run(connection: Connection) -> None:
    """Migrates; on SQLite a change of a column rebuilds its table (batch mode)."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, render_item=plain)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Uses the program's connection when there is one."""
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    url = context.get_x_argument(as_dictionary=True).get("url") or "sqlite:///data/weavebot.sqlite3"
    with create_engine(url).begin() as connection:
        run(connection)


main()
