"""The mark on a data folder whose data were moved: opened by mistake, it would go on beside the database."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from memory.errors import Refused

MARK: Final = "moved-to-postgresql"
"""The file in the data folder; it holds the time of the move."""


def mark(folder: Path, at: datetime) -> None:
    """Marks the folder. Raises Refused when it cannot be written."""
    file = folder / MARK
    try:
        file.write_text(at.isoformat(timespec="minutes") + "\n", encoding="ascii")
    except OSError as exc:
        raise Refused(
            f"Everything is in the database, but {file} cannot be written ({exc.strerror}); make it writable for you"
            " and run the command again"
        ) from exc


def check_stays(folder: Path) -> None:
    """Raises Refused for a folder whose data were moved, with what to do."""
    file = folder / MARK
    if file.exists():
        raise Refused(
            f"What {folder} held was moved to PostgreSQL: set WEAVEBOT_DATABASE_URL to its address. To go on with the"
            f" folder all the same, apart from that database, remove {file}"
        )
