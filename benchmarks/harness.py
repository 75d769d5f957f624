"""What every benchmark needs: the program on a folder of its own, rooms imported through its front door, tables."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.rooms import Message, Room
from bot.app import App
from bot.settings import load as load_settings
from bot.wiring import open_app
from memory.models import Draft, Provenance
from memory.models import Room as KeptRoom

OUT = Path(__file__).parent / "out"
ASKED_AT = datetime(2025, 1, 1, tzinfo=UTC)
"""When benchmark questions are asked: after every room's last message, the same in each run."""
_BATCH = 500

console = Console(width=120)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a name and its figures."""

    name: str
    figures: Mapping[str, float | str]


@asynccontextmanager
async def fresh_app(**given: Any) -> AsyncIterator[App]:
    """The program on an empty folder, which is removed in the end, with these settings."""
    folder = Path(tempfile.mkdtemp(prefix="weavebot-bench-"))
    app = await open_app(load_settings(None, data=folder, **given))
    try:
        yield app
    finally:
        await app.close()
        shutil.rmtree(folder)


async def load(app: App, room: Room) -> KeptRoom:
    """Imports a room and waits until it is indexed."""
    kept = await app.directory.room(app.tenant, room.name, room.name)
    for start in range(0, len(room.messages), _BATCH):
        await app.journal.admit(kept, drafts(room.messages[start : start + _BATCH]))
    await app.engine.settle()
    return kept


def drafts(messages: Sequence[Message]) -> list[Draft]:
    """Messages of a file as the journal takes them; empty ones, which an import rejects, left out."""
    return [
        Draft(m.id, m.author, m.author, m.text, m.sent_at, m.reply_to, Provenance.HISTORY)
        for m in messages
        if m.text.strip()
    ]


def show(title: str, rows: Sequence[Row], *, note: str = "") -> None:
    """Prints a table."""
    table = Table(title=title, caption=note or None, title_justify="left", caption_justify="left")
    columns = list(dict.fromkeys(name for row in rows for name in row.figures))
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.name, *(_cell(row.figures.get(column)) for column in columns))
    console.print(table)


def _cell(value: float | str | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def write(name: str, content: Mapping[str, Any]) -> Path:
    """Keeps a benchmark's figures with the machine they were measured on."""
    OUT.mkdir(exist_ok=True)
    file = OUT / f"{name}.json"
    file.write_text(json.dumps({"machine": machine(), **content}, indent=1, default=_plain) + "\n", "utf-8")
    console.print(f"written to benchmarks/out/{name}.json")
    return file


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import os  # noqa: PLC0415 - only here

    import torch  # noqa: PLC0415 - slow to import; a benchmark that needs no model does without

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": gpu,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no figure")


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and its 95 % normal interval."""
    data = np.asarray(values, dtype=np.float64)
    half = 1.96 * float(data.std(ddof=1)) / np.sqrt(len(data)) if len(data) > 1 else 0.0
    mean = float(data.mean())
    return mean, mean - half, mean + half
