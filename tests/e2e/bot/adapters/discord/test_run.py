"""``weavebot run`` as an operator starts it: a process of its own, settings from the environment, the real model."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.standins.discord import Discord, Person, Place

pytestmark = pytest.mark.model

WEAVEBOT = Path(sys.executable).with_name("weavebot")
PATIENCE = 90.0  # seconds; the model is loaded meanwhile


async def test_it_serves_discord_and_the_doctor_tells_so(
    discord: Discord, hives: Place, ana: Person, tmp_path: Path
) -> None:
    secret = tmp_path / "discord.token"
    secret.write_text(f"{discord.token}\n")
    environment = {
        **os.environ,
        "WEAVEBOT_DATA": str(tmp_path / "data"),
        "WEAVEBOT_DISCORD_TOKEN_FILE": str(secret),
        "WEAVEBOT_DISCORD_API": discord.api_url,
        "WEAVEBOT_DISCORD_GATEWAY": discord.gateway_url,
    }
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(WEAVEBOT, "run", env=environment, stdout=pipe, stderr=pipe)
    try:
        await discord.guild("hives").channel("welcome").expect(patience=PATIENCE)
        await ana.says(hives, "the gate code is 4471")
        answer = await (await ana.slash("weave", hives, question="what is the gate code?")).expect(patience=PATIENCE)
        assert "4471" in answer.content
        doctor = await asyncio.create_subprocess_exec(WEAVEBOT, "doctor", env=environment, stdout=pipe, stderr=pipe)
        told, _ = await doctor.communicate()
        assert "discord: connected as weavebot in 1 server, 1 shard" in told.decode()
        assert doctor.returncode == 0
    finally:
        running.send_signal(signal.SIGTERM)
        _, said = await running.communicate()
    assert running.returncode == 0
    assert "running on" in said.decode()
    assert "as discord; Ctrl-C stops me" in said.decode()
    assert "Traceback" not in said.decode()
    assert discord.token not in said.decode()
