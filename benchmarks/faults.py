"""The faults of docs/reliability.md at full size: 10,000 messages each, servers frozen for 30 seconds.

``make faults`` runs the tests of ``tests/services/test_faults.py`` on PostgreSQL and Neo4j and writes what they took
into the page. The status is that of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reliability.md"
TESTS = "tests/services/test_faults.py"
MESSAGES = 10_000
_BETWEEN = re.compile(r"(<!-- figures -->\n).*(<!-- end of figures -->)", re.DOTALL)


def table(told: list[dict[str, Any]], beside: str) -> str:
    """The figures as a table in Markdown; ``beside`` says what else ran."""
    rows = [
        f"| {one['fault']} | {one['messages']:,} | {one['seconds']:,.1f} | {one['answered']:,} | {one['refused']:,} |"
        for one in told
    ]
    head = ["| fault | messages | seconds | questions answered | refused with a sentence |", "|---|---|---|---|---|"]
    return "\n".join([f"One run; {beside}.", "", *head, *rows, ""])


def put_in(page: str, figures: str) -> str:
    """The page with other figures."""
    return _BETWEEN.sub(lambda found: f"{found[1]}{figures}{found[2]}", page)


def main(messages: int, *, write: bool) -> int:
    """Runs the tests; gives their status."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        environ = {
            **os.environ,
            "WEAVEBOT_TEST_FAULT_MESSAGES": str(messages),
            "WEAVEBOT_TEST_FAULT_FIGURES": str(figures),
        }
        status = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "services", TESTS], env=environ, check=False
        ).returncode
        told = [json.loads(line) for line in figures.read_text("utf-8").splitlines()] if figures.exists() else []
    load = f"the machine's load was {os.getloadavg()[1]:.1f} at the end"
    print(table(told, load))
    if status == 0 and write:
        PAGE.write_text(put_in(PAGE.read_text("utf-8"), table(told, load)), "utf-8")
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--dry", action="store_true", help="leave the page as it is")
    chosen = parser.parse_args()
    sys.exit(main(chosen.messages, write=not chosen.dry))
