"""What PostgreSQL's errors mean; no server is needed to know it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import structlog
from sqlalchemy.exc import DBAPIError

from memory.adapters import postgres
from memory.adapters.postgres import translated
from memory.adapters.sql import SqlDatabase
from memory.errors import Contended, Unavailable, Unreachable


class _Said(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("as the server said it")
        self.sqlstate = sqlstate


def error(state: str | None) -> DBAPIError:
    """The driver's error with a SQLSTATE, as SQLAlchemy wraps it."""
    return DBAPIError("SELECT", {}, _Said(state))


class TestVacuum:
    """It comes after the commit: that it fails, or takes long, is nobody's concern who deleted something."""

    async def test_that_fails_is_put_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        database = SqlDatabase("postgresql://nobody@127.0.0.1:1/none")
        with structlog.testing.capture_logs() as logged:
            await database.scrub()
            async with database.scrubbing_later():
                pass
        assert [one["event"] for one in logged] == ["scrub.put_off"] * 2
        done: list[int] = []

        async def works(_conn: object, tables: list[str]) -> None:
            done.append(len(tables))

        monkeypatch.setattr(database, "_connected", contextlib.nullcontext)
        monkeypatch.setattr(postgres, "vacuum", works)
        async with database.scrubbing_later():
            pass
        assert len(done) == 1, "what was put off is done"
        await database.close()

    async def test_that_takes_long_is_waited_for_no_longer_than_a_statement(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = SqlDatabase("postgresql://nobody@127.0.0.1:1/none", patience=0.01)
        ended, begun, left = asyncio.Event(), 0, 0

        async def long(_conn: object, _tables: list[str]) -> None:
            nonlocal begun, left
            begun += 1
            try:
                await ended.wait()
            finally:
                left += 1

        monkeypatch.setattr(database, "_connected", contextlib.nullcontext)
        monkeypatch.setattr(postgres, "vacuum", long)
        async with asyncio.timeout(5):
            await database.scrub()
            await database.scrub()
            assert (begun, left) == (1, 0), "it goes on in the background, and a second one waits for it"
            await database.close()
        assert left == 1, "nothing goes on after the end"


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


def test_a_driver_that_gives_up_waiting_is_a_server_that_does_not_answer() -> None:
    """Also on the ways that SQLAlchemy does not watch."""
    database = SqlDatabase("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unreachable, match="does not answer"), database._translated():
        raise TimeoutError
