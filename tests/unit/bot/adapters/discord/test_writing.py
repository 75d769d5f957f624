"""Pages as Discord's Markdown."""

from __future__ import annotations

from bot.adapters.discord.writing import escape, markdown, messages
from bot.pages import CODE, FAINT, GOOD, MARK, STRONG, line, page
from bot.render import hint_line, typed


class TestWords:
    def test_what_people_wrote_cannot_format_mention_or_link(self) -> None:
        hostile = "# head\n> quote\n- item\n1. one\n-# small\n**b** _i_ ~~s~~ ||x|| `c` [l](https://x.y) <@1> <#2>"
        shown = markdown(page(*hostile.split("\n")), team="1")
        assert shown == (
            "\\# head\n\\> quote\n\\- item\n1\\. one\n\\-# small\n"
            "\\*\\*b\\*\\* \\_i\\_ \\~\\~s\\~\\~ \\|\\|x\\|\\| \\`c\\` \\[l\\](<https://x.y>) \\<@1\\> \\<#2\\>"
        )

    def test_addresses_stay_whole_and_show_no_preview(self) -> None:
        assert escape("see https://a.b/c_d*e?f=g, ok") == "see <https://a.b/c_d*e?f=g>, ok"

    def test_what_can_be_typed_is_code_and_cannot_break_out_of_it(self) -> None:
        assert markdown((line((CODE, "!weave `x`")),), team="1") == "`!weave 'x'`"


class TestLines:
    def test_a_source_links_to_its_message(self) -> None:
        source = line((MARK, "[1] "), (STRONG, "Ana"), (FAINT, ", Tue 12 May 16:04 — "), "“let's ship”")
        assert markdown((source,), team="55", sources=["66-77"]) == (
            "1. [Ana, Tue 12 May 16:04](<https://discord.com/channels/55/66/77>) — “let's ship”"
        )

    def test_a_source_that_is_no_message_of_discord_is_named_without_a_link(self) -> None:
        source = line((MARK, "[1] "), (STRONG, "Ana"), (FAINT, ", 12 May — "), "“x”")
        assert markdown((source,), team="55", sources=["used-9"]) == "1. Ana, 12 May — “x”"
        assert markdown((source,), team="55") == "1. Ana, 12 May — “x”"

    def test_a_name_cannot_break_out_of_its_link(self) -> None:
        source = line((MARK, "[1] "), (STRONG, "A](<https://evil>) [x"), (FAINT, ", 12 May — "), "“x”")
        assert "](<https://evil" not in markdown((source,), team="5", sources=["6-7"])

    def test_how_sure_and_how_to_react_are_subtext(self) -> None:
        small = line((FAINT, "#1 "), (GOOD, "sure"), (FAINT, " · chat route · 0.94"))
        assert markdown((small,), team="1") == "-# #1 **sure** · chat route · 0.94"
        assert markdown((hint_line("React 👍; `!weave why` explains"),), team="1") == (
            "-# React 👍; `!weave why` explains"
        )

    def test_columns_stand_in_a_code_block(self) -> None:
        assert markdown(typed([("!weave", "asks"), ("!weave why", "explains")]), team="1") == (
            "```\n!weave      asks\n!weave why  explains\n```"
        )


class TestMeasure:
    def test_what_fits_is_one_message(self) -> None:
        assert messages(page("short"), team="1") == (["short"], True)

    def test_two_messages_hold_almost_4000_characters(self) -> None:
        texts, whole = messages(page(*["a" * 99] * 38), team="1")
        assert len(texts) == 2
        assert whole

    def test_more_is_cut_and_says_so(self) -> None:
        texts, whole = messages(page(*["a" * 99] * 60), team="1")
        assert not whole
        assert len(texts) == 2
        assert all(len(text) <= 2000 for text in texts)
        assert texts[1].endswith("the rest stands in the file")
