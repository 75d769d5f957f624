"""The command line. Each command says what it does with an example; ``bot.carrying`` does it."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_type_hints

import typer
from typer.exceptions import TyperException

from bot.exits import DONE, INTERRUPTED, WRONG_USE
from bot.flags import Flags
from bot.streams import leave_quietly, murmur, prepare_streams

ConfigFlag = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML.")]
DataFlag = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder of the embedded data (./data).")]
JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout, logs on stderr.")]
RoomFlag = Annotated[
    str | None, typer.Option("--room", metavar="NAME", help="The room (needed when there are several).")
]
PersonFlag = Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who you are: a name or an id.")]
BatchFlag = Annotated[
    Path | None, typer.Option("--batch", metavar="FILE", help="Many at once: JSON lines; - is stdin.")
]

cli = typer.Typer(
    name="weavebot",
    help="A team's memory that lives in its chat rooms and learns from emoji.",
    epilog=(
        "Start with: weavebot chat --demo · Matrix: weavebot matrix login · Discord: WEAVEBOT_DISCORD_TOKEN, then "
        "weavebot run · Each command explains itself: weavebot ask --help"
    ),
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@cli.callback(invoke_without_command=True)
def before_command(
    ctx: typer.Context, *, config: ConfigFlag = None, data: DataFlag = None, json: JsonFlag = False
) -> None:
    """Keeps the flags that stand before the command."""
    ctx.obj = Flags(config, data, json)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def command(
    name: str | None = None, *, into: typer.Typer = cli
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers a command that also takes the flags which every command has; they hold before and after its name."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function, assigned=("__doc__", "__name__"), updated=())
        def called(
            ctx: typer.Context,
            *,
            config: ConfigFlag = None,
            data: DataFlag = None,
            json: JsonFlag = False,
            **given: Any,
        ) -> None:
            before: Flags = ctx.obj
            function(Flags(config or before.config, data or before.data, json or before.json), **given)

        ours = _parameters(called, globals())
        named = _parameters(function)
        parameters = [ours["ctx"], *list(named.values())[1:], ours["config"], ours["data"], ours["json"]]
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        into.command(name)(called)
        return function

    return register


def _parameters(function: Callable[..., None], names: dict[str, Any] | None = None) -> dict[str, inspect.Parameter]:
    """The parameters of a function with their annotations evaluated, in its own module or among ``names``."""
    hints = get_type_hints(function, names, include_extras=True)
    signature = inspect.signature(function, follow_wrapped=False)
    return {name: one.replace(annotation=hints.get(name, Any)) for name, one in signature.parameters.items()}


def carry_out(flags: Flags, name: str, given: dict[str, Any], *, command: str, file: Path | None = None) -> int:
    """Does what a command means, in this process or in the one that owns the data; gives the exit status."""
    from bot import carrying  # noqa: PLC0415 - help and wrong use must not wait for 0.3 s of imports

    return carrying.carry_out(flags, name, given, command=command, file=file)


def leave(status: int) -> NoReturn:
    """Ends the command."""
    raise typer.Exit(status)


def wrong(sentence: str) -> NoReturn:
    """Ends the command with what is wrong with how it was called."""
    typer.echo(f"weavebot: {sentence}", err=True)
    raise typer.Exit(WRONG_USE)


@command("import")
def import_(
    flags: Flags,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines; - is stdin.")],
    room: Annotated[
        str | None, typer.Option("--room", metavar="NAME", help="Into this room, whatever the lines say.")
    ] = None,
) -> None:
    """Remember a chat's history.

    FILE holds one JSON object a line: {"id", "room", "author", "text", "sent_at", "reply_to"}; times are ISO 8601,
    without a zone they are UTC. Running it again is harmless: each id is taken once. A bad line is reported, the rest
    goes on.

    Example: weavebot import history.jsonl --room hives
    """
    command = f"import {file.name}"
    leave(carry_out(flags, "import", {"room": room}, command=command, file=file))


ROUTES = (
    "chat, documents, linked, keyword, vector, recent, balance, blend; and outside the learned menu recursive, "
    "strange-loop, beam, monte-carlo, hierarchical, adaptive"
)
"""`routing.routes.BY_NAME` in words, which help must not wait for."""


@command()
def ask(
    flags: Flags,
    *,
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="What you want to know.")] = None,
    room: RoomFlag = None,
    person: PersonFlag = None,
    limit: Annotated[int | None, typer.Option(min=1, max=200, metavar="K", help="Messages cited at most (10).")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Tokens of context at most (4096).")] = None,
    route: Annotated[
        str | None, typer.Option(metavar="ROUTE", help=f"Take this route instead of the learned one: {ROUTES}.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the choice of route; the same seed, the same choice.")
    ] = None,
    batch: BatchFlag = None,
) -> None:
    """Ask a room's memory.

    The answer comes with the messages that prove it, how sure it is, and the route that found it. A batch holds JSON
    lines of {"id", "room", "question"} and gives one line for each.

    Example: weavebot ask "Who inspected the hives last Tuesday?" --room hives --as Ana
    """
    if (question is None) == (batch is None):
        wrong("Give a question, or a file of questions with --batch.")
    given: dict[str, Any] = {"room": room, "person": person, "limit": limit, "tokens": tokens, "route": route}
    if batch is not None:
        leave(carry_out(flags, "ask_batch", {**given, "seed": seed}, command="ask --batch", file=batch))
    leave(carry_out(flags, "ask", {**given, "seed": seed, "question": question}, command="ask"))


@command()
def react(
    flags: Flags,
    *,
    answer_id: Annotated[str | None, typer.Argument(metavar="ANSWER_ID", help="As ask printed it.")] = None,
    emoji: Annotated[str | None, typer.Argument(metavar="EMOJI", help="👍, 👎, ⭐ … or +1, -1, *.")] = None,
    person: PersonFlag = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the reaction back.")] = False,
    batch: BatchFlag = None,
) -> None:
    """Rate an answer with an emoji; the routing learns from it.

    A person has one vote on an answer: the newest emoji that is still there. A batch holds JSON lines of
    {"answer_id", "emoji", "person", "remove"}.

    Example: weavebot react 3f2a91bc 👍 --as Ana
    """
    if batch is not None:
        if answer_id is not None:
            wrong("Give an answer and an emoji, or a file of votes with --batch.")
        leave(carry_out(flags, "react_batch", {}, command="react --batch", file=batch))
    if answer_id is None or emoji is None or person is None:
        wrong("Say which answer, which emoji and who you are: weavebot react ANSWER_ID 👍 --as NAME.")
    given = {"answer_id": answer_id, "emoji": emoji, "person": person, "remove": remove}
    leave(carry_out(flags, "react", given, command="react"))


@command()
def stats(
    flags: Flags,
    *,
    room: Annotated[
        str | None, typer.Option("--room", metavar="NAME", help="One room; without it, all of them.")
    ] = None,
) -> None:
    """What is remembered, and what each route has earned.

    Example: weavebot stats --room hives
    """
    leave(carry_out(flags, "stats", {"room": room}, command="stats"))


@command()
def digest(
    flags: Flags,
    *,
    room: RoomFlag = None,
) -> None:
    """The last seven days of a room: what was asked, what helped, what the routing learned, what is open.

    Example: weavebot digest --room hives
    """
    leave(carry_out(flags, "digest", {"room": room}, command="digest"))


@command()
def forget(
    flags: Flags,
    *,
    message: Annotated[str | None, typer.Option("--message", metavar="ID", help="This message.")] = None,
    person: Annotated[
        str | None, typer.Option("--person", metavar="NAME", help="Everything this person wrote.")
    ] = None,
    room: Annotated[str | None, typer.Option("--room", metavar="NAME", help="Where the message is.")] = None,
) -> None:
    """Erase a message, or everything of a person, from every store; it does not come back with the next import.

    Example: weavebot forget --person Ana
    """
    if (message is None) == (person is None):
        wrong("Say what to forget: --message ID or --person NAME.")
    given = {"message": message, "person": person, "room": room}
    leave(carry_out(flags, "forget", given, command="forget"))


@command()
def export(
    flags: Flags,
    *,
    person: Annotated[str, typer.Option("--person", metavar="NAME", help="Whose.")],
) -> None:
    """Everything that is kept about a person, as JSON lines on stdout.

    Example: weavebot export --person Ana > ana.jsonl
    """
    leave(carry_out(flags, "export", {"person": person}, command="export"))


@command()
def reindex(
    flags: Flags,
    *,
    model: Annotated[
        bool, typer.Option("--model", help="Accept another embedding model and embed everything anew.")
    ] = False,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="NAME", help="rooms, learning (from votes), neo4j, qdrant, redis, or all."),
    ] = None,
) -> None:
    """Build everything that is derived from messages and votes again; vectors of the same model are kept.

    Example: weavebot reindex
    """
    leave(carry_out(flags, "reindex", {"model": model, "store": store}, command="reindex"))


@command()
def queue(
    flags: Flags,
    *,
    retry_dead: Annotated[bool, typer.Option("--retry-dead", help="Try what was given up again.")] = False,
) -> None:
    """Show what waits to be indexed, and which messages were given up.

    Example: weavebot queue --retry-dead
    """
    leave(carry_out(flags, "queue", {"retry_dead": retry_dead}, command="queue"))


@command()
def reflect(
    flags: Flags,
    *,
    room: Annotated[
        str | None, typer.Option("--room", metavar="NAME", help="One room; without it, all of them.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="The whole history, not only what waits.")] = False,
) -> None:
    """Derive memories (facts, preferences, events, decisions, how-tos) from the messages that wait.

    What had failed is tried again. --again reads the whole history; what comes out the same is left as it is.

    Example: weavebot reflect --room hives --again
    """
    leave(carry_out(flags, "reflect", {"room": room, "again": again}, command="reflect"))


@command()
def settings(
    flags: Flags,
    *,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="digest, digest_at or timezone.")] = None,
    value: Annotated[
        list[str] | None, typer.Argument(metavar="VALUE", help="The new value; default takes it back.")
    ] = None,
    room: RoomFlag = None,
) -> None:
    """Show or change the settings of a room.

    Example: weavebot settings digest_at friday 16:00 --room hives
    """
    given = {"room": room, "name": name, "value": " ".join(value) if value else None}
    leave(carry_out(flags, "settings", given, command="settings"))


@command()
def job(
    flags: Flags,
    *,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Without it: the jobs that there are.")] = None,
    room: Annotated[str | None, typer.Option("--room", metavar="NAME", help="For this room only.")] = None,
) -> None:
    """Run a scheduled job now.

    Example: weavebot job digest --room hives
    """
    leave(carry_out(flags, "job", {"name": name, "room": room}, command="job"))


@command()
def doctor(flags: Flags) -> None:
    """Check every part and say the exact fix for what is wrong.

    Example: weavebot doctor
    """
    leave(carry_out(flags, "doctor", {}, command="doctor"))


@command()
def migrate(
    flags: Flags,
    *,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="Move the data folder to this PostgreSQL; or a file with the URL."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --to: say what would be moved.")] = False,
) -> None:
    """Bring the database to this version's schema, or move the data folder to PostgreSQL (--to).

    Every other command brings the schema up to date too, when it starts. A move takes everything that the data folder
    holds. Interrupted and run again, it goes on. In the end both are compared, row by row and by asking the same
    questions.

    Example: weavebot migrate --to postgresql://weavebot:PASSWORD@localhost:5432/weavebot
    """
    if to is None:
        if dry_run:
            wrong("--dry-run goes with --to URL.")
        leave(carry_out(flags, "migrate", {}, command="migrate"))
    leave(carry_out(flags, "move", {"to": to, "dry_run": dry_run}, command="migrate --to"))


@command()
def chat(
    flags: Flags,
    *,
    room: Annotated[str | None, typer.Option("--room", metavar="NAME", help="The room to sit in (lobby).")] = None,
    person: Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who you are (you).")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Sit in the demo room, which is loaded at first.")] = False,
) -> None:
    """Open the console room: write, ask with !weave, react with +👍.

    Example: weavebot chat --demo
    """
    with murmur("Opening the room ..."):
        from bot.hosting import host_chat  # noqa: PLC0415 - heavy parts are imported by the commands that need them

    leave(host_chat(flags, room=room, person=person, demo=demo))


@command()
def run(
    flags: Flags,
    *,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="PARTS", help="Only these, apart by commas: adapters, jobs, worker."),
    ] = None,
) -> None:
    """Keep Weavebot running in its chat rooms: Matrix, Discord, or both.

    Matrix: the accounts of `weavebot matrix login`. Discord: the bot whose
    token WEAVEBOT_DISCORD_TOKEN holds, or the file that
    WEAVEBOT_DISCORD_TOKEN_FILE names; WEAVEBOT_DISCORD_MEMORY=mentions does
    without the message content intent. The jobs run too, and every other
    command comes through its socket. On PostgreSQL the parts may run apart:
    weavebot run --only worker, as often as you like, each with a --data of
    its own.

    Example: weavebot run --data /srv/weavebot
    """
    from bot.hosting import host_run  # noqa: PLC0415 - heavy parts are imported by the commands that need them

    leave(host_run(flags, only=only))


def perform(arguments: Sequence[str]) -> int:
    """Carries out one command line and gives the exit status; errors are one sentence on stderr."""
    from bot import matrix_cli, policies_cli  # noqa: F401, PLC0415 - they add commands, and need this module for that

    try:
        outcome = cli(list(arguments), standalone_mode=False, prog_name="weavebot")
    except TyperException as exc:
        sentence = " ".join(exc.format_message().split())
        typer.echo(f"weavebot: {sentence.rstrip('.')}. See weavebot --help.", err=True)
        return exc.exit_code
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("weavebot: stopped", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return leave_quietly()
    return outcome if isinstance(outcome, int) else DONE


def main() -> None:
    """The entry point of the ``weavebot`` program."""
    os.umask(0o077)  # what we write is for this user alone
    prepare_streams()
    sys.exit(perform(sys.argv[1:]))
