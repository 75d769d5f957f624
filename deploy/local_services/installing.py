"""Installs what is missing: system packages by apt, the rest into a cache that all folders share."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from deploy.local_services.problem import Problem

NEO4J = "5.26.30"
SYNAPSE = "1.163.2"
MATRIX_JS_SDK = "37.5.0"
POSTGRES_AT_LEAST = 15
NODE_AT_LEAST = 20

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>weavebot</groupId><artifactId>neo4j</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{0}</version></dependency>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{0}</version></dependency>
  </dependencies>
</project>
"""


def cache() -> Path:
    """The folder of everything downloaded; it may be deleted at any time."""
    named = os.environ.get("WEAVEBOT_SERVICES_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else base / "weavebot-services"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def say(words: str) -> None:
    """A line of progress, on standard error: standard output is for the addresses."""
    print(f"local-services: {words}", file=sys.stderr, flush=True)  # noqa: T201 - a command line's progress


def postgres_programs() -> Path:
    """The folder of initdb and postgres, version 15 or newer; installs them where it may."""
    if not _newest_postgres():
        _apt("PostgreSQL 15", ["postgresql"])
    return _newest_postgres() or _missing("PostgreSQL 15 or newer", "postgresql")


def redis_program() -> str:
    """The path of redis-server."""
    if not shutil.which("redis-server"):
        _apt("Redis 7", ["redis-server"])
    return shutil.which("redis-server") or _missing("Redis 7", "redis-server")


def rabbitmq_program() -> str:
    """The path of the script that starts RabbitMQ as the present user."""
    script = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if not script.exists():
        _apt("RabbitMQ", ["rabbitmq-server"])
    return str(script) if script.exists() else _missing("RabbitMQ 3.10", "rabbitmq-server")


def neo4j_jars() -> Path:
    """The folder with Neo4j's own jars, from the Maven registry (123 MB once)."""
    need_java()
    return _cached(f"neo4j-{NEO4J}", _fetch_neo4j) / "lib"


def need_java() -> None:
    """Java 17, which runs Neo4j."""
    if not shutil.which("java"):
        _apt("Java 17", ["openjdk-17-jre-headless"])
    if not shutil.which("java"):
        _missing("Java 17", "openjdk-17-jre-headless")


def synapse_python() -> Path:
    """The interpreter of a virtual environment that holds Synapse."""
    return _cached(f"synapse-{SYNAPSE}", _fetch_synapse) / "venv" / "bin" / "python"


def node_peer() -> Path:
    """The folder whose ``node_modules`` holds matrix-js-sdk."""
    node = shutil.which("node")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout if node else ""
    found = re.match(r"v(\d+)", told)
    if not node or not found or int(found[1]) < NODE_AT_LEAST or not shutil.which("npm"):
        raise Problem(
            f"the Matrix peer needs Node {NODE_AT_LEAST} or newer with npm, and here is {told.strip() or 'none'}: "
            "install it from your distribution or nodejs.org and start again"
        )
    return _cached(f"node-peer-{MATRIX_JS_SDK}", _fetch_node_peer)


def _fetch_neo4j(folder: Path) -> None:
    if not shutil.which("mvn"):
        _apt("Maven", ["maven"])
    if not shutil.which("mvn"):
        _missing("Maven", "maven")
    (folder / "pom.xml").write_text(_POM.format(NEO4J), encoding="utf-8")
    goal = ["dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime"]
    _run(f"Neo4j {NEO4J}", ["mvn", "-q", "-B", *goal], folder)


def _fetch_synapse(folder: Path) -> None:
    what = f"Synapse {SYNAPSE}"
    _run(what, [sys.executable, "-m", "venv", "venv"], folder)
    pip = ["venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run(what, [*pip, f"matrix-synapse=={SYNAPSE}"], folder)


def _fetch_node_peer(folder: Path) -> None:
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", f"matrix-js-sdk@{MATRIX_JS_SDK}"]
    _run(f"matrix-js-sdk {MATRIX_JS_SDK}", install, folder)


def _cached(name: str, fetch: Callable[[Path], None]) -> Path:
    """The folder of that name in the cache, made once, also when two processes ask at the same time."""
    folder = cache() / name
    ready = folder / ".ready"
    if ready.exists():
        return folder
    with _locked(name):
        if not ready.exists():
            say(f"installing {name} into {cache()} (once) ...")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fetch(folder)
            ready.touch()
    return folder


@contextmanager
def _locked(name: str) -> Iterator[None]:
    with (cache() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _newest_postgres() -> Path | None:
    found = sorted(
        (int(bin_.parent.name), bin_)
        for bin_ in Path("/usr/lib/postgresql").glob("*/bin")
        if bin_.parent.name.isdecimal() and (bin_ / "initdb").exists()
    )
    if found and found[-1][0] >= POSTGRES_AT_LEAST:
        return found[-1][1]
    initdb = shutil.which("initdb")
    told = subprocess.run([initdb, "--version"], capture_output=True, text=True, check=False).stdout if initdb else ""
    version = re.search(r"\) (\d+)", told)
    return Path(initdb).resolve().parent if initdb and version and int(version[1]) >= POSTGRES_AT_LEAST else None


def _apt(what: str, packages: Sequence[str]) -> None:
    """Installs system packages when this is Debian and we are root; otherwise the caller says what is missing."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    say(f"installing {what} by apt-get ...")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    with _locked("apt"):
        _run("the package lists", ["apt-get", "update", "-q"], cache())
        _run(what, install, cache())


def _missing(what: str, package: str) -> NoReturn:
    raise Problem(f"{what} is missing: run `sudo apt-get install -y {package}` (or your system's equivalent) and again")


def _run(what: str, command: Sequence[str], folder: Path) -> None:
    """Runs a step of an installation; its output goes to a log beside the cache."""
    log = cache() / "install.log"
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("a", encoding="utf-8") as out:
        done = subprocess.run(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
    if done.returncode:
        raise Problem(f"{what} could not be installed ({' '.join(command[:3])} failed): the reason stands in {log}")
