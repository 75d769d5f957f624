"""The shuttle: weave a question into an answer, learn from a vote."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from memory.breaker import Breaker
from memory.engine import Engine
from memory.errors import Contended, NotFound
from memory.models import Person, Query, Scope
from memory.ports import Clock
from memory.vectors import STORE
from routing import explain, finding, following, questions, rewards
from routing.answers import GONE, AnswerBook, Draft, Kept
from routing.bearings import Bearings
from routing.evidence import Evidence, Findings, citations, gathered, told
from routing.evidence_cache import EvidenceCache, Held, Wanted
from routing.experiments import Assignment
from routing.features import Probe, Situation, features
from routing.finding import UNTOLD, Taught
from routing.health import Health, routes_without
from routing.learner import Learner
from routing.models import Answer, Decision, Features, Route
from routing.paths.finding import GRAPH
from routing.paths.finding import lines as path_lines
from routing.paths.learner import PathLearner, PathModel
from routing.patterns import SEEDED
from routing.policies import rules
from routing.policies.linear import Array, Posterior
from routing.policies.named import NamedPolicy, deciding
from routing.policy_book import PolicyBook
from routing.routes import BY_NAME, route_named
from routing.teaching import Teaching
from routing.weights import UNTAUGHT

_SAME_THREAD = timedelta(minutes=30)
SOLICITED = 0.05
"""The share of answers that ask for a vote, at random, so that their votes do not depend on the mood (learning.md)."""
_FIRST = deciding(None)
_LOOKS = 3
"""How often a question is looked at whose messages change meanwhile; after that its answer is kept without a text."""


@dataclass(frozen=True, slots=True)
class VoteResult:
    """What a reaction did. ``route`` and the means say how the expected quality of its answer's route moved.

    A ``pick`` of a source that the answer does not have does nothing; ``sources`` says how many it has.
    """

    answer: str
    emoji: str
    known: bool
    changed: bool
    route: str
    before: float
    after: float
    pick: int | None = None
    sources: int | None = None


class Shuttle:
    """Decides, looks, answers, learns. Every ask has its own decision and answer row, cached evidence or not."""

    def __init__(
        self,
        engine: Engine,
        book: AnswerBook,
        learner: Learner,
        clock: Clock,
        *,
        paths: PathLearner | None = None,
        teaching: Teaching | None = None,
        policies: PolicyBook | None = None,
        cache: EvidenceCache | None = None,
        breakers: Sequence[Breaker] = (),
        solicited: float = SOLICITED,
    ) -> None:
        """``teaching`` says what each team's votes may teach by; without it by everything.

        ``policies`` knows the experiments that may choose a question's policy; without it none does. ``cache`` holds
        evidence, without it one in this process alone. ``breakers`` are those of the stores that may rest,
        ``solicited`` is the share of answers that ask for a vote.
        """
        self._engine = engine
        self._book = book
        self._learner = learner
        self._clock = clock
        self._paths = paths
        self._teaching = teaching
        self._policies = policies
        self._cache = cache or EvidenceCache()
        self._probes: Held[Probe] = Held()
        self._health = Health(clock, breakers)
        self._solicited = solicited

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
        zone: tzinfo = UTC,
        inherit: bool = True,
        solicit: bool = True,
    ) -> Answer:
        """The answer to a question, from the rooms of the scope. An event that was answered gets that answer again.

        ``asked_in`` is the room that the question stands in, when it is not the first of the scope. ``asked_at``
        anchors relative dates; days are those of ``zone``, in the question and in the answer. ``route`` forces one; the
        same ``seed`` on the same state decides alike. A follow-up looks for what the question before it was about, too,
        unless it shall not ``inherit``. A share of the answers, at random, asks for a vote if it may ``solicit``.
        Raises NotFound for an unknown route, Unavailable when the model or every source is down.
        """
        began = time.perf_counter()
        for _ in range(_LOOKS):  # again, when a message was erased or edited after it was read
            bearings = await self._book.bearings(scope, thread, event_id, asked_in)
            if bearings.answered is not None:
                return await self.answer(scope.tenant, bearings.answered)
            at = (asked_at or self._clock.now()).astimezone(zone)
            chosen = None if route is None else route_named(route)
            query = await self._engine.prepare(question, scope, at, limit, bearings.versions)
            taken_over = await self._inherited(query, bearings, thread) if inherit else following.Inherited()
            query = await self._engine.expanded(query, taken_over.expansion)
            assigned = await self._assigned(query, bearings, thread)
            policy = deciding(assigned.policy if assigned else bearings.policy)
            decision = await self._decide(query, bearings, chosen, seed, policy, assigned)
            decision = replace(decision, solicited=decision.solicited and solicit)
            taken = route_named(decision.route)
            taught = await self._taught(scope.tenant, bearings, policy)
            evidence = await self._evidence(query, taken, tokens, taught, decision.seed, decision.down)
            found = evidence.findings
            ms = (time.perf_counter() - began) * 1000
            draft = Draft(
                scope=scope,
                room=bearings.room,
                question=question,
                text=evidence.text,
                confidence=found.confidence.value,
                abstained=found.confidence.abstains,
                asked_at=at,
                ms=ms,
                hits=found.hits,
                decision=decision,
                route_version=taken.version,
                event_id=event_id,
                thread=thread,
                pool=found.pool if await self._by_text(scope.tenant) else None,
                traces=found.traces,
                follows=taken_over.follows,
                read=found.read,
            )
            if (given := await self._book.keep(draft)) is None:
                continue
            return Answer(
                id=given[1],
                serial=given[0],
                question=question,
                text=evidence.text,
                confidence=found.confidence.value,
                abstained=found.confidence.abstains,
                reasons=(*_lacking(decision, found.missing), *found.confidence.reasons),
                citations=evidence.citations,
                decision=decision,
                context=evidence.context,
                ms=(time.perf_counter() - began) * 1000,
                thread=thread,
            )
        given = await self._book.keep(replace(draft, text=GONE, hits=(), pool=None, read={}))
        if given is None:
            raise Contended("the messages behind the answer change all the time: ask again in a moment")
        return await self.answer(scope.tenant, given[1])

    async def warm(
        self, room: int, tenant: int, *, asked_at: datetime, limit: int, tokens: int, most: int
    ) -> AsyncGenerator[str, None]:
        """Finds evidence for what is asked most in a room before it is asked; gives each question when it is done.

        Nothing is decided, answered or kept. ``asked_at`` is now in the room's timezone; at ``most`` so many questions.
        """
        scope = Scope(tenant, (room,))
        bearings = await self._book.bearings(scope)
        policy = deciding(bearings.policy)
        taught = await self._taught(tenant, bearings, policy)
        await self._learner.posterior(tenant, bearings, policy.design)
        for question, name in await self._book.often_asked(room, most):
            route = BY_NAME.get(name)
            if route is None or route.pattern in SEEDED:  # each time another draw: nothing to hold
                continue
            query = await self._engine.prepare(question, scope, asked_at, limit, bearings.versions)
            await self._probe(query)
            await self._evidence(query, route, tokens, taught, 0, self._health.down, ahead=True)
            yield question

    async def find(self, question: str, scope: Scope, route: str, *, asked_at: datetime, limit: int) -> finding.Found:
        """What a route finds, without deciding, answering or keeping anything; for evaluation."""
        query = await self._engine.prepare(question, scope, asked_at, limit)
        taken, taught = route_named(route), await self._taught(scope.tenant)
        if GRAPH not in taken.sources:
            taught = replace(taught, paths=None)  # there they do not rank; an answer notes them, to learn from
        return await finding.find(self._engine, query, taken, (), taught)

    async def read(self, question: str, scope: Scope, *, asked_at: datetime) -> tuple[Features, str]:
        """The features of a question and the route that the rules would take; for evaluation."""
        bearings = await self._book.bearings(scope)
        query = await self._engine.prepare(question, scope, asked_at, 1, bearings.versions)
        reading, probe, situation = await self._situation(query, bearings)
        numbers = features(reading, probe, situation, with_text=await self._by_text(scope.tenant))
        return numbers, rules.advise(reading, probe, situation).route

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
        left: Sequence[str] = (),
    ) -> VoteResult:
        """Adds or takes back a person's emoji on an answer. An emoji that says nothing changes nothing.

        ``left`` are the person's reactions that still stand after one is taken back, oldest first: 👍 is not gone
        while 👍🏽 stands. Raises NotFound for an unknown answer.
        """
        kept = await self._book.read(tenant, answer_id)
        normal = rewards.normalise(emoji)
        decision, _ = await self._book.decision(kept.serial)
        before = await self._learner.expectation(tenant, decision)
        pick = rewards.pick(normal)
        told = VoteResult(
            answer_id, emoji, known=False, changed=False, route=decision.route, before=before, after=before
        )
        if not rewards.counts(normal) and pick is None:
            return told
        if pick is not None and pick > kept.last and not remove:
            return replace(told, known=True, pick=pick, sources=kept.last)
        if remove:
            standing = [rewards.normalise(one) for one in left]
            changed = await self._book.retract(kept.serial, person.id, normal, standing)
        else:
            changed = await self._book.cast(kept.serial, person.id, normal, at or self._clock.now())
        after = await self._learner.expectation(tenant, decision)
        return replace(told, known=True, changed=changed, after=after, pick=pick)

    async def why(self, tenant: int, answer_id: str) -> list[str]:
        """Why this route: sentences, with exact contributions. Raises NotFound."""
        kept = await self._book.read(tenant, answer_id)
        decision, _ = await self._book.decision(kept.serial)
        lines = explain.why(decision, await self._learner.standing_rewards(tenant, decision.route))
        traces, follows = await self._book.traced(kept.serial)
        lines += await self._followed(kept, follows) + explain.steps(decision.route, traces)
        model = await self._path_model(tenant)
        if model is None:
            return lines
        query = await self._engine.prepare(kept.question, Scope(tenant, (kept.room,)), kept.asked_at, len(kept.cited))
        return lines + await path_lines(self._engine, query, kept.cited, model)

    async def _inherited(self, query: Query, bearings: Bearings, thread: str | None) -> following.Inherited:
        """What a question takes over from the one before it in the thread or room; nothing when it is no follow-up."""
        before, since = bearings.before, query.asked_at - _SAME_THREAD
        reading = questions.read(query.text, query.people)
        if before is None or not reading.follow_up or not since <= before.asked_at <= query.asked_at:
            return following.Inherited()
        course = await self._book.course(bearings.room, before.serial, since, thread)
        return following.inherited(query, await self._said(query.scope, course))

    async def _said(self, scope: Scope, course: Sequence[Kept]) -> list[following.Said]:
        """What was asked before, up to the first answer from a room that this question may not read."""
        found = await self._engine.read([hit.serial for kept in course for hit in kept.cited])
        said = []
        for kept in course:
            cited = [found[hit.serial] for hit in kept.cited if hit.serial in found]
            if not cited or any(message.room not in scope.rooms for message in cited):
                break
            said.append(following.Said(kept.serial, kept.question, None if kept.abstained else cited[0]))
        return said

    async def _followed(self, kept: Kept, follows: Sequence[int]) -> list[str]:
        """What an answer took over from those before it, as they stand now, in a sentence."""
        if not follows:
            return []
        course = await self._book.by_serial(kept.tenant, follows)
        cited = await self._engine.read([hit.serial for hit in kept.cited])
        scope = Scope(kept.tenant, tuple({kept.room, *(message.room for message in cited.values())}))
        query = await self._engine.prepare(kept.question, scope, kept.asked_at, 1)
        said = await self._said(scope, course)
        taken_over = following.inherited(query, said)
        return [following.in_words(said[0].question, taken_over.labels)] if taken_over else []

    async def drop(self, room: int, serials: Sequence[int], hashes: Sequence[bytes]) -> None:
        """Dropper: no cached evidence outlives a message that was erased."""
        del serials, hashes
        self._clear()
        await self._cache.drop(room)

    async def drop_person(self, person: int) -> None:
        """Dropper: neither does it outlive a person."""
        del person
        self._clear()
        self._learner.forget_all()
        await self._cache.drop_all()

    async def _path_model(self, tenant: int, seen: Bearings | None = None) -> PathModel | None:
        if self._paths is None or not await self._by_text(tenant):  # what a path runs through was read from messages
            return None
        return await self._paths.model(tenant, seen)

    async def _taught(self, tenant: int, seen: Bearings | None = None, policy: NamedPolicy = _FIRST) -> Taught:
        """What was learned of finding; nothing where what messages say must not teach, as it is read off them."""
        if not await self._by_text(tenant):
            return UNTOLD
        weights = await self._learner.weights(tenant, seen) if policy.order else UNTAUGHT
        return Taught(weights, await self._path_model(tenant, seen), policy.order)

    def _clear(self) -> None:
        self._learner.forget_order()
        self._probes.clear()
        if self._paths is not None:
            self._paths.forget_all()  # citations of what was erased are gone, and with them what votes said of them

    async def _decide(
        self,
        query: Query,
        bearings: Bearings,
        forced: Route | None,
        seed: int | None,
        policy: NamedPolicy,
        assigned: Assignment | None,
    ) -> Decision:
        reading, probe, situation = await self._situation(query, bearings)
        numbers = features(reading, probe, situation, with_text=await self._by_text(query.scope.tenant))
        down = self._health.down
        healthy = routes_without(down)
        advice = rules.advise(reading, probe, situation, healthy)
        drawn = secrets.randbits(32) if seed is None else seed
        if forced is not None:
            decision = rules.RulePolicy("chosen").decide(numbers, advice, seed=drawn, route=forced.name)
            return replace(decision, down=down)
        posterior = await self._learner.posterior(query.scope.tenant, bearings, policy.design)
        offset = await self._offset(query.scope, posterior, bearings)
        decision = policy.over(posterior).decide(numbers, advice, seed=drawn, healthy=healthy, offset=offset)
        solicited = (drawn * 2654435761 % 2**32) / 2**32 < self._solicited
        if assigned is None:
            return replace(decision, down=down, solicited=solicited)
        return replace(
            decision,
            down=down,
            solicited=solicited,
            experiment=assigned.experiment,
            arm_propensity=assigned.propensity,
            unit=assigned.unit,
        )

    async def _offset(self, scope: Scope, posterior: Posterior, bearings: Bearings) -> Array | None:
        """What the asker's own votes add; nothing where people must not be told apart."""
        if self._teaching is not None and not await self._teaching.by_person(scope.tenant):
            return None
        return await self._learner.offset(scope.tenant, scope.asker, posterior, bearings)

    async def _assigned(self, query: Query, bearings: Bearings, thread: str | None) -> Assignment | None:
        """The policy that a running experiment gives to the question's thread."""
        if self._policies is None or bearings.experiment is None:
            return None
        running = await self._policies.experiment(bearings.experiment)
        return running.assign(bearings.room, thread, query.scope.asker, query.asked_at)

    async def _by_text(self, tenant: int) -> bool:
        return self._teaching is None or await self._teaching.by_text(tenant)

    async def _situation(self, query: Query, bearings: Bearings) -> tuple[questions.Reading, Probe, Situation]:
        tenant, before = query.scope.tenant, bearings.before
        situation = Situation(asked_at=query.asked_at)
        if before is not None and timedelta(0) <= query.asked_at - before.asked_at <= _SAME_THREAD:
            reward = await self._learner.reward_of(tenant, before.serial, bearings)
            situation = replace(situation, previous_route=before.route, previous_reward=reward)
        disliked: frozenset[str] = frozenset()
        if await self._by_text(tenant):
            disliked = await self._learner.disliked(tenant, bearings.room, query.text, bearings)
        reading = questions.read(query.text, query.people)
        probe = await self._probe(query)  # which may find a source to be down
        return reading, probe, replace(situation, disliked=disliked, away=self._health.away)

    async def _probe(self, query: Query) -> Probe:
        room = query.scope.rooms[0]
        key, epoch = _asked(query, (room,)), self._probes.epoch
        probe = self._probes.get(key)
        if probe is None:
            down = self._health.down
            look = await self._engine.look(query, room, down)
            self._health.saw(missing=set(look.missing).difference(down))
            probe = Probe(look.top, look.gap, look.linked, look.degree, look.messages, look.authors, look.mean_words)
            if not look.missing:
                self._probes.put(key, probe, epoch)
        return probe

    async def _evidence(
        self,
        query: Query,
        route: Route,
        tokens: int,
        taught: Taught,
        seed: int,
        down: tuple[str, ...],
        *,
        ahead: bool = False,
    ) -> Evidence:
        drawn = seed if route.pattern in SEEDED else 0
        asked = _asked(query, query.scope.rooms)
        key = (route.name, route.version, drawn, query.limit, tokens, *taught.version, *asked)

        async def look() -> tuple[Findings, Evidence]:
            found = await finding.find(self._engine, query, route, down, taught, seed=seed)
            self._health.saw(
                missing=set(found.missing).intersection(route.sources).difference(down),
                there=set(route.sources).difference(found.missing),
            )
            return await gathered(self._engine, query, route, tokens, found, taught)

        async def tell(findings: Findings) -> Evidence | None:
            return await told(self._engine, query, tokens, findings)

        return await self._cache.of(Wanted(query, key, down, ahead), look, tell)

    async def _restored(self, kept: Kept) -> Answer:
        try:
            decision, _ = await self._book.decision(kept.serial)
        except NotFound:
            raise NotFound(f"the decision behind answer {kept.id!r} is not kept any more") from None
        texts = await self._engine.read([hit.serial for hit in kept.cited])
        return Answer(
            id=kept.id,
            serial=kept.serial,
            question=kept.question,
            text=kept.text,
            confidence=kept.confidence,
            abstained=kept.abstained,
            reasons=(),
            citations=citations([hit for hit in kept.cited if hit.serial in texts], texts, ()),
            decision=decision,
            context=None,
            ms=kept.ms,
            thread=kept.thread,
        )


_REPLACED: Final = {STORE: "Qdrant is down or behind, so I searched here"}
"""Stores that others stood in for: nothing is lacking, but it may be slower."""


def _lacking(decision: Decision, missing: Sequence[str]) -> tuple[str, ...]:
    """What the answer had to do without, in words."""
    down = sorted({*decision.down, *missing}.difference(_REPLACED))
    replaced = tuple(words for store, words in _REPLACED.items() if store in missing)
    return (*((f"{' and '.join(down)} search is down",) if down else ()), *replaced)


def _asked(query: Query, rooms: Sequence[int]) -> tuple[object, ...]:
    """What a question finds depends on its words and what joined them, when and where it is asked, and the rooms."""
    when = (query.asked_at.date(), str(query.asked_at.tzinfo))
    return (query.text, query.expansion, *when, *((room, query.versions[room]) for room in rooms))
