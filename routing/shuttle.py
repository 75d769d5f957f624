"""The shuttle: weave a question into an answer, learn from a vote."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cachetools import LRUCache

from memory.engine import Engine
from memory.errors import NotFound
from memory.models import Context, Hit, Message, Person, Query, Scope
from memory.ports import Clock
from routing import explain, finding, questions, rewards, wording
from routing.answers import AnswerBook, Draft, Kept
from routing.confidence import Confidence, assess
from routing.features import Probe, Situation, features
from routing.learner import Learner
from routing.models import Answer, Citation, Decision, Features, Route
from routing.policies import rules
from routing.policies.thompson import ThompsonPolicy
from routing.pool_book import KeptPool
from routing.questions import kind_of
from routing.routes import route_named
from routing.weights import Weights

_SAME_THREAD = timedelta(minutes=30)
_SOLICITED = 0.05
"""The share of answers that ask for a vote, at random, so that their votes do not depend on the mood (learning.md)."""
_CACHED = 512


@dataclass(frozen=True, slots=True)
class VoteResult:
    """What a reaction did. ``route`` and the means say how the expected quality of its answer's route moved."""

    answer: str
    emoji: str
    known: bool
    changed: bool
    route: str
    before: float
    after: float
    pick: int | None = None


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What a route found for a question; the same for everybody who may read the rooms."""

    hits: tuple[Hit, ...]
    messages: dict[int, Message]
    confidence: Confidence
    context: Context
    text: str
    terms: tuple[str, ...]
    pool: KeptPool | None = None


class Shuttle:
    """Decides, looks, answers, learns. Every ask has its own decision and answer row, cached evidence or not."""

    def __init__(self, engine: Engine, book: AnswerBook, learner: Learner, clock: Clock) -> None:
        self._engine = engine
        self._book = book
        self._learner = learner
        self._clock = clock
        self._cache: LRUCache[tuple[object, ...], _Evidence] = LRUCache(_CACHED)

    async def weave(
        self,
        question: str,
        scope: Scope,
        *,
        asked_at: datetime | None = None,
        limit: int = 10,
        tokens: int = 4096,
        route: str | None = None,
        seed: int | None = None,
        thread: str | None = None,
        event_id: str | None = None,
        asked_in: int | None = None,
    ) -> Answer:
        """The answer to a question, from the rooms of the scope. An event that was answered gets that answer again.

        ``asked_in`` is the room that the question stands in, when it is not the first of the scope.
        ``asked_at`` anchors relative dates; ``route`` forces one; the same ``seed`` on the same state decides alike.
        Raises NotFound for an unknown route, Unavailable when the model or every source is down.
        """
        began = time.perf_counter()
        here = asked_in if asked_in is not None else scope.rooms[0]
        if event_id is not None and (known := await self._book.of_event(here, event_id)) is not None:
            return await self.answer(scope.tenant, known[1])
        at = asked_at or self._clock.now()
        chosen = None if route is None else route_named(route)
        query = await self._engine.prepare(question, scope, at, limit)
        decision = await self._decide(query, chosen, seed, thread)
        taken = route_named(decision.route)
        evidence = await self._evidence(query, taken, tokens)
        shown = evidence.hits
        ms = (time.perf_counter() - began) * 1000
        draft = Draft(
            scope=scope,
            room=here,
            question=question,
            text=evidence.text,
            confidence=evidence.confidence.value,
            abstained=evidence.confidence.abstains,
            asked_at=at,
            ms=ms,
            hits=shown,
            decision=decision,
            route_version=taken.version,
            event_id=event_id,
            thread=thread,
            pool=evidence.pool,
        )
        serial, key = await self._book.keep(draft)
        return Answer(
            id=key,
            serial=serial,
            question=question,
            text=evidence.text,
            confidence=evidence.confidence.value,
            abstained=evidence.confidence.abstains,
            reasons=evidence.confidence.reasons,
            citations=_citations(shown, evidence),
            decision=decision,
            context=evidence.context,
            ms=(time.perf_counter() - began) * 1000,
        )

    async def find(self, question: str, scope: Scope, route: str, *, asked_at: datetime, limit: int) -> finding.Found:
        """What a route finds, without deciding, answering or keeping anything; for evaluation."""
        query = await self._engine.prepare(question, scope, asked_at, limit)
        return await finding.find(self._engine, query, route_named(route))

    async def read(self, question: str, scope: Scope, *, asked_at: datetime) -> tuple[Features, str]:
        """The features of a question and the route that the rules would take; for evaluation."""
        query = await self._engine.prepare(question, scope, asked_at, 1)
        reading, probe, situation = await self._situation(query, None)
        return features(reading, probe, situation), rules.advise(reading, probe, situation).route

    async def answer(self, tenant: int, answer_id: str) -> Answer:
        """An answer that was given, as it stands now: citations that were erased are missing. Raises NotFound."""
        return await self._restored(await self._book.read(tenant, answer_id))

    async def tenant_of(self, answer_id: str) -> int:
        """The team that an answer was given to. Raises NotFound."""
        return await self._book.tenant_of(answer_id)

    async def last_answer(self, room: int, thread: str | None = None) -> Answer | None:
        """The newest answer in a room."""
        kept = await self._book.last(room, thread)
        return None if kept is None else await self._restored(kept)

    async def vote(
        self,
        tenant: int,
        answer_id: str,
        person: Person,
        emoji: str,
        *,
        remove: bool = False,
        at: datetime | None = None,
    ) -> VoteResult:
        """Adds or takes back a person's emoji on an answer. An emoji that says nothing changes nothing.

        Raises NotFound for an unknown answer.
        """
        kept = await self._book.read(tenant, answer_id)
        normal = rewards.normalise(emoji)
        decision, _ = await self._book.decision(kept.serial)
        before = await self._learner.expectation(tenant, decision)
        pick = rewards.pick(normal)
        if not rewards.counts(normal) and pick is None:
            return VoteResult(
                answer_id, emoji, known=False, changed=False, route=decision.route, before=before, after=before
            )
        if remove:
            changed = await self._book.retract(kept.serial, person.id, normal)
        else:
            changed = await self._book.cast(kept.serial, person.id, normal, at or self._clock.now())
        after = await self._learner.expectation(tenant, decision)
        return VoteResult(
            answer_id, emoji, known=True, changed=changed, route=decision.route, before=before, after=after, pick=pick
        )

    async def why(self, tenant: int, answer_id: str) -> list[str]:
        """Why this route: sentences, with exact contributions. Raises NotFound."""
        kept = await self._book.read(tenant, answer_id)
        decision, _ = await self._book.decision(kept.serial)
        return explain.why(decision, await self._learner.standing_rewards(tenant, decision.route))

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Dropper: no cached evidence outlives a message that was erased."""
        del room, serials, hashes
        self._cache.clear()
        self._learner.forget_all()

    async def drop_person(self, person: int) -> None:
        """Dropper: neither does it outlive a person."""
        del person
        self._cache.clear()
        self._learner.forget_all()

    async def _decide(self, query: Query, forced: Route | None, seed: int | None, thread: str | None) -> Decision:
        reading, probe, situation = await self._situation(query, thread)
        numbers = features(reading, probe, situation)
        advice = rules.advise(reading, probe, situation)
        drawn = secrets.randbits(32) if seed is None else seed
        if forced is not None:
            return rules.RulePolicy("chosen").decide(numbers, advice, seed=drawn, route=forced.name)
        posterior = await self._learner.posterior(query.scope.tenant)
        decision = ThompsonPolicy(posterior).decide(numbers, advice, seed=drawn)
        return replace(decision, solicited=(drawn * 2654435761 % 2**32) / 2**32 < _SOLICITED)

    async def _situation(self, query: Query, thread: str | None) -> tuple[questions.Reading, Probe, Situation]:
        room = query.scope.rooms[0]
        look = await self._engine.look(query, room)
        probe = Probe(look.top, look.gap, look.linked, look.degree, look.messages, look.authors, look.mean_words)
        before = await self._book.last(room, thread)
        situation = Situation(asked_at=query.asked_at)
        if before is not None and timedelta(0) <= query.asked_at - before.asked_at <= _SAME_THREAD:
            decision, _ = await self._book.decision(before.serial)
            reward = await self._learner.reward_of(query.scope.tenant, before.serial)
            situation = replace(situation, previous_route=decision.route, previous_reward=reward)
        disliked = await self._learner.disliked(query.scope.tenant, room, query.text)
        return questions.read(query.text, query.people), probe, replace(situation, disliked=disliked)

    async def _evidence(self, query: Query, route: Route, tokens: int) -> _Evidence:
        versions = await self._engine.versions(query.scope)
        day = query.asked_at.date()
        weights = await self._learner.weights(query.scope.tenant)
        key = (route.name, query.text, query.scope.rooms, versions, day, query.limit, tokens, weights.digest)
        cached = self._cache.get(key)
        if cached is None:
            cached = self._cache[key] = await self._look(query, route, tokens, weights)
        return cached

    async def _look(self, query: Query, route: Route, tokens: int, weights: Weights) -> _Evidence:
        found = await finding.find(self._engine, query, route, weights)
        texts = await self._engine.read([hit.serial for hit in found.hits])
        hits = tuple(hit for hit in found.hits if hit.serial in texts)
        shown = finding.explained(found, hits[: query.limit], route.fusion, weights.of(kind_of(query.text)))
        context = await self._engine.context([texts[hit.serial] for hit in hits], tokens)
        room = hits[0].room if hits else query.scope.rooms[0]
        confidence = await asyncio.to_thread(assess, query, *found.pools[room])
        cited = [texts[hit.serial] for hit in shown]
        text = wording.compose(
            query, cited, [hit.score for hit in shown], confidence, await self._engine.span(query.scope.rooms)
        )
        return _Evidence(
            hits=tuple(shown),
            messages={hit.serial: texts[hit.serial] for hit in shown},
            confidence=confidence,
            context=context,
            text=text,
            terms=tuple(wording.terms_of(query)),
            pool=finding.kept(found, hits, query.text),
        )

    async def _restored(self, kept: Kept) -> Answer:
        try:
            decision, _ = await self._book.decision(kept.serial)
        except NotFound:
            raise NotFound(f"the decision behind answer {kept.id!r} is not kept any more") from None
        texts = await self._engine.read([hit.serial for hit in kept.cited])
        evidence = _Evidence(
            (), texts, Confidence(kept.confidence, (), kept.abstained), Context("", 0, (), 0), kept.text, ()
        )
        return Answer(
            id=kept.id,
            serial=kept.serial,
            question=kept.question,
            text=kept.text,
            confidence=kept.confidence,
            abstained=kept.abstained,
            reasons=(),
            citations=_citations([hit for hit in kept.cited if hit.serial in texts], evidence),
            decision=decision,
            context=None,
            ms=kept.ms,
        )


def _citations(hits: Sequence[Hit], evidence: _Evidence) -> tuple[Citation, ...]:
    cited = []
    for hit in hits:
        message = evidence.messages[hit.serial]
        cited.append(
            Citation(
                hit=hit,
                message_id=message.external_id,
                author=message.author_name,
                sent_at=message.sent_at,
                text=message.text,
                quote=wording.quote(message.text, evidence.terms),
            )
        )
    return tuple(cited)
