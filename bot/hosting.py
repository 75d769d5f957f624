"""The two commands that stay: ``chat``, the console room, and ``run``, without a face. Both own the data folder.

While they do, they serve its socket, so that every other command works beside them, and they run the jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import structlog

from bot import demo_room, exchange, logs, owner, settings, teams
from bot.app import App
from bot.beside import beside
from bot.clock import SystemClock
from bot.connections import Connections
from bot.errors import confess
from bot.exits import DONE
from bot.flags import Flags
from bot.jobs import Schedule
from bot.operations import perform
from bot.pages import FAINT, HEAD, Page, line, page
from bot.render import hint_line
from bot.settings import Settings
from bot.terminal import Screen
from bot.warming import warm_up
from bot.wiring import open_app
from bot.wiring.chats import open_console, open_ports
from bot.working import ADAPTERS, JOBS, PARTS, SOON, WORKER, parts_of, publishing, telling, working
from memory.errors import NotFound, Unavailable
from memory.keeping_up import keep_up
from memory.models import Room
from memory.rounds import LOOK

log = structlog.get_logger(__name__)

LOBBY: Final = "lobby"
YOU: Final = "you"
LOG: Final = "weavebot.log"


Opening: TypeAlias = Callable[[Settings], Awaitable[App]]


def host_chat(
    flags: Flags, *, room: str | None = None, person: str | None = None, demo: bool = False, opening: Opening = open_app
) -> int:
    """The console room until the person leaves; gives the exit status."""
    guest = Guest(room or (demo_room.ROOM if demo else LOBBY), person or YOU, demo=demo)

    async def main(chosen: Settings, screen: Screen, ending: contextlib.ExitStack) -> None:
        async with owning(chosen, f"chat --room {guest.room}", screen, opening) as app:
            # Only now: a second chat that is refused must not write into the first one's log.
            sink = logs.set_up(level=chosen.log_level or "info", file=app.settings.data / LOG)
            ending.callback(sink.close)
            ending.callback(structlog.reset_defaults)
            await _chat(app, screen, guest)

    return _host(flags, main)


def host_run(flags: Flags, *, only: str | None = None, opening: Opening = open_app) -> int:
    """Everything but a console, or the parts that ``only`` names, until it is told to stop; gives the exit status."""

    async def main(chosen: Settings, screen: Screen, _ending: contextlib.ExitStack) -> None:
        parts = parts_of(only)
        logs.set_up(level=chosen.log_level or "info", json=flags.json)
        command = "run" if only is None else f"run --only {','.join(parts)}"
        async with owning(chosen, command, screen, opening, parts) as app:
            await _run(app, screen, parts)

    return _host(flags, main)


@dataclass(frozen=True, slots=True)
class Guest:
    """Who comes to the console, and where."""

    room: str
    person: str
    demo: bool


Main: TypeAlias = Callable[[Settings, Screen, contextlib.ExitStack], Coroutine[Any, Any, None]]


def _host(flags: Flags, main: Main) -> int:
    """Runs one of the two; what is on the stack ends last, after a defect has been logged."""
    screen = Screen(as_json=flags.json)
    with contextlib.ExitStack() as stack:
        stack.callback(screen.close)
        try:
            chosen = settings.load(flags.config, data=flags.data)
            logs.set_up(level=chosen.log_level or "warning", json=flags.json)
            asyncio.run(main(chosen, screen, stack))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return DONE  # Ctrl-C and SIGTERM are how one leaves
        except BrokenPipeError:
            raise
        except Exception as exc:  # noqa: BLE001 - the top of a command: one sentence, never a traceback
            problem = confess(exc)
            screen.close()
            screen.say(problem.words)
            return problem.status
    return DONE


@contextlib.asynccontextmanager
async def owning(
    chosen: Settings, command: str, screen: Screen, opening: Opening, parts: Sequence[str] = PARTS
) -> AsyncIterator[App]:
    """The data folder with everything in it, served to the other commands; a stop signal cancels the caller."""
    folder = owner.prepare_folder(chosen.data)
    card = owner.Card(os.getpid(), command, SystemClock().now().isoformat(timespec="seconds"), lasting=True)

    def waiting(who: owner.Card) -> None:
        screen.say(f"waiting for {who.words()} to finish")

    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_stopped_by(signal.SIGTERM))
        claim = await owner.reach(folder, card, frame=exchange.FRAME, on_wait=waiting)
        if isinstance(claim, owner.Link):  # a lasting command is never given one
            raise Unavailable("The data folder is in use; try again.")
        stack.callback(claim.release)
        app = await opening(chosen.model_copy(update={"data": folder}))
        stack.push_async_callback(app.close)
        if WORKER in parts:
            await stack.enter_async_context(working(app, SOON if len(parts) == 1 else LOOK))
        elif app.queues:
            await stack.enter_async_context(beside(publishing(app)))
        if app.queues:
            await stack.enter_async_context(beside(telling(app)))
        if app.graph is not None:
            await stack.enter_async_context(beside(keep_up(app.rooms)))
        if app.vectors is not None:
            await stack.enter_async_context(beside(keep_up(app.vectors, name="vectors")))
        if app.cache is not None:
            await stack.enter_async_context(beside(app.evidence.keep_up()))
        desk = exchange.Desk(lambda *asked: perform(app, *asked))
        stack.push_async_callback(desk.stop)
        await stack.enter_async_context(owner.serving(claim, desk.serve, frame=exchange.FRAME))
        log.info("owner.ready", pid=os.getpid(), command=command)
        yield app
    log.info("owner.left")


async def _chat(app: App, screen: Screen, guest: Guest) -> None:
    if guest.demo:
        await _load_demo(app, screen)
    room = await _room(app, guest.room)
    console = await open_console(app, room, guest.person)

    async def here() -> Sequence[Room]:
        return [room]

    schedule = Schedule(app, console.dispatch.post, here)
    async with beside(_warm_up(app, here)):
        try:
            if console.greets:
                console.port.show(_welcome(app, room, guest))
            await schedule.start()
            async for batch in console.port.events():
                for event in batch:
                    await console.dispatch.handle(event)
        finally:
            await schedule.stop()
    await app.engine.settle()


async def _run(app: App, screen: Screen, parts: Sequence[str]) -> None:
    if ADAPTERS in parts:
        connections = Connections(app, await open_ports(app))
        warmed = _warm_up(app, lambda: teams.rooms(app))
    else:
        connections, warmed = Connections(app, []), _idle()
    schedule = Schedule(app, connections.post, connections.rooms)
    async with connections.open(screen.say), beside(warmed):
        try:
            if JOBS in parts:
                await schedule.start()
            screen.say(_running(app, connections, parts))
            await asyncio.Event().wait()
        finally:
            await schedule.stop()


async def _idle() -> None:
    """Nobody asks here: nothing is warmed up."""


def _running(app: App, connections: Connections, parts: Sequence[str]) -> str:
    if ADAPTERS not in parts:
        return f"running on {app.settings.data}: {' and '.join(parts)} only; Ctrl-C stops me"
    accounts = ", ".join(f"{one.port.platform} {one.port.team or ''}".strip() for one in connections.all)
    if accounts:
        return f"running on {app.settings.data} as {accounts}; Ctrl-C stops me"
    return (
        f"running on {app.settings.data}; no chat account is configured yet (weavebot matrix login, "
        "or WEAVEBOT_DISCORD_TOKEN), so I only serve the other commands and run the jobs; Ctrl-C stops me"
    )


async def _load_demo(app: App, screen: Screen) -> None:
    """The demo room, or what has been added to it since; a bar for each step that people wait for."""
    given = {"room": demo_room.ROOM, "reflect": False}
    async for event in perform(app, "import", given, demo_room.lines(app)):
        if "progress" in event:
            screen.show(event)
    screen.close()


async def _room(app: App, name: str) -> Room:
    try:
        return await app.directory.find_room(app.tenant, name)
    except NotFound as exc:
        if type(exc) is not NotFound:
            raise
        return await app.directory.room(app.tenant, name, name)


async def _warm_up(app: App, rooms: Callable[[], Awaitable[Sequence[Room]]]) -> None:
    with contextlib.suppress(Unavailable):  # asking will say so
        await warm_up(app, await rooms())


def _welcome(app: App, room: Room, guest: Guest) -> Page:
    prefix = app.settings.prefix
    lines = [
        line((HEAD, f"You are in {room.name}"), (FAINT, f" as {guest.person}. What people write here is remembered."))
    ]
    if guest.demo:
        lines.append(line((FAINT, "Linden Hill's beekeepers are made up; ask them something:")))
        lines += [hint_line(f"  `{prefix} {question}`") for question in demo_room.QUESTIONS]
    else:
        lines.append(hint_line(f"Write something, then ask: `{prefix} who said what?`"))
    lines.append(hint_line(f"React with `+👍` `+👎` `+⭐`. `{prefix} help` shows the rest, `/quit` leaves."))
    return page(*lines)


@contextlib.contextmanager
def _stopped_by(number: signal.Signals) -> Iterator[None]:
    """The signal cancels the current task, so that everything is closed in order."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None or sys.platform == "win32":
        yield
        return
    loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
