"""Operations on what is kept: numbers, digest, forgetting, exporting, rebuilding, settings, jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from typing import Final

from bot import jobs, schema, teams
from bot.app import App
from bot.asking import room_named
from bot.drift import drifts, vector_drifts
from bot.events import Event, closing, note, progress, result
from bot.pages import FAINT, HEAD, Page, count, line, page
from bot.reflecting import depth_object, reflecting
from bot.render import facts
from bot.reports import cache_page, dead_page, digest_page, passed_page, queue_page, stats_page, stores_page
from bot.settling import settling
from bot.shapes import cache_object, dead_object, digest_object, plain_numbers, queue_object, stores_object
from bot.warming import warm_up
from memory import records
from memory.errors import NotFound, Refused, Unavailable
from memory.loading import renew_terms
from memory.models import TRIES, DeadLetter, QueueReport, Room, Scope, WorkKind

SHOWN: Final = 100
"""Messages that were given up, of which each is told."""

_NAMES: Final = {WorkKind.INDEX: "queue", WorkKind.REFLECT: "reflection_queue"}


async def stats(app: App, *, room: str | None = None) -> AsyncIterator[Event]:
    """A room's numbers, or those of all rooms together; one object for each team when there are several."""
    chosen = [await teams.find_room(app, room)] if room else await teams.rooms(app)
    by_team = {team.id: [one.id for one in chosen if one.tenant == team.id] for team in await app.directory.tenants()}
    busy = [(team, ids) for team, ids in by_team.items() if ids] or [(app.tenant, [])]
    names = {team.id: f"{team.platform} {team.name}" for team in await app.directory.tenants()}
    for team, ids in busy:
        numbers = await app.statistician.stats(Scope(team, tuple(ids)))
        head = (line((HEAD, names[team])),) if len(busy) > 1 else ()
        told = {"team": names[team]} if len(busy) > 1 else {}
        reports = await _reports(app)
        queued = {_NAMES[kind]: queue_object(report) for kind, report in reports.items()}
        cached = cache_page(app.evidence.counts, app.cache)
        stores = stores_object(app.breakers)
        less = (*stores_page(stores), *passed_page(app.passed))
        shown = (*head, *stats_page(numbers), *_queue_pages(reports), *cached, *less)
        cache = cache_object(app.evidence.counts, app.cache)
        value = plain_numbers({**asdict(numbers), "reflection": depth_object(numbers.reflection)})
        passed = {"passed_over": dict(app.passed)} if app.passed else {}
        yield result({**told, **value, **queued, "cache": cache, "stores": stores, **passed}, shown)


async def queue(app: App, *, retry_dead: bool = False) -> AsyncIterator[Event]:
    """The queues and the messages that were given up; with ``retry_dead`` those are tried again."""
    if retry_dead:
        await app.indexer.retry()
        await app.reflector.retry()
        reflects = app.settings.reflection != "off"  # else what is tried again waits with the rest
        for waits in (settling(app), *([reflecting(app)] if reflects else [])):
            async with closing(waits) as events:
                async for event in events:
                    yield event
    async with app.database.read() as conn:
        rows = await records.given_up(conn, SHOWN)
        waiting = await records.waiting(conn)
    reports = await _reports(app)
    letters = [
        letter for kind, report in reports.items() if not report.away for letter in await app.queues[kind].dead(SHOWN)
    ]
    known = {(letter.item.kind, letter.item.serial): letter for letter in letters}
    unsaid = {(item.kind, item.serial): DeadLetter(item, TRIES, "") for item in rows}
    dead = list((unsaid | known).values())
    queued = {name: queue_object(reports[kind]) if kind in reports else None for kind, name in _NAMES.items()}
    value = {"waiting": waiting, **queued, "dead": [dead_object(one) for one in dead]}
    alone = page(f"{count(waiting, 'message')} to be indexed, handed out by the database")
    yield result(value, (*(_queue_pages(reports) or alone), *dead_page(dead)))


async def _reports(app: App) -> dict[WorkKind, QueueReport]:
    return {kind: await queue.report() for kind, queue in app.queues.items()}


def _queue_pages(reports: Mapping[WorkKind, QueueReport]) -> Page:
    return tuple(one for kind, report in reports.items() for one in queue_page(kind, report))


async def digest(app: App, *, room: str | None = None) -> AsyncIterator[Event]:
    """The last seven days of a room; nothing is posted or kept."""
    where = await room_named(app, room)
    wanted = await app.preferences.of(where)
    summary = await app.digests.compose(where)
    shown = digest_page(summary, zone=wanted.zone, prefix=app.settings.prefix, language=wanted.language)
    yield result(plain_numbers(digest_object(summary)), shown)


