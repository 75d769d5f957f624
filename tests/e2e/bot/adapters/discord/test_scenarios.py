"""The scenarios that every platform plays, on Discord."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.bot.adapters.discord.scenarios import DiscordDriver
from tests.e2e.scenarios.playing import play
from tests.e2e.scenarios.script import Scenario, all_scenarios
from tests.standins.discord import Discord


@pytest.mark.parametrize("scenario", all_scenarios(), ids=str)
async def test_scenario(discord: Discord, tmp_path: Path, scenario: Scenario) -> None:
    driver = DiscordDriver(discord, tmp_path)
    await driver.back()
    try:
        await play(scenario, driver)
    finally:
        await driver.away()
