"""The objects of ``--json``: an answer, a vote, the numbers of a room, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from memory.breaker import Breaker
from memory.models import DeadLetter, Person, QueueReport
from memory.ports import SharedCache
from routing.digest import Digest
from routing.evidence_cache import Counts
from routing.models import Answer, Citation
from routing.routes import route_named
from routing.shuttle import VoteResult

DIGITS = 4


def answer_object(answer: Answer) -> dict[str, Any]:
    """An answer: text, confidence in [0, 1], citations best first, the route with its propensity, the context.

    One that asks for a vote is to be shown with the question whether it answered.
    """
    context = answer.context
    return {
        "answer_id": answer.id,
        "text": answer.text,
        "confidence": round(answer.confidence, DIGITS),
        "abstained": answer.abstained,
        "asks_for_vote": answer.decision.solicited,
        "citations": [citation_object(one) for one in answer.citations],
        "route": route_object(answer),
        "context": context.text if context else "",
        "context_tokens": context.tokens if context else 0,
        "ms": round(answer.ms, 2),
    }


def citation_object(citation: Citation) -> dict[str, Any]:
    """A message that was found. ``score`` orders those of one answer; ``why`` is a list of reasons in words."""
    return {
        "message_id": citation.message_id,
        "author": citation.author,
        "sent_at": instant(citation.sent_at),
        "text": citation.text,
        "score": round(citation.hit.score, 6),
        "why": list(citation.hit.why),
    }


def route_object(answer: Answer) -> dict[str, Any]:
    """The route of an answer, and how it came to be chosen."""
    route = route_named(answer.decision.route)
    return {
        "name": route.name,
        "sources": list(route.sources),
        "pattern": route.pattern,
        "fusion": route.fusion,
        "policy": answer.decision.policy,
        "propensity": round(answer.decision.propensity, 6),
    }


def vote_object(told: VoteResult, person: Person, *, removed: bool) -> dict[str, Any]:
    """What a reaction did: ``known`` emoji, ``changed`` anything, and how the route's expected quality moved."""
    return {
        "answer_id": told.answer,
        "emoji": told.emoji,
        "person": person.external_id,
        "removed": removed,
        "known": told.known,
        "changed": told.changed,
        "route": told.route,
        "before": round(told.before, DIGITS),
        "after": round(told.after, DIGITS),
    }


def digest_object(digest: Digest) -> dict[str, Any]:
    """A room's week."""
    value = asdict(digest)
    for name in ("asked", "helped", "starred", "open_questions"):
        value[name] = [{**item, "at": instant(item["at"])} for item in value[name]]
    return {**value, "since": instant(digest.since), "until": instant(digest.until)}


def queue_object(report: QueueReport) -> dict[str, Any]:
    """A queue of one kind of work; ``away`` is null, or why it does not answer."""
    value: dict[str, Any] = plain_numbers(asdict(report))
    return {**value, "away": report.away or None}


def dead_object(letter: DeadLetter) -> dict[str, Any]:
    """A message that was given up: ids, and the name of the error (null where only the database knows of it)."""
    item = letter.item
    place = {"kind": item.kind.value, "message": item.serial, "revision": item.revision, "room": item.room}
    return {**place, "tries": letter.tries, "reason": letter.reason or None}


def cache_object(counts: Counts, server: SharedCache | None) -> dict[str, Any]:
    """How often evidence was at hand since the start of the process; ``server``: "well", "away", or null for none."""
    state = None if server is None else "away" if server.resting else "well"
    found = {"own": counts.own, "shared": counts.shared, "missed": counts.missed}
    return {**found, "rate": round(counts.rate, DIGITS), "server": state}


def stores_object(breakers: Sequence[Breaker]) -> dict[str, str]:
    """Every server by its name: "well", or "away" while it is left alone after a failure by anybody who uses it."""
    stores = {one.name: "well" for one in breakers}
    return stores | {one.name: "away" for one in breakers if one.resting}


def instant(at: datetime | None) -> str | None:
    """ISO 8601, as it was stored (UTC)."""
    return None if at is None else at.isoformat()


def plain_numbers(value: Any) -> Any:
    """JSON has no NaN: a number that is not known is null; the others are rounded."""
    if isinstance(value, dict):
        return {name: plain_numbers(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_numbers(one) for one in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value
