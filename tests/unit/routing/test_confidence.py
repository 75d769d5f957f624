"""How sure an answer may be, read off the list of results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from memory.models import Candidates, Query, Scope
from memory.ranking import FEATURES
from routing.confidence import (
    CLIP,
    FITTED,
    SIGNALS,
    Asked,
    Calibration,
    Confidence,
    Logistic,
    assess,
    shipped,
    signals,
)

NOW = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
PEOPLE = {"hamish": 1, "margaret pell": 2, "margaret": 2, "pell": 2}
Floats = NDArray[np.float64]


def question(text: str = "Who changed the padlock?") -> Query:
    return Query(text, Scope(1, (1,)), NOW, PEOPLE)


def results(
    count: int = 20,
    *,
    found: Mapping[str, int] | None = None,
    messages: int = 400,
    **columns: float | list[float],
) -> Candidates:
    """Candidates whose columns hold one value, or the given values first and 0 behind them."""
    features = {name: np.zeros(count) for name in FEATURES}
    for name, given in columns.items():
        values = [given] * count if isinstance(given, float) else [*given, *[0.0] * (count - len(given))]
        features[name] = np.array(values[:count], dtype=np.float64)
    terms = found if found is not None else {"chang": 12, "padlock": 3}
    return Candidates(1, np.arange(count, dtype=np.int64), features, messages, terms)


def falling(count: int = 20) -> Floats:
    """Fused scores that keep the candidates in order."""
    return np.linspace(1.0, 0.0, count)


def met() -> Candidates:
    """A first message that is to the point and stands out."""
    return results(mw=[0.7, 0.2, 0.2], d=[0.8, 0.3, 0.3], bk=[9.0, 2.0, 1.0], bm25=[9.0, 1.0])


def strange() -> Candidates:
    """A room that has nothing to do with the question."""
    return results(mw=0.08, d=0.1, bk=0.0, found={"chang": 0, "padlock": 0})


def confidence(candidates: Candidates, text: str = "Who changed the padlock?") -> Confidence:
    return assess(question(text), candidates, falling(len(candidates.serials)))


class TestTheValue:
    def test_a_match_that_stands_out_is_surer_than_many_alike_and_those_than_none(self) -> None:
        alike = replace(met(), features={**met().features, "mw": np.full(20, 0.3), "d": np.full(20, 0.45)})
        values = [confidence(candidates).value for candidates in (met(), alike, strange())]
        assert values == sorted(values, reverse=True)
        assert values[0] > 0.85
        assert values[2] < 0.3

    def test_it_is_the_product_of_the_two_probabilities(self) -> None:
        asked = Asked.of(question(), met())
        found = signals(asked, met(), falling())
        both = shipped().can_answer(found) * shipped().right.probability(found)
        assert confidence(met()).value == pytest.approx(both)

    @pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
    def test_only_the_order_of_the_fused_scores_counts(self, scale: float) -> None:
        assert assess(question(), met(), falling() * scale - 7.0) == confidence(met())

    def test_the_right_message_beyond_the_first_three_does_not_help(self) -> None:
        backwards = assess(question(), met(), -falling())
        assert backwards.value < confidence(met()).value / 2

    def test_nothing_found_is_worth_nothing(self) -> None:
        nothing = assess(question(), results(0), np.zeros(0))
        assert nothing == Confidence(0.0, ("nothing was found",), abstains=True)

    def test_without_an_embedding_it_is_still_a_probability(self) -> None:
        blind = results(mw=float("nan"), d=float("nan"), bk=[9.0, 2.0])
        assert 0.0 < confidence(blind).value < 1.0

    @pytest.mark.parametrize("count", [1, 2, 3, 4])
    def test_a_list_of_few_messages_is_no_trouble(self, count: int) -> None:
        few = results(count, mw=0.4, d=0.5, messages=count)
        assert 0.0 < confidence(few).value < 1.0

    def test_no_signal_can_push_it_to_an_end(self) -> None:
        wild = results(mw=[1e9], d=[1e9], bk=[1e9], messages=10**9)
        assert confidence(wild).value < 1.0


class TestAbstaining:
    def test_it_abstains_in_a_strange_room_and_answers_in_its_own(self) -> None:
        assert confidence(strange()).abstains
        assert not confidence(met()).abstains

    def test_the_line_is_the_calibrations(self) -> None:
        for line, abstains in ((0.0, False), (1.0, True)):
            moved = replace(shipped(), line=line)
            assert assess(question(), met(), falling(), moved).abstains is abstains

    def test_messages_that_fit_equally_well_are_no_reason_to_abstain(self) -> None:
        alike = results(mw=0.5, d=0.7, bk=5.0)
        assert not confidence(alike).abstains


class TestTheQuestionsWords:
    def share(self, text: str, found: Mapping[str, int], *, date: float = 0.0) -> Asked:
        return Asked.of(question(text), results(found=found, date=date))

    def test_the_share_of_known_words_is_weighed_by_how_rare_they_are(self) -> None:
        rare_known = self.share("change padlock", {"chang": 0, "padlock": 1}).known
        common_known = self.share("change padlock", {"chang": 200, "padlock": 0}).known
        assert 0.0 < common_known < 0.2 < rare_known < 1.0

    def test_words_that_nobody_uses_are_kept_as_they_were_written(self) -> None:
        asked = self.share("who changed padlocks?", {"chang": 4, "padlock": 0})
        assert asked.strange == ("padlocks",)
        assert asked.strange_names == ()

    def test_a_capital_inside_the_question_makes_an_unknown_word_a_name(self) -> None:
        asked = self.share("Padlocks: what did Gandalf\u2019s wizard say?", {"padlock": 0, "gandalf": 0, "wizard": 0})
        assert asked.strange_names == ("Gandalf\u2019s",)

    def test_people_of_the_room_are_known(self) -> None:
        asked = self.share("What did Margaret Pell change for Hamish?", {"chang": 4})
        assert (asked.known, asked.strange, asked.strange_names) == (1.0, (), ())

    def test_a_date_on_which_something_was_sent_is_known(self) -> None:
        asked = self.share("What changed on 3 January 2026?", {"chang": 4, "3": 0, "januari": 0, "2026": 0}, date=1.0)
        assert (asked.known, asked.strange, asked.strange_names, asked.idle_date) == (1.0, (), (), False)

    def test_a_date_on_which_nobody_wrote_is_strange(self) -> None:
        asked = self.share("What changed on 3 January 2025?", {"chang": 4, "3": 0, "januari": 0, "2025": 0})
        assert asked.idle_date
        assert asked.known < 0.6

    def test_a_date_that_lies_ahead_says_nothing(self) -> None:
        asked = self.share("What changes on 3 June 2026?", {"chang": 4, "3": 0, "jun": 0, "2026": 0})
        assert (asked.known, asked.idle_date) == (1.0, False)

    def test_a_question_of_stop_words_says_nothing_about_the_room(self) -> None:
        assert np.isnan(self.share("who was it?", {}).known)


class TestReasons:
    def test_an_unknown_name_is_said(self) -> None:
        candidates = replace(strange(), found={"gandalf": 0, "sai": 30})
        said = confidence(candidates, "What did Gandalf say?").reasons
        assert said[0] == "the name \u201cGandalf\u201d is not known here"

    def test_two_unknown_names_are_said_together(self) -> None:
        candidates = replace(strange(), found={"gandalf": 0, "frodo": 0, "tell": 30})
        said = confidence(candidates, "What did Gandalf tell Frodo?").reasons
        assert said[0] == "the names \u201cGandalf\u201d and \u201cFrodo\u201d are not known here"

    def test_a_word_that_nobody_uses_is_said(self) -> None:
        candidates = replace(strange(), found={"chang": 9, "padlock": 0})
        assert "nobody here uses the word \u201cpadlock\u201d" in confidence(candidates).reasons

    def test_a_day_without_messages_is_said(self) -> None:
        candidates = replace(strange(), found={"chang": 9})
        assert "nobody wrote anything then" in confidence(candidates, "What changed on 3 January 2025?").reasons

    def test_messages_that_agree_are_counted(self) -> None:
        three = results(mw=[0.6, 0.6, 0.6], d=[0.8, 0.8, 0.8], bk=[9.0, 8.0, 8.0])
        assert confidence(three).reasons[0] == "3 messages speak of it"

    def test_a_sure_answer_says_what_speaks_for_it_and_a_doubtful_one_what_does_not(self) -> None:
        ahead = results(mw=[0.3, 0.1], d=[0.45, 0.2], bk=[9.0, 1.0])
        assert "the best match stands out" in confidence(ahead).reasons
        alike = results(mw=0.22, d=0.42, bk=1.0)
        assert "several messages fit about equally well" in confidence(alike).reasons

    def test_there_are_one_or_two_each_once(self) -> None:
        for candidates in (met(), strange(), results(mw=0.3, d=0.4), results(1)):
            said = confidence(candidates).reasons
            assert 1 <= len(said) <= 2
            assert len(set(said)) == len(said)


class TestTheCalibration:
    def test_what_ships_is_small_names_its_command_and_reads_known_signals_only(self) -> None:
        fitted = json.loads(FITTED.read_text("utf-8"))
        assert FITTED.stat().st_size < 10_000
        assert fitted["made_by"] == "python -m benchmarks.fit_confidence"
        assert {*shipped().answerable.names, *shipped().right.names} <= SIGNALS.keys()

    def test_the_signs_are_what_they_mean(self) -> None:
        answerable = dict(zip(shipped().answerable.names, shipped().answerable.weight, strict=True))
        assert min(answerable["words"], answerable["meaning"], answerable["known"]) > 0
        assert max(answerable["strange_names"], answerable["size"]) < 0
        assert min(shipped().right.weight) > 0

    def test_every_signal_is_computed(self) -> None:
        found = signals(Asked.of(question(), met()), met(), falling())
        assert found.keys() == SIGNALS.keys()
        assert all(np.isfinite(value) for value in found.values())

    def test_a_missing_part_is_an_error(self) -> None:
        fitted = json.loads(FITTED.read_text("utf-8"))
        del fitted["right"]
        with pytest.raises(KeyError):
            Calibration.read(fitted)

    def test_the_prior_moves_the_odds(self) -> None:
        found = signals(Asked.of(question(), met()), met(), falling())
        even, usual = (replace(shipped(), prior=prior).can_answer(found) for prior in (0.5, 0.95))
        assert usual / (1 - usual) == pytest.approx(19 * even / (1 - even))


class TestLogistic:
    model = Logistic(("a", "b"), np.array([1.0, 0.0]), np.array([2.0, 1.0]), np.array([0.5, -1.0]), 0.25)

    def test_it_is_the_logistic_of_the_weighted_sum(self) -> None:
        assert self.model.probability({"a": 3.0, "b": 1.0}) == pytest.approx(1 / (1 + np.exp(0.25)))

    def test_a_missing_number_counts_as_the_average_one(self) -> None:
        assert self.model.terms({"a": float("nan"), "b": 1.0}) == {"a": 0.0, "b": -1.0}

    def test_no_number_counts_more_than_three_spreads(self) -> None:
        assert self.model.terms({"a": 1e9, "b": -1e9}) == {"a": 0.5 * CLIP, "b": CLIP}
