"""Routes of application commands, and the checks that Discord makes when they are registered."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.standins.discord.errors import UNKNOWN_COMMAND, Refused, bad_length, invalid
from tests.standins.discord.looking import guild_of
from tests.standins.discord.rest import Call, Payload, Routes
from tests.standins.discord.state import Json

MOST: Final = {1: 100, 2: 15, 3: 15}  # slash, user and message commands
MOST_OPTIONS: Final = 25
LONGEST_NAME: Final = 32
LONGEST_DESCRIPTION: Final = 100
SUBCOMMANDS: Final = (1, 2)
_SLASH_NAME: Final = re.compile(r"^[-_'\w]{1,32}$")


def check(command: Json, field: str = "") -> None:
    """What Discord enforces on one command or option. Raises Refused (50035)."""
    name = str(command.get("name") or "")
    slash = field != "" or command.get("type", 1) == 1
    if slash and (not _SLASH_NAME.match(name) or name != name.lower()):
        raise invalid(f"{field}name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    if not slash and not 1 <= len(name) <= LONGEST_NAME:
        raise bad_length(f"{field}name", 1, LONGEST_NAME)
    description = str(command.get("description") or "")
    if slash and not 1 <= len(description) <= LONGEST_DESCRIPTION:
        raise bad_length(f"{field}description", 1, LONGEST_DESCRIPTION)
    if not slash and description:
        raise invalid(f"{field}description", "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION_CANNOT_EXIST", "Not allowed")
    _check_options(command, field)


def _check_options(command: Json, field: str) -> None:
    options: list[Json] = command.get("options") or []
    if len(options) > MOST_OPTIONS or len(command.get("choices") or []) > MOST_OPTIONS:
        raise invalid(f"{field}options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    kinds = [one.get("type") in SUBCOMMANDS for one in options]
    if any(kinds) and not all(kinds):
        raise invalid(f"{field}options", "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", "Sub-commands cannot be mixed")
    required = [bool(one.get("required")) for one in options]
    if required != sorted(required, reverse=True):
        raise invalid(
            f"{field}options",
            "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
            "Required options must be placed before non-required options",
        )
    names = [one.get("name") for one in options]
    if len(set(names)) != len(names):
        raise invalid(f"{field}options", "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATE", "Option names must be unique")
    for number, one in enumerate(options):
        if one.get("autocomplete") and one.get("choices"):
            raise invalid(f"{field}options.{number}", "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE", "Not with choices")
        check(one, f"{field}options.{number}.")


def _store(call: Call) -> dict[int, Json]:
    app = call.world.app
    if call.number("app") != app.id:
        raise Refused(UNKNOWN_COMMAND)
    if "guild" not in call.path:
        return app.commands
    return app.guild_commands.setdefault(guild_of(call).id, {})


async def read(call: Call) -> Payload:
    """GET …/commands."""
    return list(_store(call).values())


async def sync(call: Call) -> Payload:
    """PUT …/commands: what is given replaces what was there; a command that stays keeps its id."""
    store = _store(call)
    given: list[Json] = call.body or []
    for kind, most in MOST.items():
        if sum(one.get("type", 1) == kind for one in given) > most:
            raise invalid("", "APPLICATION_COMMAND_TOO_MANY", f"Maximum number of commands reached ({most}).")
    for one in given:
        check(one)
    known = {(one["name"], one["type"]): one["id"] for one in store.values()}
    store.clear()
    return [_keep(call, store, one, known) for one in given]


def _keep(call: Call, store: dict[int, Json], given: Json, known: dict[tuple[str, int], str]) -> Json:
    kind = given.get("type", 1)
    number = int(known.get((given["name"], kind)) or call.world.make_id())
    command: Json = {
        "options": [],
        "default_member_permissions": None,
        "nsfw": False,
        "contexts": None,
        "integration_types": [0],
        **given,
        "description": given.get("description") or "",
        "id": str(number),
        "type": kind,
        "application_id": str(call.world.app.id),
        "version": str(call.world.make_id()),
    }
    if "guild" in call.path:
        command["guild_id"] = call.path["guild"]
    store[number] = command
    return command


async def create(call: Call) -> Payload:
    """POST …/commands."""
    store, given = _store(call), call.body or {}
    check(given)
    return _keep(call, store, given, {(one["name"], one["type"]): one["id"] for one in store.values()})


def _one(call: Call) -> tuple[dict[int, Json], Json]:
    store = _store(call)
    found = store.get(call.number("command"))
    if found is None:
        raise Refused(UNKNOWN_COMMAND)
    return store, found


async def read_one(call: Call) -> Payload:
    """GET …/commands/{command}."""
    return _one(call)[1]


async def edit(call: Call) -> Payload:
    """PATCH …/commands/{command}."""
    _, found = _one(call)
    changed: dict[str, Any] = {**found, **(call.body or {})}
    check(changed)
    found.update(changed)
    return found


async def delete(call: Call) -> None:
    """DELETE …/commands/{command}."""
    store, found = _one(call)
    del store[int(found["id"])]


def _under(path: str) -> Routes:
    return {
        ("GET", path): read,
        ("PUT", path): sync,
        ("POST", path): create,
        ("GET", path + "/{command}"): read_one,
        ("PATCH", path + "/{command}"): edit,
        ("DELETE", path + "/{command}"): delete,
    }


ROUTES: Final[Routes] = {
    **_under("/applications/{app}/commands"),
    **_under("/applications/{app}/guilds/{guild}/commands"),
}
