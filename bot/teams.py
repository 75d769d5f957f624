"""Rooms, people and answers by name in all teams: what the operator on the command line may see."""

from __future__ import annotations

from bot.app import App
from memory.errors import Ambiguous, NotFound
from memory.models import Person, Room, Tenant


async def rooms(app: App) -> list[Room]:
    """The rooms of every team, team by team, by name."""
    return [room for team in await app.directory.tenants() for room in await app.directory.rooms(team.id)]


async def find_room(app: App, name: str) -> Room:
    """The room of that external id or name, in whichever team. Raises Ambiguous listing ids, NotFound listing names."""
    teams = {team.id: team for team in await app.directory.tenants()}
    known = [room for team in teams for room in await app.directory.rooms(team)]
    exact = [room for room in known if room.external_id == name]
    named = [room for room in known if room.name.casefold() == name.casefold()]
    for fitting in (exact, named):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            ids = ", ".join(f"{room.external_id} ({_words(teams[room.tenant])})" for room in fitting)
            raise Ambiguous(f"several rooms are called {name!r}: use one of the ids {ids}")
    there = ", ".join(room.name for room in known[:12])
    raise NotFound(
        f"there is no room {name!r}: " + (f"the rooms are {there}" if known else "no room has any message yet")
    )


async def named(app: App, room: Room) -> str:
    """A room's name, with its team where there are several."""
    teams = {team.id: team for team in await app.directory.tenants()}
    there = {one.tenant for one in await rooms(app)}
    return room.name if len(there) == 1 else f"{room.name} ({_words(teams[room.tenant])})"


async def find_person(app: App, name: str) -> Person:
    """The person of that id or name, in whichever team. Raises Ambiguous, NotFound."""
    found: list[tuple[Person, Tenant]] = []
    missing: NotFound | None = None
    for team in await app.directory.tenants():
        try:
            found.append((await app.directory.find_person(team.id, name), team))
        except Ambiguous:
            raise
        except NotFound as exc:
            missing = exc
    if len(found) > 1:
        ids = ", ".join(f"{person.external_id} ({_words(team)})" for person, team in found)
        raise Ambiguous(f"{name!r} fits people of several teams: use one of the ids {ids}")
    if not found:
        raise missing or NotFound(f"nobody called {name!r} has written here")
    return found[0][0]


def _words(team: Tenant) -> str:
    return f"{team.platform} {team.name}"
