"""The answer book: every answer with its decision, citations and votes, as rows. A ``Holder`` of personal data."""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
from sqlalchemy import (
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from memory.columns import AnyRow
from memory.contention import again
from memory.errors import Contended, NotFound
from memory.models import Hit, Scope
from memory.ports import Database
from memory.statements import adding
from memory.tables import messages, people
from routing import ballots, bearings, pool_book
from routing.bearings import Bearings
from routing.following import FURTHEST
from routing.models import Contribution, Decision, Features, Vote
from routing.patterns.trace import Trace
from routing.pool_book import KeptPool
from routing.tables import answers, citations, decisions, digests, votes

GONE = "(a message that this answer cited was edited or deleted)"
_NO_QUESTION = "(forgotten)"
_SOME: Final = 400  # keys of one statement
_LAST: Final = 1_000  # answers of a room that tell what is asked often


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is kept: ``cited`` are the citations that still stand, best first."""

    serial: int
    id: str
    tenant: int
    room: int
    asker: int | None
    question: str
    text: str
    confidence: float
    abstained: bool
    asked_at: datetime
    ms: float
    cited: tuple[Hit, ...]
    last: int = 0  # the number of the last citation that stands
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What an answer needs to be kept."""

    scope: Scope
    room: int
    question: str
    text: str
    confidence: float
    abstained: bool
    asked_at: datetime
    ms: float
    hits: tuple[Hit, ...]
    decision: Decision
    route_version: int
    event_id: str | None = None
    thread: str | None = None
    pool: KeptPool | None = None
    traces: tuple[Trace, ...] = ()
    follows: tuple[int, ...] = ()  # serials of the answers that the question leans on
    read: Mapping[int, int] = field(default_factory=dict)  # the messages behind it, serial: revision that was read


class AnswerBook:
    """Answers and votes of all teams; every call names the tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @again
    async def keep(self, draft: Draft) -> tuple[int, str] | None:
        """Keeps an answer with its decision and citations in one transaction: its serial and its id.

        A second answer to the same event is not kept; the first one's serial and id are given. None, and nothing is
        kept, when a message that was read for it was erased or edited since. Citations of a message that is not there
        are left out.
        """
        async with self._database.write() as conn:  # erasures and edits are alone: none can come in between
            if (known := await _answered(conn, draft)) is not None:
                return known
            if not await _stands(conn, draft.read):
                return None
            made = await conn.execute(_ANSWER[conn.dialect.name], _answer_row(draft))
            if (row := made.one_or_none()) is None:  # somebody answered it this very moment
                if (known := await _answered(conn, draft)) is not None:
                    return known
                raise Contended("two answers got the same id: ask again")
            serial, key = row
            await conn.execute(_DECISION, {"answer_serial": serial, **_decision_row(draft)})
            if draft.pool is not None:
                await pool_book.keep(conn, serial, draft.pool)
            if draft.hits:
                rows = [_citation_row(serial, rank, hit) for rank, hit in enumerate(draft.hits, 1)]
                await conn.execute(_CITE, rows)
            return int(serial), str(key)

    async def bearings(
        self, scope: Scope, thread: str | None = None, event_id: str | None = None, asked_in: int | None = None
    ) -> Bearings:
        """What a question in the scope has to read; ``asked_in`` is its room, when it is not the first of the scope."""
        room = scope.rooms[0] if asked_in is None else asked_in
        async with self._database.read() as conn:
            return await bearings.read(conn, scope, room, thread, event_id)

    async def read(self, tenant: int, answer_id: str) -> Kept:
        """An answer of the tenant by its id. Raises NotFound."""
        async with self._database.read() as conn:
            row = (
                await conn.execute(select(answers).where(answers.c.tenant_id == tenant, answers.c.id == answer_id))
            ).one_or_none()
            if row is None:
                raise NotFound(f"there is no answer {answer_id!r}: the id stands in what `ask` printed")
            return await _kept(conn, row)

    async def tenant_of(self, answer_id: str) -> int:
        """The team of an answer. Raises NotFound."""
        async with self._database.read() as conn:
            found = (await conn.execute(select(answers.c.tenant_id).where(answers.c.id == answer_id))).scalar()
        if found is None:
            raise NotFound(f"there is no answer {answer_id!r}: the id stands in what `ask` printed")
        return int(found)

    async def last(self, room: int, thread: str | None = None) -> Kept | None:
        """The newest answer in a room (in a thread of it, when given)."""
        query = select(answers).where(answers.c.room_id == room).order_by(answers.c.serial.desc()).limit(1)
        if thread is not None:
            query = query.where(answers.c.thread == thread)
        async with self._database.read() as conn:
            row = (await conn.execute(query)).one_or_none()
            return None if row is None else await _kept(conn, row)

    async def course(self, room: int, serial: int, since: datetime, thread: str | None = None) -> list[Kept]:
        """An answer and the few before it since a moment, newest first: in a room's thread, or outside of threads."""
        query = select(answers).where(
            answers.c.room_id == room,
            answers.c.serial <= serial,
            answers.c.asked_at >= since,
            answers.c.thread.is_(None) if thread is None else answers.c.thread == thread,
        )
        async with self._database.read() as conn:
            rows = (await conn.execute(query.order_by(answers.c.serial.desc()).limit(FURTHEST))).all()
            return [await _kept(conn, row) for row in rows]

    async def by_serial(self, tenant: int, serials: Sequence[int]) -> list[Kept]:
        """Those of a team's answers that are still there, in the order given."""
        query = select(answers).where(answers.c.tenant_id == tenant, answers.c.serial.in_(serials))
        async with self._database.read() as conn:
            found = {row.serial: await _kept(conn, row) for row in (await conn.execute(query)).all()}
        return [found[serial] for serial in serials if serial in found]

    async def decision(self, serial: int) -> tuple[Decision, int]:
        """The decision behind an answer, and its route's version then. Raises NotFound."""
        async with self._database.read() as conn:
            row = (await conn.execute(select(decisions).where(decisions.c.answer_serial == serial))).one_or_none()
        if row is None:
            raise NotFound("the decision behind this answer is not kept any more")
        return _decision(row), row.route_version

    async def traced(self, serial: int) -> tuple[tuple[Trace, ...], tuple[int, ...]]:
        """What the pattern did in each room for an answer, and the serials of the answers that its question leant on.

        Nothing for an answer of before that was kept.
        """
        async with self._database.read() as conn:
            kept = (await conn.execute(select(decisions.c.trace).where(decisions.c.answer_serial == serial))).scalar()
        rooms = tuple(Trace.read(one) for one in (kept or {}).get("rooms", ()))
        return rooms, tuple((kept or {}).get("follows", ()))

    @again
    async def cast(self, serial: int, person: int, emoji: str, at: datetime) -> bool:
        """Puts an emoji on an answer as this person's newest; False when it stands there as that already."""
        async with self._database.write() as conn:
            return await ballots.cast(conn, serial, person, emoji, at)

    @again
    async def retract(self, serial: int, person: int, emoji: str, left: Sequence[str] = ()) -> bool:
        """Takes an emoji back, but for what is ``left`` of it (`ballots.retract`); False when that changes nothing."""
        async with self._database.write() as conn:
            return await ballots.retract(conn, serial, person, emoji, left)

    async def standing(self, tenant: int, emojis: Sequence[str]) -> list[Vote]:
        """The votes of a team that stand: per person and answer the last added of the given emojis, in serial order."""
        newest = (
            select(func.max(votes.c.serial))
            .where(votes.c.emoji.in_(emojis))
            .group_by(votes.c.answer_serial, votes.c.person_id)
        )
        query = (
            select(votes, answers.c.asker_id, decisions.c.solicited)
            .join(answers, answers.c.serial == votes.c.answer_serial)
            .join(decisions, decisions.c.answer_serial == votes.c.answer_serial)
            .where(answers.c.tenant_id == tenant, votes.c.serial.in_(newest))
            .order_by(votes.c.answer_serial, votes.c.person_id)
        )
        async with self._database.read() as conn:
            return [
                Vote(
                    answer=row.answer_serial,
                    person=row.person_id,
                    emoji=row.emoji,
                    cast_at=row.cast_at,
                    is_asker=row.person_id == row.asker_id,
                    solicited=row.solicited,
                )
                for row in await conn.execute(query)
            ]

    async def decided(self, tenant: int, serials: Sequence[int] | None = None) -> list[AnyRow]:
        """Rows of decisions (route, route_version, features, …) with answer_serial, asker_id, asked_at, room_id."""
        query = decision_query().where(answers.c.tenant_id == tenant)
        async with self._database.read() as conn:
            if serials is None:
                return list(await conn.execute(query))
            found: list[AnyRow] = []
            for start in range(0, len(serials), 400):
                some = serials[start : start + 400]
                found += (await conn.execute(query.where(answers.c.serial.in_(some)))).all()
            return found

    async def votes_version(self, tenant: int) -> int:
        """`Bearings.votes` of a team."""
        async with self._database.read() as conn:
            return (await bearings.of_team(conn, tenant))[0]

    async def routes_of(self, serials: Sequence[int], room: int, question: str) -> set[str]:
        """The routes of those of the answers that were given in a room to exactly this question."""
        query = select(decisions.c.route).join(answers, answers.c.serial == decisions.c.answer_serial)
        same = (answers.c.room_id == room, answers.c.question == question)
        found: set[str] = set()
        async with self._database.read() as conn:
            for start in range(0, len(serials), 400):
                some = answers.c.serial.in_(serials[start : start + 400])
                found.update((await conn.execute(query.where(some, *same))).scalars())
        return found

    async def often_asked(self, room: int, most: int) -> list[tuple[str, str]]:
        """What was asked most among a room's last answers, with the route that it took last; most often first."""
        last = select(answers.c.serial, answers.c.question).where(answers.c.room_id == room)
        last_ = last.order_by(answers.c.serial.desc()).limit(_LAST).subquery()
        often = (
            select(func.max(last_.c.serial).label("serial"), func.count().label("times"))
            .where(last_.c.question != _NO_QUESTION)
            .group_by(last_.c.question)
            .order_by(func.count().desc(), func.max(last_.c.serial).desc())
            .limit(most)
            .subquery()
        )
        query = (
            select(answers.c.question, decisions.c.route)
            .join(often, often.c.serial == answers.c.serial)
            .join(decisions, decisions.c.answer_serial == answers.c.serial)
            .order_by(often.c.times.desc(), often.c.serial.desc())
        )
        async with self._database.read() as conn:
            return [(row.question, row.route) for row in await conn.execute(query)]

    async def newest_serial(self, tenant: int) -> int:
        """The serial of the tenant's newest answer, 0 without one."""
        async with self._database.read() as conn:
            return (await bearings.of_team(conn, tenant))[1]

    async def newest_room(self, tenant: int) -> int | None:
        """The room of the tenant's newest answer."""
        query = select(answers.c.room_id).where(answers.c.tenant_id == tenant)
        async with self._database.read() as conn:
            found: int | None = (await conn.execute(query.order_by(answers.c.serial.desc()).limit(1))).scalar()
        return found

    async def asked_by(self, tenant: int) -> dict[int, int]:
        """How many answers each person has asked for."""
        query = select(answers.c.asker_id, func.count()).where(
            answers.c.tenant_id == tenant, answers.c.asker_id.is_not(None)
        )
        async with self._database.read() as conn:
            return {row[0]: int(row[1]) for row in await conn.execute(query.group_by(answers.c.asker_id))}

    # Holder: what the memory's erasure asks of every part that keeps something about messages or people.

    async def erase_messages(self, conn: AsyncConnection, serials: Sequence[int]) -> None:
        """Citations go, and the text of answers that quoted them; the decision (numbers) and the votes stay."""
        cited = select(citations.c.answer_serial).where(citations.c.message_serial.in_(serials))
        await conn.execute(update(answers).where(answers.c.serial.in_(cited)).values(text=GONE))
        await conn.execute(delete(citations).where(citations.c.message_serial.in_(serials)))
        await pool_book.erase_messages(conn, serials)

    async def erase_events(self, conn: AsyncConnection, room: int, external_ids: Sequence[str]) -> None:
        """Questions among them lose their words, and so do their answers; decisions and votes stay."""
        asked = (answers.c.room_id == room, answers.c.event_id.in_(external_ids))
        serials = list((await conn.execute(select(answers.c.serial).where(*asked))).scalars())
        await self._blank(conn, serials)

    async def erase_person(self, conn: AsyncConnection, person: int) -> None:
        """Votes and questions of the person go; the answers stay as decisions without words."""
        await conn.execute(delete(votes).where(votes.c.person_id == person))
        await ballots.changed(conn, select(people.c.tenant_id).where(people.c.id == person).scalar_subquery())
        theirs = select(answers.c.serial).where(answers.c.asker_id == person)
        serials = list((await conn.execute(theirs)).scalars())
        await self._blank(conn, serials)
        of_them: dict[str, Any] = {"contributions": [], "unit": None}  # their offset, and what of theirs is together
        await conn.execute(update(decisions).where(decisions.c.answer_serial.in_(theirs)).values(**of_them))
        await conn.execute(update(answers).where(answers.c.asker_id == person).values(asker_id=None))

    async def _blank(self, conn: AsyncConnection, serials: Sequence[int]) -> None:
        """The answers stay as decisions without words."""
        await pool_book.erase_answers(conn, serials)
        blank = {"question": _NO_QUESTION, "text": _NO_QUESTION, "event_id": None, "thread": None}
        for start in range(0, len(serials), 400):
            some = serials[start : start + 400]
            await conn.execute(delete(citations).where(citations.c.answer_serial.in_(some)))
            await conn.execute(update(decisions).where(decisions.c.answer_serial.in_(some)).values(reasons=[]))
            await conn.execute(update(answers).where(answers.c.serial.in_(some)).values(**blank))

    async def export_person(self, conn: AsyncConnection, person: int) -> AsyncIterator[dict[str, Any]]:
        """Questions and votes of the person."""
        for row in await conn.execute(select(answers).where(answers.c.asker_id == person)):
            kept = {"id": row.id, "question": row.question, "text": row.text, "asked_at": row.asked_at.isoformat()}
            yield {"kind": "answer", **kept}
        query = select(votes, answers.c.id.label("answer")).join(answers, answers.c.serial == votes.c.answer_serial)
        for row in await conn.execute(query.where(votes.c.person_id == person)):
            yield {"kind": "vote", "answer": row.answer, "emoji": row.emoji, "at": row.cast_at.isoformat()}


async def forget_digests(conn: AsyncConnection, room: int) -> None:
    """Digests of a room are composed again from what is left."""
    await conn.execute(delete(digests).where(digests.c.room_id == room))


def decision_query() -> Select[Any]:
    """Decisions with what their answers add, in serial order; to be narrowed by the caller."""
    more = (answers.c.asker_id, answers.c.asked_at, answers.c.room_id, answers.c.abstained, answers.c.confidence)
    query = select(decisions, *more).join(answers, answers.c.serial == decisions.c.answer_serial)
    return query.order_by(decisions.c.answer_serial)


_CITATION: Final = ("answer_serial", "rank", "message_serial", "score", "features")
_ANSWER: Final = {name: made.returning(answers.c.serial, answers.c.id) for name, made in adding(answers).items()}
_DECISION: Final = insert(decisions)
_CITE: Final = insert(citations).from_select(
    _CITATION,
    select(*(bindparam(name, type_=citations.c[name].type) for name in _CITATION)).where(
        exists().where(messages.c.serial == bindparam("message_serial", type_=messages.c.serial.type))
    ),
)
"""Cites a message, if it is still there."""


async def _answered(conn: AsyncConnection, draft: Draft) -> tuple[int, str] | None:
    """The answer that the draft's event has already: its serial and id."""
    return None if draft.event_id is None else await bearings.of_event(conn, draft.room, draft.event_id)


async def _stands(conn: AsyncConnection, read: Mapping[int, int]) -> bool:
    """Whether messages are there as they were read."""
    serials = list(read)
    for start in range(0, len(serials), _SOME):
        some = serials[start : start + _SOME]
        query = select(messages.c.serial, messages.c.revision).where(messages.c.serial.in_(some))
        if {row.serial: row.revision for row in await conn.execute(query)} != {key: read[key] for key in some}:
            return False
    return True


async def _kept(conn: AsyncConnection, row: AnyRow) -> Kept:
    query = select(citations).where(citations.c.answer_serial == row.serial).order_by(citations.c.rank)
    rows = (await conn.execute(query)).all()
    cited = [Hit(c.message_serial, row.room_id, c.score, c.features) for c in rows]
    return Kept(
        serial=row.serial,
        id=row.id,
        tenant=row.tenant_id,
        room=row.room_id,
        asker=row.asker_id,
        question=row.question,
        text=row.text,
        confidence=row.confidence,
        abstained=row.abstained,
        asked_at=row.asked_at,
        ms=row.ms,
        cited=tuple(cited),
        last=rows[-1].rank if rows else 0,
        thread=row.thread,
    )


def _answer_row(draft: Draft) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(4),
        "tenant_id": draft.scope.tenant,
        "room_id": draft.room,
        "asker_id": draft.scope.asker,
        "event_id": draft.event_id,
        "thread": draft.thread,
        "question": draft.question,
        "text": draft.text,
        "confidence": draft.confidence,
        "abstained": draft.abstained,
        "asked_at": draft.asked_at,
        "ms": draft.ms,
    }


