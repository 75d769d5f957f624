"""The console room, driven by a scripted keyboard."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from bot.adapters.console import CAPABILITIES, ConsolePort, Desk, Seat
from bot.adapters.console_keyboard import PipeKeyboard, PromptKeyboard, RoomCompleter
from bot.app import App
from bot.asking import somebody
from bot.dispatch import Dispatch
from bot.models import Place, Reply
from bot.pages import page
from bot.room_messages import newest_of
from bot.terminal import make_console
from memory.models import Person
from tests.unit.bot.rooms import open_bot, result, results

pytestmark = pytest.mark.embedded


class Script:
    """A keyboard that types prepared lines."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = list(lines)

    async def read(self) -> str | None:
        return self._lines.pop(0) if self._lines else None


async def type_in(app: App, *lines: str, who: str = "Ana", color: bool = False) -> str:
    """Types lines into the console of a room; what the screen shows."""
    room = await app.directory.room(app.tenant, "hives", "hives")
    seat = Seat(
        Place("console", "hives", "hives"), await somebody(app, who), last_answer=await app.outbox.newest_answer(room)
    )

    async def newest(person: Person) -> str | None:
        found = await newest_of(app, room, person)
        return found.external_id if found else None

    async def count() -> int:
        return (await app.engine.span([room.id]))[0]

    async def named(name: str) -> Person:
        return await somebody(app, name)

    screen = io.StringIO()
    console = make_console(screen, width=80, color=color or None)
    port = ConsolePort(seat, Desk(named, newest, count), Script(lines), console, app.clock)
    dispatch = Dispatch(app, port)
    async for batch in port.events():
        for event in batch:
            await dispatch.handle(event)
        await app.engine.settle()  # the worker's part, so that each route finds what was said
    await port.close()
    return screen.getvalue()


async def texts(app: App, who: str = "Ana") -> list[str]:
    return [item["text"] for item in await results(app, "export", person=who) if item["kind"] == "message"]


class TestTalking:
    async def test_lines_are_messages_and_questions_are_answered(self, app: App) -> None:
        shown = await type_in(app, "the queen is red", "", "!weave what colour is the queen?")

        assert await texts(app) == ["the queen is red"]
        assert "[1] Ana" in shown
        assert "#1 " in shown
        assert "+👍 +👎 +⭐ teach the routing" in shown

    async def test_speaking_as_somebody_else(self, app: App) -> None:
        shown = await type_in(app, "/as Ben", "the smoker is lost", "/as")

        assert "You are Ben now." in shown
        assert "Who do you want to be?" in shown
        assert await texts(app, "Ben") == ["the smoker is lost"]

    async def test_a_first_name_is_enough_for_somebody_known(self, app: App) -> None:
        shown = await type_in(app, "/as Ben Cole", "hello", "/as Ana", "/as ben", "again")

        assert shown.endswith("You are Ben Cole now.\n")
        assert await texts(app, "Ben Cole") == ["hello", "again"]

    async def test_a_name_that_fits_several_is_refused_and_the_console_goes_on(self, app: App) -> None:
        shown = await type_in(app, "/as Ben Bell", "a", "/as Ben Cole", "b", "/as ben", "c")

        assert "Ben Bell" in shown
        assert "use one of the ids" in shown
        assert await texts(app, "Ben Cole") == ["b", "c"]

    async def test_say_says_what_would_be_a_command(self, app: App) -> None:
        await type_in(app, "/say +1", "/say")

        assert await texts(app) == ["+1"]

    async def test_quit_leaves(self, app: App) -> None:
        await type_in(app, "one", "/quit", "two")

        assert await texts(app) == ["one"]

    async def test_help_of_the_room_ends_with_what_the_console_can_do(self, app: App) -> None:
        assert "/edit TEXT" in await type_in(app, "!weave help")
        assert "In this console" in await type_in(app, "/help")

    async def test_what_steers_a_terminal_is_not_shown(self, app: App) -> None:
        shown = await type_in(app, "the queen \x1b[2J\x1b]0;owned\x07 is red", "!weave queen?")

        assert "\x1b" not in shown
        assert "\x07" not in shown


