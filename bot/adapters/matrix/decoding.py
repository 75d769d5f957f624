"""An event of Matrix as JSON to an event of ours. Pure: what must be asked of the homeserver is left to the caller.

Works on the JSON (decrypted, where it was encrypted), not on nio's classes: what an event means is decided in one
place, also for events that nio finds malformed. Everything in it was written by strangers; what does not have the right
form is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from bot.adapters.matrix.rooms import View
from bot.models import Arrival, ChatEvent, Deletion, Edit, IncomingMessage, Membership, ReactionAdded, ReactionRemoved
from memory.models import Provenance

LABEL: Final = "org.weavebot.answer"
_WORDS: Final = frozenset({"m.text", "m.emote"})
_FILES: Final = frozenset({"m.image", "m.file", "m.audio", "m.video"})
_FALLBACK: Final = re.compile(r"\A(?:>[^\n]*\n)+\n?")

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Redaction:
    """Something was taken away; whether a message or a reaction, the event does not say."""

    event_id: str
    target: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """What reading an event depends on beside the room: the present, and how the event reached us."""

    now: datetime
    provenance: Provenance


def decode(source: Json, view: View, moment: Moment) -> ChatEvent | Redaction | None:
    """What happened, or None for what is no matter of ours: our own words, other bots' notices, state of the room."""
    event_id, sender, kind = source.get("event_id"), source.get("sender"), source.get("type")
    if not (isinstance(event_id, str) and isinstance(sender, str)):
        return None
    at = _time(source, moment.now)
    if kind == "m.room.member":
        return _member(source, view, at)
    if (because := _redacted(source)) is not None:
        return _taken_away(source, because, view, at)
    read = _READERS.get(str(kind))
    return read(source, view, at, moment.provenance) if read and sender != view.me else None


def arrives(source: Json, me: str) -> bool:
    """Whether we came to the room with this event; what was before it is history."""
    return (
        source.get("type") == "m.room.member"
        and source.get("state_key") == me
        and _inside(source, "content", "membership") == "join"
        and _before(source) != "join"
    )


def label_in(source: Json) -> str | None:
    """The id of the answer that a message of ours shows; of its newest text, when it was edited."""
    content = source.get("content")
    new = _inside(source, "content", "m.new_content")
    for one in (new, content):
        found = one.get(LABEL) if isinstance(one, dict) else None
        if isinstance(found, dict) and isinstance(found.get("answer_id"), str):
            return str(found["answer_id"])
    return None


def versions(source: Json) -> list[Json]:
    """An event and, before it, its newest edit, which a homeserver sends along; edits of others are none."""
    newest = _inside(source, "unsigned", "m.relations", "m.replace")
    ours = isinstance(newest, dict) and newest.get("sender") == source.get("sender")
    return [newest, source] if ours else [source]


def current_text(shown: Sequence[Json]) -> str | None:
    """The words of a message as it reads now, from its versions, the newest first; None when it has none."""
    texts = (_text(_inside(one, "content", "m.new_content") or one.get("content"), reply=True) for one in shown)
    return next((text for text in texts if text is not None), None)


def replaces(source: Json) -> str | None:
    """The event that this one is a new text for."""
    relation = _relation(source)
    target = relation.get("event_id")
    return target if relation.get("rel_type") == "m.replace" and isinstance(target, str) else None


def is_redacted(source: Json) -> bool:
    """Whether an event reaches us without its content."""
    return _redacted(source) is not None


def sent_ms(source: Json) -> int:
    """When it was sent, as its homeserver says: milliseconds since 1970, 0 when it says nothing."""
    said = source.get("origin_server_ts")
    return max(0, said) if isinstance(said, int) else 0


def _redaction(source: Json, _view: View, at: datetime, _how: Provenance) -> Redaction | None:
    target = source.get("redacts") or _inside(source, "content", "redacts")  # the second since room version 11
    return Redaction(source["event_id"], target, at) if isinstance(target, str) else None


