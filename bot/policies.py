"""Operations on what decides: policies judged on the log, promoted and taken back, tried by thread."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bot import pictures, teams
from bot.app import App
from bot.asking import room_named
from bot.events import Event, result
from bot.pages import FAINT, STRONG, Page, line, page
from bot.render import hint_line, table
from bot.shapes import plain_numbers
from memory.errors import BadInput
from memory.models import Person, Room
from routing.evaluation import CLIP, Evaluation
from routing.experiments import Experiment, Result
from routing.intervals import Interval
from routing.judging import Judged
from routing.policy_book import Promotion
from routing.progress import Curve, Progress
from routing.sequences import START

NOTHING: Final = 1e-9
SURE: Final = "Intervals are 95 % (bootstrap by answer). Costs are not subtracted."


async def evaluate(
    app: App, *, policy: str | None = None, room: str | None = None, since: str | None = None
) -> AsyncIterator[Event]:
    """What a policy would have earned on the decisions that were logged; without a name, all of them."""
    asked_since = None if since is None else _moment(since)
    where = await teams.find_room(app, room) if room else None
    tenant = where.tenant if where else await _team(app)
    names = [policy] if policy is not None else []
    judged = await app.judge.evaluate(tenant, names, rooms=[where.id] if where else None, since=asked_since)
    told = {
        "incumbent": judged.incumbent,
        "against": judged.against,
        "weightless": judged.weightless,
        "evaluations": [asdict(one) for one in judged.evaluations],
    }
    yield result(plain_numbers(told), evaluation_page(judged, await teams.named(app, where) if where else ""))


async def learn(app: App, *, plot: str | None = None, room: str | None = None) -> AsyncIterator[Event]:
    """What the votes have taught so far, in numbers; with ``plot``, an absolute path, as a picture too."""
    where = await teams.find_room(app, room) if room else None
    tenant = where.tenant if where else await _team(app)
    found = await app.judge.progress(tenant, rooms=[where.id] if where else None)
    told = asdict(found)
    shown = progress_page(found)
    if plot is not None:
        title = f"What votes taught in {where.name}" if where else "What votes taught"
        await asyncio.to_thread(pictures.draw, found, title, Path(plot))
        told["picture"] = plot
        shown = (*shown, line(), *page(line("The picture is in ", (STRONG, plot))))
    yield result(plain_numbers(told), shown)


async def promote(
    app: App, *, policy: str | None = None, back: bool = False, room: str | None = None
) -> AsyncIterator[Event]:
    """Puts a policy in force that votes prove better, or takes the last promotion back; alone, says what decides."""
    tenant = (await teams.find_room(app, room)).tenant if room else await _team(app)
    if policy is None and not back:
        newest = await app.policies.newest(tenant)
        decides = await app.policies.in_force(tenant)
        yield result({"policy": decides, "since": newest.at.isoformat() if newest else None}, in_force_page(decides))
        return
    made, shown = await promoted(app, tenant, policy, by=None)
    yield result({"policy": made.policy, "before": made.before, "reason": made.reason.value}, shown)


async def promoted(
    app: App,
    tenant: int,
    policy: str | None,
    *,
    by: Person | None,
    room: Room | None = None,
    asked_at: datetime | None = None,
) -> tuple[Promotion, Page]:
    """Promotes a policy, or with None takes the newest promotion back, and records who did; what to say of it.

    What was asked for at a time takes back nothing that was put in force later.
    """
    where = room.id if room else None
    if policy is None:
        made, lead = await app.policies.back(tenant, room=where, asked_at=asked_at), None
    else:
        made, lead = await app.judge.promote(tenant, policy, room=where)
    detail = {"policy": made.policy, "before": made.before, **_ended_in_audit(made.ended)}
    await app.audit.record(tenant, made.reason.value.replace(" ", "_"), by=by, room=room, detail=detail)
    return made, promotion_page(made, lead)


async def experiment(
    app: App, *, action: str | None = None, policies: list[str] | None = None, room: str | None = None
) -> AsyncIterator[Event]:
    """Starts or stops an experiment by thread; without an action, tells what the newest one has shown."""
    tenant = (await teams.find_room(app, room)).tenant if room else await _team(app)
    if action == "start":
        if policies is None or len(policies) != 2:  # noqa: PLR2004 - an experiment has two sides
            raise BadInput("Name the two policies: weavebot experiment start thompson greedy.")
        made = await app.policies.start(tenant, *policies)
        await _record(app, tenant, "start_experiment", made)
    elif action == "stop":
        await _record(app, tenant, "stop_experiment", await app.policies.stop(tenant))
    elif action is not None:
        raise BadInput(f"There is no action {action!r}; there are start and stop.")
    found = await app.judge.experiment(tenant)
    if found is None:
        raise BadInput("No experiment was ever started: weavebot experiment start thompson greedy.")
    tried, shown = found
    told = {
        "experiment": tried.id,
        "first": tried.first,
        "second": tried.second,
        "started_at": tried.started_at.isoformat(),
        "ended_at": tried.ended_at.isoformat() if tried.ended_at else None,
        **asdict(shown),
    }
    yield result(plain_numbers(told), experiment_page(tried, shown))


async def _record(app: App, tenant: int, action: str, tried: Experiment) -> None:
    detail = {"experiment": tried.id, "first": tried.first, "second": tried.second}
    await app.audit.record(tenant, action, by=None, detail=detail)


def _ended_in_audit(ended: Experiment | None) -> dict[str, Any]:
    return {} if ended is None else {"ended_experiment": ended.id}


async def _team(app: App) -> int:
    """The team whose rooms there are; with several, a room must say which. Raises BadInput naming rooms."""
    rooms = await teams.rooms(app)
    there = {room.tenant for room in rooms}
    if len(there) > 1:
        return (await room_named(app, None)).tenant
    return there.pop() if there else app.tenant


def _moment(words: str) -> datetime:
    try:
        at = datetime.fromisoformat(words)
    except ValueError:
        raise BadInput(f"--since {words!r} is no date; write one such as 2026-03-01.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def evaluation_page(judged: Judged, room: str = "") -> Page:
    """A table of policies with their estimates, and what to know about them; of one room when it is named."""
    first = judged.evaluations[0]
    head = ("policy", "IPS", "SNIPS", "DR", "95 % interval", f"over {judged.against}", "95 % interval")
    rows = [_row(one) for one in judged.evaluations]
    notes = [line((FAINT, SURE))]
    if judged.weightless:
        words = (
            f"{judged.weightless:,} more have votes of no weight: they cancel, or are past what one person may weigh."
        )
        notes.append(line((FAINT, words)))
    for one in judged.evaluations:
        if one.clipped > 0:
            cut = f"{one.policy}: {_percent(one.clipped)} of the weights were above {CLIP:g} and cut."
            notes.append(line((FAINT, cut)))
        if one.untried > 0:
            words = f"{one.policy}: {_percent(one.untried)} of what it would do was never tried; that part is a guess."
            notes.append(line((FAINT, words)))
    if first.policy == "uniform" or len(judged.evaluations) > 1:
        notes.append(line((FAINT, "Where a route was down, the rules' route stands in for it.")))
    of = f" in {room}" if room else ""
    title = line((STRONG, f"{first.decisions:,} rewarded decisions"), f"{of}; {judged.incumbent} is in force")
    return (title, line(), *table(rows, head=head), line(), *notes)


def _row(one: Evaluation) -> tuple[str, ...]:
    itself = max(abs(one.lead.low), abs(one.lead.high)) < NOTHING
    lead = ("", "") if itself else (f"{one.lead.mean:+.3f}", _span(one.lead, sign="+"))
    return (one.policy, f"{one.ips.mean:.3f}", f"{one.snips.mean:.3f}", f"{one.dr.mean:.3f}", _span(one.dr), *lead)


def _span(interval: Interval, *, sign: str = "") -> str:
    return f"{interval.low:{sign}.3f} to {interval.high:{sign}.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "under 1 %"  # noqa: PLR2004 - of a hundred


def progress_page(found: Progress) -> Page:
    """Rewards so far, and each route: what its answers earned and what is expected of it."""
    now, rules = found.decided, found.rules
    head = ("route", "rated", "votes gave", "95 % interval", "expected", "95 % interval")
    rows = [
        (
            one.route,
            f"{one.rated:,}",
            f"{one.earned.mean:.2f}",
            f"{one.earned.low:.2f} to {one.earned.high:.2f}",
            f"{one.expected.mean:.2f}",
            f"{one.expected.low:.2f} to {one.expected.high:.2f}",
        )
        for one in found.routes
    ]
    return (
        line((STRONG, f"{found.rated:,} rated answers"), f" earned {now.mean[-1]:.3f} on average ", _within(now)),
        line(f"the rules alone would have earned {rules.mean[-1]:.3f} ", _within(rules)),
        line(),
        *table(rows, head=head),
    )


def _within(curve: Curve) -> tuple[str, str]:
    return FAINT, f"({curve.low[-1]:.3f} to {curve.high[-1]:.3f})"


def in_force_page(policy: str) -> Page:
    """Which policy decides."""
    return (
        line((STRONG, policy), " decides."),
        hint_line("`weavebot evaluate` judges the others, `weavebot promote POLICY` puts a better one in force."),
    )


def promotion_page(made: Promotion, lead: Interval | None = None) -> Page:
    """What a promotion did."""
    words = line((STRONG, made.policy), f" decides from now on; until now it was {made.before}.")
    if lead is None:
        return (words, *ended_page(made.ended))
    proof = f"It earned {lead.mean:+.3f}, at least {lead.low:+.3f}, against {made.before}."
    return (words, *ended_page(made.ended), hint_line(f"{proof} `weavebot promote --back` takes it back."))


def ended_page(experiment: Experiment | None) -> Page:
    """That an experiment is over, because what decides is another policy now."""
    return () if experiment is None else page(f"The experiment {experiment.words} has ended with that.")


def lead_in_words(lead: Interval) -> str:
    """How far a policy was from the rules."""
    return f"{lead.mean:+.3f} against the rules ({_span(lead, sign='+')})"


def experiment_page(tried: Experiment, shown: Result) -> Page:
    """Both policies, how far the second leads, and what could be seen."""
    state = "ended" if tried.ended_at else "runs"
    head = ("policy", "rewarded answers", "mean reward")
    rows = [
        (name, f"{answers:,}", f"{mean:.3f}" if answers else "")
        for name, answers, mean in zip((tried.first, tried.second), shown.answers, shown.means, strict=True)
    ]
    if math.isfinite(shown.lead.low):
        lead = f"{tried.second} leads by {shown.lead.mean:+.3f} ({_span(shown.lead, sign='+')}, however often you look)"
    else:
        lead = f"{shown.units} threads have a vote; the first interval comes at {START}"
    return (
        line((STRONG, tried.words), f" {state}, {shown.units} threads with votes"),
        line(),
        *table(rows, head=head),
        line(),
        *page(f"{lead}."),
        line((FAINT, _detects(shown))),
    )


def _detects(shown: Result) -> str:
    twice = 2 * max(shown.units, START)
    later = f"with {twice:,} threads a difference of {100 * shown.at_twice:.0f} points"
    if not math.isfinite(shown.detectable):
        return f"It could see, {later}."
    return f"It can see a difference of {100 * shown.detectable:.0f} points now, {later}."
