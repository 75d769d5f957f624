"""The picture of what a team has learned: rewards over time, routes, confidence against votes. SVG or PNG.

matplotlib draws it; it comes with the extra ``plot`` and is imported when somebody wants a picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from memory.errors import BadInput, Refused, Unavailable
from routing.progress import Bin, Curve, Progress, RouteProgress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS: Final = (".svg", ".png")
INSTALL: Final = "pip install 'weavebot[plot]'"
_INCHES: Final = (13.0, 4.2)
_DOTS: Final = 130
_BLUE: Final = "#1f6fb2"
_GREY: Final = "#777777"
_ORANGE: Final = "#d9822b"
_PLAIN: Final[Any] = {  # matplotlib types each name apart
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "font.size": 9,
    "legend.frameon": False,
    "svg.hashsalt": "weavebot",  # the same picture is the same file
}


def draw(progress: Progress, title: str, file: Path) -> None:
    """Writes the picture. Raises BadInput for another kind of file, Unavailable, with the command, without matplotlib.

    Raises Refused when the file cannot be written.
    """
    if file.suffix.lower() not in FORMATS:
        raise BadInput(f"A picture is {' or '.join(FORMATS)}; name the file so, such as learned.svg.")
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415 - likewise
    except ImportError:
        raise Unavailable(f"Pictures need matplotlib; install it with: {INSTALL}") from None
    with mpl.rc_context(_PLAIN):
        figure = Figure(figsize=_INCHES, layout="constrained")
        _paint(figure, progress, title)
        metadata = {"Date": None} if file.suffix.lower() == ".svg" else {}
        try:
            figure.savefig(file, dpi=_DOTS, metadata=metadata)
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise Refused(f"The picture {file} cannot be written ({why}); choose another place.") from exc


def _paint(figure: Figure, progress: Progress, title: str) -> None:
    words = f"{title} · {progress.rated:,} rated answers"
    look: Any = {"fontsize": 12, "fontweight": "bold", "parse_math": False}  # a room's name may hold a $
    figure.suptitle(words, x=0.01, ha="left", **look)
    rewards, routes, sure = figure.subplots(1, 3, width_ratios=(1.3, 1.2, 1.0))
    _rewards(rewards, progress)
    _routes(routes, progress.routes)
    _calibration(sure, progress.calibration)


def _rewards(axes: Axes, progress: Progress) -> None:
    axes.set_title("Mean reward so far, with 95 %")
    for curve, colour in ((progress.rules, _GREY), (progress.decided, _BLUE)):
        _line(axes, curve, colour)
    axes.set_xlabel("rated answers")
    axes.set_ylim(0, 1)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower right")


def _line(axes: Axes, curve: Curve, colour: str) -> None:
    axes.fill_between(curve.answers, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(curve.answers, curve.mean, color=colour, label=curve.name)


def _routes(axes: Axes, routes: tuple[RouteProgress, ...]) -> None:
    axes.set_title("Routes: what votes gave, what is expected")
    rows = range(len(routes))
    for name, colour, up in (("votes", _BLUE, -0.14), ("expected", _ORANGE, 0.14)):
        intervals = [one.earned if name == "votes" else one.expected for one in routes]
        means = [one.mean for one in intervals]
        apart = [[one.mean - one.low for one in intervals], [one.high - one.mean for one in intervals]]
        places = [row + up for row in rows]
        axes.errorbar(means, places, xerr=apart, fmt="o", color=colour, markersize=4, capsize=2, label=name)
    axes.set_yticks(list(rows), [f"{one.route} ({one.rated:,})" for one in routes])
    axes.set_ylim(len(routes) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel("reward, with 95 %")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best")


def _calibration(axes: Axes, bins: tuple[Bin, ...]) -> None:
    axes.set_title("Confidence against votes")
    axes.plot((0, 1), (0, 1), color=_GREY, linestyle=":", linewidth=1)
    means = [one.liked.mean for one in bins]
    apart = [[one.liked.mean - one.liked.low for one in bins], [one.liked.high - one.liked.mean for one in bins]]
    axes.errorbar([one.confidence for one in bins], means, yerr=apart, fmt="o-", color=_BLUE, markersize=4, capsize=2)
    for one in bins:
        axes.annotate(f"{one.answers:,}", (one.confidence, one.liked.mean), (5, -11), textcoords="offset points")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence of the answer")
    axes.set_ylabel("share that was liked, with 95 %")
