"""A room keeps its messages for as long as it wants to, and no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.app import App
from bot.jobs import TABLE, Schedule
from bot.pages import Page
from memory.errors import BadInput
from memory.models import Room
from tests.unit.bot.rooms import Chat, clock_of, result, told


async def nowhere() -> list[Room]:
    return []


async def silent(_room: Room, _said: Page, _occasion: str) -> None:
    raise AssertionError("nothing is said about it")


class TestRetention:
    async def test_what_is_older_goes_in_the_night_and_the_rest_stays(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"), ("Ben", "the ladder is behind the shed"))
        room = await app.directory.find_room(app.tenant, "hives")
        await app.preferences.change(room, "retention", "4 weeks", None)
        clock_of(app).advance(timedelta(days=27))
        chat = Chat(app)
        await chat.say("Cleo", "the kettle is broken", event_id="late")
        await Schedule(app, silent, nowhere).look()
        assert len(await chat.texts()) == 3

        clock_of(app).advance(timedelta(days=2))
        await Schedule(app, silent, nowhere).look()

        assert await chat.texts() == ["the kettle is broken"]

    async def test_by_default_everything_is_kept(self, app: App) -> None:
        await told(app, ("Ana", "the queen is red"))
        clock_of(app).advance(timedelta(days=4000))

        done = await result(app, "job", name="retention")

        assert done["done"] == "hives keeps everything"
        with pytest.raises(BadInput, match="say which"):
            await TABLE["retention"].function(app, silent, None)

    @pytest.mark.parametrize(("words", "kept"), [("90", "90 days"), ("2 weeks", "14 days"), ("1y", "365 days")])
    async def test_days_weeks_and_years_are_understood(self, app: App, words: str, kept: str) -> None:
        await told(app, ("Ana", "hello"))

        assert (await result(app, "settings", name="retention", value=words))["retention"] == kept
        assert (await result(app, "settings", name="retention", value="off"))["retention"] == "off"

    @pytest.mark.parametrize(
        ("name", "value"), [("retention", "soon"), ("retention", "99999 years"), ("language", "klingonese")]
    )
    async def test_what_cannot_be_is_refused(self, app: App, name: str, value: str) -> None:
        await told(app, ("Ana", "hello"))

        with pytest.raises(BadInput, match=f"^{name}: "):
            await result(app, "settings", name=name, value=value)
