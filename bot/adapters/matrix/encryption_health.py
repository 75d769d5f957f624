"""How encryption fares: signed or not, what could not be read, and the exact fix for each thing that is wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nio import AsyncClient

from bot.adapters.matrix import private, seeds, twins
from bot.adapters.matrix.cross_signing import Published, published
from bot.adapters.matrix.encryption import PICKLE_KEY, machine, store_name
from bot.adapters.matrix.homeserver import Homeserver
from bot.adapters.matrix.signing import signed_by
from bot.adapters.matrix.timing import Timing
from bot.adapters.matrix.undecryptable import Figures, Undecryptable
from bot.pages import BAD, FAINT, GOOD, Page, count, line
from memory.errors import WeavebotError

LOGIN: Final = "`weavebot matrix login`"
MOST_ASKED: Final = 200  # people whose devices are looked up for one page

FIXES: Final[Mapping[str, str]] = {
    "m.unverified": "their client gives keys to signed devices alone: see my identity here; else they verify me",
    "m.blacklisted": "their client blocks this bot: unblock it there",
    "m.unauthorised": "their client says that I was not in the room then: nothing is wrong",
    "m.unavailable": "their client no longer has the key: nothing can be done",
    "m.no_olm": "their client could not reach my device: they type /discardsession in the room and write again",
}
NO_KEY: Final = (
    "whoever wrote them types /discardsession in the room (Element); what they write then can be read, "
    "and what they wrote before as soon as their client sends its key"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what it is, what was found, and the fix when it is not well."""

    check: str
    found: str
    fix: str | None = None


async def encryption_page(
    client: AsyncClient, store: Path, unread: Undecryptable, timing: Timing, room: str | None = None
) -> Page:
    """What people read on `!weave e2ee`; of one room when it is named."""
    return tuple(
        line(
            (GOOD, "ok    ") if one.fix is None else (BAD, "wrong "),
            f"{one.check}: {one.found}",
            (FAINT, "" if one.fix is None else f" → {one.fix}"),
        )
        for one in [each async for each in findings(client, store, unread, timing, room)]
    )


async def findings(
    client: AsyncClient, store: Path, unread: Undecryptable, timing: Timing, room: str | None = None
) -> AsyncIterator[Finding]:
    """Every check; those that need the homeserver say so when it does not answer."""
    if room is not None:
        known = client.rooms.get(room)
        if known is None or not known.encrypted:
            yield Finding("room", "not encrypted; the homeserver can read what is said here")
        else:
            yield await _tried("devices here", timing, _devices(client, room))
    yield await _tried("identity", timing, _identity(client))
    yield _reading(unread.figures(room))
    yield _stock(client)
    for finding in _files(client, store):
        yield finding if room is None else _without_paths(finding)
    yield await _tried("store", timing, _twins(client, store))


async def _tried(check: str, timing: Timing, look: Awaitable[Finding]) -> Finding:
    fix = "see that the homeserver answers"
    try:
        async with asyncio.timeout(timing.look):
            return await look
    except WeavebotError as exc:
        return Finding(check, f"not known ({exc})", fix)
    except TimeoutError:
        return Finding(check, f"not known (the homeserver did not answer within {timing.look:g} s)", fix)


async def _identity(client: AsyncClient) -> Finding:
    there = await published(client)
    return identity_finding(there, client.user_id, str(client.device_id))


def identity_finding(there: Published, user: str, device: str) -> Finding:
    """Whether others find our device signed."""
    if there.device_signed(user):
        return Finding("identity", f"my device {device} is signed; clients that trust signed devices alone take me")
    why = "my account has no cross-signing identity" if there.master is None else "my identity does not sign my device"
    found = f"{why}; clients that trust signed devices alone neither show my answers nor give me keys"
    return Finding("identity", found, "restart the bot; where that does not help, " + LOGIN)


async def _devices(client: AsyncClient, room: str) -> Finding:
    homeserver = Homeserver(client)
    joined = (await homeserver.ask("GET", "rooms", room, "joined_members")).get("joined", {})
    others = [one for one in joined if one != client.user_id]
    wanted: dict[str, list[str]] = {one: [] for one in others[:MOST_ASKED]}
    body = await homeserver.ask("POST", "keys", "query", body={"device_keys": wanted})
    signed, devices = 0, 0
    for person in wanted:
        key = next(iter(body.get("self_signing_keys", {}).get(person, {}).get("keys", {}).values()), "")
        held = body.get("device_keys", {}).get(person, {}).values()
        devices += len(held)
        signed += sum(signed_by(one, person, key) for one in held)
    whose = count(len(wanted), "person") + (f" (of {len(others)})" if len(others) > MOST_ASKED else "")
    found = f"the keys of this room go to {count(devices, 'device')} of {whose}; {signed} signed by the owner"
    return Finding("devices here", found)


def _reading(told: Figures) -> Finding:
    total = told.read + told.unread
    early = f"; {told.before_us} more are from before I came" if told.before_us else ""
    late = f", {told.late} of them late" if told.late else ""
    if not total:
        return Finding("reading", f"nothing encrypted was said since my start{early}")
    if not told.unread:
        return Finding("reading", f"all of {count(total, 'encrypted message')} since my start{late}{early}")
    found = f"{told.unread} of {count(total, 'encrypted message')} not decrypted ({told.rate:.1%}){late}{early}"
    return Finding("reading", found, _why(told.reasons, told.unread))


def _why(reasons: Counter[str], unread: int) -> str:
    said = [f"{number}: {FIXES.get(code, code)}" for code, number in reasons.most_common()]
    left = unread - sum(reasons.values())
    return "; ".join([*said, *([f"{left}: {NO_KEY}" if said else NO_KEY] if left > 0 else [])])


def _stock(client: AsyncClient) -> Finding:
    olm = machine(client)
    left = olm.uploaded_key_count
    known = f"{left} one-time keys on the homeserver" if left is not None else "not counted before the first sync"
    found = f"{known}, for new conversations" if left is not None else known
    odd = f"; {count(olm.refused, 'malformed message')} from other devices left aside" if olm.refused else ""
    return Finding(
        "keys", found + odd, "new ones follow with the next sync; if not, restart the bot" if left == 0 else None
    )


def _files(client: AsyncClient, store: Path) -> Iterator[Finding]:
    names = ("", store_name(str(client.device_id)), PICKLE_KEY, seeds.FILE, twins.FILE)
    open_ones = [(path, mode) for path in (store / name for name in names) if (mode := private.loose(path))]
    for path, mode in open_ones:
        closed = "700" if path.is_dir() else "600"
        yield Finding("files", f"{path} is open to others ({mode})", f"chmod {closed} {path}")
    gone = [name for name in (PICKLE_KEY, seeds.FILE) if not (store / name).exists()]
    for name in gone:
        yield Finding("files", f"{store / name} is not there", "restore it from a copy before the next start")
    if not open_ones and not gone:
        yield Finding("files", f"{store} is closed to others; it belongs into your backup, as secret as a password")


def _without_paths(finding: Finding) -> Finding:
    """As a room may read it: where the files lie is the operator's business."""
    if finding.fix is None:
        return Finding(finding.check, "the encryption store is closed to others")
    return Finding(finding.check, "the encryption store is not as it should be", "my operator runs `weavebot doctor`")


async def _twins(client: AsyncClient, store: Path) -> Finding:
    if await twins.alone(client, store):
        return Finding("store", "used here alone")
    found = "another copy of this store has started since; both lose messages"
    return Finding("store", found, f"stop one of the two, and give it a device of its own with {LOGIN}")
