"""One form for each emoji, and what it says."""

from __future__ import annotations

import pytest

from routing.emoji import ALIASES, LLR, RATINGS, counts, means, normalise, pick
from routing.models import Emotion


class TestOneForm:
    @pytest.mark.parametrize("written", ["👍", "👍\ufe0f", "👍🏽", "👍🏿", " 👍 ", "+1", "+👍", ":+1:", ":thumbsup:"])
    def test_all_thumbs_up_are_one(self, written: str) -> None:
        assert normalise(written) == "👍"

    @pytest.mark.parametrize(
        ("written", "normal"),
        [
            ("*", "⭐"),
            ("-1", "👎"),
            ("❤️", "❤"),
            ("✔️", "✔"),
            ("🙅🏻‍♀️", "🙅"),
            ("+⭐", "⭐"),
            (":STAR:", "⭐"),
            ("1️⃣", "1⃣"),
        ],
    )
    def test_others_have_theirs(self, written: str, normal: str) -> None:
        assert normalise(written) == normal

    @pytest.mark.parametrize("custom", [":party_parrot:", "", "hello", "++", "<:bee:123>"])
    def test_what_is_unknown_stays_as_it_is_and_says_nothing(self, custom: str) -> None:
        assert normalise(custom) == custom
        assert means(custom) is None
        assert not counts(custom)

    def test_normalising_twice_changes_nothing(self) -> None:
        for written in (*LLR, *ALIASES):
            assert normalise(normalise(written)) == normalise(written)


class TestEvidence:
    def test_stars_weigh_more_than_thumbs_and_thumbs_more_than_hearts(self) -> None:
        assert LLR["⭐"] > LLR["👍"] > LLR["❤"] > 0 > LLR["🤔"] > LLR["👎"] > LLR["⛔"]

    def test_every_rating_counts_and_is_in_its_one_form(self) -> None:
        assert all(counts(emoji) and normalise(emoji) == emoji for emoji in RATINGS)

    @pytest.mark.parametrize("emoji", ["👀", "🔖", "⏳", "🐌"])
    def test_attention_rates_nothing(self, emoji: str) -> None:
        assert means(emoji) is Emotion.ATTENTION
        assert not counts(emoji)


class TestPicks:
    @pytest.mark.parametrize(("emoji", "number"), [("1️⃣", 1), ("2⃣", 2), ("9️⃣", 9), ("🔟", 10)])
    def test_a_keycap_picks_a_citation_and_rates_nothing(self, emoji: str, number: int) -> None:
        assert pick(normalise(emoji)) == number
        assert means(normalise(emoji)) is Emotion.PICK
        assert not counts(normalise(emoji))

    @pytest.mark.parametrize("emoji", ["👍", "0️⃣", "1", "#️⃣"])
    def test_nothing_else_does(self, emoji: str) -> None:
        assert pick(normalise(emoji)) is None
