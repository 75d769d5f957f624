"""What a command shows: objects on stdout, the rest on stderr."""

from __future__ import annotations

import io
import json
import sys

import pytest

from bot.events import note, progress, result, status
from bot.pages import GOOD, MARK, line, page
from bot.streams import murmur, prepare_streams
from bot.terminal import Screen, lay_out, make_console, to_text


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class TestAScreen:
    def test_json_is_one_object_a_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        screen = Screen(as_json=True)
        screen.show(result({"a": "ü"}, page("words")))
        screen.show(result({"b": 1}))
        screen.close()

        assert [json.loads(one) for one in capsys.readouterr().out.splitlines()] == [{"a": "ü"}, {"b": 1}]

    def test_people_see_the_page(self, capsys: pytest.CaptureFixture[str]) -> None:
        Screen(as_json=False).show(result({"a": 1}, page("words", line((GOOD, "green")))))

        assert capsys.readouterr().out == "words\ngreen\n"

    def test_without_a_page_they_see_the_object(self, capsys: pytest.CaptureFixture[str]) -> None:
        Screen(as_json=False).show(result({"a": 1}))

        assert capsys.readouterr().out == '{"a": 1}\n'

    def test_notes_and_errors_go_to_stderr(self, capsys: pytest.CaptureFixture[str]) -> None:
        screen = Screen(as_json=True)
        screen.show(note("line 7: bad \x1b[2J"))
        screen.show({"error": "There is no room.", "status": 1})

        out, err = capsys.readouterr()
        assert out == ""
        assert err == "weavebot: line 7: bad [2J\nweavebot: There is no room.\n"
        assert screen.status == 1

    def test_a_status_is_kept(self) -> None:
        screen = Screen(as_json=True)
        screen.show(status(1))

        assert screen.status == 1

    def test_a_pipe_gets_no_bars(self, capsys: pytest.CaptureFixture[str]) -> None:
        screen = Screen(as_json=False)
        screen.show(progress("reading", 1, 2))
        screen.close()

        assert capsys.readouterr() == ("", "")

    def test_a_terminal_gets_bars_that_go_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = Terminal()
        monkeypatch.setattr(sys, "stderr", seen)
        screen = Screen(as_json=False)
        screen.measure = lambda: (50, 100)
        screen.show(progress("reading", 1234, None))
        screen.show(progress("indexing", 3, 4))
        screen.close()
        screen.close()

        drawn = seen.getvalue()
        assert "1,234" in drawn
        assert "3 of 4" in drawn

    def test_a_terminal_gets_colours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = Terminal()
        monkeypatch.setattr(sys, "stdout", seen)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        Screen(as_json=False).show(result({}, page(line((GOOD, "green")))))

        assert "\x1b[32mgreen" in seen.getvalue()


class TestStreams:
    def test_half_a_character_is_written_escaped_as_json_reads_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
        prepare_streams()
        Screen(as_json=True).show(result({"text": "é\ud800👍"}))

        assert json.loads(raw.getvalue()) == {"text": "é\ud800👍"}

    def test_a_murmur_is_gone_afterwards(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = Terminal()
        monkeypatch.setattr(sys, "stderr", seen)
        with murmur("opening"):
            pass

        assert seen.getvalue() == "opening\r\x1b[K"

    def test_in_a_pipe_nobody_murmurs(self, capsys: pytest.CaptureFixture[str]) -> None:
        with murmur("opening"):
            pass

        assert capsys.readouterr().err == ""


class TestText:
    def test_markup_in_peoples_words_is_only_words(self) -> None:
        sink = io.StringIO()
        make_console(sink, width=80).print(to_text(page("[red]not red[/red] :smile: http://example")))

        assert sink.getvalue() == "[red]not red[/red] :smile: http://example\n"

    def test_what_is_wrapped_of_a_source_stands_below_its_words(self) -> None:
        sink = io.StringIO()
        console = make_console(sink, width=20)
        console.print(lay_out(console, page(line((MARK, "[1] "), "one two three four five"), "plain words"), indent=2))

        assert [one.rstrip() for one in sink.getvalue().splitlines()] == [
            "  [1] one two",
            "      three four",
            "      five",
            "  plain words",
        ]
