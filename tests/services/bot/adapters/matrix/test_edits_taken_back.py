"""An edit that is taken away gives the text before it back, also when it was made before our start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.scenarios.script import Edits, Says
from tests.services.bot.adapters.matrix.scenario_driver import SynapseDriver, driving
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
async def driver(
    homeserver: Homeserver, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[SynapseDriver]:
    """A room with people and the whole bot."""
    async with driving(homeserver, tmp_path, encrypted=request.param) as made:
        yield made


async def test_of_a_message_before_our_start(driver: SynapseDriver) -> None:
    await driver.says(Says("Ana", "code", "the code is on the board"))
    await driver.says(Says("Ana", "key", "the key hangs behind the door"))
    await driver.edits(Edits("Ana", "key", "the key is under the mat"))
    regretted = await driver.edits(Edits("Ana", "code", "the code is 1234"))
    assert "the code is 1234" in await driver.texts()
    await driver.dies()
    await driver.takes_back("Ana", regretted)
    await driver.settled()
    assert sorted(await driver.texts()) == ["the code is on the board", "the key is under the mat"]


async def test_of_a_message_while_we_were_away(driver: SynapseDriver) -> None:
    await driver.says(Says("Ana", "code", "the code is on the board"))
    kept = await driver.edits(Edits("Ana", "code", "the code is in the book"))
    regretted = await driver.edits(Edits("Ana", "code", "the code is 1234"))
    await driver.away()
    await driver.takes_back("Ana", regretted)
    await driver.back()
    await driver.settled()
    assert await driver.texts() == ["the code is in the book"]
    await driver.dies()
    await driver.takes_back("Ana", kept)
    await driver.settled()
    assert await driver.texts() == ["the code is on the board"]


async def test_of_a_question_before_our_start(driver: SynapseDriver) -> None:
    await driver.says(Says("Ana", "queen", "the queen is red"))
    await driver.says(Says("Ana", "ladder", "the ladder is behind the shed"))
    await driver.says(Says("Ben", "ask", "!weave where is the ladder?"))
    regretted = await driver.edits(Edits("Ben", "ask", "!weave what colour is the queen?"))
    assert "red" in await driver.edited("red")
    await driver.dies()
    await driver.takes_back("Ben", regretted)
    assert "behind the shed" in await driver.edited("behind the shed")


async def test_by_a_moderator_of_somebody_elses_message(driver: SynapseDriver) -> None:
    await driver.says(Says("Ben", "code", "the code is on the board"))
    regretted = await driver.edits(Edits("Ben", "code", "the code is 1234"))
    await driver.dies()
    await driver.takes_back("Ana", regretted)
    await driver.settled()
    assert await driver.texts() == ["the code is on the board"]


async def test_of_somebody_who_edited_what_is_not_theirs_changes_nothing(driver: SynapseDriver) -> None:
    await driver.says(Says("Ana", "code", "the code is on the board"))
    forged = await driver.edits(Edits("Eve", "code", "the code is 0000"))
    await driver.takes_back("Eve", forged)
    await driver.settled()
    assert await driver.texts() == ["the code is on the board"]
    forged = await driver.edits(Edits("Eve", "code", "the code is 0000"))
    await driver.dies()
    await driver.takes_back("Eve", forged)
    await driver.settled()
    assert await driver.texts() == ["the code is on the board"]
