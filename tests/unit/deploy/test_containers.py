"""What containers are made of: held against the specification, and against what we promise of them."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bot.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
CHECKER = Path(sys.executable).with_name("check-jsonschema")
LINTER = Path(sys.executable).with_name("hadolint")


def compose() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe").load(COMPOSE.read_text("utf-8"))
    return read


def services() -> list[Any]:
    return [pytest.param(service, id=name) for name, service in compose()["services"].items()]


def test_the_compose_file_follows_the_specification() -> None:
    ran = subprocess.run(
        [CHECKER, "--builtin-schema", "vendor.compose-spec", COMPOSE], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_dockerfile_is_clean() -> None:
    ran = subprocess.run([LINTER, ROOT / "deploy" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("service", services())
class TestEveryService:
    def test_has_an_image_of_one_version(self, service: dict[str, Any]) -> None:
        _, _, tag = service["image"].partition(":")
        assert tag not in {"", "latest"}
        assert "build" in service or re.match(r"v?\d+\.\d+", tag)

    def test_is_nobody_in_particular(self, service: dict[str, Any]) -> None:
        user, _, group = service["user"].partition(":")
        assert int(user) > 0
        assert int(group) > 0
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]

    def test_writes_to_its_volumes_alone(self, service: dict[str, Any]) -> None:
        assert service["read_only"] is True
        assert all(volume.split(":")[0] in compose()["volumes"] for volume in service["volumes"])

    def test_is_watched_and_bounded(self, service: dict[str, Any]) -> None:
        assert service["healthcheck"]["test"]
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= limits.keys()

    def test_is_told_no_secret_in_its_environment(self, service: dict[str, Any]) -> None:
        for name, value in service["environment"].items():
            if re.search(r"PASSWORD|TOKEN|SECRET|AUTH|_URL", name) and name != "POSTGRES_INITDB_ARGS":
                assert name.endswith("_FILE") or "://" not in str(value).replace("bolt://", "", 1), name
                if name.endswith("_FILE"):
                    assert value.removeprefix("/run/secrets/") in service["secrets"]

    def test_opens_no_port_of_the_host(self, service: dict[str, Any]) -> None:
        assert "ports" not in service


def test_secrets_are_made_once_and_fit_together(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    program = shutil.copy(ROOT / "deploy" / "make-secrets", tmp_path / "deploy")
    subprocess.run([program], check=True, capture_output=True)
    made = {file.name: file.read_text("utf-8") for file in (tmp_path / "secrets").iterdir()}
    assert made.keys() == compose()["secrets"].keys()
    assert len(made["postgres_password"]) == 64
    assert f":{made['postgres_password']}@postgres:5432/" in made["database_url"]
    assert made["rabbitmq.conf"].splitlines()[-1] == f"default_pass = {made['rabbitmq_password']}"
    assert made["queue_url"] == f"amqp://weavebot:{made['rabbitmq_password']}@rabbitmq:5672/"
    assert made["neo4j_auth"] == f"neo4j/{made['neo4j_password']}"
    assert made["redis_conf"] == f"requirepass {made['redis_password']}"
    assert made["qdrant.yaml"] == f"service:\n  api_key: {made['qdrant_key']}\n"
    assert made["redis_url"] == f"redis://:{made['redis_password']}@redis:6379/0"
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700

    (tmp_path / "secrets" / "postgres_password").chmod(0o600)
    (tmp_path / "secrets" / "postgres_password").write_text("mine", encoding="utf-8")
    subprocess.run([program], check=True, capture_output=True)
    assert (tmp_path / "secrets" / "postgres_password").read_text("utf-8") == "mine"


def test_the_example_lists_exactly_the_settings_that_there_are() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    listed = dict(re.findall(r"^#WEAVEBOT_([A-Z0-9_]+)=(.*)$", example, re.MULTILINE))
    defaults = {name.upper(): _written(field.default) for name, field in Settings.model_fields.items()}
    assert listed == defaults


def _written(value: object) -> str:
    if value is None or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_a_container_gets_the_code_and_nothing_else() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert sorted(kept) == sorted(" ".join(copied).split())
    assert all((ROOT / name).exists() for name in kept)
