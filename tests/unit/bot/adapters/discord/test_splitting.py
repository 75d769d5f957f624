"""A long text becomes messages that Discord takes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.discord.splitting import FENCE, length, split

WORDS = st.text(alphabet="abc.!? \n🐝é", max_size=1500)
BLOCKS = st.lists(
    st.one_of(WORDS, WORDS.map(lambda text: f"{FENCE}py\n{text.replace('`', '')}\n{FENCE}")), max_size=6
).map("\n".join)


@given(BLOCKS, st.integers(min_value=60, max_value=300))
def test_each_piece_fits_and_is_not_empty_and_its_code_blocks_are_whole(text: str, limit: int) -> None:
    for piece in split(text, limit):
        assert length(piece) <= limit
        assert piece.strip()
        assert sum(line.lstrip().startswith(FENCE) for line in piece.split("\n")) % 2 == 0


@given(BLOCKS, st.integers(min_value=60, max_value=300))
def test_no_word_is_lost_or_said_twice(text: str, limit: int) -> None:
    def letters(of: str) -> str:
        return "".join(re.findall(r"[abc🐝é.!?]", re.sub(r"(?m)^\s*```\w*$", "", of)))

    assert letters("\n".join(split(text, limit))) == letters(text)


def test_a_text_that_fits_stays_as_it_is() -> None:
    assert split("a\n\nb") == ["a\n\nb"]


def test_it_is_cut_at_a_paragraph_before_a_line_before_a_sentence_before_a_word() -> None:
    assert split("a" * 60 + "\n\n" + "b" * 30 + "\n" + "c" * 30, 100) == ["a" * 60, "b" * 30 + "\n" + "c" * 30]
    assert split("a" * 60 + "\n" + "b" * 60, 100) == ["a" * 60, "b" * 60]
    assert split("One two three. " * 8, 100)[0].endswith("three.")
    assert split("word " * 30, 100)[0].endswith("word")
    assert [length(piece) for piece in split("x" * 250, 100)] == [96, 96, 58]


def test_an_emoji_beyond_the_first_plane_counts_twice() -> None:
    assert length("🐝a") == 3
    assert all(length(piece) <= 2000 for piece in split("🐝" * 3000))


def test_a_code_block_that_is_cut_is_closed_and_opened_again() -> None:
    first, second = split(f"{FENCE}py\n" + "line of code\n" * 10 + FENCE, 100)
    assert first.startswith(f"{FENCE}py\n")
    assert first.endswith(f"\n{FENCE}")
    assert second.startswith(f"{FENCE}py\n")
    assert second.endswith(FENCE)
