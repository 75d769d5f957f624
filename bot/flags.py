"""What every command takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Flags:
    """``--config``, ``--data`` and ``--json``; None: not given."""

    config: Path | None = None
    data: Path | None = None
    json: bool = False
