"""The servers of one folder: started, stopped, paused, killed; their addresses are kept in the folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deploy.local_services import processes
from deploy.local_services.installing import say
from deploy.local_services.problem import Problem
from deploy.local_services.recipes import PREFIX, RECIPES, Plan

STATE = "services.json"
ADDRESSES = "services.env"
SECOND = "second"
"""Where second servers lie within the folder, each in one of its own."""
_UP_SECONDS = 120.0
_DOWN_SECONDS = 30.0


@dataclass(slots=True)
class _Server:
    plan: Plan
    pid: int = 0
    birth: int = 0
    settled: bool = False


class Services:
    """The servers whose data lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._servers = self._remembered()

    def reread(self) -> None:
        """Takes up what another process has done to the servers of this folder meanwhile."""
        self._servers = self._remembered()

    def second(self, name: str) -> Services:
        """Another server of that name, for whoever disturbs it; it is stopped and wiped with those of this folder."""
        return Services(self.folder / SECOND / name)

    @property
    def names(self) -> list[str]:
        """The servers that were ever started here."""
        return list(self._servers)

    def addresses(self) -> dict[str, str]:
        """The variables that tests read."""
        told = {PREFIX + "SERVICES": str(self.folder)}
        for server in self._servers.values():
            told |= {PREFIX + name: value for name, value in server.plan.exports.items()}
        return told

    def status(self) -> dict[str, str]:
        """By name: ``running``, ``stopped``, or ``installed`` for what is no server."""
        self.reread()
        return {name: self._status(server) for name, server in self._servers.items()}

    def start(self, names: Sequence[str] = ()) -> None:
        """Installs, prepares and starts what is not running yet, and waits until each answers. Raises Problem."""
        if strange := sorted(set(names) - set(RECIPES)):
            raise Problem(f"there is no server {strange[0]}: choose among {', '.join(RECIPES)}")
        self.reread()
        chosen = [name for name in RECIPES if name in (names or RECIPES)]
        for name in chosen:
            RECIPES[name].install()
        self._make_folder()
        for name in chosen:
            if name not in self._servers:
                self._servers[name] = _Server(self._prepared(name))
                self._remember()
            self._spawn(name)
        for name in chosen:
            self._await(name)
        self._remember()

    def stop(self, names: Iterable[str] = ()) -> None:
        """Stops them in an orderly way; what does not end in half a minute is killed.

        Without names it stops all, second ones too.
        """
        self.reread()
        chosen = list(names)
        ends: list[Callable[[], None]] = [partial(self._end, self._known(name)) for name in chosen or self.names]
        if not chosen:
            ends += [Services(found.parent).stop for found in self.folder.glob(f"{SECOND}/*/{STATE}")]
        with ThreadPoolExecutor(len(RECIPES)) as beside:
            for ended in [beside.submit(end) for end in ends]:
                ended.result()

    def restart(self, name: str) -> None:
        """Stops and starts it: the same port, the same data."""
        self.stop([name])
        self.start([name])

    def kill(self, name: str) -> None:
        """Kills the server and all its processes at once (SIGKILL)."""
        server = self._running(name)
        processes.end(server.pid, server.birth, signal.SIGKILL, patience=0)

    def pause(self, name: str) -> None:
        """Freezes it (SIGSTOP): connections stay open and nothing answers."""
        processes.send(processes.tree(self._running(name).pid), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Lets it go on."""
        processes.send(processes.tree(self._running(name).pid), signal.SIGCONT)

    def wipe(self) -> None:
        """Stops everything and removes the folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, name: str) -> Path:
        """Where its output goes."""
        return self.folder / f"{name}.log"

    @staticmethod
    def _end(server: _Server) -> None:
        """Ends one and what it left."""
        asked = signal.Signals(server.plan.stop_signal)
        processes.end(server.pid, server.birth, asked, patience=_DOWN_SECONDS)
        if server.plan.afterwards:
            environ = {**os.environ, **server.plan.environ}
            subprocess.run(server.plan.afterwards, env=environ, capture_output=True, check=False)

    def _prepared(self, name: str) -> Plan:
        home = self.folder / name
        shutil.rmtree(home, ignore_errors=True)  # a preparation that was cut off
        home.mkdir(mode=0o700)
        return RECIPES[name].prepare(home)

    def _spawn(self, name: str) -> None:
        server = self._servers[name]
        if self._status(server) != "stopped":
            return
        say(f"starting {name} ...")
        environ = {**os.environ, **server.plan.environ}
        with processes.undisturbed():
            server.pid, server.birth = processes.spawn(
                server.plan.command, environ, folder=self.folder / name, log=self.log(name), user=server.plan.user
            )
            self._remember()

    def _await(self, name: str) -> None:
        server, recipe = self._servers[name], RECIPES[name]
        until = time.monotonic() + _UP_SECONDS
        while server.plan.command and not recipe.answers(server.plan.port):
            if not processes.alive(server.pid, server.birth):
                raise Problem(f"{name} ended while it was starting: the reason stands in {self.log(name)}")
            if time.monotonic() > until:
                raise Problem(f"{name} did not answer within {_UP_SECONDS:.0f} s: see {self.log(name)}")
            time.sleep(0.1)
        if not server.settled:
            recipe.settle(server.plan)
            server.settled = True
            self._remember()

    def _status(self, server: _Server) -> str:
        if not server.plan.command:
            return "installed"
        return "running" if processes.alive(server.pid, server.birth) else "stopped"

    def _known(self, name: str) -> _Server:
        if name not in self._servers:
            raise Problem(f"{name} was never started in {self.folder}: known are {', '.join(self.names) or 'none'}")
        return self._servers[name]

    def _running(self, name: str) -> _Server:
        self.reread()
        server = self._known(name)
        if self._status(server) != "running":
            raise Problem(f"{name} does not run: start it first")
        return server

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # another user's server passes through; what holds a password is closed itself
        self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def _remembered(self) -> dict[str, _Server]:
        file = self.folder / STATE
        if not file.exists():
            return {}
        try:
            told: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
            return {name: _Server(Plan(**one.pop("plan")), **one) for name, one in told.items()}
        except (ValueError, TypeError, KeyError, OSError) as exc:
            raise Problem(f"{file} cannot be read ({exc}): remove the folder, or choose another with --into") from exc

    def _remember(self) -> None:
        told = {name: asdict(server) for name, server in self._servers.items()}
        self._replace(STATE, json.dumps(told, indent=1))
        self._replace(ADDRESSES, "".join(f"{name}={value}\n" for name, value in self.addresses().items()))

    def _replace(self, name: str, words: str) -> None:
        fresh = self.folder / f"{name}.new"
        fresh.touch(mode=0o600)
        fresh.write_text(words, encoding="utf-8")
        fresh.replace(self.folder / name)
