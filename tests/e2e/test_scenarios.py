"""The scenarios on the chat in memory; the same run on real Synapse under ``make test-services``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.scenarios.in_memory import InMemoryDriver
from tests.e2e.scenarios.playing import play
from tests.e2e.scenarios.script import Scenario, all_scenarios, read


@pytest.mark.parametrize("scenario", all_scenarios(), ids=str)
async def test_scenario(tmp_path: Path, scenario: Scenario) -> None:
    driver = InMemoryDriver(tmp_path)
    await driver.back()
    try:
        await play(scenario, driver)
    finally:
        await driver.away()


def test_a_line_that_is_no_step_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.chat"
    file.write_text("# a\nAna: hello\nsomething else\n", "utf-8")

    with pytest.raises(ValueError, match=r"x\.chat:3"):
        read(file)
