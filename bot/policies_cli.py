"""What votes have taught, and which policy decides, on the command line: learn, evaluate, promote, experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli import carry_out, command, leave, wrong
from bot.flags import Flags


@command()
def learn(
    flags: Flags,
    *,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw it into FILE.svg or FILE.png.")
    ] = None,
    room: Annotated[str | None, typer.Option("--room", metavar="NAME", help="Only what was asked here.")] = None,
) -> None:
    """Show what votes have taught so far: rewards over time, what each route earned, confidence against votes.

    A picture needs matplotlib: pip install 'weavebot[plot]'.

    Example: weavebot learn --plot learned.svg --room hives
    """
    where = None if plot is None else str(plot.expanduser().absolute())  # the owner of the folder may be elsewhere
    leave(carry_out(flags, "learn", {"plot": where, "room": room}, command="learn"))


@command()
def evaluate(
    flags: Flags,
    *,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="NAME", help="A policy, a route or uniform; without it, all.")
    ] = None,
    room: Annotated[str | None, typer.Option("--room", metavar="NAME", help="Only what was asked here.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="DATE", help="Only what was asked since.")] = None,
) -> None:
    """Judge policies on the decisions that were logged: what each would have earned in votes.

    Policies are rules, thompson, greedy and cautious. Each decision was logged with its true propensity, so the log
    tells what another policy would have earned (IPS, SNIPS and doubly robust estimates with 95 % intervals).

    Example: weavebot evaluate --policy greedy --since 2026-03-01
    """
    leave(carry_out(flags, "evaluate", {"policy": policy, "room": room, "since": since}, command="evaluate"))


@command()
def promote(
    flags: Flags,
    *,
    policy: Annotated[
        str | None, typer.Argument(metavar="POLICY", help="Without it: which policy is in force.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Take the last promotion back.")] = False,
    room: Annotated[str | None, typer.Option("--room", metavar="NAME", help="A room of the team.")] = None,
) -> None:
    """Put a policy in force, if the votes prove it better than the one that decides now.

    Policies are rules, thompson (from the start), greedy, cautious and formula. A policy that the votes show to be
    worse than the rules is taken out by itself (weavebot job tripwire).

    Example: weavebot promote greedy
    """
    if back and policy is not None:
        wrong("Name a policy, or take the last promotion back with --back.")
    leave(carry_out(flags, "promote", {"policy": policy, "back": back, "room": room}, command="promote"))


@command()
def experiment(
    flags: Flags,
    *,
    action: Annotated[
        str | None, typer.Argument(metavar="start|stop", help="Without it: what the last one has shown.")
    ] = None,
    policies: Annotated[list[str] | None, typer.Argument(metavar="POLICY", help="Two, to start.")] = None,
    room: Annotated[str | None, typer.Option("--room", metavar="NAME", help="A room of the team.")] = None,
) -> None:
    """Try two policies, each on half of the threads; look as often as you like.

    Example: weavebot experiment start thompson greedy
    """
    given = {"action": action, "policies": policies or [], "room": room}
    leave(carry_out(flags, "experiment", given, command="experiment"))
