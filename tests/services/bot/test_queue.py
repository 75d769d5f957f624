"""The whole bot with a real queue: while it is well, when it is not there, and when the login is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from bot.app import App
from memory.errors import BadInput
from memory.models import Scope
from memory.pseudonyms import pseudonyms_of
from tests.doubles import START
from tests.services.databases import empty_database
from tests.services.queues import CORNERS
from tests.services.servers import address
from tests.unit.bot.rooms import batch, history, open_bot, result, results, run, shown

pytestmark = pytest.mark.services

TALK = (("Ana", "the gate code is 4471"), ("Ben", "good morning"))
SECRET = "s3cret"  # noqa: S105 - opens nothing


@pytest.fixture(params=["redis", "rabbitmq"])
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def url_of(server: str) -> str:
    return address(f"{server.upper()}_URL")


@asynccontextmanager
async def open_on(url: str, folder: Path, server: str | None = None) -> AsyncIterator[App]:
    """A bot with that queue; what it had on a server is gone afterwards."""
    name = ""
    async with open_bot(folder, queue_url=SecretStr(url)) as app:
        name = (await pseudonyms_of(app.database, app.clock)).installation
        yield app
    if server:
        corner = CORNERS[server](name)
        await corner.wipe()
        for queue in corner.opened:
            await queue.close()


async def finding(app: App) -> dict[str, Any]:
    return {one["check"]: one for one in await results(app, "doctor")}["queue"]


async def answer(app: App) -> str:
    room = await app.directory.find_room(app.tenant, "hives")
    told = await app.shuttle.weave("gate code?", Scope(app.tenant, (room.id,)), asked_at=START, seed=1)
    return told.citations[0].text


async def test_an_import_goes_through_it_and_nothing_stays_there(tmp_path: Path, server: str) -> None:
    async with open_on(url_of(server), tmp_path, server) as app:
        await run(app, "import", batch(*history(*TALK)))
        assert await answer(app) == TALK[0][1]
        assert (await finding(app))["found"] == "index: 0 items, 0 dead letters; reflect: 0 items, 0 dead letters"
        for told in itemgetter("queue", "reflection_queue")(await result(app, "queue")):
            assert (told["depth"], told["dead"], told["unpublished"], told["away"]) == (0, 0, 0, None)
            assert told["published_per_second"] > 0
            assert told["done_per_second"] > 0
            assert told["failed_per_second"] == 0


async def test_where_nothing_listens_the_bot_works_all_the_same_and_says_so(tmp_path: Path, server: str) -> None:
    scheme = urlsplit(url_of(server)).scheme
    async with open_on(f"{scheme}://weavebot:{SECRET}@127.0.0.1:1/", tmp_path) as app:
        await run(app, "import", batch(*history(*TALK)))
        assert await answer(app) == TALK[0][1]
        assert (await result(app, "queue"))["waiting"] == 0
        told = await finding(app)
        assert (told["ok"], told["found"]) == (False, "does not answer; the database is used instead")
        assert "the database is used instead" in shown(await run(app, "stats"))
        assert SECRET not in shown(await run(app, "doctor")) + shown(await run(app, "queue"))


async def test_a_queue_in_one_process_is_refused_where_others_may_share_the_database(tmp_path: Path) -> None:
    async with empty_database() as url:
        with pytest.raises(BadInput, match="WEAVEBOT_QUEUE_URL is memory:"):
            async with open_bot(tmp_path, queue_url=SecretStr("memory:"), database_url=SecretStr(url)):
                pass


async def test_a_wrong_password_is_named_and_not_repeated(tmp_path: Path, server: str) -> None:
    parts = urlsplit(url_of(server))
    url = f"{parts.scheme}://{parts.username or ''}:{SECRET}@{parts.hostname}:{parts.port}/"
    async with open_on(url, tmp_path) as app:
        fix = (await finding(app))["fix"]
        assert "refuses the login" in fix
        assert "WEAVEBOT_QUEUE_URL" in fix
        assert SECRET not in fix