class TestReacting:
    async def test_to_the_last_answer(self, app: App) -> None:
        shown = await type_in(app, "the queen is red", "!weave queen?", "!weave red?", "-1")

        assert "noted: " in shown
        assert (await result(app, "stats"))["votes"] == 1

    async def test_to_an_earlier_answer_by_its_number(self, app: App) -> None:
        await type_in(app, "the queen is red", "!weave queen?", "!weave red?", "+👍 1", "+⭐ 2")

        assert (await result(app, "stats"))["votes"] == 2

    async def test_after_a_restart_to_the_last_answer_of_the_room(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path) as app:
            await type_in(app, "the queen is red", "!weave queen?", "+👎")
        async with open_bot(tmp_path) as app:
            shown = await type_in(app, "-👎", "+⭐")
            assert "taken back" in shown
            assert "noted" in shown

    async def test_taking_it_back(self, app: App) -> None:
        shown = await type_in(app, "the queen is red", "!weave queen?", "+1", "undo +1", "*", "-1", "undo", "undo")

        assert shown.count("taken back") == 3
        assert (await result(app, "stats"))["votes"] == 0

    async def test_with_nothing_to_take_back(self, app: App) -> None:
        shown = await type_in(app, "undo", "the queen is red", "!weave queen?", "-👍")

        assert "You have reacted to nothing yet" in shown
        assert "That reaction is not there." in shown

    async def test_before_any_answer(self, app: App) -> None:
        assert "There is no answer to react to yet" in await type_in(app, "+👍")

    async def test_to_an_answer_that_there_is_not(self, app: App) -> None:
        assert "There is no such answer" in await type_in(app, "the queen is red", "!weave queen?", "+👍 9")

    async def test_picking_a_source(self, app: App) -> None:
        assert "source 1 is the one" in await type_in(app, "the queen is red", "!weave queen?", "pick 1")

    async def test_a_source_that_the_answer_does_not_have_is_told_and_changes_nothing(self, app: App) -> None:
        shown = await type_in(app, "the queen is red", "!weave queen?", "pick 9", "pick 30", "+9")

        assert "That answer has 1 source, so 9️⃣ picks none." in shown
        assert "sources are picked by their number, 1 to 9" in shown
        assert "+9 is no reaction" in shown
        assert "/say says it to the room" in shown
        numbers = await result(app, "stats")
        assert (numbers["votes"], numbers["messages"]) == (0, 1)

    async def test_a_first_vote_down_asks_what_was_expected_and_a_star_is_kept(self, app: App) -> None:
        shown = await type_in(app, "the queen is red", "!weave queen?", "-1", "*", "-1 1")

        assert shown.count("Whoever just voted #1 down: what did you expect?") == 1
        assert "`" not in shown
        assert "pick 2 says which" in shown
        assert "📌 #1 is kept for the week's digest" in shown

    async def test_everybody_has_a_vote_of_their_own(self, app: App) -> None:
        await type_in(app, "the queen is red", "!weave queen?", "+👍", "/as Ben", "+👍")

        assert (await result(app, "stats"))["votes"] == 2


class TestAmending:
    async def test_the_last_message_is_edited(self, app: App) -> None:
        shown = await type_in(app, "one", "two", "/edit three")

        assert "Changed" in shown
        assert await texts(app) == ["one", "three"]

    async def test_the_last_message_is_deleted(self, app: App) -> None:
        await type_in(app, "one", "two", "/delete")

        assert await texts(app) == ["one"]

    async def test_also_after_a_restart(self, tmp_path: Path) -> None:
        async with open_bot(tmp_path) as app:
            await type_in(app, "one")
        async with open_bot(tmp_path) as app:
            await type_in(app, "/edit two")
            assert await texts(app) == ["two"]

    async def test_an_edit_needs_a_text_and_a_message(self, app: App) -> None:
        shown = await type_in(app, "/edit", "/edit two", "/delete")

        assert "/edit TEXT" in shown
        assert shown.count("You have written nothing here yet.") == 2


