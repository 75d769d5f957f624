"""The notice to a team's admins that the tripwire took a policy out: tried again until it is said, and said once.

The tripwire may be looked at by a process that has no account in the team. What it did is a row, so whoever can say
something in the room finds it there; that it was said is a row of the outbox.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import select

from bot.app import App
from bot.pages import FAINT, HEAD, Page, line
from bot.policies import ended_page, lead_in_words
from bot.render import hint_line
from bot.tables import audit
from memory.errors import WeavebotError
from memory.models import Room
from routing.intervals import Interval
from routing.judging import Trip
from routing.policy_book import Promotion

log = structlog.get_logger(__name__)

NEWS: Final = timedelta(days=7)
"""A fall of before then is told no more."""
ACTION: Final = "fallen_back"


async def record(app: App, tenant: int, trip: Trip) -> None:
    """Keeps in the audit what a fall was decided by."""
    lead = [round(number, 4) for number in (trip.lead.mean, trip.lead.low, trip.lead.high)]
    detail = {"policy": trip.policy, "decisions": trip.decisions, "lead": lead}
    if trip.ended is not None:
        detail["ended_experiment"] = trip.ended.id
    await app.audit.record(tenant, ACTION, by=None, detail=detail)
    log.warning("policy.fell", tenant=tenant, policy=trip.policy, decisions=trip.decisions)


class Notices:
    """What a process says of falls in its rooms.

    It tries each minute; that it cannot be said is in the log when it begins, when the reason changes and when it ends.
    """

    def __init__(
        self,
        app: App,
        post: Callable[[Room, Page, str], Awaitable[None]],
        rooms: Callable[[], Awaitable[Sequence[Room]]],
    ) -> None:
        self._app = app
        self._post = post
        self._rooms = rooms
        self._untold: dict[str, str] = {}  # occasion: why not

    async def tell(self) -> None:
        """Says what fell, and still is out, in those of the rooms that are to hear of it and have not."""
        fallen = await self._app.policies.fallen(self._app.clock.now() - NEWS)
        here = {room.id: room for room in await self._rooms()} if fallen else {}
        for tenant, fall in fallen:
            room = here.get(fall.room or 0)
            if room is None:
                continue  # another process has an account there, or none has
            occasion = f"tripwire {tenant} {fall.at.isoformat()}"
            try:
                await self._post(room, await _notice(self._app, tenant, fall), occasion)
            except WeavebotError as exc:
                if self._is_news(occasion, str(exc)):
                    log.warning("fall.untold", tenant=tenant, reason=str(exc))
            except Exception as exc:
                if self._is_news(occasion, repr(exc)):
                    log.exception("fall.untold", tenant=tenant)
            else:
                if self._untold.pop(occasion, None) is not None:
                    log.info("fall.told", tenant=tenant)

    def _is_news(self, occasion: str, reason: str) -> bool:
        before, self._untold[occasion] = self._untold.get(occasion), reason
        return before != reason


async def _notice(app: App, tenant: int, fall: Promotion) -> Page:
    """What the tripwire tells the admins."""
    query = select(audit.c.detail).where(audit.c.tenant_id == tenant, audit.c.action == ACTION, audit.c.at >= fall.at)
    async with app.database.read() as conn:
        known: dict[str, Any] = (await conn.execute(query.order_by(audit.c.id).limit(1))).scalar() or {}
    shown: Page = (line((HEAD, "For the admins: "), f"{fall.before} is out and the rules decide."),)
    if known:  # else the process died before it could write that down
        earned = lead_in_words(Interval(*known["lead"]))
        shown = (*shown, line((FAINT, f"Over {known['decisions']:,} rewarded decisions it earned {earned}.")))
    if "ended_experiment" in known:
        shown = (*shown, *ended_page(await app.policies.experiment(known["ended_experiment"])))
    return (*shown, hint_line("`weavebot promote --back` puts it in force again."))
