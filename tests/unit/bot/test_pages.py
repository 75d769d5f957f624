"""Pages show people's words and nothing that the words could do."""

from __future__ import annotations

import pytest

from bot.pages import (
    CODE,
    FAINT,
    HEAD,
    MARK,
    STRONG,
    line,
    markdown,
    one_line,
    page,
    page_html,
    paragraphs,
    plain,
    safe,
    sentence,
)


class TestSafety:
    @pytest.mark.parametrize("sign", ["\x1b", "\x00", "\x07", "\x9b", "\u202e", "\u2066", "\ud800", "\x08"])
    def test_what_steers_a_terminal_or_turns_the_text_is_cut(self, sign: str) -> None:
        assert safe(f"a{sign}b") == "ab"

    def test_right_to_left_words_and_emoji_stay(self) -> None:
        assert safe("שלום 👩‍🌾 سلام") == "שלום 👩‍🌾 سلام"

    def test_a_carriage_return_cannot_overwrite_a_line(self) -> None:
        assert safe("a\rb\r\nc") == "a\nb\nc"


class TestForms:
    def test_plain_text_is_the_words_alone(self) -> None:
        assert plain(page(line("a ", (STRONG, "b")), "c")) == "a b\nc"

    def test_a_page_survives_the_socket_as_lists(self) -> None:
        assert plain([[["strong", "a"], ["", "b"]]]) == "ab"

    def test_markdown_marks_styles_and_escapes_words(self) -> None:
        shown = markdown(page(line((STRONG, "*x* "), (FAINT, "y"), (CODE, "a`b"), "[z](http://e)")))

        assert shown == r"**\*x\*** _y_`a'b`\[z\](http://e)"

    def test_paragraphs_keep_their_lines(self) -> None:
        assert plain(paragraphs("a\n\nb")) == "a\n\nb"


class TestShortening:
    def test_a_quote_is_one_line_cut_at_a_word(self) -> None:
        assert one_line("one two\nthree four", 12) == "one two…"

    def test_a_word_without_end_is_cut_anywhere(self) -> None:
        assert one_line("x" * 50, 10) == "x" * 9 + "…"

    def test_a_short_text_is_left_alone(self) -> None:
        assert one_line(" a  b ", 10) == "a b"

    def test_a_sentence_has_a_capital_and_an_end(self) -> None:
        assert sentence("there is no room") == "There is no room."
        assert sentence("Is it?") == "Is it?"


class TestHtml:
    def test_styles_are_tags_and_words_are_escaped(self) -> None:
        shown = page(line((STRONG, "<b>"), (FAINT, "a & b"), " plain"), line(), line((CODE, "!weave why")))
        assert page_html(shown) == "<strong>&lt;b&gt;</strong><em>a &amp; b</em> plain<br><br><code>!weave why</code>"

    def test_columns_stand_as_they_are_typed(self) -> None:
        shown = page("Routes", line((HEAD, "route    votes")), "chat        12", "", "That is all.")
        assert page_html(shown) == ("Routes<pre><code>route    votes\nchat        12</code></pre><br>That is all.")

    def test_two_spaces_in_one_line_make_no_columns(self) -> None:
        assert page_html(page("Well.  Indeed.", "Yes.")) == "Well.  Indeed.<br>Yes."

    def test_a_link_of_somebody_is_only_words(self) -> None:
        said = "<a href='https://evil.example'>click</a>"
        assert "<a" not in page_html(page(line((STRONG, said), said)))


class TestLinks:
    def test_lead_from_a_mark_and_from_nothing_that_people_wrote(self) -> None:
        shown = page(line("So it is. ", (MARK, "[1]")), line((MARK, "[1] "), (STRONG, "Ana [1]"), "[1]"), line("[2]"))
        assert page_html(shown, {"[1]": "https://example.org/?a&b", "[2]": "https://example.org/2"}) == (
            'So it is. <a href="https://example.org/?a&amp;b">[1]</a><br>'
            '<a href="https://example.org/?a&amp;b">[1]</a> <strong>Ana [1]</strong>[1]<br>[2]'
        )

    def test_stand_in_columns_too(self) -> None:
        shown = page(line((MARK, "[1] "), "a  id 1"), line((MARK, "[2] "), "b  id 2"))
        assert page_html(shown, {"[2]": "x:"}) == '<pre><code>[1] a  id 1\n<a href="x:">[2]</a> b  id 2</code></pre>'

    def test_nowhere_is_no_link(self) -> None:
        assert page_html(page(line((MARK, "[1]"), (FAINT, " ")))) == "[1] "
