"""Replies as the content of events."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.matrix.splitting import cut, size
from bot.adapters.matrix.writing import LARGEST, LONGEST, file, message
from bot.models import Label, Place, Reply
from bot.pages import STRONG, line, page, plain

PLACE = Place("matrix", "!room", "hives")


class TestAReply:
    def test_is_a_notice_that_mentions_nobody_and_names_its_answer(self) -> None:
        content, whole = message(Reply(PLACE, page("In the shed."), label=Label("a1", 7, "chat", "rules-1")))
        assert whole
        assert content == {
            "msgtype": "m.notice",
            "body": "In the shed.",
            "m.mentions": {},
            "org.weavebot.answer": {"answer_id": "a1", "number": 7, "route": "chat", "router": "rules-1"},
        }

    def test_that_replaces_says_it_in_both_places(self) -> None:
        content, _ = message(Reply(PLACE, page(line((STRONG, "In the shed."))), replaces="$0"))
        assert (content["body"], content["formatted_body"]) == ("* In the shed.", "* <strong>In the shed.</strong>")
        assert content["m.new_content"]["body"] == "In the shed."
        assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$0"}

    def test_in_a_thread_without_a_question_falls_back_on_its_root(self) -> None:
        content, _ = message(Reply(PLACE, page("Digest"), thread="$root"))
        assert content["m.relates_to"] == {
            "rel_type": "m.thread",
            "event_id": "$root",
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": "$root"},
        }

    def test_that_is_too_long_is_cut_and_says_so(self) -> None:
        content, whole = message(Reply(PLACE, page(*(["A sentence about bees. " * 10] * 200))))
        assert not whole
        assert content["body"].endswith("bees. \n… The rest stands in the file below.")
        assert size(content["body"]) <= LONGEST + 100

    @given(st.text(min_size=1, max_size=40), st.integers(1, 4_000), st.booleans())
    def test_always_fits_into_an_event(self, words: str, times: int, replaces: bool) -> None:  # noqa: FBT001 - drawn
        shown = page(line((STRONG, words * times)))
        content, _ = message(Reply(PLACE, shown, replaces="$0" if replaces else None))
        assert size(json.dumps(content)) <= LARGEST


class TestAFile:
    def test_is_encrypted_or_plain(self) -> None:
        reply = Reply(PLACE, page("Here."), in_reply_to="$q")
        open_one = file("export.jsonl", "mxc://x/y", None, 5, reply)
        assert (open_one["url"], open_one["filename"], open_one["info"]["size"]) == ("mxc://x/y", "export.jsonl", 5)
        closed = file("answer.txt", "mxc://x/y", {"v": "v2", "iv": "i"}, 5, reply)
        assert closed["file"] == {"v": "v2", "iv": "i", "url": "mxc://x/y"}
        assert "url" not in closed


class TestCutting:
    def test_what_fits_stays_whole(self) -> None:
        shown = page("one", "two")
        assert cut(shown, 100) == shown

    def test_ends_after_a_paragraph(self) -> None:
        shown = page("a" * 30, "b" * 30, "", "c" * 30, "d" * 30)
        assert cut(shown, 100) == page("a" * 30, "b" * 30)

    def test_ends_after_a_line_when_a_paragraph_would_waste_too_much(self) -> None:
        shown = page("a" * 10, "", "b" * 40, "c" * 40, "d" * 40)
        assert plain(cut(shown, 100)).endswith("c" * 40)

    def test_ends_after_a_sentence_of_a_line_that_is_too_long(self) -> None:
        shown = page("The hives moved. The bees did not! Nobody knows why they stayed.")
        assert plain(cut(shown, 45)) == "The hives moved. The bees did not!"

    def test_ends_after_a_word_when_there_is_no_sentence(self) -> None:
        assert plain(cut(page("bees " * 20), 33)) == "bees bees bees bees bees bees"

    def test_keeps_the_styles(self) -> None:
        assert cut(page(line((STRONG, "Ana: "), "In the shed. Or not.")), 19) == page(
            line((STRONG, "Ana: "), "In the shed.")
        )

    @given(st.lists(st.text(max_size=30), max_size=8), st.integers(0, 120))
    def test_never_exceeds_the_limit_and_is_a_beginning(self, lines: list[str], limit: int) -> None:
        shown = page(*(one.replace("\n", " ") for one in lines))
        kept = plain(cut(shown, limit))
        assert kept == plain(shown) or size(kept) <= max(limit, 0)
        assert plain(shown).startswith(kept)
