"""The one table of operations: everything that the command line can do to a data folder.

An operation is an async generator ``function(app, **arguments)`` of the events of ``bot.events``. The command line runs
it in its own process when the folder is free, and through the owner's socket when it is not: same function, same
events, same output. Arguments are checked against the function's signature, because a socket may bring anything.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from bot import asking, doctor, importing, keeping, policies, reflecting
from bot.app import App
from bot.events import Event
from bot.importing import first_reason
from bot.lines import Lines
from memory.errors import BadInput, NotFound


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be done. ``reads`` takes the lines of a file; ``long`` serves others while it works."""

    name: str
    function: Callable[..., AsyncIterator[Event]]
    arguments: type[BaseModel]
    reads: bool = False
    long: bool = False


def _operation(name: str, function: Callable[..., AsyncIterator[Event]], *, long: bool = False) -> Operation:
    hints = get_type_hints(function)
    fields: dict[str, Any] = {}
    reads = False
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.name == "lines":
            reads = True
            continue
        required = parameter.default is inspect.Parameter.empty
        fields[parameter.name] = (hints[parameter.name], ... if required else parameter.default)
    model = create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid", strict=True), **fields)
    return Operation(name, function, model, reads=reads, long=long or reads)


TABLE: Final[Mapping[str, Operation]] = {
    one.name: one
    for one in (
        _operation("import", importing.import_history),
        _operation("ask", asking.ask),
        _operation("ask_batch", asking.ask_batch),
        _operation("react", asking.react),
        _operation("react_batch", asking.react_batch),
        _operation("stats", keeping.stats),
        _operation("digest", keeping.digest),
        _operation("forget", keeping.forget),
        _operation("export", keeping.export),
        _operation("reindex", keeping.reindex, long=True),
        _operation("queue", keeping.queue, long=True),
        _operation("reflect", reflecting.reflect, long=True),
        _operation("settings", keeping.settings),
        _operation("job", keeping.job, long=True),
        _operation("learn", policies.learn),
        _operation("evaluate", policies.evaluate),
        _operation("promote", policies.promote),
        _operation("experiment", policies.experiment),
        _operation("doctor", doctor.examine),
        _operation("migrate", keeping.migrate),
    )
}


def perform(app: App, name: str, arguments: Mapping[str, Any], lines: Lines | None = None) -> AsyncIterator[Event]:
    """Carries out an operation. Raises NotFound for one that there is not, BadInput for arguments that do not fit."""
    operation = TABLE.get(name)
    if operation is None:
        raise NotFound(f"There is no operation {name!r}; the owner of the data folder may be of another version.")
    try:
        checked = operation.arguments.model_validate(dict(arguments))
    except ValidationError as exc:
        raise BadInput(f"{first_reason(exc)}.") from None
    values = {field: getattr(checked, field) for field in operation.arguments.model_fields}
    if operation.reads:
        if lines is None:
            raise BadInput(f"{name} needs the lines of a file.")
        values["lines"] = lines
    return operation.function(app, **values)
