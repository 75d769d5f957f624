"""What a typed line means in the console."""

from __future__ import annotations

import pytest

from bot.adapters.console_input import Order, React, Say, Undo, Wrong, read


class TestReactions:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("+👍", React("👍")),
            ("+👎", React("👎")),
            ("+⭐", React("⭐")),
            ("+⭐️", React("⭐️")),
            ("+👍🏽", React("👍🏽")),
            ("+1", React("👍")),
            ("-1", React("👎")),
            ("*", React("⭐")),
            ("+1 3", React("👍", 3)),
            ("+👍 #12", React("👍", 12)),
            ("* 2", React("⭐", 2)),
            ("-👍", React("👍", remove=True)),
            ("-👍 4", React("👍", 4, remove=True)),
            ("undo +1", React("👍", remove=True)),
            ("undo -1 2", React("👎", 2, remove=True)),
            ("undo *", React("⭐", remove=True)),
            ("undo +👍", React("👍", remove=True)),
            ("/undo 👍", React("👍", remove=True)),
            ("undo", Undo()),
            ("pick 2", React("2\ufe0f\u20e3")),
            ("pick 3 of 7", React("3\ufe0f\u20e3", 7)),
            ("+3️⃣", React("3️⃣")),
        ],
    )
    def test_they_are_read(self, typed: str, meant: object) -> None:
        assert read(typed) == meant


class TestMessages:
    @pytest.mark.parametrize(
        "typed",
        [
            "hello",
            "👍",
            "+49 170 1234567",
            "+é",
            "+ 👍",
            "-10 degrees tonight",
            "- a list item",
            "* a list item",
            "undo that please",
            "undo it",
            "pick 2 apples",
            "/path/to/file",
            "!weave who?",
            "+",
            "-",
            "+1 from me",
            "שלום",
        ],
    )
    def test_ordinary_lines_stay_messages(self, typed: str) -> None:
        assert read(typed) == Say(typed)

    def test_blanks_around_a_line_are_cut(self) -> None:
        assert read("  hello \n") == Say("hello")

    @pytest.mark.parametrize("typed", ["", "  ", "\n"])
    def test_an_empty_line_means_nothing(self, typed: str) -> None:
        assert read(typed) is None


class TestWhatLooksLikeAReaction:
    @pytest.mark.parametrize("typed", ["+9", "-3", "+30", "+0"])
    def test_a_number_behind_a_sign_is_told_what_reactions_are(self, typed: str) -> None:
        meant = read(typed)
        assert isinstance(meant, Wrong)
        assert f"`{typed}` is no reaction" in meant.words

    @pytest.mark.parametrize("typed", ["pick 30", "pick 0", "/pick 12 of 3", "PICK 99", "pick 10 of #4"])
    def test_a_pick_of_no_source_is_told_which_there_are(self, typed: str) -> None:
        meant = read(typed)
        assert isinstance(meant, Wrong)
        assert "1 to 9" in meant.words


class TestOrders:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("/edit new text here", Order("edit", "new text here")),
            ("/delete", Order("delete")),
            ("/as Ana Ferreira", Order("as", "Ana Ferreira")),
            ("/say +1", Order("say", "+1")),
            ("/HELP", Order("help")),
            ("/quit", Order("quit")),
            ("/exit", Order("quit")),
            ("/q", Order("quit")),
        ],
    )
    def test_they_are_read(self, typed: str, meant: Order) -> None:
        assert read(typed) == meant
