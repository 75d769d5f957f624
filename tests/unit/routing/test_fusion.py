"""From columns to one order."""

from __future__ import annotations

import numpy as np
import pytest

from memory.models import Candidates
from memory.ranking import standardised
from memory.room import DECAY
from routing import fusion
from routing.fusion import (
    FORMULA,
    FUSIONS,
    LEARNED,
    NEAR,
    borda,
    ensemble,
    formula,
    graph,
    learned,
    order,
    probable,
    rrf,
    terms,
    weighted,
)
from routing.weights import PLAIN, START


def candidates(**columns: list[float]) -> Candidates:
    """A pool with these columns; ``rank_x`` stands for ``rank:x``."""
    features = {
        name.replace("rank_", "rank:").replace("score_", "score:"): np.array(values, np.float64)
        for name, values in columns.items()
    }
    length = len(next(iter(features.values())))
    return Candidates(1, np.arange(1, length + 1, dtype=np.int64), features)


class TestFormula:
    def test_it_is_the_weighted_sum_of_standardised_features_and_rules(self) -> None:
        pool = candidates(bk=[1, 2, 6], d=[0.1, 0.5, 0.2], spk=[0, 1, 0], date=[0, 0, 1 / 3], endq=[1, 0, 0])
        by_hand = (
            standardised(pool.features["bk"])
            + standardised(pool.features["d"])
            + 1.5 * pool.features["spk"]
            + 10 * pool.features["date"]
            - 0.5 * standardised(pool.features["endq"])
        )
        assert formula(pool).tolist() == pytest.approx(by_hand.tolist())

    def test_missing_columns_and_values_add_nothing(self) -> None:
        assert formula(candidates(recency=[1, 2])).tolist() == [0, 0]
        with_gap = formula(candidates(bk=[1, 2, 3], d=[0.1, np.nan, 0.3], spk=[np.nan, 0, 0]))
        assert np.isfinite(with_gap).all()
        assert with_gap[1] == pytest.approx(0.0)

    def test_an_empty_pool_has_no_scores(self) -> None:
        empty = Candidates(
            1, np.zeros(0, np.int64), {name: np.zeros(0) for name in [*FORMULA, "row", "rank:x", "score:x"]}
        )
        assert all(len(fuse(empty)) == 0 for fuse in FUSIONS.values())

    def test_a_common_scale_changes_nothing(self) -> None:
        small, large = candidates(bk=[1, 2, 6]), candidates(bk=[100, 200, 600])
        assert formula(small).tolist() == pytest.approx(formula(large).tolist())


class TestSpacing:
    def test_what_stands_beside_a_better_message_comes_later(self) -> None:
        close = candidates(bk=[10, 9.9, 9.8, 0], row=[1, 2, 50, 90])
        assert order(formula(close)).tolist() == [0, 2, 1, 3]

    def test_the_loss_decays_with_distance_and_ends_with_the_window(self) -> None:
        far = candidates(bk=[10, 1, 1, 1], row=[10, 11, 13, 16])
        lost = [terms(far, i)["near"] for i in range(4)]
        assert lost == pytest.approx([0.0, NEAR * DECAY, NEAR * DECAY**3, 0.0])

    def test_scores_are_in_the_order_in_which_messages_were_taken(self) -> None:
        rng = np.random.default_rng(1)
        pool = candidates(bk=rng.normal(size=200).tolist(), row=rng.permutation(300)[:200].tolist())
        scores = formula(pool)
        plain = standardised(pool.features["bk"])
        taken, left, near = [], plain.copy(), np.zeros(200)
        rows = pool.features["row"]
        for _ in range(50):
            best = int(np.argmax(left + near))
            taken.append(best)
            left[best] = -np.inf
            for other in range(200):
                gap = abs(rows[other] - rows[best])
                if np.isfinite(left[other]) and gap <= 5:
                    near[other] = min(near[other], NEAR * DECAY**gap)
        assert order(scores)[:50].tolist() == taken

    def test_without_places_nothing_is_spaced(self) -> None:
        assert "near" not in terms(candidates(bk=[1, 2]), 0)


class TestTerms:
    def test_they_sum_to_the_score(self) -> None:
        rng = np.random.default_rng(0)
        pool = candidates(
            **{name: rng.normal(size=30).tolist() for name in FORMULA},
            row=list(range(30)),
            ppr=[np.nan, *(1 + rng.random(29)).tolist()],
        )
        for name in ("formula", "graph"):
            scores = FUSIONS[name](pool)
            for i in range(30):
                assert sum(terms(pool, i, name).values()) == pytest.approx(scores[i], abs=1e-12)


