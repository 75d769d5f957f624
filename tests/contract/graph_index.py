"""What every `GraphIndex` promises; each adapter's test inherits it and gives a fixture ``index``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest

from memory.models import EntityKind, Mention, MessageLinks, Nominations, Path
from memory.ports import GraphIndex

NOON = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
ROOM = 1


def person(key: int, name: str) -> Mention:
    return Mention(EntityKind.PERSON, str(key), name)


def name(label: str, key: str = "", kind: EntityKind = EntityKind.NAME) -> Mention:
    return Mention(kind, key or label.lower(), label)


def day(key: str) -> Mention:
    return Mention(EntityKind.DATE, key, key)


ANA, BEN, CLEO = person(1, "Ana"), person(2, "Ben"), person(3, "Cleo")
HIVE, LOT, QUEEN = name("Hive 4"), name("Lot 26-03"), name("Red Queen")


def link(
    serial: int,
    author: Mention,
    *mentions: Mention,
    reply_to: int | None = None,
    session: int | None = None,
    days: float = 0.0,
) -> MessageLinks:
    at = NOON + timedelta(days=days, minutes=serial)
    return MessageLinks(serial, author, at, reply_to=reply_to, session=session, mentions=mentions)


TALK = (
    link(1, ANA, HIVE, session=1),
    link(2, BEN, QUEEN, reply_to=1, session=1),
    link(3, CLEO, HIVE, LOT, session=2, days=1),
    link(4, BEN, session=2, days=1),
    link(5, ANA, LOT, BEN, session=3, days=9),
)
"""A little conversation over three days."""


def nominated(said: Nominations) -> dict[int, float]:
    return dict(zip(said.serials.tolist(), said.scores.tolist(), strict=True))


def steps(paths: Sequence[Path]) -> dict[int, tuple[str, ...]]:
    return {path.serial: path.steps for path in paths}


def hits(serials: Sequence[int]) -> dict[int, float]:
    return {serial: 1.0 / serial for serial in serials if serial % 2}


async def ways(
    index: GraphIndex, serials: Sequence[int], *entities: Mention, found: Sequence[int] = ()
) -> dict[str, dict[int, float]]:
    """The chances of each type of path, by what it is written as; zeros left out."""
    walked = await index.walks(ROOM, dict.fromkeys(found, 0.0), entities, serials)
    return {
        " ".join(path): {s: c for s, c in zip(walked.serials.tolist(), chances.tolist(), strict=True) if c}
        for path, chances in walked.chances.items()
    }


def short(found: dict[str, dict[int, float]]) -> dict[str, dict[int, float]]:
    """The types of one relation."""
    return {path: there for path, there in found.items() if path.count(" ") == 1}


async def everything(index: GraphIndex, serials: Sequence[int], entities: Sequence[Mention]) -> object:
    """All that can be asked about a room."""
    ranked = await index.rank(ROOM, {serial: 1.0 / serial for serial in serials}, entities, 1000)
    paths = await index.paths(ROOM, entities, serials)
    walked = await index.walks(ROOM, hits(serials), entities, serials)
    traced = [
        await index.trace(ROOM, path, hits(serials), entities, serial)
        for path, chances in walked.chances.items()
        for serial, chance in zip(walked.serials.tolist(), chances.tolist(), strict=True)
        if chance > 1e-9
    ]
    return (
        [(path, np.round(chances, 9).tolist()) for path, chances in walked.chances.items()],
        [None if path is None else (path.serial, path.steps, round(path.score, 9)) for path in traced],
        sorted(nominated(ranked).items()),
        await index.known(ROOM, entities),
        [(path.serial, path.steps, round(path.score, 9)) for path in paths],
    )


class GraphIndexContract:
    """Inherit it, and give the adapter as the fixture ``index``: empty at the start of each test."""

    @pytest.fixture
    async def talk(self, index: GraphIndex) -> GraphIndex:
        """The index with the little conversation."""
        await index.put(ROOM, TALK)
        return index

    # -- what is there ------------------------------------------------------------------------------------------------

    async def test_a_room_that_never_came_is_empty(self, index: GraphIndex) -> None:
        assert nominated(await index.rank(9, {1: 1.0}, [HIVE], 10)) == {}
        assert await index.known(9, [HIVE]) == []
        assert await index.paths(9, [HIVE], [1]) == []

    async def test_removing_and_dropping_what_is_not_there_does_nothing(self, talk: GraphIndex) -> None:
        await talk.remove(9, [1])
        await talk.drop(9)
        await talk.remove(ROOM, [77])
        await talk.remove(ROOM, [])
        await talk.put(ROOM, [])
        assert await talk.known(ROOM, [HIVE]) == [(HIVE, 2)]

    async def test_what_rests_on_another_version_than_the_noted_one_is_not_put(self, talk: GraphIndex) -> None:
        await talk.reach(ROOM, 4)
        assert not await talk.put(ROOM, [link(6, ANA, HIVE)], 3)
        assert await talk.known(ROOM, [HIVE]) == [(HIVE, 2)]
        assert await talk.put(ROOM, [link(6, ANA, HIVE)], 4)
        assert await talk.known(ROOM, [HIVE]) == [(HIVE, 3)]

    async def test_an_earlier_version_than_the_noted_one_is_passed_over(self, talk: GraphIndex) -> None:
        await talk.reach(ROOM, 4)
        await talk.reach(ROOM, 3)
        assert await talk.reached(ROOM) == 4

    async def test_known_gives_those_of_the_mentions_that_are_there_in_order(self, talk: GraphIndex) -> None:
        asked = [LOT, name("Hive 9"), HIVE]
        assert await talk.known(ROOM, asked) == [(LOT, 2), (HIVE, 2)]

    async def test_a_person_is_tied_to_what_they_wrote_and_to_what_names_them_each_once(self, talk: GraphIndex) -> None:
        assert await talk.known(ROOM, [BEN]) == [(BEN, 3)]
        await talk.put(ROOM, [link(6, BEN, BEN)])
        assert await talk.known(ROOM, [BEN]) == [(BEN, 4)]

    async def test_a_day_is_tied_to_what_was_sent_on_it_and_to_what_names_it(self, talk: GraphIndex) -> None:
        await talk.put(ROOM, [link(6, ANA, day("2026-05-13"), days=30)])
        assert await talk.known(ROOM, [day("2026-05-13")]) == [(day("2026-05-13"), 3)]
        await talk.put(ROOM, [link(7, ANA, day("2026-05-13"), days=1)])
        assert await talk.known(ROOM, [day("2026-05-13")]) == [(day("2026-05-13"), 4)]

    async def test_one_key_is_one_node_whatever_its_kind_and_form(self, talk: GraphIndex) -> None:
        await talk.put(ROOM, [link(6, ANA, name("HIVE 4", "hive 4", EntityKind.CODE))])
        assert await talk.known(ROOM, [HIVE]) == [(HIVE, 3)]

    async def test_a_person_and_a_name_with_the_same_key_are_two(self, talk: GraphIndex) -> None:
        await talk.put(ROOM, [link(6, CLEO, name("1"))])
        assert await talk.known(ROOM, [name("1"), ANA]) == [(name("1"), 1), (ANA, 2)]

    # -- putting ------------------------------------------------------------------------------------------------------

    async def test_putting_the_same_again_changes_nothing(self, talk: GraphIndex) -> None:
        before = await everything(talk, range(1, 6), [HIVE, ANA])
        await talk.put(ROOM, TALK)
        await talk.put(ROOM, [TALK[0]])
        assert await everything(talk, range(1, 6), [HIVE, ANA]) == before

    async def test_the_order_of_arrival_does_not_matter(self, index: GraphIndex, talk: GraphIndex) -> None:
        before = await everything(talk, range(1, 6), [HIVE, ANA])
        await index.drop(ROOM)
        for each in reversed(TALK):
            await index.put(ROOM, [each])
        assert await everything(index, range(1, 6), [HIVE, ANA]) == before

    async def test_a_new_version_replaces_the_old_one(self, talk: GraphIndex) -> None:
        await talk.put(ROOM, [replace(TALK[0], mentions=(QUEEN,), reply_to=3)])
        assert await talk.known(ROOM, [HIVE, QUEEN]) == [(HIVE, 1), (QUEEN, 2)]

    async def test_the_last_of_several_versions_in_a_batch_counts(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, ANA, HIVE), link(1, ANA, LOT)])
        assert await index.known(ROOM, [HIVE, LOT]) == [(LOT, 1)]

    async def test_replies_to_an_edited_message_stay_tied_to_it(self, talk: GraphIndex) -> None:
        await talk.put(ROOM, [replace(TALK[0], mentions=(LOT,))])
        found = steps(await talk.paths(ROOM, [LOT], [2]))
        assert found == {
            2: ("Lot 26-03", "mentioned in", "message of 12 May 2026", "answered by", "message of 12 May 2026")
        }

    async def test_a_message_that_replies_to_itself_replies_to_nothing(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, ANA, HIVE, reply_to=1), link(2, BEN)])
        assert steps(await index.paths(ROOM, [ANA], [1])) == {1: ("Ana", "wrote", "message of 12 May 2026")}
        await index.remove(ROOM, [1])
        assert await index.known(ROOM, [ANA, HIVE]) == []

    # -- removing -----------------------------------------------------------------------------------------------------

    async def test_an_entity_vanishes_with_its_last_message(self, talk: GraphIndex) -> None:
        await talk.remove(ROOM, [1])
        assert await talk.known(ROOM, [HIVE]) == [(HIVE, 1)]
        await talk.remove(ROOM, [3])
        assert await talk.known(ROOM, [HIVE, CLEO]) == []

    async def test_a_removed_message_is_neither_ranked_nor_reached(self, talk: GraphIndex) -> None:
        await talk.remove(ROOM, [3])
        assert 3 not in nominated(await talk.rank(ROOM, {3: 5.0, 1: 1.0}, [HIVE], 10))
        assert await talk.paths(ROOM, [HIVE], [3]) == []

    async def test_removing_twice_is_removing_once(self, talk: GraphIndex) -> None:
        await talk.remove(ROOM, [2, 3])
        before = await everything(talk, range(1, 6), [HIVE, ANA])
        await talk.remove(ROOM, [3, 2, 2])
        assert await everything(talk, range(1, 6), [HIVE, ANA]) == before

    async def test_the_label_of_a_removed_message_is_not_shown(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, ANA, name("HIVE FOUR", "hive 4")), link(2, BEN, HIVE)])
        await index.remove(ROOM, [1])
        assert steps(await index.paths(ROOM, [HIVE], [2]))[2][0] == "Hive 4"

    async def test_dropping_a_room_forgets_it(self, talk: GraphIndex) -> None:
        await talk.drop(ROOM)
        assert await talk.known(ROOM, [HIVE, ANA]) == []

    async def test_any_history_gives_what_its_outcome_gives(self, index: GraphIndex) -> None:
        chance = Random(7)  # noqa: S311 - a made-up history, not a secret
        entities = [HIVE, LOT, QUEEN, ANA, BEN, CLEO]
        standing: dict[int, MessageLinks] = {}
        for _ in range(60):
            serial = chance.randrange(1, 25)
            if chance.random() < 0.3:
                await index.remove(ROOM, [serial])
                standing.pop(serial, None)
                standing = {s: replace(m, reply_to=None) if m.reply_to == serial else m for s, m in standing.items()}
                continue
            named = tuple(chance.sample(entities, chance.randrange(4)))
            reply = chance.choice([None, chance.randrange(1, 25)])
            standing[serial] = replace(
                link(serial, chance.choice([ANA, BEN, CLEO]), *named, session=chance.choice([None, 1, 2])),
                reply_to=reply if reply != serial else None,
                sent_at=NOON + timedelta(hours=chance.randrange(72)),
            )
            await index.put(ROOM, [standing[serial]])
        after = await everything(index, range(1, 25), entities)
        await index.drop(ROOM)
        await index.put(ROOM, list(standing.values()))
        assert after == await everything(index, range(1, 25), entities)

    # -- ranking ------------------------------------------------------------------------------------------------------

    async def test_what_shares_a_name_with_a_seed_is_ranked(self, talk: GraphIndex) -> None:
        ranked = nominated(await talk.rank(ROOM, {3: 1.0}, [], 10))
        assert max(ranked, key=ranked.__getitem__) == 3
        assert min(ranked[1], ranked[5]) > ranked[4]  # 1 and 5 name what 3 names; 4 is two walks away

    async def test_the_messages_of_an_entity_are_ranked(self, talk: GraphIndex) -> None:
        said = await talk.rank(ROOM, {}, [HIVE], 2)
        assert set(said.serials.tolist()) == {1, 3}
        assert said.source == "graph"

    async def test_a_name_that_one_message_alone_has_still_leads_to_it(self, talk: GraphIndex) -> None:
        said = await talk.rank(ROOM, {}, [QUEEN], 1)
        assert said.serials.tolist() == [2]

    async def test_the_best_come_first_and_the_limit_holds(self, talk: GraphIndex) -> None:
        every = await talk.rank(ROOM, {1: 1.0, 4: 0.5}, [LOT], 10)
        assert (np.diff(every.scores) <= 0).all()
        some = await talk.rank(ROOM, {1: 1.0, 4: 0.5}, [LOT], 2)
        assert some.serials.tolist() == every.serials.tolist()[:2]
        assert not len((await talk.rank(ROOM, {1: 1.0}, [], 0)).serials)

    async def test_scores_are_one_plus_the_lift_over_chance(self, talk: GraphIndex) -> None:
        every = await talk.rank(ROOM, {1: 1.0}, [LOT], 10)
        assert every.scores.min() > 1
        assert (every.scores - 1).sum() == pytest.approx(len(TALK))

    async def test_seeds_weigh_by_the_softmax_of_their_scores(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(i, person(i, "")) for i in range(1, 4)])
        ranked = nominated(await index.rank(ROOM, {1: 7.0, 2: 6.0, 3: 5.0}, [], 10))
        assert (ranked[1] - 1) / (ranked[2] - 1) == pytest.approx(np.e, rel=1e-6)
        assert (ranked[2] - 1) / (ranked[3] - 1) == pytest.approx(np.e, rel=1e-6)

    async def test_a_rare_name_carries_more_than_a_common_one(self, index: GraphIndex) -> None:
        common, rare = name("Common"), name("Rare")
        await index.put(ROOM, [link(i, person(i, ""), common) for i in range(1, 9)])
        await index.put(ROOM, [link(9, person(9, ""), common, rare), link(10, person(10, ""), rare)])
        ranked = nominated(await index.rank(ROOM, {9: 1.0}, [], 20))
        assert ranked[10] > ranked[1]

    async def test_a_reply_is_reached_from_what_it_replies_to_and_back(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, ANA), link(2, BEN, reply_to=1), link(3, CLEO)])
        assert set(nominated(await index.rank(ROOM, {1: 1.0}, [], 10))) == {1, 2}
        assert set(nominated(await index.rank(ROOM, {2: 1.0}, [], 10))) == {1, 2}

    async def test_time_alone_carries_nothing(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, ANA, session=1), link(2, BEN, session=1)])
        assert set(nominated(await index.rank(ROOM, {1: 1.0}, [day("2026-05-12")], 10))) == {1}

    async def test_among_equals_the_newer_comes_first(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(i, person(i, ""), HIVE) for i in (3, 1, 2)])
        assert (await index.rank(ROOM, {}, [HIVE], 10)).serials.tolist() == [3, 2, 1]

    async def test_without_a_seed_in_the_room_nothing_is_ranked(self, talk: GraphIndex) -> None:
        assert nominated(await talk.rank(ROOM, {77: 3.0}, [name("Hive 9")], 10)) == {}
        assert nominated(await talk.rank(ROOM, {}, [], 10)) == {}

    async def test_one_seed_in_the_room_is_enough(self, talk: GraphIndex) -> None:
        assert set(nominated(await talk.rank(ROOM, {77: 3.0, 2: -40.0}, [name("Hive 9")], 10))) >= {2}

    # -- paths --------------------------------------------------------------------------------------------------------

    async def test_one_step_leads_from_an_author_a_name_or_a_day(self, talk: GraphIndex) -> None:
        message = "message of 12 May 2026"
        assert steps(await talk.paths(ROOM, [ANA], [1])) == {1: ("Ana", "wrote", message)}
        assert steps(await talk.paths(ROOM, [HIVE], [1])) == {1: ("Hive 4", "mentioned in", message)}
        assert steps(await talk.paths(ROOM, [day("2026-05-12")], [1])) == {1: ("12 May 2026", "day of", message)}

    async def test_two_steps_lead_over_a_reply_or_the_message_before(self, talk: GraphIndex) -> None:
        found = steps(await talk.paths(ROOM, [QUEEN, LOT], [1, 4]))
        assert found == {
            1: ("Red Queen", "mentioned in", "message of 12 May 2026", "replies to", "message of 12 May 2026"),
            4: ("Lot 26-03", "mentioned in", "message of 13 May 2026", "followed by", "message of 13 May 2026"),
        }

    async def test_three_steps_lead_over_something_that_two_messages_share(self, talk: GraphIndex) -> None:
        await talk.put(ROOM, [link(6, person(4, "Dan"), LOT, days=20)])
        assert steps(await talk.paths(ROOM, [HIVE], [6]))[6] == (
            *("Hive 4", "mentioned in", "message of 13 May 2026", "mentions"),
            *("Lot 26-03", "mentioned in", "message of 1 Jun 2026"),
        )

    async def test_a_session_and_a_wider_date_can_be_on_the_way(self, index: GraphIndex) -> None:
        week = day("2026-W20")
        await index.put(ROOM, [link(1, ANA, HIVE, session=7), link(2, BEN, session=7), link(3, CLEO, session=7)])
        await index.put(ROOM, [link(4, person(4, "Dan"), LOT, week, days=8), link(5, person(5, "Eve"), week, days=9)])
        found = steps(await index.paths(ROOM, [HIVE, LOT], [3, 5]))
        assert found[3][3:6] == ("in", "session 7", "holds")
        assert found[5][3:6] == ("mentions", "2026-W20", "mentioned in")

    async def test_a_date_that_is_none_is_shown_as_it_is(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, ANA, day("2026-99-99"))])
        assert steps(await index.paths(ROOM, [day("2026-99-99")], [1]))[1][0] == "2026-99-99"

    async def test_what_is_farther_than_three_steps_is_left_out(self, index: GraphIndex) -> None:
        other = person(4, "Dan")
        await index.put(ROOM, [link(1, ANA, HIVE), link(2, BEN, QUEEN, days=1), link(3, other, QUEEN, LOT, days=2)])
        assert await index.paths(ROOM, [HIVE], [2, 3]) == []

    async def test_a_middle_message_that_goes_is_bridged(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, ANA, HIVE, session=1), link(2, BEN, session=1), link(3, CLEO, session=1)])
        await index.remove(ROOM, [2])
        assert steps(await index.paths(ROOM, [HIVE], [3]))[3][3] == "followed by"

    async def test_paths_come_in_the_order_of_the_serials(self, talk: GraphIndex) -> None:
        assert [path.serial for path in await talk.paths(ROOM, [HIVE], [3, 99, 1])] == [3, 1]

    async def test_the_rarer_connection_is_preferred(self, index: GraphIndex) -> None:
        busy, rare = name("Busy"), name("Rare")
        await index.put(ROOM, [link(i, person(i, ""), busy, days=i) for i in range(10, 30)])
        await index.put(ROOM, [link(1, ANA, HIVE, busy, rare), link(2, BEN, busy, rare, days=3)])
        assert "Rare" in steps(await index.paths(ROOM, [HIVE], [2]))[2]

    async def test_the_score_is_the_root_of_the_probability_of_the_walk(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, ANA, HIVE), link(2, BEN, HIVE), link(3, CLEO, HIVE), link(4, CLEO, HIVE)])
        assert (await index.paths(ROOM, [HIVE], [2]))[0].score == pytest.approx(0.5)

    async def test_a_person_without_a_known_name_is_shown_by_the_key(self, index: GraphIndex) -> None:
        await index.put(ROOM, [link(1, person(8, ""))])
        assert steps(await index.paths(ROOM, [person(8, "")], [1]))[1][0] == "person 8"
        await index.put(ROOM, [link(2, person(8, "Hana"))])
        assert steps(await index.paths(ROOM, [person(8, "")], [1]))[1][0] == "Hana"

    # -- typed walks --------------------------------------------------------------------------------------------------

    async def test_one_relation_leads_from_each_kind_of_entity(self, talk: GraphIndex) -> None:
        found = await ways(talk, [1, 2, 3, 4, 5], ANA, BEN, HIVE, day("2026-05-13"))
        assert short(found) == {
            "date ~on": {3: 0.5, 4: 0.5},
            "name ~mentions": {1: 0.5, 3: 0.5},
            "person wrote": pytest.approx(self.shares(("Ana", 2, (1, 5)), ("Ben", 3, (2, 4)))),
            "person ~mentions": pytest.approx(self.shares(("Ana", 2, ()), ("Ben", 3, (5,)))),
        }

    @staticmethod
    def shares(*people: tuple[str, int, tuple[int, ...]]) -> dict[int, float]:
        """The question's people share the start by their idf, the messages of one share theirs evenly."""
        weight = {name: np.log1p(len(TALK) / ties) for name, ties, _ in people}
        return {s: weight[name] / sum(weight.values()) / len(there) for name, _, there in people for s in there}

    async def test_a_walk_goes_from_what_was_found_over_what_is_shared(self, talk: GraphIndex) -> None:
        found = await ways(talk, [1, 2, 3, 4, 5], found=[3])
        assert found["hit mentions ~mentions"] == {1: 0.25, 5: 0.25}  # over Hive 4, over Lot 26-03
        assert found["hit in_session ~in_session"] == {4: 0.5}
        assert found["hit on ~on"] == {4: 0.5}
        assert found["hit ~follows"] == {4: 1.0}
        assert "hit" not in found

    async def test_a_walk_does_not_come_back_to_what_it_left(self, talk: GraphIndex) -> None:
        assert await ways(talk, [3], found=[3]) == {}
        await talk.put(ROOM, [link(6, ANA, ANA, days=40)])
        assert await ways(talk, [6], found=[6]) == {}

    async def test_replies_are_walked_both_ways(self, talk: GraphIndex) -> None:
        assert (await ways(talk, [2], found=[1]))["hit ~replies_to"] == {2: 1.0}
        assert (await ways(talk, [1], found=[2]))["hit replies_to"] == {1: 1.0}
        assert (await ways(talk, [2], HIVE))["name ~mentions ~replies_to"] == {2: 0.5}

    async def test_three_relations_lead_from_an_entity(self, talk: GraphIndex) -> None:
        found = await ways(talk, [1, 3, 5], HIVE)
        assert found["name ~mentions mentions ~mentions"] == {5: 0.125}  # over Lot 26-03, not over Hive 4 again
        assert found["name ~mentions ~wrote wrote"] == {5: 0.25}

    async def test_what_a_message_is_about_is_a_relation_of_its_own(self, index: GraphIndex) -> None:
        about = replace(link(2, BEN, HIVE, LOT), subject=HIVE.key)
        await index.put(ROOM, [link(1, ANA, HIVE), about, link(3, CLEO, LOT)])
        assert (await ways(index, [2], found=[1]))["hit mentions ~about"] == {2: 1.0}
        assert (await ways(index, [1], found=[2]))["hit about ~mentions"] == {1: 1.0}
        assert short(await ways(index, [2], HIVE)) == {"name ~about": {2: 1.0}}
        assert steps(await index.paths(ROOM, [HIVE], [2]))[2] == ("Hive 4", "subject of", "message of 12 May 2026")
        await index.put(ROOM, [replace(about, subject=None)])
        assert short(await ways(index, [2], HIVE)) == {"name ~mentions": {2: 0.5}}

    async def test_the_found_share_the_start_by_the_softmax_of_their_scores(self, talk: GraphIndex) -> None:
        walked = await talk.walks(ROOM, {3: 1.0, 1: 0.0}, [], [4])
        assert walked.chances["hit", "~follows"].tolist() == pytest.approx([np.e / (np.e + 1)])

    async def test_chances_are_probabilities_in_the_order_of_the_serials_that_are_there(self, talk: GraphIndex) -> None:
        walked = await talk.walks(ROOM, {3: 1.0}, [HIVE, ANA], [5, 99, 1])
        assert walked.serials.tolist() == [5, 1]
        for chances in walked.chances.values():
            assert chances.shape == (2,)
            assert ((chances >= 0) & (chances <= 1)).all()
            assert chances.sum() <= 1 + 1e-9

    async def test_without_a_start_in_the_room_nothing_is_walked(self, talk: GraphIndex) -> None:
        assert (await talk.walks(ROOM, {77: 1.0}, [name("Hive 9")], [1])).chances == {}
        assert (await talk.walks(9, {1: 1.0}, [HIVE], [1])).serials.tolist() == []

    async def test_the_likeliest_path_of_a_type_is_told(self, talk: GraphIndex) -> None:
        told = await talk.trace(ROOM, ("hit", "mentions", "~mentions"), {3: 0.0}, [], 5)
        assert told is not None
        assert told.steps == (
            *("message of 13 May 2026", "mentions", "Lot 26-03"),
            *("mentioned in", "message of 21 May 2026"),
        )
        assert told.score == pytest.approx(0.5)  # the root of 1/2 · 1/2
        told = await talk.trace(ROOM, ("person", "wrote"), {}, [ANA], 1)
        assert told is not None
        assert told.steps == ("Ana", "wrote", "message of 12 May 2026")

    async def test_a_path_of_a_type_that_does_not_lead_there_is_none(self, talk: GraphIndex) -> None:
        assert await talk.trace(ROOM, ("hit", "mentions", "~about"), {3: 0.0}, [], 5) is None
        assert await talk.trace(ROOM, ("person", "wrote"), {}, [ANA], 2) is None
        assert await talk.trace(ROOM, ("person", "wrote"), {}, [HIVE], 1) is None
        assert await talk.trace(ROOM, ("hit", "~follows"), {3: 0.0}, [], 77) is None
        assert await talk.trace(9, ("hit", "~follows"), {3: 0.0}, [], 4) is None

    async def test_what_is_traced_is_what_was_walked(self, talk: GraphIndex) -> None:
        walked = await talk.walks(ROOM, {3: 1.0, 2: 0.5}, [HIVE, ANA], range(1, 6))
        for path, chances in walked.chances.items():
            for serial, chance in zip(walked.serials.tolist(), chances.tolist(), strict=True):
                told = await talk.trace(ROOM, path, {3: 1.0, 2: 0.5}, [HIVE, ANA], serial)
                assert (told is not None) == (chance > 1e-9)
                assert told is None or len(told.steps) == 2 * len(path) - 1

    # -- scope --------------------------------------------------------------------------------------------------------

    async def test_scopes_never_mix(self, talk: GraphIndex) -> None:
        before = await everything(talk, range(1, 6), [HIVE, ANA])
        await talk.put(2, [link(6, ANA, HIVE), link(7, BEN, LOT, reply_to=1)])
        assert await everything(talk, range(1, 6), [HIVE, ANA]) == before
        assert set(nominated(await talk.rank(2, {1: 3.0, 6: 1.0}, [HIVE, LOT], 10))) == {6, 7}
        assert await talk.paths(2, [HIVE], [1, 3]) == []
        assert (await talk.walks(2, {1: 1.0}, [ANA], [1, 3])).chances == {}
        await talk.remove(2, [1, 2, 3])
        await talk.drop(2)
        assert await everything(talk, range(1, 6), [HIVE, ANA]) == before
