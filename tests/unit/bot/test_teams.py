"""The operator finds rooms and people of every team by name."""

from __future__ import annotations

import pytest

from bot import teams
from bot.app import App
from memory.errors import Ambiguous, NotFound
from tests.parts import draft
from tests.unit.bot.rooms import results, told


@pytest.fixture
async def both(app: App) -> App:
    """The local team and a Matrix account, each with a room of one name and one with a room of its own."""
    await told(app, ("Ana", "the queen is red"))
    matrix = await app.directory.tenant("matrix", "@weave:one", "@weave:one")
    for key, name in (("!a:one", "hives"), ("!b:one", "kitchen")):
        room = await app.directory.room(matrix, key, name)
        await app.journal.admit(room, [draft(f"{key}1", "Cleo", "the kettle is broken")])
    await app.engine.settle()
    return app


async def test_rooms_are_found_by_name_or_id_in_any_team(both: App) -> None:
    assert (await teams.find_room(both, "kitchen")).external_id == "!b:one"
    assert (await teams.find_room(both, "!a:one")).name == "hives"
    with pytest.raises(NotFound, match="the rooms are hives, hives, kitchen"):
        await teams.find_room(both, "cellar")


async def test_people_are_too(both: App) -> None:
    assert (await teams.find_person(both, "Cleo")).external_id == "cleo"
    assert (await teams.find_person(both, "ana")).name == "Ana"
    with pytest.raises(NotFound, match="nobody called 'Zoe'"):
        await teams.find_person(both, "Zoe")


async def test_a_name_of_two_teams_is_refused_with_the_ids(both: App) -> None:
    matrix = await both.directory.tenant("matrix", "@weave:one", "@weave:one")
    await both.directory.person(matrix, "@ana:one", "Ana")

    with pytest.raises(Ambiguous, match="several teams"):
        await teams.find_person(both, "Ana")
    assert (await teams.find_person(both, "@ana:one")).tenant == matrix


async def test_numbers_of_all_rooms_come_team_by_team(both: App) -> None:
    found = await results(both, "stats")

    assert [(one["team"], one["messages"]) for one in found] == [("local local", 1), ("matrix @weave:one", 2)]


async def test_a_question_and_a_vote_reach_the_team_of_the_room(both: App) -> None:
    [answer] = await results(both, "ask", question="what is broken?", room="kitchen", person="Cleo")
    [vote] = await results(both, "react", answer_id=answer["answer_id"], emoji="👍", person="Cleo")

    assert "kettle" in answer["text"]
    assert vote["changed"]


async def test_a_message_is_forgotten_in_whichever_team_it_is(both: App) -> None:
    [done] = await results(both, "forget", message="!b:one1")

    assert done == {"forgotten": 1}
