"""Rooms with labelled questions to measure on, from a folder beside the repository.

The folder is ``../shared/data`` or what ``WEAVEBOT_BENCH_DATA`` names; a clone has none, and every reader says so. The
demo room's own questions and the rooms that were written for this (``written``) are always there.
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
WRITTEN = ROOT / "benchmarks" / "written"
REPLIES = 20
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
    """The rooms of a set: locomo, qmsum, hotpotqa, demo, written; None, with a message, when its folder is not there.

    ``replies`` are QMSum's meetings with other questions: turns that ask were taken out, and the turn that followed
    each is its evidence. QMSum's own evidence is long stretches, which say little about single messages.
    """
    if name == "replies":
        meetings = rooms("qmsum")
        return None if meetings is None else [_with_replies(meeting) for meeting in meetings]
    if name == "demo":
        return _read([DEMO / "beekeepers.jsonl"], [DEMO / "questions.jsonl"])
    if name == "written":
        questions = sorted(WRITTEN.glob("*-questions.jsonl"))
        return _read([file.with_name(file.name.replace("-questions", "")) for file in questions], questions)
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


def _with_replies(meeting: Room) -> Room:
    """Up to `REPLIES` questions, evenly over the meeting, each at least three turns from the next."""
    said = meeting.messages
    asks = [i for i in range(len(said) - 1) if _asks(said[i]) and _answers(said[i], said[i + 1])]
    apart = [i for n, i in enumerate(asks) if n == 0 or i - asks[n - 1] > 2]
    chosen = apart[:: max(1, -(-len(apart) // REPLIES))]
    asked = tuple(Question(f"{meeting.name}-r{i}", said[i].text, "reply", frozenset({said[i + 1].id})) for i in chosen)
    gone = {said[i].id for i in chosen}
    return Room(meeting.name, tuple(m for m in said if m.id not in gone), asked)


def _asks(message: Message) -> bool:
    return message.text.rstrip().endswith("?") and 6 <= len(message.text.split()) <= 40


def _answers(question: Message, reply: Message) -> bool:
    return reply.author != question.author and len(reply.text.split()) > 4


def _lines(files: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines() if line.strip()]
