"""The one table from an error to the words that people read and the exit status of the command line.

A sentence says what went wrong and what to do; what is not in the table is a defect, and says so without a traceback.
"""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from bot.exits import FAILED, WRONG_USE
from bot.pages import sentence
from memory import errors

log = structlog.get_logger(__name__)

STATUS: dict[type[errors.WeavebotError], int] = {
    errors.NotFound: FAILED,
    errors.BadInput: WRONG_USE,
    errors.Rejected: FAILED,
    errors.Refused: FAILED,
    errors.Rejected: FAILED,  # what an adapter rejects for a reason of its platform
    errors.ModelMismatch: FAILED,
    errors.Unavailable: FAILED,
}

SYSTEM: dict[int, str] = {
    errno.ENOSPC: "The disk is full; free some space and run the command again (nothing that was committed is lost).",
    errno.EDQUOT: "The disk quota is used up; free some space and run the command again.",
    errno.EROFS: "The data folder is on a read-only file system; choose another with --data.",
    errno.EACCES: "Access was denied{path}; make it readable and writable for you, or choose another with --data.",
    errno.EPERM: "The system did not allow that{path}; make it writable for you, or choose another with --data.",
    errno.ENOENT: "There is no such file{path}.",
    errno.EISDIR: "That is a folder, not a file{path}.",
    errno.ENOTDIR: "A part of the path is a file, not a folder{path}.",
    errno.EMFILE: "Too many files are open; raise the limit (ulimit -n).",
}

DATABASE: tuple[tuple[str, str], ...] = (
    ("disk is full", SYSTEM[errno.ENOSPC]),
    ("readonly database", "The database cannot be written; make the data folder writable or choose another (--data)."),
    ("unable to open", "The database cannot be opened; check the data folder (weavebot doctor)."),
    ("malformed", "The database is damaged; run weavebot doctor, and restore a copy of the data folder."),
    ("not a database", "The database file is none; choose another data folder with --data, or restore a copy."),
    ("disk i/o error", "The disk does not take or give data; check it, then run weavebot doctor."),
    ("locked", "Another program holds the database; close it and run the command again."),
)


_OF_VALUES: Final = {"22", "23"}  # classes of SQLSTATE: a value that cannot be, a constraint
_OF_THE_INPUT: Final = (errors.WeavebotError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a person reads, and the exit status that goes with it."""

    words: str
    status: int = FAILED


def explain(error: BaseException) -> Problem | None:
    """The problem behind an error, or None for one that is not in the table (a defect)."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return Problem(sentence(str(error)), STATUS[kind])
    cause = _database(error)
    if cause is not None:
        return cause
    if isinstance(error, OSError) and error.errno in SYSTEM:
        path = f" ({error.filename})" if error.filename else ""
        return Problem(SYSTEM[error.errno].format(path=path))
    return None


def confess(error: BaseException) -> Problem:
    """The problem behind any error: a defect is logged with its traceback and told in one sentence."""
    problem = explain(error)
    if problem is not None:
        return problem
    log.error("defect", exc_info=error)
    return Problem(f"Something went wrong inside Weavebot ({type(error).__name__}); the log has the details.")


def is_of_the_input(error: BaseException) -> bool:
    """Whether an error lies in what was given, and would come again with it; anything else may be over next time."""
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "sqlstate", None) or "")
        cause = error.orig and error.orig.__cause__  # the driver's own error: a value that it cannot send
        return (
            isinstance(error, (IntegrityError, DataError)) or state[:2] in _OF_VALUES or isinstance(cause, ValueError)
        )
    return isinstance(error, _OF_THE_INPUT) and not isinstance(error, errors.Unavailable)


def _database(error: BaseException) -> Problem | None:
    """A driver's error, also when SQLAlchemy has wrapped it (its text, with statement and values, is never shown)."""
    original = getattr(error, "orig", error)
    if not isinstance(original, sqlite3.DatabaseError):
        return None
    said = str(original).lower()
    return next((Problem(words) for sign, words in DATABASE if sign in said), None)
