"""What the commands of a room say and do."""

from __future__ import annotations

import pytest

from bot.app import App
from bot.models import Capabilities, Role
from tests.unit.bot.rooms import Chat, Platform, result

pytestmark = pytest.mark.embedded


class TestHelp:
    async def test_it_names_every_command(self, chat: Chat) -> None:
        said = await chat.say("Ana", "!weave")

        for name in "ask why stats digest remember forget know export settings optout optin help".split():
            assert f"!weave {name}" in said

    async def test_one_command_comes_with_an_example(self, chat: Chat) -> None:
        said = await chat.say("Ana", "!weave help forget")

        assert "!weave forget last|ID|me [yes]" in said
        assert "!weave forget last" in said

    async def test_a_slip_is_met_with_a_suggestion(self, chat: Chat) -> None:
        assert await chat.say("Ana", "!weave hlep") == (
            "There is no command hlep; did you mean !weave help? !weave ask hlep asks."
        )

    @pytest.mark.parametrize("name", ["remember", "forget", "ask"])
    async def test_a_command_that_lacks_something_shows_its_usage(self, chat: Chat, name: str) -> None:
        said = await chat.say("Ana", f"!weave {name}")

        assert said.startswith(f"!weave {name} ")
        assert "\n" not in said


class TestWhy:
    async def test_it_explains_the_last_answer_with_the_ids_of_its_sources(self, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red", event_id="e1")
        await chat.say("Ben", "!weave what colour is the queen?")

        said = await chat.say("Ben", "!weave why")

        assert "#1 what colour is the queen?" in said
        assert "route" in said
        assert "id e1" in said

    async def test_an_earlier_one_by_its_number(self, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")
        await chat.say("Ben", "!weave queen?")
        await chat.say("Ben", "!weave red?")

        assert "#1 queen?" in await chat.say("Ben", "!weave why 1")

    async def test_the_one_that_is_replied_to(self, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")
        await chat.say("Ben", "!weave queen?")
        await chat.say("Ben", "!weave red?")

        assert "#1 queen?" in await chat.say("Ben", "!weave why", reply_to="sent1")

    async def test_before_any_answer_it_says_so(self, chat: Chat) -> None:
        assert await chat.say("Ana", "!weave why") == "Nobody has asked anything here yet."

    async def test_a_number_that_there_is_not_is_refused(self, chat: Chat) -> None:
        assert await chat.say("Ana", "!weave why 9") == "There is no answer #9 in this room."


class TestRemembering:
    async def test_a_statement_is_kept_as_its_speakers(self, chat: Chat) -> None:
        assert "Kept" in await chat.say("Ana", "!weave remember the gate code is on the board")

        assert await chat.texts() == ["the gate code is on the board"]
        assert "[1] Ana" in await chat.say("Ben", "!weave where is the gate code?")

    async def test_of_somebody_who_opted_out_it_is_not(self, chat: Chat) -> None:
        await chat.say("Ana", "!weave optout")

        assert "Not kept" in await chat.say("Ana", "!weave remember the gate code is on the board")
        assert await chat.texts() == []


class TestForgetting:
    async def test_the_last_message_of_whoever_asks(self, chat: Chat) -> None:
        await chat.say("Ana", "one")
        await chat.say("Ana", "two")
        await chat.say("Ben", "three")

        assert "Forgotten everywhere" in await chat.say("Ana", "!weave forget last")
        assert await chat.texts() == ["one", "three"]

    async def test_ones_own_by_its_id(self, chat: Chat) -> None:
        await chat.say("Ana", "one", event_id="e1")

        await chat.say("Ana", "!weave forget e1")

        assert await chat.texts() == []

    async def test_the_one_that_is_replied_to(self, chat: Chat) -> None:
        await chat.say("Ana", "one", event_id="e1")

        await chat.say("Ana", "!weave forget", reply_to="e1")

        assert await chat.texts() == []

    async def test_what_others_wrote_only_a_moderator_may(self, chat: Chat) -> None:
        await chat.say("Ana", "one", event_id="e1")

        assert "Only the room's moderators" in await chat.say("Ben", "!weave forget e1")
        assert "Forgotten" in await chat.say("Cleo", "!weave forget e1", role=Role.MODERATOR)
        assert await chat.texts() == []

    async def test_there_may_be_nothing_to_forget(self, chat: Chat) -> None:
        assert await chat.say("Ana", "!weave forget last") == "You have written nothing here yet."
        assert await chat.say("Ana", "!weave forget e99") == "No message here has the id e99."

    async def test_oneself_only_when_it_is_confirmed(self, app: App, chat: Chat) -> None:
        await chat.say("Ana", "one")
        await chat.say("Ana", "!weave one?")

        assert "This erases 1 message" in await chat.say("Ana", "!weave forget me")
        assert await chat.texts() == ["one"]
        assert await chat.say("Ana", "!weave forget me yes") == "You are forgotten: 1 message erased."
        assert await chat.texts() == []
        assert (await result(app, "stats"))["messages"] == 0


class TestPrivacy:
    async def test_know_tells_numbers(self, chat: Chat) -> None:
        await chat.say("Ana", "one")

        said = await chat.say("Ana", "!weave know")

        assert "messages   1" in said
        assert "opted out  no" in said
        assert "2 Mar 2026" in said
        assert chat.platform.sent[-1].private

    async def test_export_is_a_file_where_files_can_be_sent(self, app: App) -> None:
        chat = Chat(app, Platform(Capabilities(files=True)))
        await chat.say("Ana", "one")

        await chat.say("Ana", "!weave export")

        attachment = chat.platform.sent[-1].attachment
        assert attachment is not None
        assert '"text": "one"' in attachment.lines[1]

    async def test_elsewhere_it_is_a_command_to_type(self, chat: Chat) -> None:
        await chat.say("Ana", "one")

        assert 'weavebot export --person "ana" > export.jsonl' in await chat.say("Ana", "!weave export")

    async def test_who_opted_out_is_not_remembered_until_they_opt_in(self, chat: Chat) -> None:
        await chat.say("Ana", "!weave optout")
        await chat.say("Ana", "one")
        await chat.say("Ana", "!weave optin")
        await chat.say("Ana", "two")

        assert await chat.texts() == ["two"]


class TestSettings:
    async def test_they_are_shown(self, chat: Chat) -> None:
        assert "digest_at  monday 09:00" in await chat.say("Ana", "!weave settings")

    async def test_a_moderator_changes_one_and_takes_it_back(self, chat: Chat) -> None:
        async def say(text: str) -> str:
            return await chat.say("Ana", text, role=Role.MODERATOR)

        assert await say("!weave settings digest_at Fri 16:00") == "digest_at is now friday 16:00"
        assert await say("!weave settings digest_at default") == "digest_at is now monday 09:00"
        assert "Europe/Berlin" in await say("!weave settings timezone Mars")

    async def test_the_timezone_changes_the_times_that_are_shown(self, chat: Chat) -> None:
        await chat.say("Ana", "the queen is red")
        await chat.say("Ana", "!weave settings timezone Asia/Tokyo", role=Role.ADMIN)

        assert "Mon 2 Mar 18:00" in await chat.say("Ana", "!weave queen?")


class TestNumbers:
    async def test_stats_are_of_this_room(self, chat: Chat) -> None:
        await chat.say("Ana", "one")

        assert "1 message of 1 person in 1 conversation" in await chat.say("Ana", "!weave stats")

    async def test_the_digest_is_of_this_room(self, chat: Chat) -> None:
        await chat.say("Ana", "one")

        assert "This week in hives" in await chat.say("Ana", "!weave digest")