def _decision_row(draft: Draft) -> dict[str, Any]:
    decision = draft.decision
    return {
        "route": decision.route,
        "route_version": draft.route_version,
        "policy": decision.policy,
        "propensity": decision.propensity,
        "propensities": dict(decision.propensities),
        "rule_route": decision.rule_route,
        "reasons": list(decision.reasons),
        "features_version": decision.features.version,
        "features": decision.features.as_mapping(),
        "epsilon": decision.epsilon,
        "seed": decision.seed,
        "explored": decision.explored,
        "runner_up": decision.runner_up,
        "gap": decision.gap,
        "contributions": [[c.feature, c.amount] for c in decision.contributions],
        "evidence": decision.evidence,
        "posterior": decision.posterior,
        "solicited": decision.solicited,
        "down": list(decision.down),
        "trace": {"rooms": [trace.compact() for trace in draft.traces], "follows": list(draft.follows)},
        "experiment": decision.experiment,
        "arm_propensity": decision.arm_propensity,
        "unit": decision.unit,
    }


def _citation_row(serial: int, rank: int, hit: Hit) -> dict[str, Any]:
    features = {name: float(value) for name, value in hit.features.items() if math.isfinite(value)}
    return {
        "answer_serial": serial,
        "rank": rank,
        "message_serial": hit.serial,
        "score": hit.score,
        "features": features,
    }


def features_of(row: AnyRow) -> Features:
    """The feature vector of a decision row, as it was logged."""
    values = np.array(list(row.features.values()), dtype=np.float64)
    return Features(row.features_version, tuple(row.features), values)


def _decision(row: AnyRow) -> Decision:
    return Decision(
        route=row.route,
        policy=row.policy,
        propensity=row.propensity,
        propensities=row.propensities,
        rule_route=row.rule_route,
        reasons=tuple(row.reasons),
        features=features_of(row),
        epsilon=row.epsilon,
        seed=row.seed,
        explored=row.explored,
        runner_up=row.runner_up,
        gap=row.gap,
        contributions=tuple(Contribution(name, amount) for name, amount in row.contributions),
        evidence=row.evidence,
        posterior=row.posterior,
        solicited=row.solicited,
        down=tuple(row.down),
        experiment=row.experiment,
        arm_propensity=row.arm_propensity,
        unit=row.unit,
    )
