"""The matrix of faults names tests that exist, and leaves no cell open."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from benchmarks.faults import put_in, table

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py(?:::\w+)+)`", PAGE)
LETTERS = dict(re.findall(r"^- \*\*(\w)\*\* (`.*?)$", PAGE, re.MULTILINE))
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("|")]
NOT_TRIED = "not tried"


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name: str) -> None:
    file, *path = name.split("::")
    body = ast.parse((ROOT / file).read_text("utf-8")).body
    for part in path:
        [found] = [
            one
            for one in body
            if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and one.name == part
        ]
        body = found.body


def test_each_cell_names_a_test_or_says_that_it_was_not_tried() -> None:
    begin = next(number for number, row in enumerate(ROWS) if row[0].strip() == "fault")
    cells = [cell.strip() for row in ROWS[begin + 2 :] if len(row) == 6 for cell in row[1:]]
    assert len(cells) >= 80
    for cell in cells:
        assert cell == NOT_TRIED or all(letter in LETTERS for letter in cell.split()), cell
    assert sum(cell == NOT_TRIED for cell in cells) < 12


def test_figures_take_the_place_of_the_old_ones() -> None:
    told = [{"fault": "worker killed", "messages": 500, "seconds": 4.25, "answered": 9, "refused": 1}]
    once = put_in(PAGE, table(told, "nothing else ran"))
    assert "| worker killed | 500 | 4.2 | 9 | 1 |" in once
    assert put_in(once, table([], "nothing else ran")) == put_in(PAGE, table([], "nothing else ran"))
