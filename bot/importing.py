"""Chat history into the journal: JSON lines of ``{"id","room","author","text","sent_at","reply_to"}``.

A bad line is reported with its number and the reason, and the rest goes on. The file is read in batches; one batch is
one transaction for each room in it, so that an import that is cut off is taken up by running it again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot import pages
from bot.addressing import addressed
from bot.app import App
from bot.events import Event, closing, note, progress, result, status
from bot.lines import LONGEST_LINE, Lines
from bot.patience import patiently
from bot.reflecting import reflecting
from bot.settling import settling
from memory.errors import BadInput
from memory.journal import check
from memory.models import Draft, Provenance, Room

SHOWN_REJECTIONS = 100  # kept for the result; each is also told when it happens
LONGEST_NAME = 255


def _instant(value: object) -> datetime:
    """ISO 8601 to an aware time in UTC; without a zone it is taken as UTC."""
    if not isinstance(value, str):
        raise ValueError("write the time as an ISO 8601 string such as 2026-05-12T16:04:00Z")  # noqa: TRY004 - pydantic's
    try:
        at = datetime.fromisoformat(value.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise ValueError("not an ISO 8601 time such as 2026-05-12T16:04:00Z") from exc


Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"\S")]


class HistoryLine(BaseModel):
    """One line of a history file. Other keys are passed over."""

    model_config = ConfigDict(strict=True)

    id: Name
    author: Name
    text: str
    sent_at: Annotated[datetime, BeforeValidator(_instant)]
    room: Name | None = None
    reply_to: str | None = None


@dataclass(slots=True)
class Tally:
    """What an import has come to so far."""

    line: int = 0
    imported: int = 0
    known: int = 0
    rejected: int = 0
    refused: int = 0
    reasons: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, line: int, reason: str) -> Event:
        """Counts a line that cannot be taken and gives the sentence about it."""
        self.rejected += 1
        if len(self.reasons) < SHOWN_REJECTIONS:
            self.reasons.append({"line": line, "reason": reason})
        return note(f"line {line}: {reason}")


def parse_line(raw: bytes) -> HistoryLine | None:
    """The message of a line; None for an empty one. Raises BadInput with the reason."""
    value = parse_object(raw)
    if value is None:
        return None
    try:
        return HistoryLine.model_validate(value)
    except ValidationError as exc:
        raise BadInput(first_reason(exc)) from None


def parse_object(raw: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None for an empty line. Raises BadInput with the reason."""
    if len(raw) > LONGEST_LINE:
        raise BadInput(f"the line is longer than {LONGEST_LINE >> 20} MiB")
    try:
        text = raw.decode("utf-8-sig").strip()
        value = json.loads(text) if text else None
    except UnicodeDecodeError as exc:
        raise BadInput(f"not UTF-8 (byte {exc.start + 1})") from exc
    except json.JSONDecodeError as exc:
        raise BadInput(f"not JSON ({exc.msg}, column {exc.colno})") from exc
    except (ValueError, RecursionError) as exc:  # a number of thousands of digits, brackets a thousand deep
        raise BadInput("not JSON that can be read") from exc
    if text and not isinstance(value, dict):
        raise BadInput("not a JSON object in braces")
    return value


def first_reason(exc: ValidationError) -> str:
    """What is wrong first, in words, without the value (it may be somebody's message)."""
    first = exc.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{where} is missing"
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "string_pattern_mismatch":
        said = "is blank"
    return f"{where}: {said[:1].lower()}{said[1:]}"


def read_batch(batch: list[bytes], tally: Tally, room: str | None, prefix: str) -> Iterator[Event | tuple[str, Draft]]:
    """The drafts of a batch with the names of their rooms, and a note for each line that cannot be taken."""
    for raw in batch:
        tally.line += 1
        try:
            message = parse_line(raw)
            if message is None:
                continue
            name = room or message.room
            if name is None:
                raise BadInput("room is missing (or give --room NAME)")  # noqa: TRY301 - told like the others
            draft = _draft(message)
            check(draft)
            if addressed(draft.text, prefix) is not None:
                tally.refused += 1  # what was said to the bot is no memory
                continue
        except BadInput as exc:
            yield tally.reject(tally.line, str(exc))
        else:
            yield name, draft


def _draft(message: HistoryLine) -> Draft:
    author = message.author.strip()
    return Draft(
        event_id=message.id,
        author=author,
        author_name=author,
        text=message.text,
        sent_at=message.sent_at,
        reply_to=message.reply_to,
        provenance=Provenance.HISTORY,
    )


async def import_history(
    app: App, *, lines: Lines, room: str | None = None, reflect: bool = True
) -> AsyncIterator[Event]:
    """Admits every message of the lines, then waits until all of them are indexed.

    ``reflect``: and until they are reflected on, unless that is switched off; else a worker beside us does so.
    """
    tally = Tally()
    rooms: dict[str, Room] = {}
    async for batch in lines:
        grouped: dict[str, list[Draft]] = {}
        for one in read_batch(batch, tally, room, app.settings.prefix):
            if isinstance(one, dict):
                yield one
            else:
                grouped.setdefault(one[0], []).append(one[1])
        for name, drafts in grouped.items():
            if name not in rooms:
                rooms[name] = await patiently(app.directory.room)(app.tenant, name, name)
            await _admit(app, rooms[name], drafts, tally)
        yield progress("reading", tally.line, None)
    yield progress("reading", tally.line, tally.line)
    async with closing(settling(app)) as events:
        async for event in events:
            yield event
    if reflect and app.settings.reflection != "off":
        async with closing(reflecting(app)) as events:
            async for event in events:
                yield event
    yield _counts(tally)
    if tally.rejected and not tally.imported and not tally.known:
        yield status(1)


async def _admit(app: App, room: Room, drafts: list[Draft], tally: Tally) -> None:
    admitted = await patiently(app.journal.admit)(room, drafts)
    tally.imported += len(admitted.serials)
    tally.known += admitted.known
    tally.refused += admitted.refused


def _counts(tally: Tally) -> Event:
    """The end of an import. Forgotten messages, those of people who opted out, and commands count as refused."""
    words = f"{tally.imported} imported, {tally.known} already known, {tally.rejected} rejected"
    if tally.refused:
        words += f", {tally.refused} kept out (forgotten before, people who opted out, commands)"
    value = {
        "imported": tally.imported,
        "already_known": tally.known,
        "rejected": tally.rejected,
        "kept_out": tally.refused,
        "rejections": tally.reasons,
    }
    return result(value, pages.page(words))
