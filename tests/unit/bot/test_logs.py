"""Logs go where they belong and never hold a message."""

from __future__ import annotations

import io
import json
from pathlib import Path

import structlog

from bot import logs


class TestLogs:
    def test_json_gives_one_object_a_line_with_its_fields(self) -> None:
        sink = io.StringIO()
        logs.set_up(level="info", json=True, stream=sink)

        structlog.get_logger().info("recall.done", hits=3)

        told = json.loads(sink.getvalue())
        assert (told["event"], told["hits"], told["level"]) == ("recall.done", 3, "info")

    def test_a_field_that_carries_words_is_cut(self) -> None:
        sink = io.StringIO()
        logs.set_up(level="info", json=True, stream=sink)

        structlog.get_logger().info("event", text="we meet at noon", question="when?")

        assert "noon" not in sink.getvalue()
        assert "when?" not in sink.getvalue()

    def test_what_is_below_the_level_is_not_written(self) -> None:
        sink = io.StringIO()
        logs.set_up(level="warning", stream=sink)

        structlog.get_logger().info("quiet")

        assert sink.getvalue() == ""

    def test_a_defect_is_logged_with_its_traceback(self) -> None:
        sink = io.StringIO()
        logs.set_up(level="info", stream=sink)

        structlog.get_logger().error("defect", exc_info=ZeroDivisionError())

        assert "ZeroDivisionError" in sink.getvalue()

    def test_a_log_file_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        sink = logs.set_up(level="info", file=tmp_path / "weavebot.log")
        structlog.get_logger().info("started")
        sink.close()

        assert (tmp_path / "weavebot.log").stat().st_mode & 0o777 == 0o600
        assert "started" in (tmp_path / "weavebot.log").read_text()
