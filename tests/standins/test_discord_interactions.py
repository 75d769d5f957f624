"""Commands, menus, buttons and forms of the stand-in, handled by the real discord.py."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import discord as library
import pytest
from discord import app_commands

from tests.standins.bots import Bot, Bots
from tests.standins.discord import Discord, NotOffered, Permission, Person, Place
from tests.standins.discord.interactions import Response

Given = library.Interaction[Any]


@pytest.fixture
def place(discord: Discord) -> Place:
    return discord.guild("hives").channel("general")


@pytest.fixture
def ana(discord: Discord) -> Person:
    return discord.guild("hives").member("Ana")


class TestCommands:
    async def test_options_arrive_as_they_were_chosen(self, bot: Bot, place: Place, ana: Person) -> None:
        @bot.tree.command(description="asks")
        async def weave(given: Given, question: str, who: library.Member, limit: app_commands.Range[int, 1, 9]) -> None:
            await given.response.send_message(f"{question} {who.display_name} {limit} {given.user.display_name}")

        await bot.tree.sync()
        used = await ana.slash("weave", place, question="why?", who=ana, limit=3)
        assert (await used.expect()).content == "why? Ana 3 Ana"
        assert place.answers[0].interaction is not None
        assert (used.interaction.answered_after or 9) < 3

    async def test_parts_of_a_command_are_named_by_their_path(self, bot: Bot, place: Place, ana: Person) -> None:
        group = app_commands.Group(name="weave", description="the memory")

        @group.command(description="says what is kept")
        async def know(given: Given) -> None:
            await given.response.send_message("nothing", ephemeral=True)

        bot.tree.add_command(group)
        await bot.tree.sync()
        assert (await (await ana.slash("weave know", place)).expect()).ephemeral
        assert place.answers == []
        with pytest.raises(NotOffered):
            await ana.slash("weave", place)

    async def test_what_the_client_would_not_send_is_not_sent(self, bot: Bot, place: Place, ana: Person) -> None:
        @bot.tree.command(description="sets")
        @app_commands.default_permissions(manage_guild=True)
        async def settings(given: Given, name: str) -> None:
            await given.response.send_message(name)

        await bot.tree.sync()
        with pytest.raises(NotOffered, match="permissions"):
            await ana.slash("settings", place, name="x")
        with pytest.raises(NotOffered, match="no command"):
            await ana.slash("setting", place)

    async def test_who_has_the_permissions_is_offered_the_command(
        self, bot: Bot, discord: Discord, place: Place
    ) -> None:
        @bot.tree.command(description="sets")
        @app_commands.default_permissions(manage_guild=True)
        async def settings(given: Given) -> None:
            await given.response.send_message(str(given.permissions.manage_guild))

        await bot.tree.sync()
        boss = discord.guild("hives").member("Boss", permissions=Permission.MANAGE_GUILD)
        assert (await (await boss.slash("settings", place)).expect()).content == "True"

    async def test_choices_are_completed_while_somebody_types(self, bot: Bot, place: Place, ana: Person) -> None:
        @bot.tree.command(description="asks")
        async def weave(given: Given, question: str) -> None:
            await given.response.send_message(question)

        @weave.autocomplete("question")
        async def complete(_given: Given, text: str) -> list[app_commands.Choice[str]]:
            return [app_commands.Choice(name=text + "?", value=text + "!")]

        await bot.tree.sync()
        assert await ana.completes("weave", place, "question", "who") == [{"name": "who?", "value": "who!"}]

    async def test_a_servers_own_commands_are_kept_apart(self, bot: Bot, discord: Discord, place: Place) -> None:
        @bot.tree.command(description="here", guild=library.Object(discord.guild("hives").id))
        async def here(given: Given) -> None:
            await given.response.send_message("here")

        await bot.tree.sync(guild=library.Object(discord.guild("hives").id))
        assert discord.commands == []
        ana = discord.guild("hives").member("Ana")
        assert (await (await ana.slash("here", place)).expect()).content == "here"

    async def test_a_command_that_discord_would_refuse_is_refused(self, bot: Bot) -> None:
        big: Any = {"type": 1, "name": "Big", "description": "x"}
        with pytest.raises(library.HTTPException) as refused:
            await bot.http.upsert_global_command(bot.application_id or 0, big)
        assert refused.value.code == 50035

    async def test_synchronising_twice_keeps_the_ids(self, bot: Bot, discord: Discord) -> None:
        @bot.tree.command(description="asks")
        async def weave(given: Given) -> None:
            await given.response.send_message("yes")

        first = await bot.tree.sync()
        assert [one.id for one in await bot.tree.sync()] == [one.id for one in first]
        assert [one["name"] for one in discord.commands] == ["weave"]


class TestResponses:
    async def test_after_3_seconds_the_interaction_is_unknown(
        self, bot: Bot, discord: Discord, place: Place, ana: Person
    ) -> None:
        refused: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        @bot.tree.command(description="sleeps")
        async def slow(given: Given) -> None:
            discord.later(3.1)
            try:
                await given.response.send_message("late")
            except library.NotFound as exc:
                refused.set_result(exc.code)

        await bot.tree.sync()
        used = await ana.slash("slow", place)
        assert await asyncio.wait_for(refused, 5) == 10062
        assert used.failed

    async def test_the_first_followup_takes_the_place_and_the_privacy_of_thinking(
        self, bot: Bot, place: Place, ana: Person
    ) -> None:
        @bot.tree.command(description="asks")
        async def weave(given: Given) -> None:
            await given.response.defer(ephemeral=True)
            await given.followup.send("first")
            await given.followup.send("second", ephemeral=False)

        await bot.tree.sync()
        used = await ana.slash("weave", place)
        await used.expect(lambda message: message.content == "second")
        assert used.interaction.deferred
        assert [(message.content, message.ephemeral) for message in used.messages] == [
            ("first", True),
            ("second", False),
        ]
        assert [message.content for message in place.answers] == ["second"]

    async def test_thinking_is_not_yet_an_answer(self, bot: Bot, place: Place, ana: Person) -> None:
        release = asyncio.Event()

        @bot.tree.command(description="asks")
        async def weave(given: Given) -> None:
            await given.response.defer()
            await release.wait()
            await given.edit_original_response(content="done")

        await bot.tree.sync()
        used = await ana.slash("weave", place)
        assert (await used.acknowledged()).response is Response.DEFERRED_MESSAGE
        assert used.messages == []
        release.set()
        assert (await used.expect()).content == "done"

    async def test_files_go_with_responses_and_followups(self, bot: Bot, place: Place, ana: Person) -> None:
        @bot.tree.command(description="exports")
        async def export(given: Given) -> None:
            await given.response.send_message("one", file=library.File(io.BytesIO(b"1"), "one.txt"), ephemeral=True)
            await given.followup.send("two", file=library.File(io.BytesIO(b"2"), "two.txt"), ephemeral=True)

        await bot.tree.sync()
        used = await ana.slash("export", place)
        await used.expect(lambda message: message.content == "two")
        assert [(message.files[0].name, message.files[0].data) for message in used.messages] == [
            ("one.txt", b"1"),
            ("two.txt", b"2"),
        ]

    async def test_a_second_first_response_is_refused(self, bot: Bot, place: Place, ana: Person) -> None:
        codes: list[int] = []

        @bot.tree.command(description="asks")
        async def weave(given: Given) -> None:
            await given.response.send_message("one")
            given.response._response_type = None
            try:
                await given.response.send_message("two")
            except library.HTTPException as exc:
                codes.append(exc.code)
            await given.followup.send("end")

        await bot.tree.sync()
        await (await ana.slash("weave", place)).expect(lambda message: message.content == "end")
        assert codes == [40060]

    async def test_after_15_minutes_the_conversation_is_over(
        self, bot: Bot, discord: Discord, place: Place, ana: Person
    ) -> None:
        codes: list[int] = []

        @bot.tree.command(description="asks")
        async def weave(given: Given) -> None:
            await given.response.send_message("one")
            discord.later(15 * 60 + 1)
            try:
                await given.followup.send("two")
            except library.HTTPException as exc:
                codes.append(exc.code)
            await given.channel.send("over")  # type: ignore[union-attr]

        await bot.tree.sync()
        await ana.slash("weave", place)
        await place.expect(lambda message: message.content == "over")
        assert codes == [50027]


class TestMenusAndButtons:
    async def test_a_message_menu_shows_what_was_written_even_without_the_intent(
        self, bots: Bots, place: Place, ana: Person
    ) -> None:
        bot = await bots.start(library.Intents.default())

        @bot.tree.context_menu(name="Remember this")
        async def remember(given: Given, message: library.Message) -> None:
            await given.response.send_message(f"kept: {message.content}", ephemeral=True)

        await bot.tree.sync()
        used = await ana.menu("Remember this", await ana.says(place, "the gate code"))
        assert (await used.expect()).content == "kept: the gate code"

    async def test_a_button_of_a_persistent_view_works_after_a_restart_of_the_bot(
        self, bots: Bots, place: Place, ana: Person
    ) -> None:
        class Votes(library.ui.View):
            def __init__(self) -> None:
                super().__init__(timeout=None)

            @library.ui.button(label="Helpful", custom_id="vote:up")
            async def up(self, given: Given, _button: library.ui.Button[Votes]) -> None:
                await given.response.send_message("thanks", ephemeral=True)

        first = await bots.start()
        await first.place(place.id).send("an answer", view=Votes())
        await first.close()
        second = await bots.start()
        second.add_view(Votes())
        used = await ana.clicks(place.answers[0], "Helpful")
        assert (await used.expect()).content == "thanks"
        with pytest.raises(NotOffered):
            await ana.clicks(place.answers[0], "Unhelpful")

    async def test_a_button_can_change_its_message(self, bot: Bot, place: Place, ana: Person) -> None:
        class Once(library.ui.View):
            @library.ui.button(label="Go", custom_id="go")
            async def go(self, given: Given, _button: library.ui.Button[Once]) -> None:
                await given.response.edit_message(content="gone", view=None)

        await bot.place(place.id).send("going", view=Once())
        await (await ana.clicks(place.answers[0], "Go")).acknowledged()
        assert (place.answers[0].content, place.answers[0].components) == ("gone", [])

    async def test_a_form_is_opened_and_filled_in(self, bot: Bot, place: Place, ana: Person) -> None:
        class Wrong(library.ui.Modal, title="What was wrong?"):
            words: library.ui.TextInput[Wrong] = library.ui.TextInput(label="Words", custom_id="words")

            async def on_submit(self, given: Given) -> None:
                await given.response.send_message(f"noted: {self.words.value}", ephemeral=True)

        @bot.tree.command(description="tells")
        async def wrong(given: Given) -> None:
            await given.response.send_modal(Wrong())

        await bot.tree.sync()
        used = await ana.slash("wrong", place)
        await used.acknowledged()
        assert (await (await ana.submits(used, words="too old")).expect()).content == "noted: too old"


class TestDirectMessages:
    async def test_commands_work_in_direct_messages_where_they_are_offered(self, bot: Bot, ana: Person) -> None:
        @bot.tree.command(description="asks")
        async def weave(given: Given) -> None:
            await given.response.send_message(f"in a server: {given.guild is not None}")

        @bot.tree.command(description="sets")
        @app_commands.guild_only()
        async def settings(given: Given) -> None:
            await given.response.send_message("never")

        await bot.tree.sync()
        assert (await (await ana.slash("weave", ana.talk)).expect()).content == "in a server: False"
        with pytest.raises(NotOffered):
            await ana.slash("settings", ana.talk)
