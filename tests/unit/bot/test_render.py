"""Answers, votes, numbers and digests as pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bot import dates
from bot.pages import markdown, plain
from bot.render import View, answer_page, facts, hint_line, sure, table, typed, vote_page
from bot.reports import digest_page, stats_page
from memory.models import Hit
from routing.digest import Digest, Line
from routing.models import Answer, Citation, Decision, Features
from routing.shuttle import VoteResult
from routing.statistics import RouteStats, Stats

NOW = datetime(2026, 5, 14, 12, 0, tzinfo=UTC)
VIEW = View(NOW, UTC, "!weave", "react with `+👍`")
WEEK = timedelta(days=7)


def citation(number: int, text: str = "let's ship Thursday instead") -> Citation:
    hit = Hit(number, 1, 1.0 / number, {}, ("the words match",))
    return Citation(hit, f"m{number}", "Ana", datetime(2026, 5, 12, 16, 4, tzinfo=UTC), text, text)


DECISION = Decision(
    route="chat",
    policy="thompson",
    propensity=0.8,
    propensities={"chat": 0.8},
    rule_route="chat",
    reasons=("asks when",),
    features=Features(1, ("x",), np.zeros(1)),
    epsilon=0.05,
    seed=1,
    explored=False,
    runner_up=None,
    gap=0.0,
    contributions=(),
    evidence=0.0,
    posterior="p",
)
ANSWER = Answer(
    id="abc",
    serial=7,
    question="when?",
    text="We ship on Thursday. [1][2]",
    confidence=0.81,
    abstained=False,
    reasons=("2 messages agree",),
    citations=tuple(citation(n) for n in range(1, 11)),
    decision=DECISION,
    context=None,
    ms=12.0,
)


class TestAnAnswer:
    def test_it_is_text_sources_and_one_small_line(self) -> None:
        assert plain(answer_page(ANSWER, VIEW)).splitlines() == [
            "We ship on Thursday. [1][2]",
            "",
            "[1] Ana, Tue 12 May 16:04 — “let's ship Thursday instead”",
            "[2] Ana, Tue 12 May 16:04 — “let's ship Thursday instead”",
            "[3] Ana, Tue 12 May 16:04 — “let's ship Thursday instead”",
            "",
            "#7 fairly sure · 2 messages agree · chat route · 0.81",
            "react with +👍",
        ]

    def test_a_quote_that_the_text_has_told_is_shortened(self) -> None:
        told = "The load test failed at two thousand users, so we wait until Thursday."
        answer = replace(ANSWER, text=f"Ben: {told} [1]", citations=(citation(1, told), citation(2)))

        page = plain(answer_page(answer, VIEW))

        assert "— “The load test failed at two thousand users, so…”" in page
        assert "— “let's ship Thursday instead”" in page

    def test_every_source_that_the_text_names_is_shown(self) -> None:
        page = plain(answer_page(replace(ANSWER, text="So. [5]"), VIEW))

        assert "[5] Ana" in page
        assert "[6] Ana" not in page

    def test_with_nothing_found_there_are_no_sources(self) -> None:
        page = plain(answer_page(replace(ANSWER, text="Nothing.", citations=(), reasons=(), abstained=True), VIEW))

        assert page.splitlines() == ["Nothing.", "", "#7 not sure · chat route · 0.81", "react with +👍"]

    def test_a_long_quote_is_cut_and_stands_on_one_line(self) -> None:
        answer = replace(ANSWER, citations=(citation(1, "word\n" * 100),))

        [source] = [one for one in plain(answer_page(answer, VIEW)).splitlines() if one.startswith("[1]")]
        assert source.endswith("word…”")
        assert len(source) < 220

    def test_now_and_then_it_asks_for_a_vote(self) -> None:
        answer = replace(ANSWER, decision=replace(DECISION, solicited=True))

        assert "Did this answer it?" in plain(answer_page(answer, VIEW))

    @pytest.mark.parametrize(("confidence", "words"), [(0.9, "sure"), (0.7, "fairly sure"), (0.3, "not sure")])
    def test_how_sure_is_said_in_words(self, confidence: float, words: str) -> None:
        assert sure(replace(ANSWER, confidence=confidence))[0] == words

    def test_in_markdown_peoples_words_cannot_format(self) -> None:
        answer = replace(ANSWER, citations=(citation(1, "**bold** [x](http://e)"),))

        assert r"\*\*bold\*\* \[x\](http://e)" in markdown(answer_page(answer, VIEW))


class TestAVote:
    VOTE = VoteResult("abc", "👍", known=True, changed=True, route="chat", before=0.62, after=0.66)

    def test_it_says_what_it_did(self) -> None:
        assert plain(vote_page(self.VOTE)) == "noted: chat route 0.62 → 0.66"
        assert plain(vote_page(self.VOTE, removed=True)) == "taken back: chat route 0.62 → 0.66"

    def test_a_pick_names_its_source(self) -> None:
        assert plain(vote_page(replace(self.VOTE, pick=2))) == "noted: source 2 is the one"
        asked_for = replace(self.VOTE, route="recursive", before=0.0, after=0.0)
        assert plain(vote_page(asked_for)) == "noted: recursive route, which is taken on request alone"

    def test_what_changed_nothing_says_so(self) -> None:
        assert plain(vote_page(replace(self.VOTE, changed=False))) == "👍 was already there"
        assert plain(vote_page(replace(self.VOTE, changed=False), removed=True)) == "👍 was not there"
        assert "says nothing" in plain(vote_page(replace(self.VOTE, known=False)))


class TestTables:
    def test_columns_are_aligned(self) -> None:
        assert plain(table([("a", "1"), ("long", "20")], head=("name", "n"))).splitlines() == [
            "name   n",
            "a      1",
            "long  20",
        ]

    def test_wide_signs_count_as_two(self) -> None:
        first, second = plain(typed([("👍", "x"), ("ab", "y")])).splitlines()

        assert (first, second) == ("👍  x", "ab  y")

    def test_facts_are_aligned(self) -> None:
        assert plain(facts([("a", "1"), ("bcd", "2")])) == "a    1\nbcd  2"
        assert facts([]) == ()

    def test_what_is_to_be_typed_stands_out(self) -> None:
        assert hint_line("type `x` now") == (("faint", "type "), ("code", "x"), ("faint", " now"))


class TestDates:
    def test_they_are_as_short_as_the_distance_allows(self) -> None:
        assert dates.short(datetime(2026, 5, 12, 16, 4, tzinfo=UTC), now=NOW, zone=UTC) == "Tue 12 May 16:04"
        assert dates.short(datetime(2025, 5, 12, 16, 4, tzinfo=UTC), now=NOW, zone=UTC) == "Mon 12 May 2025"
        assert dates.day(NOW, zone=UTC) == "14 May 2026"

    def test_a_week_ends_with_its_last_day(self) -> None:
        monday = datetime(2026, 5, 11, tzinfo=UTC)

        assert dates.span(monday - WEEK, monday, zone=UTC) == "4-10 May 2026"
        assert dates.span(monday - 2 * WEEK, monday - WEEK, zone=UTC) == "27 Apr - 3 May 2026"

    @pytest.mark.parametrize(
        ("ago", "words"),
        [
            (timedelta(seconds=3), "just now"),
            (timedelta(minutes=1), "1 minute ago"),
            (timedelta(hours=5), "5 hours ago"),
            (timedelta(days=4, hours=5), "4 days ago"),
        ],
    )
    def test_how_long_ago(self, ago: timedelta, words: str) -> None:
        assert dates.ago(NOW - ago, now=NOW) == words


ROUTE = RouteStats("chat", 31, 25, 4.2, 0.71, 0.6, 0.8, 9, 0.05)


class TestStats:
    def test_numbers_then_routes(self) -> None:
        chat = replace(ROUTE, trend=(0.2, 0.5, 0.9))
        stats = Stats(1234, 9, 30, 3, 50, 1, 31, 25, (chat, replace(ROUTE, route="recent", votes=0, change=None)))

        assert plain(stats_page(stats)).splitlines() == [
            "1,234 messages of 9 people in 30 conversations",
            "3 memories, 50 entities, 1 relation",
            "31 answers, 25 votes",
            "",
            "route   decisions  votes  evidence  reward  95 % interval  this week",
            "chat           31     25       4.2    0.71   0.60 to 0.80      +0.05",
            "recent         31      0       4.2                                  ",
            "",
            "reward, from the oldest rated answers to the newest",
            "chat  ███████▏░░  ▂▅█",
        ]

    def test_without_an_answer_there_are_no_routes(self) -> None:
        assert "route" not in plain(stats_page(Stats(0, 0, 0, 0, 0, 0, 0, 0, ())))

    def test_a_number_that_is_not_known_is_not_shown(self) -> None:
        page = plain(stats_page(Stats(0, 0, 0, 0, 0, 0, 1, 1, (replace(ROUTE, mean=float("nan"), change=0.01),))))

        assert "nan" not in page
        assert "steady" in page


class TestADigest:
    LINE = Line("How to re-run the flaky suite", "Ben", NOW - timedelta(days=4), "m1")
    DIGEST = Digest(
        room="release",
        since=NOW - WEEK,
        until=NOW,
        messages=214,
        people=9,
        answers=31,
        liked=22,
        disliked=3,
        asked=(replace(LINE, author=""),),
        helped=(),
        starred=(LINE,),
        open_questions=(LINE,),
        routes=(ROUTE, replace(ROUTE, route="recent", votes=0, change=-0.2)),
    )

    def test_it_is_read_in_half_a_minute(self) -> None:
        page = plain(digest_page(self.DIGEST, zone=UTC, prefix="!weave")).splitlines()

        assert page == [
            "This week in release · 7-14 May 2026 · 214 messages, 9 people · 31 answers, 👍 22 👎 3",
            "⭐ Starred",
            "  How to re-run the flaky suite  (Ben, Sun 12:00)",
            "❓ Open",
            "  How to re-run the flaky suite  (Ben, 4 days ago)",
            "💬 Asked",
            "  How to re-run the flaky suite  (Sun 12:00)",
            "📈 Routes",
            "  chat: 9 answers this week, reward 0.71 (0.60 to 0.80) +0.05",
            "  recent: 9 answers this week, no votes -0.20",
            "!weave digest off stops this · people who opted out are not quoted",
        ]

    def test_a_quiet_week_is_one_line(self) -> None:
        quiet = replace(self.DIGEST, answers=0, asked=(), starred=(), open_questions=(), routes=())

        page = plain(digest_page(quiet, zone=UTC, prefix="!weave"))

        assert "A quiet week" in page
        assert "214 messages, 9 people\n" in page
