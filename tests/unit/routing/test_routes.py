"""The menu is small, cheap and made of known parts."""

from __future__ import annotations

import re

import pytest

from bot.cli import ROUTES
from memory.errors import NotFound
from routing.fusion import FUSIONS
from routing.patterns import PATTERNS
from routing.policies.linear import DESIGN
from routing.routes import BY_NAME, CHAT, MENU, PATTERNED, route_named
from tests.unit.routing.asking import advised


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


class TestOnRequest:
    def test_every_pattern_can_be_asked_for(self) -> None:
        assert {route.pattern for route in BY_NAME.values()} == set(PATTERNS)

    def test_help_names_every_route(self) -> None:
        named = re.split(r"\W*(?:[,;] |and outside the learned menu )+", ROUTES)
        assert [name for name in named if name] == list(BY_NAME)

    def test_what_is_outside_the_menu_is_never_learned_nor_advised(self) -> None:
        assert all(route.on_request for route in PATTERNED)
        assert not set(DESIGN.index) & {route.name for route in PATTERNED}
        assert advised("and why?", previous_route="recursive", previous_reward=1.0).route in set(DESIGN.index)

    def test_all_of_them_have_a_budget(self) -> None:
        assert all(route.budget.calls >= len(route.sources) and route.budget.ms <= 1_000 for route in PATTERNED)
