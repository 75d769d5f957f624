"""The socket carries an operation as if it ran here."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot import exchange, owner
from bot.events import Event, closing, note, progress, result, status
from bot.exchange import Desk, request
from bot.lines import Lines
from bot.owner import Card, Claim, Link, reach, serving, take
from memory.errors import BadInput, NotFound, Unavailable

CARD = Card(os.getpid(), "chat", "now", lasting=True)


class Operations:
    """Operations by name, for the owner's end."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.began = asyncio.Event()

    async def perform(self, name: str, arguments: Mapping[str, Any], lines: Lines | None) -> AsyncIterator[Event]:
        match name:
            case "tell":
                yield progress("reading", 1, None)
                yield note("line 2: bad")
                yield result({"said": arguments["say"]}, ((("strong", "x"),),))
                yield status(1)
            case "count":
                assert lines is not None
                yield result({"lines": [one.hex() async for batch in lines for one in batch]})
            case "missing":
                raise NotFound("there is no room 'x'")
            case "break":
                raise ZeroDivisionError
            case "wait":
                self.began.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()


@contextlib.asynccontextmanager
async def owned(folder: Path) -> AsyncIterator[tuple[Operations, Desk]]:
    claim = take(folder, CARD)
    assert isinstance(claim, Claim)
    operations = Operations()
    desk = Desk(operations.perform)
    async with serving(claim, desk.serve, frame=exchange.FRAME):
        yield operations, desk
        await desk.stop()
    claim.release()


async def link(folder: Path) -> Link:
    reached = await reach(folder, Card(1, "ask", "now"), frame=exchange.FRAME, on_wait=lambda _: None)
    assert isinstance(reached, Link)
    return reached


async def ask(folder: Path, name: str, lines: Lines | None = None, **arguments: Any) -> list[Event]:
    return [event async for event in request(await link(folder), name, arguments, lines)]


async def batches(*lists: list[bytes]) -> AsyncIterator[list[bytes]]:
    for one in lists:
        yield one


class TestARequest:
    async def test_its_events_arrive_as_they_were_yielded(self, tmp_path: Path) -> None:
        async with owned(tmp_path):
            told = await ask(tmp_path, "tell", say="häh 👍 \ud800")

        assert [next(iter(event)) for event in told] == ["progress", "note", "result", "status"]
        assert told[2] == {"result": {"said": "häh 👍 \ud800"}, "page": [[["strong", "x"]]]}

    async def test_lines_arrive_byte_for_byte(self, tmp_path: Path) -> None:
        raw = [b'{"a": 1}\n', b"\xff\xfe\n", b"\x00\x01\n", "é\ud800".encode("utf-8", "surrogatepass"), b""]
        async with owned(tmp_path):
            [told] = await ask(tmp_path, "count", batches(raw[:2], raw[2:]))

        assert [bytes.fromhex(one) for one in told["result"]["lines"]] == raw

    async def test_an_error_comes_as_its_sentence_and_status(self, tmp_path: Path) -> None:
        async with owned(tmp_path):
            assert await ask(tmp_path, "missing") == [{"error": "There is no room 'x'.", "status": 1}]

    async def test_a_defect_does_not_end_the_owner(self, tmp_path: Path) -> None:
        async with owned(tmp_path):
            [told] = await ask(tmp_path, "break")
            again = await ask(tmp_path, "tell", say=1)

        assert "ZeroDivisionError" in told["error"]
        assert len(again) == 4

    async def test_two_are_served_at_once(self, tmp_path: Path) -> None:
        async with owned(tmp_path) as (operations, _):
            waiting = asyncio.ensure_future(ask(tmp_path, "wait"))
            await operations.began.wait()
            assert len(await ask(tmp_path, "tell", say=1)) == 4
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    @pytest.mark.parametrize("line", [b"nonsense\n", b'"x"\n', b'{"operation": 1, "arguments": {}}\n'])
    async def test_what_is_no_request_is_refused(self, tmp_path: Path, line: bytes) -> None:
        async with owned(tmp_path):
            reached = await link(tmp_path)
            reached.writer.write(line)
            answer = await reached.reader.readline()
            reached.writer.close()

        assert b'"status": 2' in answer


class TestAnEnd:
    async def test_a_caller_who_hangs_up_ends_the_operation(self, tmp_path: Path) -> None:
        async with owned(tmp_path) as (operations, _):
            reached = await link(tmp_path)
            async with closing(request(reached, "wait", {})) as events:
                first = asyncio.ensure_future(anext(events))
                await operations.began.wait()
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
            async with asyncio.timeout(10):
                assert await operations.cancelled.wait()

    async def test_an_owner_that_stops_tells_its_callers(self, tmp_path: Path) -> None:
        async with owned(tmp_path) as (operations, desk):
            asking = asyncio.ensure_future(ask(tmp_path, "wait"))
            await operations.began.wait()
            await desk.stop()

            [told] = await asking
            assert told["error"] == "The owner of the data folder was stopped."

    async def test_an_owner_that_is_killed_is_named(self, tmp_path: Path) -> None:
        async def die(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(owner.GREETING)
            await writer.drain()
            writer.transport.abort()

        claim = take(tmp_path, CARD)
        assert claim is not None
        async with serving(claim, die, frame=exchange.FRAME):
            with pytest.raises(Unavailable, match=r"'weavebot chat' .* ended before it was done"):
                await ask(tmp_path, "tell")
        claim.release()

    async def test_an_owner_that_is_done_waits_for_its_callers(self, tmp_path: Path) -> None:
        async with owned(tmp_path) as (operations, desk):
            asking = asyncio.ensure_future(ask(tmp_path, "wait"))
            await operations.began.wait()
            leaving = asyncio.ensure_future(desk.leave(None))
            await asyncio.sleep(0)

            assert not leaving.done()
            await desk.stop()
            await leaving
            await asking

    async def test_an_owner_that_failed_waits_for_nobody(self, tmp_path: Path) -> None:
        async with owned(tmp_path) as (operations, desk):
            asking = asyncio.ensure_future(ask(tmp_path, "wait"))
            await operations.began.wait()
            await desk.leave(BadInput)

            assert "stopped" in (await asking)[0]["error"]
