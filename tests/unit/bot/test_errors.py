"""Every error becomes one sentence and an exit status."""

from __future__ import annotations

import errno
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from bot.errors import confess, explain
from bot.exits import FAILED, WRONG_USE
from memory import errors


class TestTheTable:
    @pytest.mark.parametrize("kind", [errors.NotFound, errors.Ambiguous, errors.Refused, errors.Unavailable])
    def test_what_failed_ends_with_one(self, kind: type[errors.WeavebotError]) -> None:
        problem = explain(kind("there is no room"))

        assert problem is not None
        assert (problem.words, problem.status) == ("There is no room.", FAILED)

    def test_bad_input_ends_with_two(self) -> None:
        problem = explain(errors.BadInput("The question is empty."))

        assert problem is not None
        assert (problem.words, problem.status) == ("The question is empty.", WRONG_USE)

    def test_every_leaf_of_the_tree_is_in_the_table(self) -> None:
        def leaves(kind: type[errors.WeavebotError]) -> list[type[errors.WeavebotError]]:
            below = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
            return [leaf for one in below for leaf in leaves(one)] if below else [kind]

        # made without their constructors: an adapter's own may take more than words
        assert all(explain(kind.__new__(kind, "words")) is not None for kind in leaves(errors.WeavebotError))

    def test_a_full_disk_says_so(self) -> None:
        problem = explain(OSError(errno.ENOSPC, "No space left on device"))

        assert problem is not None
        assert problem.words.startswith("The disk is full")

    def test_a_denied_path_is_named(self) -> None:
        problem = explain(PermissionError(errno.EACCES, "Permission denied", "/srv/data"))

        assert problem is not None
        assert "(/srv/data)" in problem.words

    def test_a_drivers_error_shows_neither_statement_nor_values(self) -> None:
        wrapped = OperationalError(
            "INSERT secret", {"text": "secret"}, sqlite3.OperationalError("database or disk is full")
        )
        problem = explain(wrapped)

        assert problem is not None
        assert problem.words.startswith("The disk is full")
        assert "secret" not in problem.words

    def test_what_is_not_in_the_table_is_a_defect(self) -> None:
        assert explain(ZeroDivisionError()) is None
        assert explain(sqlite3.OperationalError("near SELECT: syntax error")) is None
        assert "ZeroDivisionError" in confess(ZeroDivisionError()).words
