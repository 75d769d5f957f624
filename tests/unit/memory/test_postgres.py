"""What PostgreSQL's errors mean; no server is needed to know it."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from memory.adapters.postgres import translated
from memory.errors import Contended, Unavailable, Unreachable


class _Said(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("as the server said it")
        self.sqlstate = sqlstate


def error(state: str | None) -> DBAPIError:
    """The driver's error with a SQLSTATE, as SQLAlchemy wraps it."""
    return DBAPIError("SELECT", {}, _Said(state))


@pytest.mark.parametrize(
    "state",
    ["53000", "53400", "55000", "55006", "57000", "57014", "58000", "58030", "XX000", "XX001", "25P02", "0A000"],
)
def test_what_the_server_is_to_blame_for_may_work_later(state: str) -> None:
    meant = translated(error(state))
    assert isinstance(meant, Unavailable)
    assert ": " in str(meant)


@pytest.mark.parametrize("state", ["22003", "22021", "23503", "23505", "42601", "42P01", None])
def test_what_would_fail_again_is_a_defect(state: str | None) -> None:
    assert translated(error(state)) is None


def test_rights_connections_and_contention_keep_their_sentences() -> None:
    assert "owner of its database" in str(translated(error("42501")))
    assert isinstance(translated(error("57P01")), Unreachable)
    assert isinstance(translated(error("40001")), Contended)
