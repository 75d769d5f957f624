"""A chat's history comes in once, whatever its lines are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.app import App
from bot.importing import parse_line
from memory.errors import BadInput
from tests.unit.bot.rooms import batch, history, result, results, run

pytestmark = pytest.mark.embedded

LINE = {"id": "1", "room": "hives", "author": "Ana", "text": "hello", "sent_at": "2026-03-02T09:00:00Z"}


def line(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**LINE, **changes}.items() if value is not ...}).encode()


class TestALine:
    def test_it_is_a_message(self) -> None:
        message = parse_line(line(reply_to="0"))

        assert message is not None
        assert (message.id, message.author, message.text, message.reply_to) == ("1", "Ana", "hello", "0")

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("2026-03-02T09:00:00Z", datetime(2026, 3, 2, 9, tzinfo=UTC)),
            ("2026-03-02T09:00:00", datetime(2026, 3, 2, 9, tzinfo=UTC)),
            ("2026-03-02 11:00:00+02:00", datetime(2026, 3, 2, 9, tzinfo=UTC)),
            ("20260302T090000Z", datetime(2026, 3, 2, 9, tzinfo=UTC)),
            ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        ],
    )
    def test_a_time_is_taken_to_utc(self, written: str, meant: datetime) -> None:
        message = parse_line(line(sent_at=written))

        assert message is not None
        assert message.sent_at == meant

    @pytest.mark.parametrize("raw", [b"", b"\n", b"   \r\n", b"\xef\xbb\xbf\n"])
    def test_an_empty_one_is_nothing(self, raw: bytes) -> None:
        assert parse_line(raw) is None

    def test_a_byte_order_mark_and_other_keys_are_passed_over(self) -> None:
        message = parse_line(b"\xef\xbb\xbf" + line(colour="red"))

        assert message is not None
        assert message.id == "1"

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (b"nonsense", "not JSON .*column 1"),
            (b'{"id": ', "not JSON"),
            (b"[1]", "not a JSON object"),
            (b'"x"', "not a JSON object"),
            (b"\xff\xfe{", "not UTF-8 .byte 1"),
            (b"[" * 100_000, "not JSON that can be read"),
            (b'{"id": 1' + b"0" * 5000 + b"}", "not JSON that can be read"),
            (line(id=...), "id is missing"),
            (line(author=...), "author is missing"),
            (line(text=...), "text is missing"),
            (line(sent_at=...), "sent_at is missing"),
            (line(id=7), "id: should be a valid string"),
            (line(text=None), "text: should be a valid string"),
            (line(author=["Ana"]), "author: should be a valid string"),
            (line(id=""), "id: .*at least 1 character"),
            (line(author="  "), "author: is blank"),
            (line(id="x" * 256), "id: .*at most 255"),
            (line(sent_at="yesterday"), "sent_at: not an ISO 8601 time"),
            (line(sent_at=1714550000), "sent_at: write the time as an ISO 8601 string"),
            (line(sent_at="0001-01-01T00:00:00+10:00"), "sent_at: not an ISO 8601 time"),
            (line(reply_to=3), "reply_to: should be a valid string"),
        ],
    )
    def test_what_is_wrong_is_said(self, raw: bytes, reason: str) -> None:
        with pytest.raises(BadInput, match=reason):
            parse_line(raw)

    def test_the_reason_does_not_hold_the_message(self) -> None:
        with pytest.raises(BadInput) as caught:
            parse_line(line(sent_at="the secret plan"))

        assert "secret" not in str(caught.value)


class TestAnImport:
    async def test_every_line_is_remembered_and_findable(self, app: App) -> None:
        told = await result(app, "import", batch(*history(("Ana", "the queen is red"), ("Ben", "the smoker is lost"))))

        assert (told["imported"], told["already_known"], told["rejected"]) == (2, 0, 0)
        answer = await result(app, "ask", question="where is the smoker?", room="hives")
        assert answer["citations"][0]["message_id"] == "h2"

    async def test_again_it_changes_nothing(self, app: App) -> None:
        lines = history(("Ana", "one"), ("Ben", "two"))
        await run(app, "import", batch(*lines))

        told = await result(app, "import", batch(*lines))

        assert (told["imported"], told["already_known"]) == (0, 2)

    async def test_a_bad_line_is_reported_with_its_number_and_the_rest_goes_on(self, app: App) -> None:
        good = history(("Ana", "one"), ("Ben", "two"))

        events = await run(app, "import", batch(good[0], b"\n", b"garbage\n", good[1]))

        notes = [event["note"] for event in events if "note" in event]
        told = events[-1]["result"]
        assert notes == ["line 3: not JSON (Expecting value, column 1)"]
        assert (told["imported"], told["rejected"]) == (2, 1)
        assert told["rejections"] == [{"line": 3, "reason": "not JSON (Expecting value, column 1)"}]

    async def test_numbers_go_on_over_batches(self, app: App) -> None:
        async def lines() -> Any:
            yield history(("Ana", "one"))
            yield [b"garbage"]

        told = await result(app, "import", lines())

        assert told["rejections"][0]["line"] == 2

    async def test_nothing_but_bad_lines_fails(self, app: App) -> None:
        events = await run(app, "import", batch(b"garbage"))

        assert events[-1] == {"status": 1}

    async def test_the_given_room_holds_whatever_the_lines_say(self, app: App) -> None:
        await run(app, "import", batch(*history(("Ana", "one")), line(id="2", room=...)), room="club")

        assert (await result(app, "stats", room="club"))["messages"] == 2
        assert [room.name for room in await app.directory.rooms(app.tenant)] == ["club"]

    async def test_a_line_without_a_room_is_rejected(self, app: App) -> None:
        told = await result(app, "import", batch(line(room=...)))

        assert told["rejections"][0]["reason"] == "room is missing (or give --room NAME)"

    async def test_rooms_are_kept_apart(self, app: App) -> None:
        await run(app, "import", batch(line(room="a"), line(room="b")))

        assert (await result(app, "stats", room="a"))["messages"] == 1
        assert (await result(app, "stats"))["messages"] == 2

    async def test_what_was_said_to_the_bot_is_kept_out(self, app: App) -> None:
        told = await result(app, "import", batch(line(text="!weave who is the queen?"), line(id="2")))

        assert (told["imported"], told["kept_out"]) == (1, 1)

    async def test_what_was_forgotten_stays_out(self, app: App) -> None:
        lines = history(("Ana", "one"), ("Ben", "two"))
        await run(app, "import", batch(*lines))
        await run(app, "forget", message="h1")

        told = await result(app, "import", batch(*lines))

        assert (told["imported"], told["already_known"], told["kept_out"]) == (0, 1, 1)

    @pytest.mark.parametrize("text", ["x" * (1 << 20), "\x00\x07 bell", "שלום עולם", "👩‍🌾🐝", "\ud800 half"])
    async def test_unusual_texts_come_in(self, app: App, text: str) -> None:
        assert (await result(app, "import", batch(line(text=text))))["imported"] == 1

    @pytest.mark.parametrize("text", ["", "  \n ", "x" * ((1 << 20) + 1)])
    async def test_empty_and_endless_texts_do_not(self, app: App, text: str) -> None:
        assert (await results(app, "import", batch(line(text=text))))[0]["rejected"] == 1

    async def test_a_line_that_is_too_long_is_rejected(self, app: App) -> None:
        told = await result(app, "import", batch(b"x" * ((8 << 20) + 1)))

        assert told["rejections"][0]["reason"] == "the line is longer than 8 MiB"

    async def test_it_tells_how_far_it_is(self, app: App) -> None:
        events = await run(app, "import", batch(*history(("Ana", "one"), ("Ben", "two"))))

        stages = [event["progress"] for event in events if "progress" in event]
        assert stages[0] == {"stage": "reading", "done": 2, "total": None}
        assert {"stage": "indexing", "done": 2, "total": 2} in stages
        assert stages[-1] == {"stage": "reflecting", "done": 2, "total": 2}