async def forget(
    app: App, *, message: str | None = None, person: str | None = None, room: str | None = None
) -> AsyncIterator[Event]:
    """Erases a message or a person from every store."""
    where = await teams.find_room(app, room) if room else None
    if person is not None:
        who = await teams.find_person(app, person)
        erased = await app.privacy.forget_person(who)
        await app.audit.record(who.tenant, "forget_person", by=None, detail={"messages": erased})
        words = f"{who.name or who.external_id} is forgotten: {count(erased, 'message')} erased"
    else:
        team = where.tenant if where else None
        erased = await app.privacy.forget_message(team, message or "", where)
        detail = {"messages": erased}
        await app.audit.record(team or app.tenant, "forget_message", by=None, room=where, detail=detail)
        words = f"{count(erased, 'message')} erased"
    owed = (("Neo4j", app.rooms.owed), ("Qdrant", app.vectors is not None and app.vectors.owed))
    for server, owes in owed:
        if owes:
            yield note(
                f"{server} does not answer; what was forgotten leaves it as soon as it does, while weavebot runs"
            )
    yield result({"forgotten": erased}, page(words))


async def export(app: App, *, person: str) -> AsyncIterator[Event]:
    """Everything that is kept about a person, one object each."""
    who = await teams.find_person(app, person)
    async with closing(app.privacy.export(who)) as items:
        async for item in items:
            yield result(item)


async def reindex(app: App, *, model: bool = False, store: str | None = None) -> AsyncIterator[Event]:
    """Everything that can be derived is derived again (``all``), or one ``store`` of it, as `STORES` names them.

    All are those that are configured. ``model`` was looked at when the folder was opened: by then every message waits
    to be embedded by the new one.
    Raises NotFound for a store that there is not, Refused for one that is not configured.
    """
    del model
    if store == ALL:
        store = None
    if store is not None and store not in STORES:
        raise NotFound(f"There is no store {store!r}; there are {', '.join((*STORES, ALL))}.")
    if store == NEO4J and app.graph is None:
        raise Refused(
            "No Neo4j is configured, so the graph is held in this process (--store rooms): set WEAVEBOT_NEO4J_URL."
        )
    if store == QDRANT and app.vectors is None:
        raise Refused(
            "No Qdrant is configured, so rooms are searched in this process (--store rooms): set WEAVEBOT_QDRANT_URL."
        )
    if store == REDIS and app.cache is None:
        raise Refused("No Redis is configured, so nothing is shared between processes: set WEAVEBOT_REDIS_URL.")
    for name, renew in STORES.items():
        if store in {None, name}:
            async with closing(renew(app)) as events:
                async for event in events:
                    yield event


async def _renew_rooms(app: App) -> AsyncIterator[Event]:
    """The projections of every room from SQL; what still waits is indexed."""
    await app.indexer.retry()
    async with closing(settling(app)) as events:
        async for event in events:
            yield event
    await renew_terms(app.database)
    rooms = await teams.rooms(app)
    for room in rooms:
        await app.rooms.wipe(room.id)
        await app.rooms.view(room.id)
        await app.rooms.graph(room.id)
    held, _, _ = await app.engine.span([room.id for room in rooms])
    words = f"{count(held, 'message')} in {count(len(rooms), 'room')} rebuilt"
    yield result({"rooms": len(rooms), "messages": held}, page(words))


async def _renew_learning(app: App) -> AsyncIterator[Event]:
    """What the votes of every team teach, counted anew from their rows and compared with what was used."""
    there = await app.directory.tenants()
    apart = 0.0
    app.learner.forget_all()
    for team in there:
        await app.learner.weights(team.id)
        apart = max(apart, await app.paths.recompute(team.id))
    words = f"what the votes of {count(len(there), 'team')} teach was counted anew; it differed by {apart:g}"
    yield result({"teams": len(there), "differed": apart}, page(words))


async def _renew_neo4j(app: App) -> AsyncIterator[Event]:
    """Every room on the graph server, built beside the one that goes on answering; in the end both are compared."""
    if app.graph is None:
        return
    there = await teams.rooms(app)
    total, _, _ = await app.engine.span([room.id for room in there])
    before = 0
    for room in there:
        done = 0
        async with closing(app.rooms.rebuild_graph(app.graph, room.id)) as steps:
            async for done in steps:
                yield progress(NEO4J, before + done, max(total, before + done))
        before += done
    await asyncio.sleep(app.settings.neo4j_timeout)  # whoever still reads the generation before ends within this time
    for room in there:
        await app.graph.sweep(room.id)
    drifted = [drift.words async for drift in drifts(app, app.graph)]
    if drifted:
        raise Unavailable(f"Neo4j does not hold what the database does after all ({'; '.join(drifted)}): try again")
    words = f"{count(before, 'message')} in {count(len(there), 'room')} rebuilt in Neo4j, and counted: all are there"
    yield result({"rooms": len(there), "messages": before}, page(words))


