"""What a route found for a question: in numbers, which a cache may hold, and told from the messages as they stand."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC

from memory.engine import Engine
from memory.models import Context, Hit, Message, Query
from routing import finding, wording
from routing.confidence import Confidence, assess
from routing.finding import Found, Taught
from routing.models import Citation, Route
from routing.patterns.trace import Trace
from routing.pool_book import DEPTH, KeptPool
from routing.questions import kind_of


@dataclass(frozen=True, slots=True)
class Findings:
    """What a route found, without a word of any message; `told` makes evidence of it.

    ``ranked`` are the serials of all hits, best first, ``hits`` the first of them, which are shown. ``missing`` are the
    sources that did not answer; ``whole``: nothing was left out for want of an answer or of time. ``read`` are the
    messages behind the answer, serial: revision. ``imprint`` is a digest of everything that is told of the ranked
    messages; where somebody else may read it, it is sealed.
    """

    ranked: tuple[int, ...]
    hits: tuple[Hit, ...]
    confidence: Confidence
    missing: tuple[str, ...] = ()
    pool: KeptPool | None = None
    traces: tuple[Trace, ...] = ()
    whole: bool = True
    read: Mapping[int, int] = field(default_factory=dict)
    imprint: bytes = b""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Findings with the messages themselves; the same for everybody who may read the rooms."""

    findings: Findings
    citations: tuple[Citation, ...]
    context: Context
    text: str


async def gathered(
    engine: Engine, query: Query, route: Route, tokens: int, found: Found, taught: Taught
) -> tuple[Findings, Evidence]:
    """What a route found, in numbers and told. Messages that are gone meanwhile are left out."""
    texts = await engine.read([hit.serial for hit in found.hits])
    hits = tuple(hit for hit in found.hits if hit.serial in texts)
    shown = finding.explained(found, hits[: query.limit], route.fusion, taught.weights.of(kind_of(query.text)))
    room = hits[0].room if hits else query.scope.rooms[0]
    findings = Findings(
        ranked=tuple(hit.serial for hit in hits),
        hits=tuple(shown),
        confidence=await asyncio.to_thread(assess, query, *found.pools[room]),
        missing=found.missing,
        pool=finding.kept(found, hits, query.text),
        traces=found.traces,
        whole=found.whole,
    )
    evidence = await _told(engine, query, tokens, findings, texts)
    return evidence.findings, evidence


async def told(engine: Engine, query: Query, tokens: int, findings: Findings) -> Evidence | None:
    """The evidence, from its messages read afresh; None when one is not there as it was, or not in the scope."""
    texts = await engine.read(findings.ranked)
    there = all(serial in texts and texts[serial].room in query.scope.rooms for serial in findings.ranked)
    if not there or any(texts[serial].revision != read for serial, read in findings.read.items()):
        return None
    return await _told(engine, query, tokens, findings, texts)


async def _told(
    engine: Engine, query: Query, tokens: int, findings: Findings, texts: Mapping[int, Message]
) -> Evidence:
    zone = query.asked_at.tzinfo or UTC
    cited = [texts[hit.serial] for hit in findings.hits]
    scores = [hit.score for hit in findings.hits]
    searched = await engine.span(query.scope.rooms)
    ranked = [texts[serial] for serial in findings.ranked]
    context = await engine.context(ranked, tokens, zone)
    behind = {*findings.ranked[: max(DEPTH, query.limit)], *context.serials}
    return Evidence(
        findings=replace(
            findings,
            read={message.serial: message.revision for message in ranked if message.serial in behind},
            imprint=_imprint(ranked),
        ),
        citations=citations(findings.hits, texts, tuple(wording.terms_of(query))),
        context=context,
        text=wording.compose(query, cited, scores, findings.confidence, searched, zone),
    )


def citations(hits: Sequence[Hit], messages: Mapping[int, Message], terms: Sequence[str]) -> tuple[Citation, ...]:
    """The hits with what their messages say; quoted is what says most about the terms."""
    cited = []
    for hit in hits:
        message = messages[hit.serial]
        cited.append(
            Citation(
                hit=hit,
                message_id=message.external_id,
                author=message.author_name,
                sent_at=message.sent_at,
                text=message.text,
                quote=wording.quote(message.text, terms),
            )
        )
    return tuple(cited)


def _imprint(ranked: Sequence[Message]) -> bytes:
    """Another one when anything of the messages is: a database that was restored gives serials and revisions anew."""
    told = [(m.serial, m.room, m.revision, m.author, m.author_name, m.sent_at.isoformat(), m.text) for m in ranked]
    return hashlib.blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=16).digest()