def _reaction(source: Json, view: View, at: datetime, _how: Provenance) -> ReactionAdded | None:
    relation = _relation(source)
    target, key = relation.get("event_id"), relation.get("key")
    if relation.get("rel_type") != "m.annotation" or not (isinstance(target, str) and isinstance(key, str) and key):
        return None
    return ReactionAdded(view.place, source["event_id"], target, view.actor(source["sender"]), key, at)


def _message(source: Json, view: View, at: datetime, how: Provenance) -> IncomingMessage | Edit | None:
    # First of all: the text of an edit begins like a command, and asked again it would be answered again.
    if _relation(source).get("rel_type") == "m.replace":
        return _edit(source, view, at, how)
    relation = _relation(source)
    answered = _inside(relation, "m.in_reply_to", "event_id")
    text = _text(source.get("content"), reply=answered is not None)
    if text is None:
        return None
    thread = relation.get("event_id") if relation.get("rel_type") == "m.thread" else None
    if relation.get("is_falling_back") is True:
        answered = None  # the newest message of the thread, for clients that know no threads
    return IncomingMessage(
        view.place,
        source["event_id"],
        view.actor(source["sender"]),
        text,
        at,
        reply_to=answered if isinstance(answered, str) else None,
        thread=thread if isinstance(thread, str) else None,
        provenance=how,
    )


def _edit(source: Json, view: View, at: datetime, how: Provenance) -> Edit | None:
    target, new = replaces(source), _inside(source, "content", "m.new_content")
    text = _text(new, reply=True)
    if text is None or target is None:
        return None
    return Edit(view.place, source["event_id"], target, view.actor(source["sender"]), text, at, provenance=how)


_READERS: Final[Mapping[str, Callable[[Json, View, datetime, Provenance], ChatEvent | Redaction | None]]] = {
    "m.room.message": _message,
    "m.reaction": _reaction,
    "m.room.redaction": _redaction,
}


def _text(content: object, *, reply: bool) -> str | None:
    """The words of a message: its text, or what was written below a picture."""
    if not isinstance(content, dict) or not isinstance(body := content.get("body"), str):
        return None
    kind = content.get("msgtype")
    if kind in _FILES:
        named = content.get("filename")
        return body if isinstance(named, str) and named != body else None
    if kind not in _WORDS:
        return None
    return _FALLBACK.sub("", body) if reply else body


def _taken_away(source: Json, because: Json, view: View, at: datetime) -> Deletion | ReactionRemoved | None:
    """An event that reaches us without its content, because it was redacted before."""
    event_id, kind, told = source["event_id"], source.get("type"), because.get("event_id")
    by = told if isinstance(told, str) else f"redaction of {event_id}"
    if kind == "m.reaction":
        return ReactionRemoved(view.place, by, at, reaction=event_id)
    if kind in {"m.room.message", "m.room.encrypted"}:
        return Deletion(view.place, by, event_id, at)
    return None


def _member(source: Json, view: View, at: datetime) -> Arrival | Membership | None:
    who, now, before = source.get("state_key"), _inside(source, "content", "membership"), _before(source)
    if not isinstance(who, str) or (now == "join") == (before == "join"):
        return None  # an invitation, or a new name or picture
    joined = now == "join"
    if who != view.me:
        return Membership(view.place, source["event_id"], view.actor(who), joined, at)
    by = _inside(source, "unsigned", "prev_sender") if joined else source["sender"]
    known = isinstance(by, str) and by != view.me
    return Arrival(view.place, source["event_id"], at, joined=joined, by=view.actor(by) if known else None)


def _before(source: Json) -> object:
    return _inside(source, "unsigned", "prev_content", "membership")


def _redacted(source: Json) -> Json | None:
    because = _inside(source, "unsigned", "redacted_because")
    return because if isinstance(because, dict) else None


def _relation(source: Json) -> Json:
    found = _inside(source, "content", "m.relates_to")
    return found if isinstance(found, dict) else {}


def _inside(source: object, *keys: str) -> Any:
    for key in keys:
        if not isinstance(source, dict):
            return None
        source = source.get(key)
    return source


def _time(source: Json, now: datetime) -> datetime:
    """When it was sent, as its homeserver says; never in the future, where it would outlive every retention."""
    return datetime.fromtimestamp(min(sent_ms(source) / 1000, now.timestamp()), UTC)
