"""The context fits evidence into a budget."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from memory import context
from memory.models import Message
from tests.doubles import START


def count(text: str) -> int:
    return len(text.split())


def message(serial: int, text: str, days: int = 0) -> Message:
    at = START + timedelta(days=days, minutes=serial)
    return Message(serial, 1, f"e{serial}", 1, "Ana", text, at)


class TestBuilding:
    def test_messages_are_told_in_time_order_under_their_day(self) -> None:
        built = context.build([message(2, "second", days=1), message(1, "first")], 100, count)
        assert built.text.splitlines() == ["Mon 2 Mar 2026", "Ana: first", "Tue 3 Mar 2026", "Ana: second"]
        assert (built.serials, built.left_out) == ((2, 1), 0)

    @pytest.mark.parametrize("budget", [0, 1, 5, 12, 20, 40, 80, 160])
    def test_the_budget_is_kept_and_counted(self, budget: int) -> None:
        built = context.build([message(i, "word " * (5 * i)) for i in range(1, 9)], budget, count)
        assert built.tokens == count(built.text) <= budget

    def test_the_best_are_chosen_first(self) -> None:
        built = context.build([message(9, "best"), message(1, "second best"), message(2, "rest " * 50)], 16, count)
        assert built.serials == (9, 1)
        assert built.text.endswith("(… 1 more left out)")

    def test_a_long_message_is_cut_at_a_word_and_marked(self) -> None:
        built = context.build([message(1, "word " * 500)], 60, count)
        assert built.text.endswith("word …")
        assert 50 < built.tokens <= 60

    def test_days_are_those_of_the_timezone(self) -> None:
        late = replace(message(1, "good night"), sent_at=datetime(2026, 3, 2, 23, 30, tzinfo=UTC))
        assert context.build([late], 60, count).text.startswith("Mon 2 Mar 2026")
        assert context.build([late], 60, count, zone=ZoneInfo("Europe/Berlin")).text.startswith("Tue 3 Mar 2026")

    def test_nothing_found_is_an_empty_context(self) -> None:
        assert context.build([], 100, count).text == ""

    def test_known_sizes_save_counting_and_change_nothing(self) -> None:
        ranked = [message(i, f"message number {i} of many") for i in range(1, 30)]
        counted: list[str] = []

        def counting(text: str) -> int:
            counted.append(text)
            return count(text)

        known = {one.serial: count(one.text) for one in ranked}
        assert context.build(ranked, 60, counting, known) == context.build(ranked, 60, count)
        assert not any("number" in text for text in counted[:-1]), "only the whole is counted in the end"
