"""Neo4j keeps the promises of a graph index, and what only a server promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from neo4j import AsyncGraphDatabase

from memory.adapters import neo4j_cypher as cypher
from memory.adapters.graph import RustworkxGraphIndex
from memory.models import GraphSum, Mention, MessageLinks
from tests.contract.graph_index import (
    ANA,
    BEN,
    CLEO,
    HIVE,
    LOT,
    QUEEN,
    ROOM,
    TALK,
    GraphIndexContract,
    day,
    everything,
    hits,
    link,
    name,
    person,
)
from tests.services.neo4j import RecordedIndex, neo4j_address, open_index

pytestmark = pytest.mark.services

ENTITIES = (ANA, BEN, CLEO, HIVE, LOT, QUEEN, name("Elder Oak"), day("2026-05-13"), day("2026-W20"))


@pytest.fixture
async def index() -> AsyncIterator[RecordedIndex]:
    async with open_index() as index:
        yield index


class TestNeo4jGraphIndex(GraphIndexContract):
    @pytest.fixture
    async def index(self) -> AsyncIterator[RecordedIndex]:
        async with open_index() as index:
            yield index


def made_up(seed: int, size: int) -> list[MessageLinks]:
    """A random room: subjects, replies in both directions, sessions, everything."""
    chance = Random(seed)  # noqa: S311 - a made-up room, not a secret
    found = []
    for serial in range(1, size + 1):
        named = chance.sample(ENTITIES, chance.randrange(4))
        reply = chance.choice([None, None, chance.randrange(1, size + 1)])
        things = [mention for mention in named if mention not in (ANA, BEN, CLEO)]
        found.append(
            replace(
                link(serial, chance.choice([ANA, BEN, CLEO]), *named, reply_to=reply, days=chance.randrange(3)),
                session=chance.choice([None, 1, 2, 3, 4]),
                subject=things[0].key if things and chance.random() < 0.4 else None,
            )
        )
    return found


class Twin(RustworkxGraphIndex):
    """The graph in the process, on pseudonyms: among equally likely paths the keys decide, so they must be the same."""

    def __init__(self, index: RecordedIndex) -> None:
        super().__init__()
        self.index = index

    def disguised(self, mention: Mention) -> Mention:
        return self.index._pseudonym(ROOM, mention)

    async def fill(self, links: list[MessageLinks]) -> None:
        def key(link: MessageLinks) -> str | None:
            return link.subject and next(self.disguised(m).key for m in link.mentions if m.key == link.subject)

        await self.put(
            ROOM,
            [replace(each, mentions=tuple(map(self.disguised, each.mentions)), subject=key(each)) for each in links],
        )


class TestEqual:
    """What is computed from what was read is what the graph in the process gives."""

    @pytest.mark.parametrize("seed", [1, 2])
    async def test_a_random_room_is_answered_as_the_one_in_the_process_answers(
        self, index: RecordedIndex, seed: int
    ) -> None:
        links, twin = made_up(seed, 40), Twin(index)
        await twin.fill(links)
        Random(seed).shuffle(links)  # noqa: S311 - an order of arrival
        for some in (links[:7], links[7:]):
            await index.put(ROOM, some)
        gone = [3, 17, 40]
        await index.remove(ROOM, gone)
        await twin.remove(ROOM, gone)
        asked = [HIVE, ANA, day("2026-05-13"), QUEEN]
        wanted = await everything(twin, range(1, 13), [twin.disguised(mention) for mention in asked])
        assert isinstance(wanted, tuple)
        got = await everything(index, range(1, 13), asked)
        assert isinstance(got, tuple)
        walked, traced, ranked, known, paths = got
        assert walked == wanted[0]
        assert ranked == wanted[2]
        assert [count for _, count in known] == [count for _, count in wanted[3]]
        assert [path and path[0::2] for path in traced] == [path and path[0::2] for path in wanted[1]]
        assert [(serial, score) for serial, _, score in paths] == [(serial, score) for serial, _, score in wanted[4]]
        told = [path[1] for path in traced if path] + [steps for _, steps, _ in paths]
        assert [shown(steps) for steps in told] == [
            shown(steps) for steps in [path[1] for path in wanted[1] if path] + [steps for _, steps, _ in wanted[4]]
        ]

    async def test_an_excerpt_of_a_larger_room_knows_how_much_lies_outside(self) -> None:
        links = made_up(3, 150)
        async with open_index(whole=25) as index:
            twin = Twin(index)
            await twin.fill(links)
            await index.put(ROOM, links)
            start, ends = hits(range(1, 6)), range(20, 26)
            mine = await index.walks(ROOM, start, [], ends)
            theirs = await twin.walks(ROOM, start, [], ends)
            assert mine.serials.tolist() == theirs.serials.tolist()
            assert list(mine.chances) == list(theirs.chances)
            for path, chances in theirs.chances.items():
                assert mine.chances[path] == pytest.approx(chances, abs=1e-12), path
            seen = await index.rank(ROOM, {1: 3.0, 2: 2.0}, [], 3)
            best = await twin.rank(ROOM, {1: 3.0, 2: 2.0}, [], 3)
            assert set(seen.serials.tolist()) & set(best.serials.tolist()) >= {1, 2}
            view = await index.neighbourhood(ROOM, start, [])
            assert len(view._messages) < 50 < view._incidence.room == 150


def shown(steps: tuple[str, ...]) -> tuple[str, ...]:
    """A told path without the keys of wider dates, which the twin's pseudonyms hide."""
    return tuple("2026-W20" if step.startswith("x") else step for step in steps)


