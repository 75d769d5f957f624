"""The order of messages follows picks through all of asking and voting, and comes back when they are taken back."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from memory.models import Person, Room
from routing.routes import CHAT
from routing.weights import START, Weights
from tests.parts import Memory

THINGS = "ladder smoker extractor frame feeder excluder veil glove hammer bucket".split()
PLACES = "shed attic cellar garden kitchen barn".split()


async def answers(memory: Memory, room: Room) -> list[tuple[str, int]]:
    """Two questions a thing: (answer, number of citations)."""
    for thing in THINGS:
        for place in PLACES:
            await memory.say(
                room, ("Ana", f"the {thing} was seen near the {place}"), ("Ben", f"so in the {place} then")
            )
    found = []
    for thing in THINGS:
        for words in ("Where is the {}?", "In which place was the {} seen?", "Has somebody seen the {}?"):
            answer = await memory.shuttle.weave(words.format(thing), memory.scope(room), route=CHAT, seed=1)
            found.append((answer.id, len(answer.citations)))
    return found


async def pick_last(memory: Memory, given: list[tuple[str, int]], person: Person, *, remove: bool = False) -> None:
    """The last citation of each answer is the one, says this person; always the opposite of what the formula says."""
    for answer, cited in given:
        await memory.shuttle.vote(memory.tenant, answer, person, f"{min(cited, 9)}\ufe0f\u20e3", remove=remove)


async def shown(memory: Memory, room: Room) -> list[str]:
    answer = await memory.shuttle.weave("Where is the ladder?", memory.scope(room), route=CHAT, seed=1)
    return [citation.message_id for citation in answer.citations]


def same(one: Weights, other: Weights) -> bool:
    return one.digest == other.digest and np.array_equal(one.common, other.common)


@pytest.mark.embedded
async def test_picks_turn_the_order_and_taken_back_leave_nothing(memory: Memory, room: Room) -> None:
    given = await answers(memory, room)
    before = await shown(memory, room)
    zoe = await memory.directory.person(memory.tenant, "zoe", "Zoe")

    await pick_last(memory, given, zoe)
    taught = await memory.learner.weights(memory.tenant)
    after = await shown(memory, room)

    assert taught.lessons == len(given)
    assert not np.array_equal(taught.common, START)
    assert after != before
    assert same(await memory.learner.weights(memory.tenant), taught)

    await pick_last(memory, given, zoe, remove=True)
    untaught = await memory.learner.weights(memory.tenant)
    assert np.array_equal(untaught.common, START)
    assert await shown(memory, room) == before


@pytest.mark.embedded
async def test_a_few_picks_move_nothing(memory: Memory, room: Room) -> None:
    given = await answers(memory, room)
    zoe = await memory.directory.person(memory.tenant, "zoe", "Zoe")

    await pick_last(memory, given[:5], zoe)

    assert np.array_equal((await memory.learner.weights(memory.tenant)).common, START)


async def test_what_is_erased_while_it_is_learned_is_learned_again(memory: Memory, room: Room) -> None:
    given = await answers(memory, room)
    zoe = await memory.directory.person(memory.tenant, "zoe", "Zoe")
    await pick_last(memory, given, zoe)

    running = asyncio.create_task(memory.learner.weights(memory.tenant))
    await asyncio.sleep(0)
    await memory.privacy.forget_message(memory.tenant, (await shown(memory, room))[0])
    await running

    taught = await memory.learner.weights(memory.tenant)
    assert taught.lessons < len(given)
