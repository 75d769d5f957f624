"""What a text names, by the shape of the writing alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.extraction.entities import LONGEST, MOST, asked, link, mentions, normal, subject
from memory.models import EntityKind, Mention

SENT = datetime(2026, 5, 12, 18, 0, tzinfo=UTC)
PEOPLE = {
    "ana": "1",
    "ana petrović": "1",
    "petrović": "1",
    "will": "2",
    "june": "3",
    "ben": "4",
    "@ben:hive.org": "4",
    "1234": "4",
    "maria del mar": "5",
}


def found(text: str) -> list[Mention]:
    return mentions(text, people=PEOPLE, sent_at=SENT)


def keys(text: str, *kinds: EntityKind) -> set[str]:
    return {mention.key for mention in found(text) if not kinds or mention.kind in kinds}


def people(text: str) -> set[str]:
    return keys(text, EntityKind.PERSON)


class TestKeys:
    @pytest.mark.parametrize(
        "text",
        ["the Hive 4", "hive 4", "Hive 4", "in Hive 4's corner", "see hive #4", "HIVE 4 hums", "a queen in hive 4."],
    )
    def test_one_thing_has_one_key_however_it_is_written(self, text: str) -> None:
        assert "hive 4" in keys(text)

    @pytest.mark.parametrize(
        ("label", "key"),
        [
            ("The Čebelica", "cebelica"),
            ("Maja\u2019s", "maja"),
            ("O'Brien", "obrien"),
            ("Jean\u2013Paul", "jean-paul"),
            ("a an the", "an the"),
            ("Theodor", "theodor"),
            ("한글", "한글"),
            ("the ", "the "),
            ("", ""),
        ],
    )
    def test_articles_accents_and_possessives_fall_away(self, label: str, key: str) -> None:
        assert normal(label) == key

    def test_the_label_is_as_it_was_written(self) -> None:
        assert Mention(EntityKind.NAME, "university of ljubljana", "University of Ljubljana") in found(
            "at the University of Ljubljana now"
        )

    def test_each_key_comes_once(self) -> None:
        said = found("Hive 4 and hive 4 and `Hive 4`, said Ana to Ana")
        assert len(said) == len({(m.kind is EntityKind.PERSON, m.key) for m in said}) == 2


class TestPeople:
    def test_the_longest_form_of_a_name_counts(self) -> None:
        assert [m for m in found("yes, Ana Petrović came") if m.kind is EntityKind.PERSON] == [
            Mention(EntityKind.PERSON, "1", "Ana Petrović")
        ]
        assert people("and Maria del Mar too") == {"5"}
        assert people("Maria, del Mar") == set()

    def test_lower_case_and_possessives_are_names_too(self) -> None:
        assert people("ask ana about ben's smoker") == {"1", "4"}

    def test_a_name_that_is_a_common_word_counts_only_as_a_name_is_written(self) -> None:
        assert people("Will you come?") == set()
        assert people("they will come") == set()
        assert people("ask Will") == {"2"}

    def test_a_name_that_is_a_month_is_a_date_behind_a_preposition(self) -> None:
        assert people("we start in June") == set()
        assert people("we start with June") == {"3"}
        assert people("we start with june") == set()

    @pytest.mark.parametrize("text", ["@ben look", "hey @ben:hive.org,", "@Ben's turn", "ping <@1234>"])
    def test_somebody_addressed_is_a_person(self, text: str) -> None:
        assert people(text) == {"4"}

    def test_somebody_unknown_who_is_addressed_is_a_name(self) -> None:
        assert found("ask @Zora") == [Mention(EntityKind.NAME, "zora", "zora")]

    def test_a_person_is_not_a_name_as_well(self) -> None:
        assert keys("Thanks Ana! Saw Ben. And Ana Petrović 4 pm", EntityKind.NAME) == set()

    def test_without_people_there_are_names(self) -> None:
        assert mentions("ask Ana", people={}, sent_at=SENT) == [Mention(EntityKind.NAME, "ana", "Ana")]


class TestNames:
    def test_capitals_in_a_sentence_are_names(self) -> None:
        assert keys("we met near Bled and in New York") == {"bled", "new york"}

    def test_small_words_stay_inside_a_name(self) -> None:
        assert keys("they read Lord of the Rings again") == {"lord of the rings"}
        assert keys("they met the King of") == {"king"}

    def test_the_first_word_of_a_sentence_needs_a_capital_elsewhere(self) -> None:
        assert keys("Swarms came. Queens left! - Drones stay\nWorkers hum") == set()
        assert keys("Lisbon was warm. We love Lisbon") == {"lisbon"}

    def test_the_first_word_counts_in_a_longer_name(self) -> None:
        assert "red queen" in keys("Red Queen flies")

    @pytest.mark.parametrize("text", ["NASA called", "YouTube is down"])
    def test_the_first_word_counts_when_its_capitals_are_its_own(self, text: str) -> None:
        assert len(keys(text)) == 1

    def test_a_verb_before_a_name_opens_no_longer_name(self) -> None:
        assert "lisbon" in keys("Visited Lisbon again")

    def test_function_words_and_greetings_at_the_ends_fall_away(self) -> None:
        assert keys("Hey Zora, I'm in. That's The Beehive I Mean") == {"zora", "beehive i mean"}
        assert keys("he plays Take That") == {"take"}

    def test_a_title_or_an_initial_ends_no_sentence(self) -> None:
        assert {"dr novak", "j smith", "u.s army"} <= keys("ask Dr. Novak, J. Smith and the U.S. Army")

    @pytest.mark.parametrize("text", ["we meet on Friday", "since March", "12", "on Monday 12", "at 5 °C", "in 3D"])
    def test_days_and_months_and_numbers_alone_are_no_names(self, text: str) -> None:
        assert keys(text, EntityKind.NAME) == set()

    def test_shouting_is_no_name(self) -> None:
        assert keys("WHAT IS GOING ON HERE") == set()

    def test_a_headline_is_cut(self) -> None:
        assert max(len(key.split()) for key in keys("See " + "Big " * 30)) <= 8

    def test_commas_and_brackets_part_names(self) -> None:
        assert keys("in Leland, North Carolina (United States)") == {"leland", "north carolina", "united states"}


class TestNumbers:
    @pytest.mark.parametrize(("text", "key"), [("use lot 26-03.", "lot 26-03"), ("open box 7b of", "box 7b")])
    def test_a_noun_and_its_number_are_a_name_in_lower_case_too(self, text: str, key: str) -> None:
        assert key in keys(text)

    @pytest.mark.parametrize("text", ["moved hives 4 times", "at 4", "in 3 weeks", "we 4", "it 4", "hives, 4"])
    def test_an_amount_is_none(self, text: str) -> None:
        assert keys(text, EntityKind.NAME) == set()


class TestCodes:
    @pytest.mark.parametrize(
        "code",
        [
            *("HV-07", "v1.2.3", "H200", "26-B", "snake_case", "camelCase", "iPhone"),
            *("notes.md", "src/main.py", "/etc/hosts.conf", "../up.txt"),
        ],
    )
    def test_what_a_label_maker_or_a_machine_writes_is_a_code(self, code: str) -> None:
        assert Mention(EntityKind.CODE, code.lower(), code) in found(f"look at {code}, please")

    def test_calls_flags_and_numbers_of_tickets(self) -> None:
        assert {"run", "verbose", "12"} <= keys("try run() with --verbose as in #12", EntityKind.CODE)

    @pytest.mark.parametrize(
        "text", ["`oxalic acid 3%`", 'the "Red Book"', "\u201cRed Book\u201d", "\u00abRed Book\u00bb"]
    )
    def test_what_is_quoted_is_a_code(self, text: str) -> None:
        assert keys(text, EntityKind.CODE) & {"oxalic acid 3%", "red book"}

    def test_a_quoted_sentence_is_speech(self) -> None:
        assert keys('"we all went home before it rained so hard that day"') == set()

    @pytest.mark.parametrize(
        "text", ["he/she", "and/or", "10:30", "4th", "3.5", "don't", "e.g. this", "...", "-", "24/7"]
    )
    def test_ordinary_signs_make_no_code(self, text: str) -> None:
        assert keys(text, EntityKind.CODE, EntityKind.LINK) == set()

    def test_a_tag_is_a_topic(self) -> None:
        assert Mention(EntityKind.TOPIC, "swarm", "Swarm") in found("#Swarm today")


class TestLinks:
    @pytest.mark.parametrize(
        "url",
        [
            *("https://www.Example.org/Path/", "http://example.org/Path?utm=1#top", "<https://example.org/Path>"),
            *("www.example.org/Path.", "[here](https://example.org/Path)", "HTTPS://EXAMPLE.ORG/Path!"),
        ],
    )
    def test_host_and_path_name_a_page(self, url: str) -> None:
        assert keys(f"see {url} now", EntityKind.LINK) == {"example.org/Path"}

    def test_a_long_link_has_a_bounded_key(self) -> None:
        assert {len(key) for key in keys("https://example.org/" + "x" * 400)} == {LONGEST}

    def test_the_form_of_a_bare_host(self) -> None:
        assert link("example.org/") == "example.org"
        assert keys("http:// nothing") == set()


class TestDates:
    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("fed them yesterday", "2026-05-11"),
            ("on 3 March 2024 we moved", "2024-03-03"),
            ("in March 2024", "2024-03"),
            ("last week", "2026-W19"),
            ("in 1998", "1998"),
            ("since the 1066 flood", "1066"),
        ],
    )
    def test_dates_are_resolved_against_the_time_of_the_message(self, text: str, key: str) -> None:
        assert key in keys(text, EntityKind.DATE)


class TestQuestions:
    def test_a_question_with_names_asks_for_them(self) -> None:
        said = asked("when did Ana inspect Hive 4?", people=PEOPLE, sent_at=SENT)
        assert {m.key for m in said} == {"1", "hive 4"}

    def test_a_question_in_lower_case_asks_for_its_runs_of_words(self) -> None:
        said = {m.key for m in asked("why did ana leave the red queen?", people=PEOPLE, sent_at=SENT)}
        assert {"1", "red queen", "queen", "leave the red queen"} <= said
        assert not said & {"ana", "the red", "leave the", "why"}

    def test_punctuation_parts_runs(self) -> None:
        assert "queen honey" not in {m.key for m in asked("red queen, honey", people={}, sent_at=SENT)}

    def test_a_long_question_is_bounded(self) -> None:
        text = " ".join(f"w{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}x" for i in range(100_000))
        assert len(asked(text, people={}, sent_at=SENT)) <= 2 * MOST


NASTY = {
    "one word": "a" * 1_000_000,
    "capitals": "Aa Bb " * 170_000,
    "letters": "A " * 500_000,
    "quotes": '"' * 1_000_000,
    "ticks": "`a" * 500_000,
    "dots": "a." * 500_000,
    "underscores": "a_" * 500_000,
    "blanks": " " * 1_000_000,
    "lines": "\n" * 1_000_000,
    "nulls": "\0" * 1_000_000,
    "schemes": "http://" * 140_000,
    "codes": "a1 " * 330_000,
    "surrogates": "\ud800" * 1_000_000,
    "accents": "a" + "\u0301" * 1_000_000,
    "right to left": "\u05e9\u05dc\u05d5\u05dd " * 200_000,
    "addresses": "@a " * 330_000,
}


class TestSubjects:
    @pytest.mark.parametrize(
        ("text", "about"),
        [
            ("Hive 4 is queenless", "hive 4"),
            ("# Oak Meadow\nbelongs to Mr Lind", "oak meadow"),
            ("The Oak Meadow: it floods every spring", "oak meadow"),
            ('"Kate Ramsay" is a fictional character', "kate ramsay"),
            ("Neighbours. Neighbours is an Australian soap opera", "neighbours"),
            ("Natural Born Killers (soundtrack). It is the soundtrack", "natural born killers"),
        ],
    )
    def test_what_a_message_opens_with_is_what_it_is_about(self, text: str, about: str) -> None:
        assert subject(text, found(text)) == about

    @pytest.mark.parametrize(
        "text", ["", "we moved Hive 4", "Ana Petrović moved Hive 4", "2024 was wet", "tomorrow we open Hive 4", "hello"]
    )
    def test_a_message_that_opens_otherwise_is_about_nothing(self, text: str) -> None:
        assert subject(text, found(text)) is None

    def test_part_of_a_word_is_not_what_it_opens_with(self) -> None:
        assert subject("Oakland is far", [Mention(EntityKind.NAME, "oak", "Oak")]) is None

    def test_of_two_the_longer_one_counts(self) -> None:
        both = [Mention(EntityKind.NAME, key, key.title()) for key in ("oak", "oak meadow")]
        assert subject("Oak Meadow floods", both) == "oak meadow"


class TestAnyInput:
    @pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
    def test_a_megabyte_takes_no_long_time(self, text: str) -> None:
        before = time.process_time()
        assert len(mentions(text, people=PEOPLE, sent_at=SENT)) <= MOST
        assert time.process_time() - before < 5

    def test_a_list_without_end_is_cut(self) -> None:
        assert len(found(" ".join(f"HV-{i}" for i in range(5000)))) == MOST

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=120) | st.text("Ab1 .,'\"`@#_-/:()\n\u2019\u00e9", max_size=80))
    def test_nothing_raises_and_keys_are_short_and_never_empty(self, text: str) -> None:
        for mention in asked(text, people=PEOPLE, sent_at=SENT):
            assert 0 < len(mention.key) <= LONGEST
            assert mention.label