async def labels(index: RecordedIndex) -> set[str]:
    """Those that are on the server."""
    return {row["node"]["label"] for row in await index.everything() if "label" in row["node"]}


class TestPrivacy:
    async def test_nothing_that_somebody_wrote_or_is_called_is_in_the_server(self, index: RecordedIndex) -> None:
        secret = person(4711, "Dana Meadow")
        await index.put(ROOM, [*TALK, link(9, secret, name("Gate 4471", "4471"), name("example.org/x"), session=3)])
        held = str(await index.everything())
        for word in ("Dana", "Meadow", "4471", "example", "Hive", "hive 4", "Red Queen", "Lot", "Ana", "Ben"):
            assert word not in held, word
        assert "person 4711" in held
        assert "2026-05-12" in held

    async def test_labels_are_kept_when_that_is_wanted_but_never_those_of_people(self) -> None:
        async with open_index(labels=True) as index:
            await index.put(ROOM, TALK)
            held = str(await index.everything())
            assert "Hive 4" in held
            assert "Red Queen" in held
            assert "Ana" not in held
            await index.remove(ROOM, [2])
            assert "Red Queen" not in str(await index.everything())

    async def test_a_label_stays_while_something_is_named_by_it(self) -> None:
        async with open_index(labels=True) as index:
            await index.put(ROOM, TALK)
            await index.put(ROOM, [TALK[1], link(3, CLEO, LOT, session=2, days=1)])  # 2 as it was, 3 without the hive
            assert await labels(index) >= {"Red Queen", "Hive 4", "Lot 26-03"}
            await index.remove(ROOM, [3])
            assert await labels(index) >= {"Red Queen", "Hive 4", "Lot 26-03"}
            await index.remove(ROOM, [1, 5])
            assert not await labels(index) & {"Hive 4", "Lot 26-03"}

    async def test_a_message_without_labels_takes_them_away(self) -> None:
        async with open_index(labels=True) as index:
            await index.put(ROOM, TALK)
            index._labels = False
            await index.put(ROOM, TALK)
            assert await labels(index) == set()

    async def test_two_rooms_and_two_installations_call_the_same_name_differently(self, index: RecordedIndex) -> None:
        async with open_index() as other:
            keys = {index._node_key(1, HIVE), index._node_key(2, HIVE), other._node_key(1, HIVE)}
            assert len(keys) == 3
            await index.put(ROOM, TALK)
            assert await other.known(ROOM, [HIVE]) == []
            await other.drop(ROOM)
            assert await index.known(ROOM, [HIVE]) == [(HIVE, 2)]

    async def test_a_dropped_room_leaves_nothing(self, index: RecordedIndex) -> None:
        await index.put(ROOM, TALK)
        await index.drop(ROOM)
        assert await index.everything() == []

    async def test_the_last_message_takes_everything_with_it(self, index: RecordedIndex) -> None:
        await index.put(ROOM, TALK)
        await index.remove(ROOM, [each.serial for each in TALK])
        assert {row["labels"][0] for row in await index.everything()} == {"WeaveRoom", "WeaveGeneration"}


class TestTimes:
    async def test_each_tie_says_since_when_it_holds_and_when_it_was_seen(self, index: RecordedIndex) -> None:
        await index.put(ROOM, TALK)
        ties = [tie for row in await index.everything() for tie in row["ties"] if tie[0] is not None]
        kinds = {kind for kind, _ in ties}
        assert kinds == {"WROTE", "MENTIONS", "ON", "IN_SESSION", "REPLIES_TO", "FOLLOWS"}
        when = {each.sent_at.replace(microsecond=0) for each in TALK}
        for kind, properties in ties:
            assert properties["valid_from"].to_native() in when, kind
            assert properties["observed_at"].to_native() == index._clock.now(), kind