class TestGraph:
    def test_the_logarithm_of_the_rank_is_added(self) -> None:
        pool = candidates(bk=[1, 2, 3], ppr=[4.0, 2.0, 1.0])
        expected = formula(pool) + standardised(np.log([4.0, 2.0, 1.0]))
        assert graph(pool).tolist() == pytest.approx(expected.tolist())

    def test_a_message_that_the_walk_did_not_reach_has_the_lowest(self) -> None:
        reached = graph(candidates(bk=[1, 1, 1], ppr=[4.0, np.nan, 2.0]))
        assert reached[1] == pytest.approx(reached[2])
        assert reached[0] > reached[1]

    def test_without_a_graph_it_is_the_formula(self) -> None:
        pool = candidates(bk=[1, 2, 3])
        assert graph(pool).tolist() == formula(pool).tolist()
        silent = candidates(bk=[1, 2, 3], ppr=[np.nan, np.nan, np.nan])
        assert graph(silent).tolist() == formula(silent).tolist()


class TestWeighted:
    def test_the_sources_own_scores_are_summed(self) -> None:
        pool = candidates(score_vector=[0.9, 0.5, 0.1], score_keyword=[1, 5, 3], rank_vector=[1, 2, 3])
        expected = standardised(np.array([0.9, 0.5, 0.1])) + standardised(np.array([1.0, 5, 3]))
        assert weighted(pool).tolist() == pytest.approx(expected.tolist())

    def test_a_message_that_a_source_did_not_name_has_its_lowest(self) -> None:
        pool = candidates(score_vector=[0.9, np.nan, 0.1])
        assert weighted(pool)[1] == weighted(pool)[2]

    def test_without_sources_all_are_equal(self) -> None:
        assert weighted(candidates(bk=[1, 2])).tolist() == [0, 0]


class TestReciprocalRank:
    def test_it_sums_the_reciprocals(self) -> None:
        pool = candidates(rank_vector=[1, 2, np.nan], rank_keyword=[2, np.nan, np.nan])
        assert rrf(pool).tolist() == pytest.approx([1 / 61 + 1 / 62, 1 / 62, 0.0])


class TestBorda:
    def test_a_source_gives_points_by_place_and_none_to_those_it_does_not_name(self) -> None:
        pool = candidates(rank_vector=[1, 2, np.nan], rank_keyword=[np.nan, 1, np.nan])
        assert borda(pool).tolist() == [2, 2, 0]


class TestLearned:
    POOL = candidates(
        bk=[1, 2, 6], d=[0.1, np.nan, 0.2], spk=[0, 1, 0], date=[0, 0, 0.2], length=[3, 1, 2], row=[1, 2, 9]
    )

    def test_untaught_it_is_the_formula(self) -> None:
        assert learned(self.POOL).tolist() == formula(self.POOL).tolist()
        assert learned(self.POOL, PLAIN).tolist() == pytest.approx(formula(self.POOL).tolist(), abs=1e-12)

    def test_a_weight_that_was_taught_moves_what_has_the_column(self) -> None:
        taught = START.copy()
        taught[LEARNED.index("length")] = 9.0
        assert order(formula(self.POOL))[0] == 2
        assert order(learned(self.POOL, taught))[0] == 0

    def test_its_terms_sum_to_the_score(self) -> None:
        taught = START + 0.25
        parts = terms(self.POOL, 1, "learned", taught)
        assert sum(parts.values()) == pytest.approx(learned(self.POOL, taught)[1], abs=1e-9)
        assert "length" in parts


class TestProbable:
    def test_it_is_the_log_odds_over_an_even_draw(self) -> None:
        scores = probable(candidates(bk=[3, 2, 1], chance=[0.25, 0.75, 0.0]))
        assert scores[:2].tolist() == pytest.approx(np.log([0.75, 2.25]).tolist())
        assert order(scores).tolist() == [1, 0, 2]
        assert np.isfinite(scores).all()

    def test_where_nothing_was_sampled_it_is_the_formula(self) -> None:
        pool = candidates(bk=[3, 2, 1])
        assert probable(pool).tolist() == formula(pool).tolist()


class TestEnsemble:
    def test_it_is_the_mean_of_the_standardised_scores(self) -> None:
        pool = candidates(bk=[1, 2, 6], rank_keyword=[1, 2, 3], score_keyword=[6, 2, 1])
        parts = [standardised(fuse(pool)) for fuse in (learned, weighted, borda, rrf)]
        assert ensemble(pool).tolist() == pytest.approx(np.mean(parts, axis=0).tolist())


class TestOrder:
    def test_the_best_come_first_and_equals_stay(self) -> None:
        assert order(np.array([1.0, 3.0, 1.0, 2.0])).tolist() == [1, 3, 0, 2]

    def test_the_table_names_every_fusion(self) -> None:
        assert list(FUSIONS) == ["formula", "learned", "graph", "weighted", "borda", "rrf", "probable", "ensemble"]
        assert set(LEARNED) >= fusion.AS_IT_IS
