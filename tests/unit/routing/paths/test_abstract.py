"""States and actions repeat from room to room."""

from __future__ import annotations

from routing.paths.abstract import (
    ANY,
    CLUSTERS,
    MOST_STEPS,
    STOP,
    Pair,
    State,
    cluster_of,
    column_of,
    ending,
    key_of,
    pairs_of,
    path_of,
)
from routing.questions import read

PATH = ("name", "~mentions", "mentions", "~about")


class TestPairs:
    def test_a_path_is_its_relations_and_a_stop(self) -> None:
        pairs = list(pairs_of("who", PATH))
        assert [pair.action for pair in pairs] == ["~mentions", "mentions", "~about", STOP]
        assert [pair.state.node for pair in pairs] == ["name", "message", "entity", "message"]
        assert [pair.state.step for pair in pairs] == [0, 1, 2, MOST_STEPS]
        assert pairs[-1] == ending("who", PATH) == Pair(State("who", "message", PATH), STOP)

    def test_the_key_is_of_the_whole_tuple(self) -> None:
        pair = ending("who", PATH)
        assert pair.text == "who|message|name>~mentions>mentions>~about|stop"
        assert pair.key == key_of(pair.text)
        keys = {one.key for cluster in CLUSTERS for one in pairs_of(cluster, PATH)}
        assert len(keys) == len(CLUSTERS) * 4
        assert all(0 <= key < 2**64 for key in keys)

    def test_a_column_names_its_type(self) -> None:
        assert path_of(column_of(PATH)) == PATH
        assert column_of(("hit", "follows")) == "path:hit>follows"


class TestClusters:
    def test_there_are_between_16_and_64(self) -> None:
        assert 16 <= len(set(CLUSTERS)) <= 64
        assert ANY not in CLUSTERS

    def test_a_question_falls_into_one_by_its_kind_and_its_hops(self) -> None:
        assert cluster_of(read("Who moved the hives?")) == "who"
        assert cluster_of(read("Who is the owner of the meadow?")) == "who+"
        assert cluster_of(read("Is lot 3 better than lot 4?")) == "yes_no+"
        assert {cluster_of(read(text)) for text in ("", "hives", "when", "why so?")} <= set(CLUSTERS)