class TestGenerations:
    async def test_a_room_is_built_anew_beside_the_one_that_answers(self, index: RecordedIndex) -> None:
        await index.put(ROOM, TALK)
        await index.reach(ROOM, 7)
        before = await everything(index, range(1, 6), [HIVE, ANA])
        await index.begin(ROOM)
        await index.build(ROOM, [*TALK[:4], link(6, CLEO, QUEEN)])
        assert await everything(index, range(1, 6), [HIVE, ANA]) == before
        await index.put(ROOM, [link(8, BEN, HIVE)])  # to the one in use
        assert await index.known(ROOM, [HIVE]) == [(HIVE, 3)]
        await index.switch(ROOM, 9)
        index.said[ROOM][6] = link(6, CLEO, QUEEN)
        assert await index.reached(ROOM) == 9
        assert await index.known(ROOM, [HIVE, QUEEN, LOT]) == [(HIVE, 2), (QUEEN, 2), (LOT, 1)]
        await index.sweep(ROOM)
        scopes = {row["node"]["scope"] for row in await index.everything()}
        assert len(scopes) == 1

    async def test_what_an_interrupted_build_left_goes_with_the_next(self, index: RecordedIndex) -> None:
        await index.put(ROOM, TALK)
        await index.begin(ROOM)
        await index.build(ROOM, [link(99, ANA, name("Half Built"))])
        await index.begin(ROOM)
        await index.build(ROOM, TALK)
        await index.switch(ROOM, 1)
        await index.sweep(ROOM)
        assert 99 not in {row["node"].get("serial") for row in await index.everything()}
        assert await index.known(ROOM, [HIVE]) == [(HIVE, 2)]

    async def test_what_is_forgotten_after_an_interrupted_build_is_in_no_generation(self, index: RecordedIndex) -> None:
        await index.put(ROOM, TALK)
        await index.begin(ROOM)
        await index.build(ROOM, [*TALK, link(99, ANA, name("Half Built"))])
        assert len(await index.unused(ROOM)) == 1
        await index.remove(ROOM, [2, 99])
        held = await index.everything()
        assert not {2, 99} & {row["node"].get("serial") for row in held}
        keys = {index._node_key(ROOM, mention) for mention in (QUEEN, name("Half Built"))}
        assert not keys & {row["node"].get("key") for row in held}
        await index.sweep(ROOM)
        assert await index.unused(ROOM) == ()
        assert await index.known(ROOM, [HIVE]) == [(HIVE, 2)]


class TestHealth:
    async def test_it_tells_the_version_and_that_nothing_is_missing(self, index: RecordedIndex) -> None:
        await index.put(ROOM, TALK)
        health = await index.health()
        assert health.server.startswith("Neo4j 5.26.")
        assert health.missing == ()

    async def test_the_sum_counts_messages_and_ties(self, index: RecordedIndex) -> None:
        await index.put(ROOM, TALK)
        seconds = sum(int(each.sent_at.timestamp()) % 1_000_003 for each in TALK)
        assert await index.sum_of(ROOM) == GraphSum(5, 5 + 6, 31 * 15 + seconds)
        assert await index.sum_of(77) == GraphSum(0, 0, 0)

    async def test_what_was_reached_is_known_to_the_next_process(self, index: RecordedIndex) -> None:
        assert await index.reached(ROOM) == 0
        await index.reach(ROOM, 12)
        after = RecordedIndex(index.link, index.pseudonyms, index._clock)
        assert await after.reached(ROOM) == 12


class TestBatches:
    async def test_thousands_at_once_arrive_as_they_would_one_by_one(self, index: RecordedIndex) -> None:
        many = [
            link(
                i,
                (ANA, BEN, CLEO)[i % 3],
                name(f"Name {i % 40}"),
                reply_to=i + 1 if i % 5 == 0 else None,
                session=i // 9,
            )
            for i in range(1, 2301)
        ]
        await index.put(ROOM, many)
        held = await index.sum_of(ROOM)
        assert (held.messages, held.ties) == (2300, 4600)
        assert await index.known(ROOM, [name("Name 7"), ANA]) == [(name("Name 7"), 58), (ANA, 766)]
        ranked = await index.rank(ROOM, {7: 1.0}, [name("Name 7")], 20)
        assert np.isin(ranked.serials, [each.serial for each in many if each.mentions[0].label == "Name 7"]).sum() >= 10


class TestPlans:
    @pytest.mark.parametrize("statement", [cypher.CHAIN, cypher.NEXT])
    async def test_a_long_session_is_not_sorted_for_each_message(self, index: RecordedIndex, statement: str) -> None:
        await index.put(ROOM, TALK)  # the indexes are there
        where = neo4j_address()
        async with AsyncGraphDatabase.driver(where.url, auth=(where.user, where.password)) as driver:
            summary = (await driver.execute_query("EXPLAIN " + statement, serials=[1], scope="x", now=0)).summary
        steps = list(_steps(summary.plan))
        assert any("weavebot_place" in step or "(scope, session, place)" in step for step in steps)
        assert not [step for step in steps if step.startswith(("Top", "Sort", "PartialTop", "PartialSort"))]


def _steps(plan: Any) -> Iterator[str]:
    """The operators of a plan with what they work on."""
    yield f"{plan['operatorType']} {plan.get('args', {}).get('Details', '')}"
    for child in plan.get("children", ()):
        yield from _steps(child)
