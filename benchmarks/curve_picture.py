"""The learning curve as a picture: ``python -m benchmarks.curve_picture`` draws what the learning curve wrote."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.harness import OUT

NAMES: Final = {
    "locomo": "LoCoMo, five rooms",
    "written": "six rooms of our own",
    "replies": "votes on QMSum, LoCoMo measured",
}
COLOURS: Final = {"shipped prior": "#1f6fb2", "the formula": "#3a8f4d", "plain RRF": "#d9822b"}
SAID: Final = {"shipped prior": "from what ships", "the formula": "from the formula", "plain RRF": "from plain RRF"}
BELOW: Final = frozenset({"the formula"})
STYLE: Final[Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.size": 9,
    "legend.frameon": False,
    "svg.hashsalt": "weavebot",  # the same picture is the same file
}


def draw(curves: Sequence[Mapping[str, Any]], file: Path) -> None:
    """One panel a set: recall@10 over answers, from each start, with the recall that all labels would give."""
    sets = [name for name in NAMES if any(one["set"] == name for one in curves)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(sets), 3.6), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
            axes.set_title(f"{NAMES[name]}: rooms nobody voted in")
            for one in (one for one in curves if one["set"] == name):
                _line(axes, one)
            axes.set_xscale("symlog", linthresh=100, linscale=0.6)
            axes.set_xlim(0, 6000)
            ticks = (0, 100, 300, 1000, 5000)
            axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            axes.minorticks_off()
            axes.set_xlabel("answers given (a fifth of them rated, a tenth wrongly)")
            axes.set_ylabel("recall@10")
            axes.grid(axis="y", alpha=0.3)
            low, high = axes.get_ylim()
            axes.set_ylim(low, high + 0.06 * (high - low))
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else {})


def _line(axes: Any, one: Mapping[str, Any]) -> None:
    colour, start = COLOURS[one["start"]], one["recall"][0]
    low, high = ([start + gain[i] for gain in one["gain"]] for i in (1, 2))
    axes.fill_between(one["checkpoints"], low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(one["checkpoints"], one["recall"], "o-", color=colour, markersize=3)
    offset = (6, -12) if one["start"] in BELOW else (6, 5)
    axes.annotate(SAID[one["start"]], (0, start), offset, textcoords="offset points", color=colour)
    if one["start"] == "shipped prior":
        axes.axhline(one["all labels"], color=colour, linestyle=":", linewidth=1)
        said = {"textcoords": "offset points", "color": colour, "fontsize": 8, "ha": "right"}
        axes.annotate("what all labels teach", (6000, one["all labels"]), (-4, 3), **said)


def main() -> None:
    """Draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("docs/learning-curve.svg"))
    to = parser.parse_args().to
    draw(json.loads((OUT / "learning-curve.json").read_text("utf-8"))["curves"], to)
    print(f"written {to}")


if __name__ == "__main__":
    main()
