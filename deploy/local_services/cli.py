"""The command line: start, stop, status, restart, kill, pause, resume, run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.local_services.installing import say
from deploy.local_services.problem import Problem
from deploy.local_services.processes import ENDINGS
from deploy.local_services.recipes import RECIPES
from deploy.local_services.services import ADDRESSES, Services

_DEFAULT = Path(tempfile.gettempdir()) / "weavebot-services"
_ABOUT = f"""Real servers for tests, on free loopback ports, without systemd or containers.

  start [NAME ...]           install what is missing and start (default: all); prints the addresses
  stop [NAME ...]            stop; the data stay, and a later start goes on with them (--wipe removes them)
  status                     what runs
  restart|kill|pause|resume  NAME ...
  run [NAME ...] -- COMMAND  start in a new folder, run the command, stop always; exits as the command does

Names: {", ".join(RECIPES)}.
Downloads are kept in ~/.cache/weavebot-services (or WEAVEBOT_SERVICES_CACHE).
"""


class _Stopped(BaseException):
    """One of the signals that end a program came."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 0, 1 with a sentence, 2 for wrong use, or that of the command run."""
    words = sys.argv[1:] if words is None else list(words)
    ours, command = _split(words)
    given = _parser().parse_args(ours)
    for number in ENDINGS:
        signal.signal(number, _raise_stopped)
    try:
        if given.action == "run":
            return _run(given, command)
        return _act(given)
    except Problem as exc:
        print(f"local-services: {exc}.", file=sys.stderr)  # noqa: T201 - the sentence of the command line
        return 1
    except _Stopped as exc:
        return 128 + exc.number


def _act(given: argparse.Namespace) -> int:
    services = Services(given.into or _DEFAULT)
    if given.action == "start":
        services.start(given.names)
        _show(services.addresses(), as_json=given.json)
        say(f"the addresses stand in {services.folder / ADDRESSES}")
    elif given.action == "status":
        _show(services.status(), as_json=given.json)
    elif given.action == "stop":
        services.stop(given.names)
        if given.wipe:
            services.wipe()
    else:
        for name in given.names or services.names:
            getattr(services, given.action)(name)
    return 0


def _run(given: argparse.Namespace, command: Sequence[str]) -> int:
    if not command:
        raise Problem("say what to run after --, such as: run postgres -- pytest -m services")
    folder = given.into or Path(tempfile.mkdtemp(prefix="weavebot-services-"))
    services = Services(folder)
    try:
        services.start(given.names)
        say(f"running {' '.join(command)}")
        return _attended(command, {**os.environ, **services.addresses()})
    finally:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)  # stopping is not to be interrupted
        services.stop()
        if not given.into and not given.keep:
            services.wipe()


def _attended(command: Sequence[str], environ: dict[str, str]) -> int:
    """Runs the command to its end. A signal to us is passed on, and then we wait: the command says when it is over."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if process is None:
            early.append(number)  # it is being started at this moment
        elif number != signal.SIGINT:  # which the terminal told the command as well
            process.send_signal(number)

    for number in ENDINGS:
        signal.signal(number, pass_on)
    try:
        process = subprocess.Popen(command, env=environ)
    except OSError as exc:
        raise Problem(f"{command[0]} cannot be run ({exc.strerror}): check the words after --") from exc
    for told in early:
        pass_on(told, None)
    status = process.wait()
    return status if status >= 0 else 128 - status


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    actions = ("start", "stop", "status", "restart", "kill", "pause", "resume", "run")
    parser = argparse.ArgumentParser(
        "local-services", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=actions)
    parser.add_argument("names", nargs="*", metavar="NAME", help="servers; without any, all")
    parser.add_argument("--into", type=Path, metavar="DIR", help=f"their folder (default {_DEFAULT}; run: a new one)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--wipe", action="store_true", help="with stop: remove the folder too")
    parser.add_argument("--keep", action="store_true", help="with run: leave the new folder, logs and all")
    return parser


def _show(told: dict[str, str], *, as_json: bool) -> None:
    lines = [json.dumps(told)] if as_json else [f"{name}={value}" for name, value in told.items()]
    print("\n".join(lines))  # noqa: T201 - this is the command's output


def _raise_stopped(number: int, _frame: object) -> None:
    raise _Stopped(number)
