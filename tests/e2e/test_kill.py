"""Killed at any point, nothing is lost, doubled or half indexed once the events have come again."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.e2e.killing import FINISHED, chat, told

KILLED = -9
STATEMENTS = 300
"""The story takes a few less."""
POINTS = range(1, STATEMENTS, 1 if os.environ.get("WEAVEBOT_KILL_EVERYWHERE") else 23)
"""Every 23rd statement; all of them take a quarter of an hour and are for a release."""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")

STATE = {
    "messages": "SELECT external_id, hex(text), revision FROM messages ORDER BY external_id",
    "tombstones": "SELECT external_id FROM tombstones ORDER BY external_id",
    "embeddings": "SELECT hex(content_hash), hex(vectors) FROM embeddings ORDER BY 1",
    "entities": "SELECT kind, key FROM entities ORDER BY 1, 2",
    "mentions": """SELECT m.external_id, e.kind, e.key FROM mentions JOIN messages m ON m.serial = message_serial
                   JOIN entities e ON e.id = entity_id ORDER BY 1, 2, 3""",
    "relations": "SELECT predicate, subject_id, object_id FROM relations ORDER BY 1, 2, 3",
    "sessions": "SELECT messages FROM sessions ORDER BY id",
    "outbox": "SELECT * FROM index_outbox",
    "answers": "SELECT hex(question), event_id FROM answers",
    "decisions": "SELECT count(*) FROM decisions",
    "votes": "SELECT emoji FROM votes",
    "people": "SELECT external_id, name FROM people ORDER BY id",
}


def state(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything that must be the same however often the story was interrupted."""
    with sqlite3.connect(folder / "weavebot.sqlite3") as conn:
        found = {name: conn.execute(query).fetchall() for name, query in STATE.items()}
    conn.close()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    """The state after the story was told once, uninterrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert told(folder, chat) == FINISHED
    return state(folder)


class TestKilled:
    def test_the_story_leaves_what_it_should(self, whole: dict[str, list[tuple[object, ...]]]) -> None:
        assert [row[0] for row in whole["messages"]] == ["e0", "e1", "e2", "e4"]
        assert whole["votes"] == [("👍",)]
        assert whole["outbox"] == []
        assert len(whole["answers"]) == 1

    @pytest.mark.parametrize("kill_at", POINTS)
    def test_at_any_statement_and_told_again_everything_is_there_once(
        self, tmp_path: Path, whole: dict[str, list[tuple[object, ...]]], kill_at: int
    ) -> None:
        assert told(tmp_path, chat, kill_at) in (KILLED, FINISHED)
        assert told(tmp_path, chat) == FINISHED
        assert state(tmp_path) == whole

    def test_killed_again_and_again_it_still_arrives(
        self, tmp_path: Path, whole: dict[str, list[tuple[object, ...]]]
    ) -> None:
        for kill_at in range(5, STATEMENTS, 29):
            if told(tmp_path, chat, kill_at) == FINISHED:
                break
        assert told(tmp_path, chat) == FINISHED
        assert state(tmp_path) == whole
