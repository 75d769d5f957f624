"""Rooms with labelled questions to measure on, from a folder beside the repository.

The folder is ``../shared/data`` or what ``WEAVEBOT_BENCH_DATA`` names; a clone has none, and every reader says so. The
demo room's own questions are always there.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "bot" / "demo"
_FILES = {"locomo": "locomo", "qmsum": "qmsum", "hotpotqa": "multihop"}


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a room's history."""

    id: str
    author: str
    text: str
    sent_at: datetime
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the ids of the messages that answer it; none when nothing in the room does."""

    id: str
    text: str
    category: str
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Room:
    """A room's history and its questions."""

    name: str
    messages: tuple[Message, ...]
    questions: tuple[Question, ...]


def data_folder() -> Path:
    """Where the rooms lie."""
    given = os.environ.get("WEAVEBOT_BENCH_DATA")
    return Path(given) if given else ROOT.parent / "shared" / "data"


def rooms(name: str) -> list[Room] | None:
    """The rooms of a set (locomo, qmsum, hotpotqa, demo); None, with a message, when the folder does not hold it."""
    if name == "demo":
        return _read([DEMO / "beekeepers.jsonl"], [DEMO / "questions.jsonl"])
    folder = data_folder() / _FILES[name]
    messages = sorted(folder.glob("*.messages.jsonl"))
    if not messages:
        Console(stderr=True).print(f"skipped: no rooms in {folder} (set WEAVEBOT_BENCH_DATA to a folder that has them)")
        return None
    return _read(messages, sorted(folder.glob("*.questions.jsonl")))


def _read(messages: list[Path], questions: list[Path]) -> list[Room]:
    said: dict[str, list[Message]] = {}
    asked: dict[str, list[Question]] = {}
    for line in _lines(messages):
        at = datetime.fromisoformat(line["sent_at"])
        said.setdefault(line["room"], []).append(
            Message(line["id"], line["author"], line["text"], at, line.get("reply_to"))
        )
    for line in _lines(questions):
        asked.setdefault(line["room"], []).append(
            Question(line["id"], line["question"], line["category"], frozenset(line["evidence"]))
        )
    return [Room(name, tuple(said[name]), tuple(asked.get(name, ()))) for name in said]


def _lines(files: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines() if line.strip()]