class TestTheScreen:
    async def test_a_pipe_gets_plain_text(self, app: App) -> None:
        assert "\x1b[" not in await type_in(app, "the queen is red", "!weave queen?")

    async def test_a_terminal_gets_colours_and_room(self, app: App) -> None:
        shown = await type_in(app, "the queen is red", "!weave queen?", color=True)

        assert "\x1b[" in shown
        assert "\n\x1b[0m" not in shown.split("red")[0]

    async def test_something_said_in_passing_is_no_answer(self, app: App) -> None:
        seat = Seat(Place("console", "hives", "hives"), await somebody(app, "Ana"))
        port = ConsolePort(seat, NO_DESK, Script([]), make_console(io.StringIO()), app.clock)

        event_id = await port.send(Reply(seat.place, page("hello")), transaction="t")

        assert event_id.startswith("said-")
        assert seat.last_answer is None


async def _nobody(_name: str) -> Person:
    raise NotImplementedError


async def _no_message(_person: Person) -> str | None:
    return None


async def _zero() -> int:
    return 0


NO_DESK = Desk(_nobody, _no_message, _zero)


class TestThePipe:
    @asynccontextmanager
    async def piped(self, data: bytes) -> AsyncIterator[PipeKeyboard]:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as stream:
            os.write(writing, data)
            os.close(writing)
            yield PipeKeyboard(stream)

    async def test_it_gives_lines_and_ends_with_its_input(self) -> None:
        async with self.piped("één\r\ntwo\n\nlast".encode()) as keyboard:
            assert [await keyboard.read() for _ in range(5)] == ["één", "two", "", "last", None]

    async def test_bytes_that_are_no_text_do_not_stop_it(self) -> None:
        async with self.piped(b"\xff\xfe\nok\n") as keyboard:
            assert [await keyboard.read() for _ in range(2)] == ["\ufffd\ufffd", "ok"]

    async def test_a_file_may_stand_for_a_pipe(self, tmp_path: Path) -> None:
        (tmp_path / "said").write_text("one\ntwo\n")
        with (tmp_path / "said").open("rb") as stream:
            keyboard = PipeKeyboard(stream)
            assert [await keyboard.read() for _ in range(3)] == ["one", "two", None]


class TestThePrompt:
    async def test_it_reads_a_line_and_leaves_on_control_d_and_control_c(self, app: App) -> None:
        seat = Seat(Place("console", "hives", "hives"), await somebody(app, "Ana"))
        for leaving in ("\x04", "\x03"):
            with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
                keyboard = PromptKeyboard(seat, RoomCompleter("!weave", []), prefix="!weave")
                typed.send_text("hello\r")
                assert await keyboard.read() == "hello"
                typed.send_text(leaving)
                assert await keyboard.read() is None

    async def test_the_line_below_it_tells_where_one_is(self, app: App) -> None:
        seat = Seat(Place("console", "hives", "hives"), await somebody(app, "Ana"), remembered=1234)
        with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
            keyboard = PromptKeyboard(seat, RoomCompleter("!weave", []), prefix="!weave")
            told = "".join(part[1] for part in keyboard.toolbar())

        assert "hives" in told
        assert "Ana" in told
        assert "1,234 messages remembered" in told


class TestCompletion:
    def complete(self, typed: str) -> list[str]:
        completer = RoomCompleter("!weave", [("stats", "numbers"), ("settings", "this room's")])
        return [one.text for one in completer.get_completions(Document(typed), CompleteEvent())]

    def test_commands_reactions_and_orders_are_completed(self) -> None:
        assert self.complete("!weave st") == ["!weave stats"]
        assert "+👍" in self.complete("+")
        assert self.complete("/e") == ["/edit "]

    def test_ordinary_words_are_left_alone(self) -> None:
        assert self.complete("hello") == []
        assert self.complete("") == []


class TestWhatItCan:
    def test_it_promises_what_it_does(self) -> None:
        assert CAPABILITIES.tells_votes
        assert not CAPABILITIES.files
