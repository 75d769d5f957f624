"""Which policy should decide: the log read, policies judged on it, and the tripwire.

A policy is promoted only when it leads the one in force by more than its bound says may be luck, and a policy that the
log shows to be worse than the rules is taken out by itself. Both use what the votes say now, so that a vote taken back
counts no more.

Both bounds are those of `routing.sequences`, which hold however often one looks at a log that only grows. One person's
weight on a route is capped, though, so old votes leave as new ones come and the log is a window that slides: what is
claimed of it is for a fixed number of decisions. It takes about six people who vote to fill it with a hundred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memory.columns import AnyRow
from memory.errors import BadInput, Refused
from routing import evaluation, experiments
from routing.answers import AnswerBook
from routing.evaluation import Evaluation, Log
from routing.experiments import Experiment, Outcome
from routing.intervals import Interval
from routing.learner import Learner, evidence_of
from routing.models import Evidence
from routing.policies.linear import DESIGN, Design
from routing.policies.named import DEFAULT, RULES, deciding, policy_named
from routing.policy_book import PolicyBook, Promotion, Reason
from routing.progress import Progress, progress
from routing.replay import target_named, targets
from routing.sequences import START

WORST: Final = -0.03
"""How far below the rules a policy may be estimated, from `PATIENCE` rewarded decisions on."""
PATIENCE: Final = 500
UNTRIED: Final = 0.05
"""The largest share of untried choices with which a policy may be promoted: the model alone proves nothing."""
CHOSEN: Final = "chosen"
"""The policy of decisions that a person took: they say nothing about what was drawn."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the log of a team says: about the policies asked for, in their order; leads are over ``against``.

    That is the policy in force, or, where the log cannot judge it, the one that takes the same routes. ``weightless``
    counts further decisions whose votes weigh nothing: they cancel, or one person's weight on the route is used up.
    """

    incumbent: str
    against: str
    evaluations: tuple[Evaluation, ...]
    weightless: int = 0


@dataclass(frozen=True, slots=True)
class Trip:
    """The tripwire's finding: DR(policy) - DR(rules) over so many rewarded decisions, and what it led to.

    ``ended`` is the experiment that a fall ended.
    """

    policy: str
    decisions: int
    lead: Interval
    fell: bool
    ended: Experiment | None = None


class Judge:
    """Reads the log of a team and judges policies by it."""

    def __init__(self, learner: Learner, book: AnswerBook, policies: PolicyBook) -> None:
        self._learner = learner
        self._book = book
        self._policies = policies
        self._looked: dict[int, tuple[int, Promotion | None]] = {}

    async def log(
        self, tenant: int, *, rooms: Collection[int] | None = None, since: datetime | None = None, after: int = 0
    ) -> Log:
        """The rewarded decisions of a team: those of the rooms, asked since a time, and after an answer's serial.

        What was known at each of them was learned in all rooms, from the first answer after that serial on.
        """
        kept = _weighing(await self._rated(tenant, after))
        return await asyncio.to_thread(lambda: _log(kept).part(_within(kept, rooms, since)))

    async def progress(self, tenant: int, *, rooms: Collection[int] | None = None) -> Progress:
        """What the votes of a team have taught, to be drawn. Raises Refused when too few decisions were rewarded."""
        rated = await self._rated(tenant)
        kept = _weighing(rated)
        places = _within(kept, rooms)
        evaluation.enough(len(places), len(_within(rated, rooms)) - len(places))
        confidence = [kept[i][0].confidence for i in places.tolist()]
        return await asyncio.to_thread(lambda: progress(_log(kept).part(places), confidence))

    async def _rated(self, tenant: int, after: int = 0) -> list[tuple[AnyRow, Evidence | None]]:
        """The decisions that were drawn and that people voted on; without evidence where the votes weigh nothing."""
        rewards = await self._learner.rewards(tenant)
        rows = await self._book.decided(tenant, sorted(serial for serial in rewards if serial > after))
        return [
            (row, evidence_of(row, rewards[row.answer_serial]))
            for row in rows
            if row.policy != CHOSEN and row.route in DESIGN.index
        ]

    async def evaluate(
        self,
        tenant: int,
        names: Sequence[str] = (),
        *,
        rooms: Collection[int] | None = None,
        since: datetime | None = None,
    ) -> Judged:
        """Judges the named policies, or everything that a log can judge.

        Raises NotFound for a name that there is not, Refused, with the numbers, when too few decisions were rewarded.
        """
        wanted = {name: target_named(name) for name in names} if names else targets()
        rated = await self._rated(tenant)
        kept = _weighing(rated)
        log = await asyncio.to_thread(lambda: _log(kept).part(_within(kept, rooms, since)))
        weightless = len(_within(rated, rooms, since)) - len(log)
        evaluation.enough(len(log), weightless)
        incumbent = await self._policies.in_force(tenant)
        against = incumbent if deciding(incumbent).on_the_log else DEFAULT

        def work() -> tuple[Evaluation, ...]:
            base = target_named(against)(log)
            return evaluation.evaluate(log, wanted, lambda _: base)

        return Judged(incumbent, against, await asyncio.to_thread(work), weightless)

    async def promote(self, tenant: int, policy: str, *, room: int | None = None) -> tuple[Promotion, Interval]:
        """Puts a policy in force that leads the one in force for certain; with it the lead that proved it.

        What the log cannot judge, an experiment against the policy in force may prove. Raises Refused with the numbers
        when nothing proves it, too few decisions were rewarded or another was put in force meanwhile, NotFound for a
        policy that there is not, BadInput when it is in force.
        """
        wanted = policy_named(policy)
        incumbent = await self._policies.in_force(tenant)
        if wanted.name == incumbent:
            raise BadInput(f"{incumbent} is in force already.")
        tried = await self._lead_in_experiment(tenant, wanted.name, incumbent)
        if tried is not None and tried.low > 0:
            return await self._proved(tenant, wanted.name, incumbent, room), tried
        if not (wanted.on_the_log and deciding(incumbent).on_the_log):
            raise Refused(_unproven(wanted.name, incumbent, tried))
        lead = await self._lead_on_log(tenant, wanted.name, incumbent)
        return await self._proved(tenant, wanted.name, incumbent, room), lead

    async def _proved(self, tenant: int, wanted: str, incumbent: str, room: int | None) -> Promotion:
        """Puts a policy in force in the place of the one that it was proved against, and of no other."""
        return await self._policies.promote(tenant, wanted, Reason.PROMOTED, room=room, expected=incumbent)

    async def trip(self, tenant: int) -> Trip | None:
        """Looks whether the policy in force is worse than the rules, and falls back to them when it is.

        Decisions since it was put in force count. None when there is nothing to look at: the rules decide, the log
        cannot judge what does, no vote came since the last look, or another was put in force during this one.
        """
        newest, version = await self._policies.newest(tenant), await self._book.votes_version(tenant)
        name = await self._policies.in_force(tenant)
        if name == RULES or not deciding(name).on_the_log or self._looked.get(tenant) == (version, newest):
            return None
        log = await self.log(tenant, after=0 if newest is None else newest.answer)
        found = await asyncio.to_thread(evaluation.lead_sequence, log, target_named(name))
        fell = found.high < 0 or (len(log) >= PATIENCE and found.mean < WORST)
        ended = None
        if fell:
            try:
                where = await self.home(tenant)
                made = await self._policies.promote(tenant, RULES, Reason.FALLEN, room=where, expected=name)
                ended = made.ended
            except Refused:
                return None  # what was put in force meanwhile is judged by what comes after
        self._looked[tenant] = (version, newest)
        return Trip(name, len(log), found, fell, ended)

    async def home(self, tenant: int) -> int | None:
        """The room to tell about its policy: where one was promoted last, else where the newest answer was given."""
        promoted = await self._policies.room(tenant)
        return promoted if promoted is not None else await self._book.newest_room(tenant)

    async def experiment(self, tenant: int) -> tuple[Experiment, experiments.Result] | None:
        """The newest experiment and what it has shown; None when there was none."""
        last = await self._policies.last(tenant)
        return None if last is None else (last, await self._result(tenant, last))

    async def _result(self, tenant: int, tried: Experiment) -> experiments.Result:
        rewards = await self._learner.rewards(tenant)
        rows = await self._book.decided(tenant, sorted(rewards))
        outcomes = [
            Outcome(row.unit or str(row.answer_serial), row.policy == tried.second, reward.y, reward.w)
            for row in rows
            if row.experiment == tried.id and (reward := rewards[row.answer_serial]).w > 0
        ]
        return await asyncio.to_thread(experiments.result, outcomes)

    async def _lead_in_experiment(self, tenant: int, wanted: str, incumbent: str) -> Interval | None:
        """How far a policy led the one in force in the newest experiment, if that was between the two."""
        last = await self._policies.last(tenant)
        if last is None or {last.first, last.second} != {wanted, incumbent}:
            return None
        lead = (await self._result(tenant, last)).lead
        return lead if last.second == wanted else Interval(-lead.mean, -lead.high, -lead.low)

    async def _lead_on_log(self, tenant: int, wanted: str, incumbent: str) -> Interval:
        """The lead with its one-sided bounds. Raises Refused, with the numbers, unless it is above 0."""
        log = await self.log(tenant)
        evaluation.enough(len(log))
        target, against = target_named(wanted), target_named(incumbent)

        def work() -> tuple[Interval, Evaluation]:
            ours, theirs = target(log), against(log)
            lead = evaluation.lead_sequence(log, lambda _: ours, lambda _: theirs)
            [judged] = evaluation.evaluate(log, {wanted: lambda _: ours}, lambda _: theirs)
            return lead, judged

        lead, judged = await asyncio.to_thread(work)
        if judged.untried > UNTRIED:
            raise Refused(
                f"{100 * judged.untried:.0f} % of what {wanted} would do was never tried here, so the log cannot prove "
                f"it better than {incumbent}; try it on half of the threads: weavebot experiment start {incumbent} "
                f"{wanted}."
            )
        if lead.low <= 0 or judged.snips_lead.mean <= 0:
            raise Refused(_unproven(wanted, incumbent, lead, len(log)))
        return lead


def _unproven(wanted: str, incumbent: str, lead: Interval | None, decisions: int | None = None) -> str:
    """Why a policy is not promoted, in numbers."""
    over = "" if decisions is None else f" over {decisions:,} rewarded decisions"
    if lead is None:
        return (
            f"Nothing shows that {wanted} is better than {incumbent}; try it on half of the threads: weavebot "
            f"experiment start {incumbent} {wanted}."
        )
    if not np.isfinite(lead.low):
        return (
            f"{wanted} earned {lead.mean:+.3f} against {incumbent}{over}, too few for any bound: that takes {START}, "
            "and as one person's newest 20 or so count on a route, about six people who vote."
        )
    return (
        f"{wanted} earned {lead.mean:+.3f} against {incumbent}{over}, and the lower bound of that is {lead.low:+.3f}; "
        "it is promoted when that is above 0."
    )


def _weighing(rated: Sequence[tuple[AnyRow, Evidence | None]]) -> list[tuple[AnyRow, Evidence]]:
    return [(row, evidence) for row, evidence in rated if evidence is not None]


def _within(
    kept: Sequence[tuple[AnyRow, Evidence]] | Sequence[tuple[AnyRow, Evidence | None]],
    rooms: Collection[int] | None,
    since: datetime | None = None,
) -> NDArray[np.intp]:
    """Where the decisions of the rooms stand, asked since a time."""
    here = [(rooms is None or row.room_id in rooms) and (since is None or row.asked_at >= since) for row, _ in kept]
    return np.flatnonzero(np.array(here, dtype=np.bool_))


def _log(kept: Sequence[tuple[AnyRow, Evidence]], design: Design = DESIGN) -> Log:
    """Rows of decisions with what they earned, as arrays."""
    pi = np.zeros((len(kept), len(design.routes)))
    offered = np.zeros(pi.shape, dtype=np.bool_)
    for i, (row, _) in enumerate(kept):
        for name, chance in row.propensities.items():
            if name in design.index:
                pi[i, design.index[name]] = chance
                offered[i, design.index[name]] = True
    return Log(
        design=design,
        evidence=tuple(evidence for _, evidence in kept),
        rules=np.array([design.index.get(row.rule_route, 0) for row, _ in kept], dtype=np.intp),
        pi=pi,
        offered=offered,
        seeds=tuple(row.seed for row, _ in kept),
        policies=tuple(row.policy for row, _ in kept),
    )
