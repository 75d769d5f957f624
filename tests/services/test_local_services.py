"""deploy/local-services as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local_services import probes
from tests.services.servers import address

pytestmark = pytest.mark.services

PROGRAM = str(Path(__file__).parents[2] / "deploy" / "local-services")


@pytest.fixture(autouse=True)
def _servers_are_wanted() -> None:
    address("SERVICES")


def told(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end."""
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=120, check=False)


def redis_port(words: str) -> int:
    """The port in the address of Redis."""
    return int(words.rpartition(":")[2].partition("/")[0])


class TestStart:
    def test_starts_twice_stops_and_goes_on_where_it_was(self, tmp_path: Path) -> None:
        into = ["--into", str(tmp_path / "servers"), "--json"]
        first = json.loads(told("start", "redis", *into).stdout)
        port = redis_port(first["WEAVEBOT_TEST_REDIS_URL"])
        try:
            assert json.loads(told("start", "redis", *into).stdout) == first
            assert json.loads(told("status", *into).stdout) == {"redis": "running"}
            assert told("stop", *into).returncode == 0
            assert not probes.redis(port)
            assert json.loads(told("start", "redis", *into).stdout) == first
            assert probes.redis(port)
        finally:
            told("stop", "--wipe", *into)
        assert not probes.redis(port)
        assert not (tmp_path / "servers").exists()

    def test_a_wrong_name_is_answered_with_the_right_ones(self, tmp_path: Path) -> None:
        done = told("start", "rediss", "--into", str(tmp_path))
        assert done.returncode == 1
        assert "there is no server rediss: choose among neo4j" in done.stderr


class TestRun:
    def test_exits_as_the_command_does_and_leaves_nothing(self) -> None:
        done = told("run", "redis", "--", "sh", "-c", "echo $WEAVEBOT_TEST_REDIS_URL $WEAVEBOT_TEST_SERVICES; exit 7")
        url, folder = done.stdout.split()
        assert done.returncode == 7
        assert not probes.redis(redis_port(url))
        assert not Path(folder).exists()

    def test_stops_also_what_the_command_restarted(self) -> None:
        again = f"{PROGRAM} restart redis --into $WEAVEBOT_TEST_SERVICES && echo $WEAVEBOT_TEST_REDIS_URL"
        done = told("run", "redis", "--", "sh", "-c", again)
        assert done.returncode == 0
        assert not probes.redis(redis_port(done.stdout))

    def test_stops_also_the_second_server_that_the_command_started(self) -> None:
        second = """
from deploy.local_services.services import Services
from pathlib import Path
import os
other = Services(Path(os.environ["WEAVEBOT_TEST_SERVICES"])).second("redis")
other.start(["redis"])
print(other.addresses()["WEAVEBOT_TEST_REDIS_URL"], os.environ["WEAVEBOT_TEST_REDIS_URL"])
"""
        done = told("run", "redis", "--", sys.executable, "-c", second)
        ports = [redis_port(one) for one in done.stdout.split()]
        assert len(set(ports)) == 2, done.stderr
        assert not any(probes.redis(port) for port in ports)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_stopped_by_a_signal_it_stops_the_command_and_the_servers(self, number: signal.Signals) -> None:
        command = [PROGRAM, "run", "redis", "--", "sh", "-c", "echo $WEAVEBOT_TEST_REDIS_URL; exec sleep 100"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            assert process.stdout
            port = redis_port(process.stdout.readline().strip())
            assert probes.redis(port)
            os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
            assert process.wait(60) == 128 + number
        assert not probes.redis(port)
