"""What a message to the bot means."""

from __future__ import annotations

import pytest

from bot.addressing import addressed
from bot.commands import Given, Misfit, Question, Slip, identifier, statement
from bot.room_commands import TABLE


def read(text: str) -> object:
    return TABLE.read(text, "!weave")


def command(text: str) -> tuple[str, dict[str, object]]:
    given = read(text)
    assert isinstance(given, Given)
    return given.command.name, dict(given.arguments)


class TestWhatIsAddressedToUs:
    @pytest.mark.parametrize("text", ["!weave", "!weave hi", "  !WEAVE hi", "!weave\thi"])
    def test_the_prefix_as_a_word_of_its_own(self, text: str) -> None:
        assert addressed(text, "!weave") is not None

    @pytest.mark.parametrize("text", ["!weaver hi", "say !weave", "weave hi", "", "!weave-x"])
    def test_nothing_else(self, text: str) -> None:
        assert addressed(text, "!weave") is None


class TestCommands:
    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("!weave", ("help", {})),
            ("!weave help", ("help", {})),
            ("!weave help why", ("help", {"command": "why"})),
            ("!weave why", ("why", {})),
            ("!weave why 3", ("why", {"answer": 3})),
            ("!weave why #12", ("why", {"answer": 12})),
            ("!weave STATS", ("stats", {})),
            ("!weave digest", ("digest", {})),
            ("!weave digest off", ("digest", {"switch": "off"})),
            ("!weave remember the code is on the board", ("remember", {"text": "the code is on the board"})),
            ("!weave forget last", ("forget", {"what": "last"})),
            ("!weave forget me yes", ("forget", {"what": "me", "sure": "yes"})),
            ("!weave forget $abc:server", ("forget", {"what": "$abc:server"})),
            ("!weave forget m002", ("forget", {"what": "m002"})),
            ("!weave know me", ("know", {"what": "me"})),
            ("!weave export", ("export", {})),
            ("!weave settings digest_at friday 16:00", ("settings", {"name": "digest_at", "value": "friday 16:00"})),
            ("!weave optout", ("optout", {})),
        ],
    )
    def test_they_are_read(self, text: str, meant: tuple[str, dict[str, object]]) -> None:
        assert command(text) == meant

    @pytest.mark.parametrize(
        "text",
        [
            "why did we move the hives?",
            "digest of what Ana said",
            "stats about mites",
            "forget about the wasps",
            "know anything about queens?",
            "remember when we moved the hives?",
            "export taxes on honey",
            "settings of the extractor",
            "help me find the ladder",
            "forget wasps",
            "hives",
            "who has the key",
        ],
    )
    def test_what_does_not_fit_their_arguments_is_a_question(self, text: str) -> None:
        assert read(f"!weave {text}") == Question(text)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("settings limit abc", "no setting of a room 'limit'; there are listen, retention"),
            ("settings colour", "no setting of a room 'colour'"),
            ("promote nobody", "no policy 'nobody'; there are rules, thompson"),
            ("promote GREEDIER!", "no policy 'GREEDIER!'"),
            ("server retenton 90", "no setting 'retenton'"),
            ("promote " + "x" * 900, "no policy 'xxx"),
        ],
    )
    def test_what_can_hardly_be_a_question_is_told_what_would_fit(self, text: str, words: str) -> None:
        meant = read(f"!weave {text}")
        assert isinstance(meant, Misfit)
        assert words in meant.words
        assert len(meant.words) < 200

    @pytest.mark.parametrize(
        "text",
        [
            "settings limit?",
            "settings of the extractor",
            "promote whom?",
            "promote Ana to keeper",
            "server crashed yesterday",
            "server password",
        ],
    )
    def test_what_may_be_a_question_stays_one(self, text: str) -> None:
        assert read(f"!weave {text}") == Question(text)

    def test_ask_forces_a_question(self) -> None:
        assert read("!weave ask help") == Question("help")
        assert read("!weave ask why 3") == Question("why 3")

    @pytest.mark.parametrize("name", ["ask", "remember", "forget"])
    def test_a_command_alone_that_needs_more_is_incomplete(self, name: str) -> None:
        given = read(f"!weave {name}")

        assert isinstance(given, Given)
        assert not given.complete

    @pytest.mark.parametrize(("word", "meant"), [("hlep", "help"), ("stat", "stats"), ("diggest", "digest")])
    def test_a_slip_of_the_fingers_is_seen(self, word: str, meant: str) -> None:
        assert read(f"!weave {word}") == Slip(word, meant)

    def test_what_is_not_addressed_to_us_means_nothing(self) -> None:
        assert read("hello") is None


class TestTheTable:
    def test_every_example_is_read_as_its_command(self) -> None:
        for one in TABLE.commands.values():
            if one.name != "ask":
                assert command(f"!weave {one.example}")[0] == one.name

    def test_every_command_has_a_usage_that_fits_a_line(self) -> None:
        assert all(len(one.usage("!weave")) < 40 for one in TABLE.commands.values())

    def test_usages_show_what_may_be_left_out(self) -> None:
        assert TABLE.commands["digest"].usage("!weave") == "!weave digest [on|off]"
        assert TABLE.commands["remember"].usage("!weave") == "!weave remember TEXT"


class TestArguments:
    @pytest.mark.parametrize("text", ["", "is it?", "why؟"])
    def test_a_question_is_no_statement(self, text: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            statement(text)

    @pytest.mark.parametrize("word", ["", "wasps", "what?"])
    def test_a_word_is_no_id(self, word: str) -> None:
        with pytest.raises(ValueError, match=r".*"):
            identifier(word)
