"""The words spoken over the owner's socket: one JSON object a line, both ways.

A request is ``{"operation", "arguments"}``; one that reads a file is followed by arrays of its lines and a closing
``null`` (the file is opened by the one who named it, with that process's rights). Back come the events of
``bot.events``, at last ``{"done": true}`` or ``{"error", "status"}``. Bytes that are not UTF-8 pass unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, TypeAlias

import structlog

from bot.errors import confess
from bot.events import Event, closing
from bot.exits import FAILED, WRONG_USE
from bot.lines import Lines
from bot.owner import GREETING, Link
from memory.errors import BadInput, Unavailable

log = structlog.get_logger(__name__)

FRAME: Final = 64 << 20
"""Bytes of the longest line on the socket: a batch of lines of a file, with every character escaped."""
AHEAD: Final = 4  # batches of lines that wait for an operation; then the sender waits

Perform: TypeAlias = Callable[[str, Mapping[str, Any], Lines | None], AsyncIterator[Event]]


class Desk:
    """Serves the requests that come over the socket, each in a task of its own."""

    def __init__(self, perform: Perform) -> None:
        self._perform = perform
        self._busy: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a request, its events, the end. A caller who hangs up ends the operation."""
        task = asyncio.current_task()
        if task is not None:
            self._busy.add(task)
        try:
            writer.write(GREETING)
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            log.info("owner.caller_left")
        finally:
            self._busy.discard(task) if task else None
            with contextlib.suppress(ConnectionError):
                writer.close()

    async def leave(self, kind: type[BaseException] | None, *_error: object) -> None:
        """As the end of a with block: waits until every request has been answered; after an error, ends them."""
        if kind is not None:
            await self.stop()
        while self._busy:
            await asyncio.wait(self._busy)

    async def stop(self) -> None:
        """Ends every request that is under way; its caller is told."""
        for task in self._busy:
            task.cancel()
        if self._busy:
            await asyncio.wait(self._busy)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = _parse(await reader.readline())
        except (BadInput, ValueError) as exc:  # ValueError: a line longer than FRAME
            await _send(writer, {"error": str(exc), "status": WRONG_USE})
            return
        lines = _Incoming(reader)
        work = asyncio.ensure_future(self._carry_out(request, lines, writer))
        listening = asyncio.ensure_future(lines.listen())
        try:
            await asyncio.wait({work, listening}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                log.info("owner.caller_left", operation=request["operation"])
        finally:
            for task in (work, listening):
                task.cancel()
            await asyncio.gather(work, listening, return_exceptions=True)

    async def _carry_out(self, request: Event, lines: _Incoming, writer: asyncio.StreamWriter) -> None:
        try:
            events = self._perform(request["operation"], request["arguments"], lines.batches())
            async with closing(events):
                async for event in events:
                    await _send(writer, event)
            await _send(writer, {"done": True})
        except asyncio.CancelledError:
            with contextlib.suppress(ConnectionError):
                await _send(writer, {"error": "The owner of the data folder was stopped.", "status": FAILED})
            raise
        except ConnectionError:
            raise
        except Exception as exc:  # noqa: BLE001 - the top of a request: a defect must not end the owner
            problem = confess(exc)
            await _send(writer, {"error": problem.words, "status": problem.status})


class _Incoming:
    """The lines of a file as they come over the socket."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._queue: asyncio.Queue[list[bytes] | None] = asyncio.Queue(AHEAD)

    async def listen(self) -> None:
        """Reads until the caller hangs up."""
        with contextlib.suppress(ConnectionError):
            while frame := await self._reader.readline():
                batch = json.loads(frame)
                await self._queue.put(None if batch is None else [_bytes(one) for one in batch])

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """Until the closing null."""
        while (batch := await self._queue.get()) is not None:
            yield batch


async def request(
    link: Link, operation: str, arguments: Mapping[str, Any], lines: Lines | None = None
) -> AsyncIterator[Event]:
    """Asks the owner for an operation and yields its events, ``error`` included. Raises Unavailable when it ends."""
    sending = asyncio.ensure_future(_send_request(link, operation, arguments, lines))
    try:
        while frame := await link.reader.readline():
            event: Event = json.loads(frame)
            if event.get("done"):
                return
            yield event
            if "error" in event:
                return
        raise Unavailable(f"{link.card.words()} ended before it was done; run the command again.")
    except ConnectionError as exc:
        raise Unavailable(f"{link.card.words()} ended before it was done; run the command again.") from exc
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await sending
        link.writer.close()


async def _send_request(link: Link, operation: str, arguments: Mapping[str, Any], lines: Lines | None) -> None:
    await _send(link.writer, {"operation": operation, "arguments": dict(arguments)})
    if lines is None:
        return
    async for batch in lines:
        await _send(link.writer, [one.decode("utf-8", "surrogateescape") for one in batch])
    await _send(link.writer, None)


async def _send(writer: asyncio.StreamWriter, value: Any) -> None:
    writer.write(json.dumps(value).encode("ascii") + b"\n")  # escapes carry surrogates and raw bytes unchanged
    await writer.drain()


def _parse(frame: bytes) -> Event:
    try:
        request = json.loads(frame)
    except ValueError as exc:
        raise BadInput("The request is not JSON.") from exc
    match request:
        case {"operation": str(), "arguments": dict()}:
            return dict(request)
    raise BadInput("A request names an operation and its arguments.")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
