"""The table of operations takes what fits and refuses the rest."""

from __future__ import annotations

import pytest

from bot.app import App
from bot.operations import TABLE, perform
from memory.errors import BadInput, NotFound
from tests.unit.bot.rooms import run

pytestmark = pytest.mark.embedded


class TestTheTable:
    async def test_an_operation_that_there_is_not_is_refused(self, app: App) -> None:
        with pytest.raises(NotFound, match="no operation 'explode'"):
            await run(app, "explode")

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({}, "question is missing"),
            ({"question": 1}, "question: should be a valid string"),
            ({"question": "x", "limit": "5"}, "limit: should be a valid integer"),
            ({"question": "x", "colour": "red"}, "colour: extra inputs are not permitted"),
        ],
    )
    async def test_arguments_that_do_not_fit_are_named(
        self, app: App, arguments: dict[str, object], reason: str
    ) -> None:
        with pytest.raises(BadInput, match=reason):
            await run(app, "ask", **arguments)

    def test_one_that_reads_wants_lines(self, app: App) -> None:
        with pytest.raises(BadInput, match="needs the lines of a file"):
            perform(app, "import", {})

    def test_those_that_take_long_serve_others_meanwhile(self) -> None:
        serving = {name for name, one in TABLE.items() if one.long}

        assert serving == {"import", "ask_batch", "react_batch", "reindex", "queue", "reflect", "job"}
