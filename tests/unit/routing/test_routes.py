"""The menu is small, cheap and made of known parts."""

from __future__ import annotations

import pytest

from memory.errors import NotFound
from routing.fusion import FUSIONS
from routing.patterns import PATTERNS
from routing.routes import BY_NAME, CHAT, MENU, PATTERNED, route_named


class TestMenu:
    def test_has_six_to_twelve_routes_of_different_names(self) -> None:
        assert 6 <= len(MENU) <= 12
        assert len(BY_NAME) == len(MENU) + len(PATTERNED)

    def test_no_two_routes_do_the_same(self) -> None:
        assert len({(route.sources, route.pattern, route.fusion) for route in MENU}) == len(MENU)

    def test_is_made_of_known_sources_patterns_and_fusions(self) -> None:
        for route in MENU:
            assert set(route.sources) <= {"vector", "keyword", "graph", "recent"}
            assert route.pattern in PATTERNS
            assert route.fusion in FUSIONS

    def test_costs_and_priors_are_in_their_ranges(self) -> None:
        assert all(0 <= route.cost <= 0.05 and 0 < route.prior < 1 and route.version >= 1 for route in MENU)

    def test_every_route_has_words_for_people(self) -> None:
        assert all(route.words for route in MENU)


class TestNaming:
    def test_a_route_is_found_by_its_name(self) -> None:
        assert route_named(CHAT).name == CHAT

    def test_an_unknown_name_is_answered_with_the_names_there_are(self) -> None:
        with pytest.raises(NotFound, match=r"nowhere.*chat, documents"):
            route_named("nowhere")
