"""A room as arrays: grown, edited, forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from memory.room import DECAY, RoomView, smoothed
from tests.unit.memory.arrays import DAY, NOON, STATE_DIM, row, states, unit


def arrays(view: RoomView) -> Iterator[NDArray[np.generic]]:
    """Every array that a view holds, with the room kept for growth."""
    stores = (view.vectors_of, view.vector_store, view.token_store, view.code_store, *view.columns.values())
    yield from (store.buffer.data for store in stores)
    yield from (view.token_rows, view.postings.starts, view.postings.rows, view.postings.counts)


def holds(view: RoomView, needle: NDArray[np.generic]) -> bool:
    return any(needle.tobytes() in np.ascontiguousarray(array).tobytes() for array in arrays(view))


def told(view: RoomView) -> list[Any]:
    """What a view says of its messages that are there, independent of how it came to be."""
    rows = np.flatnonzero(view.alive)
    names = ("serials", "authors", "sent_at", "asks", "selves", "sessions", "lengths")
    return [
        [getattr(view, name)[rows].tolist() for name in names],
        [sorted(view.serials[view.postings.find(term)[0]].tolist()) for term in ("bee", "hiv", "wasp", "find")],
        [view.codes_of(int(row))[1].tolist() for row in rows],
        [view.vectors[view.vectors_at(np.array([row]))[0]].tolist() for row in rows],
        np.trim_zeros(view.token_rows, "b").tolist(),
    ]


class TestBuilding:
    def test_each_message_is_a_row_in_order_of_serial(self) -> None:
        view = RoomView.of([row(5, "Bees?", author=2, days=1), row(3, "I found hives", author=1, reply_to=5)])
        assert view.serials.tolist() == [3, 5]
        assert view.authors.tolist() == [1, 2]
        assert view.sent_at.tolist() == [NOON.timestamp(), NOON.timestamp() + DAY]
        assert view.asks.tolist() == [False, True]
        assert view.selves.tolist() == [True, False]
        assert view.replies.tolist() == [1, -1]
        assert view.lengths.tolist() == [2, 1]
        assert view.sessions.tolist() == [-1, -1]
        assert (len(view), view.messages) == (2, 2)

    def test_an_empty_room_answers_everything(self) -> None:
        view = RoomView.of([])
        assert (len(view), view.messages, view.waste, view.speaker_bits) == (0, 0, 0.0, 0.0)
        assert view.rows_of([1, 2]).tolist() == [-1, -1]
        assert view.mean_length > 0
        assert view.mean_window_length > 0

    def test_a_long_message_has_a_vector_a_chunk_and_a_new_one_none(self) -> None:
        view = RoomView.of([row(1, vectors=np.stack([unit(1), unit(0, 1)])), row(2), row(3, vectors=unit(0, 0, 1))])
        numbers, owners = view.vectors_at(np.array([0, 1, 2]))
        assert numbers.tolist() == [0, 1, 2]
        assert owners.tolist() == [0, 0, 2]

    def test_token_states_are_kept_by_row(self) -> None:
        view = RoomView.of([row(1, tokens=(7, 9, 7)), row(2), row(3, tokens=(9,))])
        ids, codes = view.codes_of(0)
        assert ids.tolist() == [7, 9, 7]
        assert np.array_equal(codes, np.packbits(states(7, 9, 7) > 0, axis=1))
        assert len(view.codes_of(1)[0]) == 0
        assert (view.token_rows[7], view.token_rows[9]) == (1, 2)

    def test_what_naming_a_speaker_tells_is_the_entropy_of_who_speaks(self) -> None:
        assert RoomView.of([row(1, author=1), row(2, author=2)]).speaker_bits == pytest.approx(1.0)
        assert RoomView.of([row(i, author=i) for i in range(1, 5)]).speaker_bits == pytest.approx(2.0)
        assert RoomView.of([row(1), row(2)]).speaker_bits == 0.0

    def test_window_lengths_decay_with_distance(self) -> None:
        view = RoomView.of([row(1, "bees hives"), row(2), row(3)])
        assert view.window_lengths.tolist() == pytest.approx([2, 2 * DECAY, 2 * DECAY**2])


class TestGrowing:
    def test_grown_one_by_one_it_is_the_room_built_at_once(self) -> None:
        rows = [
            row(i, f"bees {i} find hives", author=i % 3, days=i, vectors=unit(i, 1), tokens=(i, i + 1, 5))
            for i in range(1, 40)
        ]
        grown = RoomView.of([])
        for one in rows:
            grown = grown.updated([one])
        assert told(grown) == told(RoomView.of(rows))

    def test_an_older_snapshot_stays_what_it_was(self) -> None:
        old = RoomView.of([row(1, "bees", vectors=unit(1), tokens=(5,))])
        new = old.updated([row(2, "bees wasps?", vectors=unit(0, 1), tokens=(5, 6))])
        assert (len(old), len(old.vectors), len(old.window_lengths)) == (1, 1, 1)
        assert old.postings.find("bee")[0].tolist() == [0]
        assert old.token_rows[5] == 1
        assert new.token_rows[5] == 2
        assert len(new) == 2

    def test_a_message_admitted_out_of_turn_is_found(self) -> None:
        view = RoomView.of([row(1), row(5)]).updated([row(3, "bees")])
        assert view.rows_of([1, 3, 5, 4]).tolist() == [0, 2, 1, -1]

    def test_it_can_be_read_while_it_grows(self) -> None:
        view = RoomView.of([row(1, "bees", vectors=unit(1))])

        def read(snapshot: RoomView) -> int:
            rows, _ = snapshot.postings.find("bee")
            return len(snapshot.serials) - len(rows) + int(snapshot.vectors_at(snapshot.rows_of([1]))[0][0])

        with ThreadPoolExecutor(4) as pool:
            reads = []
            for serial in range(2, 300):
                view = view.updated([row(serial, "bees", vectors=unit(1))])
                reads.append(pool.submit(read, view))
            assert {one.result() for one in reads} == {0}

    def test_one_message_does_not_copy_the_vectors(self) -> None:
        view = RoomView.of([row(i, "bees", vectors=unit(1), tokens=(5,)) for i in range(1, 200)])
        view = view.updated([row(200, "bees", vectors=unit(1), tokens=(5,))])
        more = view.updated([row(201, "bees", vectors=unit(1), tokens=(5,))])
        assert more.vectors.base is view.vectors.base
        assert more.postings.rows is view.postings.rows


class TestReplacing:
    def test_an_embedding_that_arrives_later_is_the_same_as_one_that_came_along(self) -> None:
        full = [row(i, "bees find hives", vectors=unit(i, 1), tokens=(i, 5)) for i in (1, 2, 3)]
        late = RoomView.of([row(i, "bees find hives") for i in (1, 2, 3)])
        for one in (full[2], full[0], full[1]):
            late = late.updated([one])
        assert told(late) == told(RoomView.of(full))

    def test_the_terms_are_not_rebuilt_when_the_text_is_the_same(self) -> None:
        old = RoomView.of([row(1, "bees")])
        assert old.updated([row(1, "bees", vectors=unit(1))]).postings is old.postings

    def test_an_edit_leaves_nothing_of_the_old_text(self) -> None:
        old = RoomView.of([row(1, "bees find hives?", vectors=unit(1, 2), tokens=(5, 6)), row(2, "hives", tokens=(6,))])
        new = old.updated([row(1, "I like wasps", vectors=unit(3, 1), tokens=(8,)), row(2, "hives", tokens=(6,))])
        same = [row(1, "I like wasps", vectors=unit(3, 1), tokens=(8,)), row(2, "hives", tokens=(6,))]
        assert told(new) == told(RoomView.of(same))
        assert "bee" not in new.postings.vocabulary
        assert not holds(new, unit(1, 2))

    def test_an_unknown_message_is_not_replaced(self) -> None:
        view = RoomView.of([row(1)])
        assert view.replaced([row(2, "bees")]) is view


class TestRemoving:
    def test_no_byte_of_the_message_is_left(self) -> None:
        secret = row(2, "secret bees?", author=9, vectors=unit(1, 2, 3), tokens=(61, 62, 63))
        assert secret.vectors is not None
        assert secret.codes is not None
        assert secret.token_ids is not None
        before = RoomView.of([row(1, "bees", vectors=unit(1)), secret, row(3, "bees", reply_to=2)])
        needles: list[NDArray[Any]] = [secret.vectors.astype(np.float16), secret.token_ids, secret.codes]
        assert all(holds(before, needle) for needle in needles)
        assert "secret" in before.postings.vocabulary
        after = before.updated([], [2])
        assert not any(holds(after, needle) for needle in needles)
        assert not any(holds(before, needle) for needle in needles)
        assert "secret" not in after.postings.vocabulary
        assert after.token_rows[61] == 0
        assert 9 not in after.authors
        assert int(after.columns["digests"].array[1]) == 0

    def test_the_others_stay_and_their_rows_too(self) -> None:
        rows = [row(i, f"bees {i}", vectors=unit(i, 1), tokens=(i,)) for i in (1, 2, 3)]
        after = RoomView.of(rows).updated([], [2])
        assert told(after) == told(RoomView.of([rows[0], rows[2]]))
        assert after.rows_of([1, 2, 3]).tolist() == [0, -1, 2]
        assert (len(after), after.messages) == (3, 2)

    def test_a_reply_to_it_is_one_no_longer(self) -> None:
        view = RoomView.of([row(1), row(2, reply_to=1)]).updated([], [1])
        assert view.replies.tolist() == [-1, -1]

    def test_an_unknown_message_changes_nothing(self) -> None:
        view = RoomView.of([row(1)])
        assert view.updated([], [5]) is view

    def test_waste_tells_how_much_is_empty(self) -> None:
        view = RoomView.of([row(i, vectors=unit(1)) for i in (1, 2, 3, 4)])
        assert view.waste == 0.0
        assert view.updated([], [1, 2]).waste == pytest.approx(0.5)


class TestMemory:
    def test_the_estimate_grows_with_the_room(self) -> None:
        small = RoomView.of([row(1, "bees", vectors=unit(1), tokens=(5,))])
        large = RoomView.of([row(i, f"bees {i}", vectors=unit(1), tokens=(5,) * 20) for i in range(1, 1001)])
        assert large.nbytes - small.nbytes > 999 * (unit(1).nbytes + 20 * (2 + STATE_DIM // 8))


class TestSmoothing:
    def test_it_is_the_decayed_sum_over_the_window(self) -> None:
        values = np.arange(20, dtype=np.float64)
        by_hand = [sum(DECAY ** abs(i - j) * values[j] for j in range(20) if abs(i - j) <= 5) for i in range(20)]
        assert smoothed(values).tolist() == pytest.approx(by_hand)

    def test_a_room_shorter_than_the_window_is_no_matter(self) -> None:
        assert smoothed(np.ones(2)).tolist() == pytest.approx([1 + DECAY, 1 + DECAY])
        assert len(smoothed(np.zeros(0))) == 0
