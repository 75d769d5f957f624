"""One recipe a server: what it needs, its folder and configuration, how it is started and reached."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local_services import installing, probes
from deploy.local_services.problem import Problem

PREFIX = "WEAVEBOT_TEST_"
_JAVA_OPENS = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
_JAVA_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""It lives for minutes: what it would compile better does not pay for itself."""
_AMPLE = {"per_second": 10_000, "burst_count": 10_000}


@dataclass(frozen=True, slots=True)
class Plan:
    """A server that is ready to be started, again and again, on the same port with the same data."""

    exports: dict[str, str]
    """What tests read, without the common prefix: names of variables and their values."""
    command: list[str] = field(default_factory=list)
    """Empty: nothing runs, something is only installed."""
    environ: dict[str, str] = field(default_factory=dict)
    port: int = 0
    user: str | None = None
    stop_signal: int = signal.SIGTERM
    afterwards: list[str] = field(default_factory=list)
    """Run after it was stopped."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to come by a server."""

    install: Callable[[], object]
    prepare: Callable[[Path], Plan]
    answers: Callable[[int], bool] = lambda _port: True
    settle: Callable[[Plan], None] = lambda _plan: None
    """Run once, when it has answered for the first time."""


def free_port() -> int:
    """A loopback port that nobody uses at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _postgres(folder: Path) -> Plan:
    """A cluster with a superuser ``postgres`` and, when settled, a role ``weavebot`` that may create databases."""
    programs, port, password = installing.postgres_programs(), free_port(), secrets.token_hex(16)
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        shutil.chown(folder, user, user)
        _must_reach(user, folder)
    secret = folder / "superuser-password"
    secret.write_text(password, encoding="utf-8")
    secret.chmod(0o600)
    if user:
        shutil.chown(secret, user, user)
    init = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "--pwfile", str(secret)]
    init += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    _checked("PostgreSQL", init, folder, user)
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "max_connections": 200}
    # a server that is killed has written all it confirmed; only the machine's end would lose it, and the disk is slow:
    # to drop a database, which each test does, is a checkpoint
    options |= {"fsync": "off", "full_page_writes": "off"}
    command = [str(programs / "postgres"), "-D", str(folder / "data")]
    command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    url = f"postgresql+asyncpg://weavebot:{password}@127.0.0.1:{port}/weavebot"
    return Plan({"POSTGRES_URL": url}, command, port=port, user=user, stop_signal=signal.SIGINT)


def _settle_postgres(plan: Plan) -> None:
    password = plan.exports["POSTGRES_URL"].split(":")[2].split("@")[0]
    make = [f"CREATE ROLE weavebot LOGIN CREATEDB PASSWORD '{password}'", "CREATE DATABASE weavebot OWNER weavebot"]
    psql = [str(Path(plan.command[0]).parent / "psql"), "-q", "-h", "127.0.0.1", "-p", str(plan.port), "-U", "postgres"]
    environ = {**os.environ, "PGPASSWORD": password}
    _checked("PostgreSQL", [*psql, *(word for sql in make for word in ("-c", sql))], Path("/"), None, environ)


def _redis(folder: Path) -> Plan:
    program, port, password = installing.redis_program(), free_port(), secrets.token_hex(16)
    lines = ["bind 127.0.0.1", f"port {port}", f"dir {folder}", "appendonly yes"]
    lines += [f"user default on >{password} ~* &* +@all", "user probe on nopass +ping"]
    _write(folder / "redis.conf", "\n".join(lines) + "\n")
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    return Plan({"REDIS_URL": url}, [program, str(folder / "redis.conf")], port=port)


def _rabbitmq(folder: Path) -> Plan:
    """A node with a name server (epmd) of its own, so that another RabbitMQ on the machine is left alone."""
    program, port, names, password = installing.rabbitmq_program(), free_port(), free_port(), secrets.token_hex(16)
    _write(folder / "rabbitmq.conf", f"default_user = weavebot\ndefault_pass = {password}\n")
    _write(folder / "enabled_plugins", "[].\n")
    environ = {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"weavebot-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no-such-file"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    url = f"amqp://weavebot:{password}@127.0.0.1:{port}/"
    quiet = ["epmd", "-port", str(names), "-kill"]
    return Plan({"RABBITMQ_URL": url}, [program], environ, port, afterwards=quiet)


def _neo4j(folder: Path) -> Plan:
    jars, port, password = installing.neo4j_jars(), free_port(), secrets.token_hex(16)
    lines = [
        "server.default_listen_address=127.0.0.1",
        f"server.bolt.listen_address=127.0.0.1:{port}",
        "server.http.enabled=false",
        "dbms.usage_report.enabled=false",
        "server.memory.pagecache.size=256m",
    ]
    (folder / "conf").mkdir()
    _write(folder / "conf" / "neo4j.conf", "\n".join(lines) + "\n")
    java = ["java", "-cp", f"{jars}/*"]
    environ = {"NEO4J_HOME": str(folder), "NEO4J_CONF": str(folder / "conf")}
    admin = ["org.neo4j.cli.AdminTool", "dbms", "set-initial-password", password]
    _checked("Neo4j", [*java, *admin], folder, None, {**os.environ, **environ})
    opens = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _JAVA_OPENS]
    homes = [f"--home-dir={folder}", f"--config-dir={folder / 'conf'}"]
    command = [java[0], "-Xmx512m", *_JAVA_QUICK, *opens, *java[1:], "org.neo4j.server.CommunityEntryPoint", *homes]
    return Plan({"NEO4J_URL": f"bolt://neo4j:{password}@127.0.0.1:{port}"}, command, environ, port)


def _synapse(folder: Path) -> Plan:
    """A homeserver without rate limits that anybody would meet in a test."""
    return _homeserver(folder, _no_limits())


def _synapse_default_limits(folder: Path) -> Plan:
    """A homeserver with the rate limits that Synapse has by default."""
    plan = _homeserver(folder, {})
    exports = {name.replace("SYNAPSE_", "SYNAPSE_LIMITED_"): value for name, value in plan.exports.items()}
    return Plan(exports, plan.command, plan.environ, plan.port)


def _homeserver(folder: Path, limits: dict[str, object]) -> Plan:
    python, port, secret = installing.synapse_python(), free_port(), secrets.token_hex(16)
    seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    _write(folder / "signing.key", f"ed25519 a_test {seed}\n")
    listener = {"port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": False}
    config: dict[str, object] = {
        "server_name": "localhost",
        "public_baseurl": f"http://127.0.0.1:{port}/",
        "pid_file": str(folder / "homeserver.pid"),
        "listeners": [{**listener, "resources": [{"names": ["client"]}]}],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "registration_shared_secret": secret,
        "macaroon_secret_key": secrets.token_hex(16),
        "form_secret": secrets.token_hex(16),
        "enable_registration": False,
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "presence": {"enabled": False},
        "report_stats": False,
        "bcrypt_rounds": 4,
        # it gives tokens as single sign-on does
        "login_via_existing_session": {"enabled": True, "require_ui_auth": False},
        **limits,
    }
    _write(folder / "homeserver.yaml", json.dumps(config, indent=1))  # JSON is YAML
    command = [str(python), "-m", "synapse.app.homeserver", "--config-path", str(folder / "homeserver.yaml")]
    return Plan({"SYNAPSE_URL": f"http://127.0.0.1:{port}", "SYNAPSE_SECRET": secret}, command, port=port)


def _no_limits() -> dict[str, object]:
    """Every rate limit of Synapse, out of reach."""
    plain = """message registration admin_redaction joins_per_room 3pid_validation third_party_invite media_create
        key_requests reports room_creation registration_token_validity""".split()
    return {
        **{f"rc_{name}": _AMPLE for name in plain},
        "rc_login": {"address": _AMPLE, "account": _AMPLE, "failed_attempts": _AMPLE},
        "rc_joins": {"local": _AMPLE, "remote": _AMPLE},
        "rc_invites": {"per_room": _AMPLE, "per_user": _AMPLE, "per_issuer": _AMPLE},
    }


def _node_peer(_folder: Path) -> Plan:
    return Plan({"NODE_PEER": str(installing.node_peer())})


RECIPES = {
    "neo4j": Recipe(installing.neo4j_jars, _neo4j, probes.bolt),  # first: it takes longest to come up
    "rabbitmq": Recipe(installing.rabbitmq_program, _rabbitmq, probes.amqp),
    "postgres": Recipe(installing.postgres_programs, _postgres, probes.postgres, _settle_postgres),
    "redis": Recipe(installing.redis_program, _redis, probes.redis),
    "synapse": Recipe(installing.synapse_python, _synapse, probes.synapse),
    "synapse-default-limits": Recipe(installing.synapse_python, _synapse_default_limits, probes.synapse),
    "node-peer": Recipe(installing.node_peer, _node_peer),
}


def _write(path: Path, words: str) -> None:
    """A file that only this user reads: most of them hold a password."""
    path.touch(mode=0o600)
    path.write_text(words, encoding="utf-8")


def _must_reach(user: str, folder: Path) -> None:
    done = subprocess.run(["test", "-w", str(folder)], user=user, group=user, extra_groups=[], check=False)
    if done.returncode:
        raise Problem(
            f"the user {user} cannot reach {folder}: choose a folder with --into that it may pass, such as /tmp/x"
        )


def _checked(
    what: str, command: list[str], folder: Path, user: str | None, environ: dict[str, str] | None = None
) -> None:
    """Runs a step of the preparation to its end."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise Problem(f"{what} could not be prepared in {folder}: {last[0]}")