async def _renew_qdrant(app: App) -> AsyncIterator[Event]:
    """All rooms on the vector server, built beside what goes on answering; in the end both are compared."""
    if app.vectors is None:
        return
    there = await teams.rooms(app)
    total, _, _ = await app.engine.span([room.id for room in there])
    done = 0
    async with closing(app.vectors.rebuild()) as steps:
        async for done in steps:
            yield progress(QDRANT, done, max(total, done))
    await asyncio.sleep(app.settings.qdrant_timeout)  # whoever still reads what was before ends within this time
    await app.vectors.index.sweep()
    drifted = [drift.words async for drift in vector_drifts(app, app.vectors)]
    if drifted:
        raise Unavailable(f"Qdrant does not hold what the database does after all ({'; '.join(drifted)}): try again")
    words = f"{count(done, 'message')} in {count(len(there), 'room')} rebuilt in Qdrant, and counted: all are there"
    yield result({"rooms": len(there), "messages": done}, page(words))


async def _renew_redis(app: App) -> AsyncIterator[Event]:
    """What was found before is dropped, here and on the cache server, and what is asked most is looked for again."""
    if app.cache is None:
        return
    there = await teams.rooms(app)
    for room in there:
        await app.evidence.drop(room.id)
    warmed = await warm_up(app, there)
    words = (
        f"what was found in {count(len(there), 'room')} was dropped, and {count(warmed, 'question')} looked at again"
    )
    yield result({"rooms": len(there), "questions": warmed}, page(words))


ALL: Final = "all"
NEO4J: Final = "neo4j"
QDRANT: Final = "qdrant"
REDIS: Final = "redis"
STORES: Final[Mapping[str, Callable[[App], AsyncIterator[Event]]]] = {
    "rooms": _renew_rooms,
    "learning": _renew_learning,
    NEO4J: _renew_neo4j,
    QDRANT: _renew_qdrant,
    REDIS: _renew_redis,
}
"""What can be built again by itself."""


async def settings(
    app: App, *, room: str | None = None, name: str | None = None, value: str | None = None
) -> AsyncIterator[Event]:
    """Shows the settings of a room, after changing one when a value is given (``default`` takes it back)."""
    where = await room_named(app, room)
    if name is not None and value is not None:
        await app.preferences.change(where, name, None if value == "default" else value, None)
        await app.audit.record(where.tenant, "change_setting", by=None, room=where, detail={"setting": name})
    chosen = (await app.preferences.of(where)).as_mapping()
    if name is not None:
        if name not in chosen:
            raise NotFound(f"There is no setting {name!r}; there are {', '.join(chosen)}.")
        chosen = {name: chosen[name]}
    yield result({"room": where.name, **chosen}, facts(chosen.items()))


async def job(app: App, *, name: str | None = None, room: str | None = None) -> AsyncIterator[Event]:
    """Runs a job now, whenever it is due; without a name, lists them."""
    if name is None:
        for one in jobs.TABLE.values():
            yield result({"job": one.name, "does": one.words}, (line(one.name.ljust(10), (FAINT, one.words)),))
        return
    if name not in jobs.TABLE:
        raise NotFound(f"There is no job {name!r}; there are {', '.join(jobs.TABLE)}.")
    chosen = jobs.TABLE[name]
    posted: list[tuple[Room, Page]] = []

    async def post(where: Room, said: Page, _occasion: str) -> None:
        posted.append((where, said))

    for where in await _rooms_of(app, chosen, room):
        said = await chosen.function(app, post, where)
        shown: Page = tuple(span for _, one in posted for span in one)
        posted.clear()
        yield result({"job": name, "room": where.name if where else None, "done": said}, (*shown, line((FAINT, said))))


async def migrate(app: App) -> AsyncIterator[Event]:
    """Says at which schema the database is; opening it has brought it there."""
    revision = await schema.revision_of(app.database)
    yield result({"schema": revision}, page(f"The database is at schema {revision}."))


async def _rooms_of(app: App, chosen: jobs.Job, room: str | None) -> list[Room | None]:
    if not chosen.per_room:
        return [None]
    if room is not None:
        return [await teams.find_room(app, room)]
    return list(await teams.rooms(app))
