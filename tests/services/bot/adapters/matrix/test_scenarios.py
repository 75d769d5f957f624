"""The scenarios on a real Synapse: each in the newest room version, the first of each file in the older ones too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.scenarios.playing import play
from tests.e2e.scenarios.script import Scenario, all_scenarios
from tests.services.bot.adapters.matrix.scenario_driver import SynapseDriver
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services
OLDER = [(version, scenario) for version in ("10", "11") for scenario in all_scenarios()[::6]]


@pytest.mark.parametrize(("version", "scenario"), [*(("12", one) for one in all_scenarios()), *OLDER], ids=str)
async def test_scenario(homeserver: Homeserver, tmp_path: Path, version: str, scenario: Scenario) -> None:
    driver = SynapseDriver(homeserver, tmp_path / "data", version)
    (tmp_path / "data").mkdir()
    await driver.begin()
    try:
        await play(scenario, driver)
    finally:
        await driver.away()
