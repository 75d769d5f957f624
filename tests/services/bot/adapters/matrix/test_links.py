"""From an answer to the message that proves it, by the links that it shows."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.e2e.scenarios.script import Edits, Says
from tests.services.bot.adapters.matrix.scenario_driver import SynapseDriver, driving
from tests.services.matrix import Event
from tests.services.synapse import Homeserver

pytestmark = pytest.mark.services
LINK = re.compile(r'<a href="(https://matrix\.to/#/[^"]+)">\[1\]</a>')


@pytest.fixture(params=["10", "12"])
async def driver(
    homeserver: Homeserver, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[SynapseDriver]:
    """A room with people and the whole bot."""
    async with driving(homeserver, tmp_path, request.param) as made:
        yield made


async def behind(driver: SynapseDriver, content: dict[str, str]) -> Event:
    """The message that the first mark of an answer leads to, as a person has it."""
    found = LINK.search(content["formatted_body"])
    assert found is not None, content
    room, _, rest = urlsplit(html.unescape(found[1])).fragment.removeprefix("/").partition("/")
    event_id, _, query = rest.partition("?")
    assert parse_qs(query)["via"] == ["localhost"]
    return await driver.people["Ben"].event(unquote(room), unquote(event_id))


async def test_an_answer_leads_to_its_proof(driver: SynapseDriver) -> None:
    await driver.says(Says("Ana", "queen", "the queen of hive three is marked red"))
    await driver.says(Says("Ana", "ladder", "the ladder is behind the shed"))
    await driver.says(Says("Ben", "ask", "!weave what colour is the queen?"))
    said = (await driver.ours())[-1]["content"]
    assert (await behind(driver, said))["content"]["body"] == "the queen of hive three is marked red"
    assert "matrix.to" not in said["body"]
    await driver.edits(Edits("Ben", "ask", "!weave where is the ladder?"))
    assert "behind the shed" in await driver.edited("behind the shed")
    change = (await driver.people["Ben"].related(driver.room, (await driver.ours())[-1]["event_id"], "m.replace"))[0]
    proof = await behind(driver, change["content"]["m.new_content"])
    assert proof["content"]["body"] == "the ladder is behind the shed"


async def test_why_leads_there_too(driver: SynapseDriver) -> None:
    await driver.says(Says("Ana", "queen", "the queen of hive three is marked red"))
    await driver.says(Says("Ben", "ask", "!weave what colour is the queen?"))
    await driver.says(Says("Ben", "why", "!weave why"))
    proof = await behind(driver, (await driver.ours())[-1]["content"])
    assert proof["content"]["body"] == "the queen of hive three is marked red"
