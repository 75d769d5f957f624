"""A worker killed at any point loses and doubles no memory: the next one ends where an undisturbed one does."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from tests.e2e.killing import FINISHED, reflect, told

KILLED = -9
POINTS = range(40, 140, 9)
"""Statements of the story, from when the first messages are indexed."""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")

STATE = (
    """SELECT m.external_id, aspect, number, hex(subject), hex(verb), hex(object), happened_on
       FROM memories JOIN messages m ON m.serial = message_serial ORDER BY 1, 2, 3""",
    """SELECT a.external_id, aspect, place, b.external_id FROM memory_sources s
       JOIN memories ON id = memory_id JOIN messages a ON a.serial = memories.message_serial
       JOIN messages b ON b.serial = s.message_serial ORDER BY 1, 2, 3""",
    "SELECT * FROM reflection_queue",
    "SELECT * FROM session_queue",
    "SELECT * FROM index_outbox",
)


def state(folder: Path) -> list[list[tuple[object, ...]]]:
    with sqlite3.connect(folder / "weavebot.sqlite3") as conn:
        found = [conn.execute(query).fetchall() for query in STATE]
    conn.close()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[list[tuple[object, ...]]]:
    """The state after the story was told once, uninterrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert told(folder, reflect) == FINISHED
    return state(folder)


class TestKilled:
    def test_the_story_leaves_what_it_should(self, whole: list[list[tuple[object, ...]]]) -> None:
        assert {row[1] for row in whole[0]} == {"decision", "event", "fact", "preference", "summary"}
        assert whole[2:] == [[], [], []]

    @pytest.mark.parametrize("kill_at", POINTS)
    def test_at_any_statement_and_told_again_each_memory_is_there_once(
        self, tmp_path: Path, whole: list[list[tuple[object, ...]]], kill_at: int
    ) -> None:
        assert told(tmp_path, reflect, kill_at) == KILLED
        assert told(tmp_path, reflect) == FINISHED
        assert state(tmp_path) == whole
