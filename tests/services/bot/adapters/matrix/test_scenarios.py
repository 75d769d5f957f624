"""The scenarios on a real Synapse: each in the newest room version, plain and encrypted; some in the older ones too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.scenarios.playing import play
from tests.e2e.scenarios.script import Scenario, all_scenarios
from tests.services.bot.adapters.matrix.scenario_driver import driving
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services
OLDER = [(version, scenario) for version in ("10", "11") for scenario in all_scenarios()[::6]]
NEWEST = [("12", scenario) for scenario in all_scenarios()]


@pytest.mark.parametrize(("version", "scenario"), [*NEWEST, *OLDER], ids=str)
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_scenario(
    homeserver: Homeserver, tmp_path: Path, version: str, scenario: Scenario, *, encrypted: bool
) -> None:
    async with driving(homeserver, tmp_path, version, encrypted=encrypted) as driver:
        await play(scenario, driver)
        assert not encrypted or await driver.in_the_clear() == []
