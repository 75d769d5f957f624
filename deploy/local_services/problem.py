"""The one error."""

from __future__ import annotations


class Problem(Exception):
    """What is wrong and what to do, in one sentence; it is printed and the exit status is 1."""
