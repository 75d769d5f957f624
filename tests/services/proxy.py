"""A line to a server that can be slow, dropped, or cut in the middle of a reply."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CHUNK = 1 << 14


class Proxy:
    """Listens on a port of its own and passes on what comes, both ways, as badly as it is told to."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._pairs: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.latency = 0.0
        """Seconds that each piece is held back, either way."""
        self.cut_after: int | None = None
        """Bytes of replies after which the line of that connection is cut."""

    def drop(self) -> None:
        """Cuts every connection there is, at once."""
        for writer in list(self._pairs):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._pairs |= both
        try:
            there = asyncio.create_task(self._carry(reader, far_writer, counted=False))
            back = asyncio.create_task(self._carry(far_reader, writer, counted=True))
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        finally:
            self._pairs -= both
            for one in both:
                one.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counted: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := await source.read(_CHUNK):
                if self.latency:
                    await asyncio.sleep(self.latency)
                if counted and self.cut_after is not None and passed + len(piece) > self.cut_after:
                    target.write(piece[: max(0, self.cut_after - passed)])  # half of a reply
                    await target.drain()
                    return
                passed += len(piece)
                target.write(piece)
                await target.drain()


@asynccontextmanager
async def proxy(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy in front of a server."""
    made = Proxy(host, port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.drop()
        await asyncio.sleep(0)
