"""What the doctor tells of a Discord account, while the bot runs and while it does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.app import App
from bot.clock import SystemClock
from bot.operations import perform
from bot.settings import Settings
from bot.wiring import open_app
from tests.doubles import WordEmbedder
from tests.e2e.bot.adapters.discord.bots import weavebot
from tests.standins.discord import Discord, Permission, Place


async def examined(app: App) -> list[Mapping[str, Any]]:
    """What is found of Discord."""
    found = [event["result"] async for event in perform(app, "doctor", {}, None) if "result" in event]
    return [one for one in found if one["check"] == "discord"]


async def looked_at(discord: Discord, folder: Path, **given: Any) -> list[Mapping[str, Any]]:
    """The same of a bot that does not run."""
    token = SecretStr(given.pop("token", discord.token))
    settings = Settings(data=folder, discord_token=token, discord_api=discord.api_url, **given)
    app = await open_app(settings, clock=SystemClock(), embedder=WordEmbedder())
    try:
        return await examined(app)
    finally:
        await app.close()


class TestAtRest:
    async def test_an_account_that_is_well_tells_how_to_add_it(self, discord: Discord, tmp_path: Path) -> None:
        discord.guild("hives")
        discord.guild("orchard")
        [found] = await looked_at(discord, tmp_path)
        assert found["ok"]
        assert found["found"] == (
            "weavebot in 2 servers; an admin adds it to one with https://discord.com/oauth2/authorize?client_id="
            f"{discord.world.app.id}&scope=bot+applications.commands&permissions=274878008320"
        )
        assert discord.gateway.sessions.started == 0
        assert discord.commands == []

    async def test_what_the_portal_has_and_what_is_wanted_is_compared(self, discord: Discord, tmp_path: Path) -> None:
        discord.world.app.privileged.clear()
        discord.world.app.endpoint = "https://example.org/interactions"
        [well, intent, endpoint] = await looked_at(discord, tmp_path)
        assert well["ok"]
        assert "switch on Message Content Intent" in intent["fix"]
        assert "remove it in the developer portal" in endpoint["fix"]
        [well, endpoint] = await looked_at(discord, tmp_path, discord_memory="mentions")
        assert not endpoint["ok"]

    async def test_a_wrong_token_and_a_discord_that_is_away(self, discord: Discord, tmp_path: Path) -> None:
        [found] = await looked_at(discord, tmp_path, token="wrong")  # noqa: S106 - it opens nothing
        assert "Reset Token" in found["fix"]
        discord.fail("GET /users/@me", 503)
        [found] = await looked_at(discord, tmp_path)
        assert "try again" in found["fix"]


class TestAtWork:
    async def test_a_running_bot_tells_of_its_connection(self, discord: Discord, hives: Place, tmp_path: Path) -> None:
        hives.lets_bot(deny=Permission.SEND_MESSAGES)
        async with weavebot(discord, tmp_path) as bot:
            found = await examined(bot.app)
        assert [one["ok"] for one in found] == [True, True]
        assert "connected as weavebot" in found[0]["found"]
