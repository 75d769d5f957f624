"""Carrying out one command: in this process when the data folder is free, else through its owner's socket.

Heavy parts (the database, the model) are imported only where this process does the work itself, so that a command that
reaches a running owner answers in a fraction of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from bot import exchange, logs, owner, settings
from bot.clock import SystemClock
from bot.errors import confess
from bot.events import Event, closing
from bot.exits import INTERRUPTED
from bot.flags import Flags
from bot.lines import Lines, Meter, read_lines
from bot.settings import Settings
from bot.terminal import Screen
from memory.errors import NotFound, Refused

MOVE: Final = "move"
"""The one thing that is done with the folder to oneself: it is no operation, and no owner does it for another."""


def carry_out(flags: Flags, name: str, arguments: Mapping[str, Any], *, command: str, file: Path | None = None) -> int:
    """Runs one operation to its end, shows what it yields, and gives the exit status."""
    with contextlib.ExitStack() as stack:
        screen = Screen(as_json=flags.json)
        stack.callback(screen.close)
        try:
            source = stack.enter_context(_opened(file)) if file is not None else None
            meter = Meter()
            if source is not None:
                screen.measure = _measured(source, meter)
            chosen = settings.load(flags.config, data=flags.data)
            logs.set_up(level=chosen.log_level or "warning", json=flags.json)
            lines = read_lines(source, meter) if source is not None else None
            asyncio.run(_stream(screen, chosen, name, _given(arguments), command, lines))
        except KeyboardInterrupt:
            screen.close()
            screen.say("stopped; what was done so far is kept")
            return INTERRUPTED
        except BrokenPipeError:
            raise
        except Exception as exc:  # noqa: BLE001 - the top of a command: one sentence, never a traceback
            problem = confess(exc)
            screen.close()
            screen.say(problem.words)
            return problem.status
        return screen.status


async def _stream(
    screen: Screen, chosen: Settings, name: str, arguments: Mapping[str, Any], command: str, lines: Lines | None
) -> None:
    folder = owner.prepare_folder(chosen.data)
    card = owner.Card(os.getpid(), command, SystemClock().now().isoformat(timespec="seconds"))

    def waiting(who: owner.Card) -> None:
        screen.say(f"waiting for {who.words()} to finish")

    reached = await owner.reach(folder, card, frame=exchange.FRAME, on_wait=waiting)
    if isinstance(reached, owner.Link):
        if name == MOVE:
            reached.writer.close()
            raise Refused(
                f"{reached.card.words()} uses {folder}, and what it writes meanwhile would stay behind: stop it, then"
                " move"
            )
        events = exchange.request(reached, name, arguments, lines)
    else:
        events = _here(reached, chosen, name, arguments, lines)
    async with closing(events):
        async for event in events:
            screen.show(event)


async def _here(
    claim: owner.Claim, chosen: Settings, name: str, arguments: Mapping[str, Any], lines: Lines | None
) -> AsyncIterator[Event]:
    """The operation in this process, which owns the folder while it lasts; a long one serves others meanwhile."""
    if name == MOVE:
        from bot.moving import move  # noqa: PLC0415 - see the module's docstring

        try:
            async with closing(move(chosen.model_copy(update={"data": claim.folder}), **arguments)) as moved:
                async for event in moved:
                    yield event
        finally:
            claim.release()
        return
    from bot.doctor import examine_closed  # noqa: PLC0415 - see the module's docstring
    from bot.operations import TABLE, perform  # noqa: PLC0415 - likewise
    from bot.wiring import open_app  # noqa: PLC0415 - likewise
    from bot.working import working  # noqa: PLC0415 - likewise

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(claim.release)
        anew = name == "reindex"
        new_model = anew and bool(arguments.get("model"))
        try:
            folder = chosen.model_copy(update={"data": claim.folder})
            app = await open_app(folder, new_model=new_model, new_vectors=anew)
        except Exception as exc:
            if name != "doctor":
                raise
            for event in examine_closed(claim.folder, exc):
                yield event
            return
        stack.push_async_callback(app.close)
        if TABLE[name].long:
            await stack.enter_async_context(working(app))
            desk = exchange.Desk(lambda *asked: perform(app, *asked))
            stack.push_async_exit(desk.leave)
            await stack.enter_async_context(owner.serving(claim, desk.serve, frame=exchange.FRAME))
        events = await stack.enter_async_context(closing(perform(app, name, arguments, lines)))
        async for event in events:
            yield event


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """The file to read; ``-`` is what comes on stdin."""
    if str(file) == "-":
        with open(0, "rb", closefd=False) as stream:
            yield stream
        return
    try:
        with file.open("rb") as stream:
            yield stream
    except OSError as exc:
        raise NotFound(f"The file {file} cannot be read: {exc.strerror}.") from exc


def _measured(source: BinaryIO, meter: Meter) -> Any:
    status = os.fstat(source.fileno())
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return lambda: (meter.done, size) if size else None
