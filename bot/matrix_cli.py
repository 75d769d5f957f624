"""``weavebot matrix``: accounts of Matrix on the command line. Secrets come hidden, from a file or the environment."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bot.cli import cli, command
from bot.exits import DONE
from bot.flags import Flags

if TYPE_CHECKING:
    from bot.settings import Settings
    from bot.wiring.chats import MatrixAccount, MatrixDesk, MatrixDoor

SecretFile = Annotated[Path | None, typer.Option(metavar="FILE", help="The first line of FILE; - is stdin.")]

matrix = typer.Typer(name="matrix", help="Accounts of Matrix: log in, log out, which there are.", no_args_is_help=True)
cli.add_typer(matrix)

WAYS: Final = {"password": "m.login.password", "sso": "m.login.sso", "token": ""}
"""How one can log in, and the flow that a homeserver names it by; an access token works everywhere."""


@command(into=matrix)
def login(
    flags: Flags,
    *,
    homeserver: Annotated[
        str | None, typer.Argument(metavar="HOMESERVER", help="Its name (example.org) or URL; asked for when left out.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="USER", help="User name or id of the bot.")] = None,
    password_file: SecretFile = None,
    token_file: SecretFile = None,
    login_token_file: SecretFile = None,
    reset_cross_signing: Annotated[
        bool, typer.Option("--reset-cross-signing", help="Make a new identity: people must trust the bot anew.")
    ] = False,
) -> None:
    """Log in to a homeserver, with a device of our own; asks for what is not given.

    The account is stored below the data folder, readable by you alone, and `weavebot run` uses it. Secrets are never
    arguments: they are asked for hidden, or come from WEAVEBOT_MATRIX_PASSWORD, WEAVEBOT_MATRIX_TOKEN (each also with
    _FILE), or the files named here.

    Example: weavebot matrix login example.org --user weave
    """
    files = {"password": password_file, "token": token_file, "sso": login_token_file}

    def work(chosen: Settings, desk: MatrixDesk) -> None:
        given = {way: _first_line(file) for way, file in files.items() if file is not None}
        where = homeserver or _server_of(user) or chosen.matrix_homeserver
        where = where or _ask("Homeserver (its name, such as example.org, or its URL)")
        door = asyncio.run(desk.find(where))
        way, secret = _way(chosen, given, door)
        name = (user or chosen.matrix_user or _ask("User name of the bot")) if way == "password" else ""
        secret = secret or _ask_secret(way, door)
        account = asyncio.run(_entered(desk, door, way, name, secret))
        _tell(flags, _row(account), f"{account.user_id} is logged in, on the device {account.device_id}.")
        password = secret if way == "password" else None
        settle = desk.settle(account, password=password, reset=reset_cross_signing, approve=_approve)
        asyncio.run(settle)
        _say("Its device is signed. Start with `weavebot run` (start it again when it runs), then invite the bot.")

    _carry(flags, work)


@command(into=matrix)
def logout(
    flags: Flags, *, user: Annotated[str | None, typer.Argument(metavar="USER", help="The id of the account.")] = None
) -> None:
    """Log out: ends the device on the homeserver and removes its token and keys here.

    Example: weavebot matrix logout @weave:example.org
    """

    def work(_chosen: Settings, desk: MatrixDesk) -> None:
        known = desk.accounts()
        who = user or (known[0].user_id if len(known) == 1 else "")
        told = asyncio.run(desk.log_out(who))
        words = "" if told else "; the homeserver does not answer: end the device there in another client"
        _tell(flags, {"user": who, "ended": told}, f"{who} is logged out{words}.")

    _carry(flags, work)


@command(into=matrix)
def accounts(flags: Flags) -> None:
    """Show the accounts that are logged in.

    Example: weavebot matrix accounts
    """

    def work(_chosen: Settings, desk: MatrixDesk) -> None:
        known = desk.accounts()
        for one in known:
            _tell(flags, _row(one), f"{one.user_id} on {one.homeserver}, device {one.device_id}")
        if not known:
            _say("No account is logged in; `weavebot matrix login` logs one in.")

    _carry(flags, work)


def _carry(flags: Flags, work: Callable[[Settings, MatrixDesk], None]) -> None:
    """The top of these commands: one sentence for what goes wrong."""
    from bot import logs, owner, settings  # noqa: PLC0415 - help must not wait for imports
    from bot.errors import confess  # noqa: PLC0415 - likewise
    from bot.wiring.chats import matrix_desk  # noqa: PLC0415 - likewise

    status = DONE
    try:
        chosen = settings.load(flags.config, data=flags.data)
        logs.set_up(level=chosen.log_level or "warning", json=flags.json)
        work(chosen, matrix_desk(owner.prepare_folder(chosen.data)))
    except (typer.Abort, typer.Exit, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as exc:  # noqa: BLE001 - the top of a command: one sentence, never a traceback
        problem = confess(exc)
        _say(f"weavebot: {problem.words}")
        status = problem.status
    raise typer.Exit(status)


def _way(chosen: Settings, given: dict[str, str], door: MatrixDoor) -> tuple[str, str]:
    """How to log in, and the secret where there is one already."""
    secrets = {"token": chosen.matrix_token, "password": chosen.matrix_password}
    given = {**{way: one.get_secret_value() for way, one in secrets.items() if one is not None}, **given}
    for way in ("sso", "token", "password"):
        if way in given:
            return way, given[way]
    offered = [way for way, flow in WAYS.items() if not flow or flow in door.flows]
    if len(offered) == 1:
        return offered[0], ""
    words = {"password": "user name and password", "sso": "single sign-on", "token": "an access token"}
    _say(f"{door.url} offers: " + ", ".join(f"{way} ({words[way]})" for way in offered))
    return _ask("Which one", default=offered[0], among=offered), ""


def _ask_secret(way: str, door: MatrixDoor) -> str:
    if way == "sso":
        _say(
            "Open this page in a browser and sign in as the bot. In the end the browser cannot show a page; "
            f"copy its whole address from the address bar:\n\n  {door.sso_page}\n"
        )
        return _ask("That address", hidden=True)
    return _ask("Password of the bot" if way == "password" else "Access token of the bot", hidden=True)


async def _entered(desk: MatrixDesk, door: MatrixDoor, way: str, name: str, secret: str) -> MatrixAccount:
    if way == "password":
        return await desk.by_password(door, name, secret)
    return await (desk.by_login_token(door, secret) if way == "sso" else desk.by_access_token(door, secret))


async def _approve(address: str) -> None:
    _say(f"The homeserver wants you to approve that in a browser:\n\n  {address}\n")
    await asyncio.to_thread(_ask, "Press Enter when it is done", default="")


def _ask(words: str, *, default: str | None = None, hidden: bool = False, among: list[str] | None = None) -> str:
    """Asks the person at the terminal. Raises BadInput where nobody sits."""
    from memory.errors import BadInput  # noqa: PLC0415 - help must not wait for imports

    if not sys.stdin.isatty():
        raise BadInput(f"{words}? Nobody can be asked here; see `weavebot matrix login --help` for how to give it")
    while True:
        said = str(
            typer.prompt(words, default=default, hide_input=hidden, err=True, show_default=bool(default))
        ).strip()
        if among is None or said in among:
            return said
        _say(f"Please say {' or '.join(among)}.")


def _first_line(file: Path) -> str:
    from memory.errors import BadInput  # noqa: PLC0415 - help must not wait for imports

    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInput(f"The file {file} cannot be read; check the path and its permissions") from exc
    line = text.partition("\n")[0].strip()
    if not line:
        raise BadInput(f"The file {file} holds no secret in its first line")
    return line


def _server_of(user: str | None) -> str | None:
    return user if user and user.startswith("@") and ":" in user else None


def _row(account: MatrixAccount) -> dict[str, Any]:
    return {"user": account.user_id, "homeserver": account.homeserver, "device": account.device_id}


def _tell(flags: Flags, row: dict[str, Any], words: str) -> None:
    typer.echo(json.dumps(row, ensure_ascii=False) if flags.json else words)


def _say(words: str) -> None:
    typer.echo(words, err=True)
