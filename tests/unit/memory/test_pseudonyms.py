"""Stores outside of SQL are told what stands for a name, never the name."""

from __future__ import annotations

from memory.models import EntityKind
from memory.pseudonyms import Pseudonyms, pseudonyms_of
from tests.parts import Memory

MINE, OTHERS = Pseudonyms(b"one secret"), Pseudonyms(b"another")


class TestPseudonyms:
    def test_people_and_days_are_what_they_are(self) -> None:
        assert MINE.of(1, EntityKind.PERSON, "12") == "12"
        assert MINE.of(1, EntityKind.DATE, "2026-05-12") == "2026-05-12"

    def test_anything_else_says_nothing_of_itself(self) -> None:
        for kind, key in (
            (EntityKind.NAME, "red queen"),
            (EntityKind.CODE, "4471"),
            (EntityKind.DATE, "2026"),
            (EntityKind.DATE, "2026-13-12"),
            (EntityKind.LINK, "example.org/x"),
        ):
            hidden = MINE.of(1, kind, key)
            assert hidden.startswith("x")
            assert len(hidden) == 21
            assert not set(key.split()) & set(hidden.split())

    def test_a_term_has_a_number_of_its_own_in_each_room_and_installation(self) -> None:
        assert MINE.term(1, 77) == MINE.term(1, 77) != 77
        assert 0 <= MINE.term(1, 2**32 - 1) < 2**32
        assert len({MINE.term(1, 77), MINE.term(2, 77), MINE.term(1, 78), OTHERS.term(1, 77)}) == 4

    def test_a_mark_changes_with_the_message_its_text_and_its_vectors(self) -> None:
        marks = [
            MINE.mark(1, -5, 1),
            MINE.mark(2, -5, 1),
            MINE.mark(1, -6, 1),
            MINE.mark(1, -5, 2),
            OTHERS.mark(1, -5, 1),
        ]
        assert len(set(marks)) == 5
        assert all(0 <= mark < 2**31 for mark in marks)

    def test_one_key_is_one_pseudonym_whatever_its_kind(self) -> None:
        assert MINE.of(1, EntityKind.NAME, "hive 4") == MINE.of(1, EntityKind.CODE, "hive 4")
        assert MINE.of(1, EntityKind.NAME, "2026-05-12") == "2026-05-12"

    def test_rooms_and_installations_do_not_share_them(self) -> None:
        same = (EntityKind.NAME, "hive 4")
        assert len({MINE.of(1, *same), MINE.of(2, *same), OTHERS.of(1, *same), MINE.of(1, EntityKind.NAME, "h")}) == 4
        assert MINE.installation != OTHERS.installation


class TestSecret:
    async def test_it_is_made_once_and_kept(self, memory: Memory) -> None:
        first = await pseudonyms_of(memory.database, memory.clock)
        again = await pseudonyms_of(memory.database, memory.clock)
        assert first.installation == again.installation
        assert first.of(1, EntityKind.NAME, "hive 4") == again.of(1, EntityKind.NAME, "hive 4")
